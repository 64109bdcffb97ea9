// SPDX-License-Identifier: LGPL-2.1-or-later
/* All suites as one TAP stream, and the kernel's stand-in. */
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/types.h>

#include "unit.h"

int (*fake_ioctl)(int fd, unsigned long request, void *arg);
int (*fake_connect)(int fd);
int64_t (*fake_pread)(int fd, void *buffer, size_t size, int64_t offset);

int __real_ioctl(int fd, unsigned long request, void *arg);
int __wrap_ioctl(int fd, unsigned long request, void *arg);
int __real_connect(int fd, const struct sockaddr *address, socklen_t size);
int __wrap_connect(int fd, const struct sockaddr *address, socklen_t size);
ssize_t __real_pread64(int fd, void *buffer, size_t size, off_t offset);
ssize_t __wrap_pread64(int fd, void *buffer, size_t size, off_t offset);

static int64_t as_libc(int64_t ret)
{
	if (ret >= 0)
		return ret;
	errno = -ret;
	return -1;
}

int __wrap_ioctl(int fd, unsigned long request, void *arg)
{
	if (!fake_ioctl)
		return __real_ioctl(fd, request, arg);
	return as_libc(fake_ioctl(fd, request, arg));
}

int __wrap_connect(int fd, const struct sockaddr *address, socklen_t size)
{
	if (!fake_connect)
		return __real_connect(fd, address, size);
	return as_libc(fake_connect(fd));
}

ssize_t __wrap_pread64(int fd, void *buffer, size_t size, off_t offset)
{
	if (!fake_pread)
		return __real_pread64(fd, buffer, size, offset);
	return as_libc(fake_pread(fd, buffer, size, offset));
}

int main(void)
{
	static const struct suite *const suites[] = {
		&broker_suite, &connection_suite, &content_suite, &event_suite,
		&fdinfo_suite, &loop_suite, &maps_suite, &monitor_suite,
		&parse_suite, &save_suite, &subscription_suite, &target_suite,
		&wire_suite,
	};
	struct CMUnitTest tests[256] = { 0 };
	size_t i, nr = 0;

	for (i = 0; i < sizeof(suites) / sizeof(suites[0]); i++) {
		if (nr + suites[i]->nr > sizeof(tests) / sizeof(tests[0]))
			abort();
		memcpy(&tests[nr], suites[i]->tests,
		       suites[i]->nr * sizeof(tests[0]));
		nr += suites[i]->nr;
	}
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return _cmocka_run_group_tests("user", tests, nr, NULL, NULL) != 0;
}
