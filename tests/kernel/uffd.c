// SPDX-License-Identifier: GPL-2.0-only
/* userfaultfd on the same mappings. */
#include "common.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <pthread.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

int uffd_open(__u64 features)
{
	struct uffdio_api api = { .api = UFFD_API, .features = features };
	int fd = syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);
	int error;

	if (fd < 0)
		return -errno;
	if (!ioctl(fd, UFFDIO_API, &api))
		return fd;
	error = errno;
	close(fd);
	return -error;
}

int uffd_register(int uffd, const void *map, size_t size, __u64 mode)
{
	struct uffdio_register request = {
		.range = { .start = (uintptr_t)map, .len = size },
		.mode = mode,
	};

	return ioctl(uffd, UFFDIO_REGISTER, &request) ? -errno : 0;
}

int uffd_writeprotect(int uffd, const void *map, size_t size, bool on)
{
	struct uffdio_writeprotect request = {
		.range = { .start = (uintptr_t)map, .len = size },
		.mode = on ? UFFDIO_WRITEPROTECT_MODE_WP : 0,
	};

	return ioctl(uffd, UFFDIO_WRITEPROTECT, &request) ? -errno : 0;
}

int uffd_continue(int uffd, const void *page)
{
	struct uffdio_continue request = {
		.range = { .start = (uintptr_t)page, .len = PAGE },
	};

	return ioctl(uffd, UFFDIO_CONTINUE, &request) ? -errno : 0;
}

int uffd_zeropage(int uffd, const void *page)
{
	struct uffdio_zeropage request = {
		.range = { .start = (uintptr_t)page, .len = PAGE },
	};

	return ioctl(uffd, UFFDIO_ZEROPAGE, &request) ? -errno : 0;
}

int uffd_copy(int uffd, const void *page, const void *from)
{
	struct uffdio_copy request = {
		.dst = (uintptr_t)page,
		.src = (uintptr_t)from,
		.len = PAGE,
	};

	return ioctl(uffd, UFFDIO_COPY, &request) ? -errno : 0;
}

static unsigned int served;

static void answer(int uffd, const struct uffd_msg *message)
{
	__u64 flags = message->arg.pagefault.flags;
	void *page = (void *)(uintptr_t)(message->arg.pagefault.address &
					 ~(PAGE - 1));

	if (message->event == UFFD_EVENT_FORK) {
		close(message->arg.fork.ufd);
		return;
	}
	__atomic_add_fetch(&served, 1, __ATOMIC_SEQ_CST);
	if (flags & UFFD_PAGEFAULT_FLAG_WP)
		uffd_writeprotect(uffd, page, PAGE, false);
	else if (flags & UFFD_PAGEFAULT_FLAG_MINOR)
		uffd_continue(uffd, page);
	else
		uffd_zeropage(uffd, page);
}

static void *serve(void *argument)
{
	int uffd = (intptr_t)argument;
	struct pollfd poll_fd = { .fd = uffd, .events = POLLIN };
	struct uffd_msg message;

	while (poll(&poll_fd, 1, -1) > 0 && !(poll_fd.revents & POLLNVAL))
		if (read(uffd, &message, sizeof(message)) > 0)
			answer(uffd, &message);
	return NULL;
}

int uffd_serve(int uffd)
{
	pthread_t thread;

	return -pthread_create(&thread, NULL, serve, (void *)(intptr_t)uffd);
}

unsigned int uffd_served(void)
{
	return __atomic_load_n(&served, __ATOMIC_SEQ_CST);
}

/*
 * With uffd-wp registered, fork() copies the entries of shared mappings; it
 * does not return before its event is read.
 */
int uffd_register_for_fork(const void *map, size_t size)
{
	int uffd = uffd_open(UFFD_FEATURE_EVENT_FORK);

	if (uffd < 0)
		return uffd;
	return uffd_register(uffd, map, size, UFFDIO_REGISTER_MODE_WP) ?:
		       uffd_serve(uffd);
}
