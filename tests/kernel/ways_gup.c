// SPDX-License-Identifier: GPL-2.0-only
/* Ways to let the kernel write to a mapped page. */
#include "ways.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

static const uint64_t new_value = NEW_VALUE;

static char *at(struct area *area, size_t page)
{
	return area->map + page * PAGE;
}

int way_process_vm_writev(struct area *area, size_t page)
{
	struct iovec from = { (void *)&new_value, sizeof(new_value) };
	struct iovec to = { at(area, page), sizeof(new_value) };

	return way_done(process_vm_writev(getpid(), &from, 1, &to, 1, 0),
			sizeof(new_value));
}

int way_proc_mem(struct area *area, size_t page)
{
	int fd = open("/proc/self/mem", O_RDWR | O_CLOEXEC);
	ssize_t done = pwrite(fd, &new_value, sizeof(new_value),
			      (off_t)(uintptr_t)at(area, page));

	close(fd);
	return way_done(done, sizeof(new_value));
}

static int poke(pid_t pid, void *to)
{
	int status;

	if (ptrace(PTRACE_SEIZE, pid, NULL, NULL) ||
	    ptrace(PTRACE_INTERRUPT, pid, NULL, NULL) ||
	    waitpid(pid, &status, 0) != pid)
		return -errno;
	if (ptrace(PTRACE_POKEDATA, pid, to, (void *)(uintptr_t)NEW_VALUE))
		return -errno;
	return 0;
}

int way_ptrace_poke(struct area *area, size_t page)
{
	pid_t pid = fork();
	int ret;

	if (!pid)
		for (;;)
			pause();
	if (pid < 0)
		return -errno;
	ret = poke(pid, at(area, page));
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	return ret;
}

/* A pipe with a value in it; what @receive returned. */
static int from_pipe(struct area *area, size_t page,
		     ssize_t (*receive)(int fd, struct iovec *to))
{
	struct iovec to = { at(area, page), sizeof(new_value) };
	ssize_t done = -1;
	int fds[2];

	if (pipe(fds))
		return -errno;
	if (write(fds[1], &new_value, sizeof(new_value)) > 0)
		done = receive(fds[0], &to);
	close(fds[0]);
	close(fds[1]);
	return way_done(done, sizeof(new_value));
}

static ssize_t receive_read(int fd, struct iovec *to)
{
	return read(fd, to->iov_base, to->iov_len);
}

int way_read_into(struct area *area, size_t page)
{
	return from_pipe(area, page, receive_read);
}

static ssize_t receive_readv(int fd, struct iovec *to)
{
	return readv(fd, to, 1);
}

int way_readv_from_pipe(struct area *area, size_t page)
{
	return from_pipe(area, page, receive_readv);
}

static ssize_t receive_vmsplice(int fd, struct iovec *to)
{
	return vmsplice(fd, to, 1, 0);
}

int way_vmsplice_from_pipe(struct area *area, size_t page)
{
	return from_pipe(area, page, receive_vmsplice);
}

/* From a disk, by whose driver the pages are written. */
int way_direct_read(struct area *area, size_t page)
{
	int source = way_source(), loop, ret;

	if (source < 0)
		return source;
	loop = loop_attach(source, O_DIRECT);
	close(source);
	if (loop < 0)
		return loop;
	ret = way_done(pread(loop, at(area, page), PAGE, 0), PAGE);
	loop_detach(loop);
	return ret;
}
