// SPDX-License-Identifier: LGPL-2.1-or-later
/* A memfd plays the monitor, whose descriptor has come from elsewhere. */
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "unit.h"

#define PAGE 4096ULL

static int setup(void **state)
{
	struct wpfile_mon *mon;
	int fd = memfd_create("unit", MFD_CLOEXEC);

	if (wpfile_mon_dup_fd(fd, &mon))
		return -1;
	close(fd);
	*state = mon;
	return 0;
}

static int teardown(void **state)
{
	wpfile_mon_free(*state);
	return 0;
}

static void content_is_read_and_written_at_an_offset(void **state)
{
	char buffer[4] = "";

	assert_int_equal(wpfile_pwrite(*state, "abcd", 4, PAGE), 4);
	assert_int_equal(wpfile_pread(*state, buffer, 2, PAGE + 1), 2);
	assert_string_equal(buffer, "bc");
	assert_int_equal(wpfile_pread(*state, buffer, 4, PAGE + 4), 0);
	errno = 1234;
	assert_int_equal(wpfile_pread(*state, buffer, 4, 1ULL << 63), -EINVAL);
	assert_int_equal(wpfile_pwrite(*state, buffer, 4, 1ULL << 63), -EINVAL);
	assert_int_equal(errno, 1234);
}

static void a_descriptor_becomes_a_monitor_with_a_copy(void **state)
{
	struct wpfile_mon *mon = NULL;
	int fd = wpfile_mon_fd(*state), copy;

	assert_int_equal(wpfile_mon_dup_fd(fd, &mon), 0);
	copy = wpfile_mon_fd(mon);
	assert_int_not_equal(copy, fd);
	assert_int_equal(fcntl(copy, F_GETFD), FD_CLOEXEC);
	wpfile_mon_free(mon);
	assert_int_equal(fcntl(copy, F_GETFD), -1);
	assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
	assert_int_equal(wpfile_mon_dup_fd(-1, &mon), -EBADF);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

static const struct CMUnitTest tests[] = {
	TEST(content_is_read_and_written_at_an_offset),
	TEST(a_descriptor_becomes_a_monitor_with_a_copy),
};

SUITE(content_suite, tests);
