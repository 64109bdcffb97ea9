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

/* Reads the events, without which fork() does not return. */
static void *answer_forks(void *argument)
{
	int uffd = *(int *)argument;
	struct pollfd poll_fd = { .fd = uffd, .events = POLLIN };
	struct uffd_msg message;

	while (poll(&poll_fd, 1, -1) > 0 && !(poll_fd.revents & POLLNVAL))
		if (read(uffd, &message, sizeof(message)) > 0 &&
		    message.event == UFFD_EVENT_FORK)
			close(message.arg.fork.ufd);
	return NULL;
}

/* With uffd-wp registered, fork() copies the entries of shared mappings. */
int uffd_register_for_fork(const void *map, size_t size)
{
	static int uffd;
	pthread_t thread;
	int ret;

	uffd = uffd_open(UFFD_FEATURE_EVENT_FORK);
	if (uffd < 0)
		return uffd;
	ret = uffd_register(uffd, map, size, UFFDIO_REGISTER_MODE_WP);
	return ret ?: -pthread_create(&thread, NULL, answer_forks, &uffd);
}
