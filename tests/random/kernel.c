// SPDX-License-Identifier: GPL-2.0-only
/*
 * The backend that is the kernel: files of common.h, a process for each of the
 * model's, which calls act() of the row when it is told to.  Monitors and
 * snapshots belong to the central process, and are inherited by nobody.
 */
#include "random.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

int the_file = -1;
char the_cgroup[128];

static struct area area;
static struct worker workers[NR_PROCESSES];

/* --- copying where a fault is an answer --- */

static sigjmp_buf fault;
static volatile bool guarded;

static void on_fault(int sig)
{
	if (guarded)
		siglongjmp(fault, 1);
	signal(sig, SIG_DFL);
}

int guarded_copy(void *to, const void *from, size_t length)
{
	int ret = -EFAULT;

	guarded = true;
	if (!sigsetjmp(fault, 1)) {
		memcpy(to, from, length);
		ret = 0;
	}
	guarded = false;
	return ret;
}

/* --- processes --- */

static long act_in_worker(void *argument, long value)
{
	(void)argument;
	(void)value;
	return operation(board->op.what)->act();
}

static long act(const struct op *op, const struct effect *effect)
{
	(void)effect;
	board->other_pid = workers[op->other].pid;
	return worker_call(&workers[op->who], act_in_worker, NULL, 0);
}

/* Its children are reaped by nobody else. */
static long prepare_worker(void *argument, long value)
{
	(void)argument;
	(void)value;
	signal(SIGCHLD, SIG_IGN);
	return prctl(PR_SET_PDEATHSIG, 0) ? -errno : 0;
}

static long fork_in_worker(void *argument, long value)
{
	struct worker forked;
	int ret;

	(void)argument;
	(void)value;
	ret = worker_start(&forked);
	board->forked = forked;
	return ret;
}

static long close_in_worker(void *argument, long fd)
{
	(void)argument;
	return close(fd) ? -errno : 0;
}

static int kernel_fork(unsigned int who, unsigned int other)
{
	struct worker *parent = &workers[who], *child = &workers[other];
	long ret = worker_call(parent, fork_in_worker, NULL, 0);
	int fd;

	if (ret)
		return ret;
	*child = board->forked;
	fd = worker_take_fd(parent, child->fd);
	ret = worker_call(parent, close_in_worker, NULL, child->fd);
	child->fd = fd;
	if (fd < 0 || ret)
		return fd < 0 ? fd : ret;
	return worker_call(child, prepare_worker, NULL, 0);
}

/* Until its mappings are gone. */
static void kernel_exit(unsigned int who)
{
	int pidfd = syscall(SYS_pidfd_open, workers[who].pid, 0);
	struct pollfd poll_fd = { .fd = pidfd, .events = POLLIN };

	worker_stop(&workers[who]);
	if (pidfd >= 0)
		poll(&poll_fd, 1, -1);
	close(pidfd);
}

static int start_processes(void)
{
	struct sigaction action = { .sa_handler = on_fault,
				    .sa_flags = SA_NODEFER };
	int i, ret = 0;

	sigaction(SIGSEGV, &action, NULL);
	sigaction(SIGBUS, &action, NULL);
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	for (i = 0; i < NR_PROCESSES && !ret; i++)
		if (model.process[i].alive)
			ret = worker_start(&workers[i]) ?:
			      worker_call(&workers[i], prepare_worker, NULL, 0);
	return ret;
}

static int begin(struct script *script)
{
	int ret = area_make(&area, file_kinds[script->kind].kind,
			    script->pages * PAGE);

	the_file = area.fd;
	return ret ?: start_processes();
}

static void end(void)
{
	int i;

	for (i = 0; i < NR_PROCESSES; i++)
		if (model.process[i].alive)
			kernel_exit(i);
	area_free(&area);
}

/* --- monitors --- */

static int monitor(enum watch_type type)
{
	return area_monitor(&area, type == TRACK ? WPFILE_TRACK :
						   WPFILE_CAPTURE);
}

