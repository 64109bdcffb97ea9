/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef WPFILE_TESTS_UNIT_H
#define WPFILE_TESTS_UNIT_H

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "wpfile.h"

struct suite {
	const struct CMUnitTest *tests;
	size_t nr;
};

#define SUITE(suite_name, test_array)				\
	const struct suite suite_name = {			\
		.tests = test_array,				\
		.nr = sizeof(test_array) / sizeof(test_array[0]), \
	}

extern const struct suite broker_suite;
extern const struct suite connection_suite;
extern const struct suite content_suite;
extern const struct suite event_suite;
extern const struct suite fdinfo_suite;
extern const struct suite loop_suite;
extern const struct suite maps_suite;
extern const struct suite monitor_suite;
extern const struct suite parse_suite;
extern const struct suite save_suite;
extern const struct suite subscription_suite;
extern const struct suite target_suite;
extern const struct suite wire_suite;

/*
 * The kernel, played by the tests: if set, called instead of the system call of
 * that name.  A negative value is a negative errno.
 */
extern int (*fake_ioctl)(int fd, unsigned long request, void *arg);
extern int (*fake_connect)(int fd);
extern int64_t (*fake_pread)(int fd, void *buffer, size_t size, int64_t offset);

#endif /* WPFILE_TESTS_UNIT_H */
