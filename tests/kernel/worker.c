// SPDX-License-Identifier: GPL-2.0-only
/* A forked process, or a thread, that calls what it is told to, one at a time. */
#include "common.h"
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define PATIENCE_MS 10000

struct order {
	worker_fn fn;
	void *argument;
	long value;
};

static void obey(int fd)
{
	struct order order;
	long ret;

	while (read(fd, &order, sizeof(order)) == sizeof(order)) {
		ret = order.fn(order.argument, order.value);
		if (write(fd, &ret, sizeof(ret)) != sizeof(ret))
			break;
	}
	/* Others may have inherited the socket: close() is not enough. */
	shutdown(fd, SHUT_RDWR);
	close(fd);
}

int worker_start(struct worker *worker)
{
	int fds[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds))
		return -errno;
	worker->pid = fork();
	if (worker->pid < 0)
		return -errno;
	if (!worker->pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		close(fds[0]);
		obey(fds[1]);
		_exit(0);
	}
	close(fds[1]);
	worker->fd = fds[0];
	return 0;
}

static void *obey_in_thread(void *argument)
{
	obey((intptr_t)argument);
	return NULL;
}

static long own_tid(void *argument, long value)
{
	(void)argument;
	(void)value;
	return gettid();
}

/* The same by a thread of the caller's, whose tid is worker->pid. */
int worker_start_thread(struct worker *worker)
{
	pthread_t thread;
	int fds[2], ret;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds))
		return -errno;
	worker->fd = fds[0];
	ret = -pthread_create(&thread, NULL, obey_in_thread,
			      (void *)(intptr_t)fds[1]);
	if (ret)
		return ret;
	pthread_detach(thread);
	worker->pid = worker_call(worker, own_tid, NULL, 0);
	return 0;
}

void worker_begin(struct worker *worker, worker_fn fn, void *arg, long value)
{
	struct order order = { fn, arg, value };

	if (send(worker->fd, &order, sizeof(order), MSG_NOSIGNAL) < 0)
		worker->pid = -1; /* worker_end() will say so */
}

/* -EPIPE if it died. */
long worker_end(struct worker *worker)
{
	long ret;

	return read(worker->fd, &ret, sizeof(ret)) == sizeof(ret) ? ret : -EPIPE;
}

long worker_call(struct worker *worker, worker_fn fn, void *arg, long value)
{
	worker_begin(worker, fn, arg, value);
	return worker_end(worker);
}

/* A copy of a file descriptor of the worker's. */
int worker_take_fd(struct worker *worker, int fd)
{
	int pidfd = syscall(SYS_pidfd_open, worker->pid, 0), ours;

	ours = syscall(SYS_pidfd_getfd, pidfd, fd, 0);
	if (ours < 0)
		ours = -errno;
	close(pidfd);
	return ours;
}

void worker_stop(struct worker *worker)
{
	struct pollfd poll_fd = { .fd = worker->fd, .events = POLLIN };
	long ret;

	shutdown(worker->fd, SHUT_WR);
	/* A thread may still be at what the caller is about to free. */
	while (poll(&poll_fd, 1, PATIENCE_MS) == 1 &&
	       read(worker->fd, &ret, sizeof(ret)) > 0)
		;
	close(worker->fd);
	if (worker->pid > 0)
		waitpid(worker->pid, NULL, 0);
	*worker = (struct worker){ .pid = -1, .fd = -1 };
}