static int snapshot(size_t *size)
{
	int fd = area_snapshot(&area);

	*size = fd < 0 ? 0 : lseek(fd, 0, SEEK_END);
	return fd;
}

static void close_handle(int handle)
{
	close(handle);
}

static int unprotect(int handle, const struct wpfile_range *range)
{
	return wp_unprotect(handle, range->offset, range->length);
}

static int count(enum watch_type type)
{
	return wp_count(the_file, type == TRACK ? WPFILE_TRACK :
						  WPFILE_CAPTURE);
}

static bool has_event(int handle)
{
	struct pollfd poll_fd = { .fd = handle, .events = POLLIN };

	return poll(&poll_fd, 1, 0) != 0;
}

/* --- content --- */

static int fd_of(int handle)
{
	return handle == FILE_HANDLE ? the_file : handle;
}

static ssize_t read_at(int handle, char *to, size_t length, size_t offset)
{
	ssize_t done = pread(fd_of(handle), to, length, offset);

	return done < 0 ? -errno : done;
}

/* Through a pipe, which holds 16 pages. */
static ssize_t pipe_some(int handle, int *fds, char *to, size_t length,
			 off_t *offset, bool by_sendfile)
{
	size_t wanted = MIN(length, 8 * PAGE), done;
	ssize_t moved, some;

	if (by_sendfile)
		moved = sendfile(fds[1], handle, offset, wanted);
	else
		moved = splice(handle, offset, fds[1], NULL, wanted, 0);
	if (moved < 0)
		return -errno;
	for (done = 0; done < (size_t)moved; done += some) {
		some = read(fds[0], to + done, moved - done);
		if (some <= 0)
			return -EIO;
	}
	return moved;
}

static ssize_t through_pipe(int handle, char *to, size_t length, size_t offset,
			    bool by_sendfile)
{
	off_t at = offset;
	ssize_t some = 0;
	size_t done;
	int fds[2];

	if (pipe2(fds, O_CLOEXEC))
		return -errno;
	for (done = 0; done < length; done += some) {
		some = pipe_some(handle, fds, to + done, length - done, &at,
				 by_sendfile);
		if (some <= 0)
			break;
	}
	close(fds[0]);
	close(fds[1]);
	return some < 0 ? some : (ssize_t)done;
}

static off_t seek(int handle, off_t offset, int whence)
{
	off_t at = lseek(fd_of(handle), offset, whence);

	return at < 0 ? -errno : at;
}

static off_t size_of(int handle)
{
	struct stat status;

	return fstat(fd_of(handle), &status) ? -errno : status.st_size;
}

static const char *map(int handle, size_t size)
{
	return map_file(handle, size, PROT_READ);
}

static void unmap(const char *map, size_t size)
{
	munmap((void *)map, PAGES_OF(size) * PAGE);
}

static int load(const char *from, char *to, size_t length)
{
	return guarded_copy(to, from, length);
}

static ssize_t restore(int handle, size_t offset, size_t length)
{
	off_t from = offset;
	ssize_t some;
	size_t done;

	if (lseek(the_file, offset, SEEK_SET) < 0)
		return -errno;
	for (done = 0; done < length; done += some) {
		some = sendfile(the_file, handle, &from, length - done);
		if (some <= 0)
			return some ? -errno : (ssize_t)done;
	}
	return done;
}

const struct backend kernel_backend = {
	.begin = begin,
	.end = end,
	.act = act,
	.fork = kernel_fork,
	.exit = kernel_exit,
	.monitor = monitor,
	.snapshot = snapshot,
	.close = close_handle,
	.protect = wp_protect_ranges,
	.unprotect = unprotect,
	.scan = wp_scan,
	.count = count,
	.has_event = has_event,
	.pread = read_at,
	.pipe = through_pipe,
	.seek = seek,
	.size = size_of,
	.map = map,
	.unmap = unmap,
	.load = load,
	.restore = restore,
};
