// SPDX-License-Identifier: GPL-2.0-or-later
/* Names in the fd store. */
#include "store.h"
#include "unit.h"
#include "wpfile.h"

static void names_tell_what_is_kept(void **state)
{
	unsigned int mode = 9;
	uint64_t id = 0;

	(void)state;
	assert_true(store_parse("watch-12-sync", "watch", &id, &mode));
	assert_int_equal(id, 12);
	assert_int_equal(mode, WPFILE_SYNC);
	assert_true(store_parse("file-7-deny", "file", &id, &mode));
	assert_int_equal(id, 7);
	assert_int_equal(mode, WPFILE_DENY);
}

static void other_names_are_not_ours(void **state)
{
	static const char *const names[] = {
		"", "watch", "watch-", "watch-0-sync", "watch-1", "watch-1-",
		"watch-1-track", "watch-1-sync ", "watch-01-sync",
		"watch--1-sync", "watch- 1-sync", "file-1-sync",
		"watch-99999999999999999999-sync",
	};
	unsigned int mode = 9;
	uint64_t id = 5;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (store_parse(names[i], "watch", &id, &mode))
			fail_msg("%s", names[i]);
	assert_int_equal(id, 5);
	assert_int_equal(mode, 9);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(names_tell_what_is_kept),
	cmocka_unit_test(other_names_are_not_ours),
};

SUITE(store_suite, tests);
