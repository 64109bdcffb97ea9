/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef WPFILED_TESTS_UNIT_H
#define WPFILED_TESTS_UNIT_H

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

struct suite {
	const struct CMUnitTest *tests;
	size_t nr;
};

#define SUITE(suite_name, test_array)				\
	const struct suite suite_name = {			\
		.tests = test_array,				\
		.nr = sizeof(test_array) / sizeof(test_array[0]), \
	}

extern const struct suite caps_suite;
extern const struct suite chore_suite;
extern const struct suite config_suite;
extern const struct suite policy_suite;
extern const struct suite ledger_suite;
extern const struct suite log_suite;
extern const struct suite packet_suite;
extern const struct suite peer_suite;
extern const struct suite queue_suite;
extern const struct suite span_suite;
extern const struct suite store_suite;
extern const struct suite tend_suite;

#endif /* WPFILED_TESTS_UNIT_H */
