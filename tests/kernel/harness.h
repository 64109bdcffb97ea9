/* SPDX-License-Identifier: GPL-2.0-only */
/* The kernel's harness, for programs that run under emulation and KASAN. */
#ifndef WPFILE_TESTS_HARNESS_H
#define WPFILE_TESTS_HARNESS_H

#include "common.h"
#include "kselftest_harness.h"

#undef TEST_TIMEOUT_DEFAULT
#define TEST_TIMEOUT_DEFAULT 300

/* Without it the test would prove nothing. */
#define SKIP_UNLESS(condition, ...)                                            \
	do {                                                                   \
		if (!(condition))                                              \
			SKIP(return, __VA_ARGS__);                             \
	} while (0)

/* All of @area, whose content is then in no memory. */
#define SWAP_OUT(area)                                                         \
	do {                                                                   \
		SKIP_UNLESS(has_swap(), "no swap");                            \
		ASSERT_EQ(0, area_page_out(area));                             \
	} while (0)

#endif
