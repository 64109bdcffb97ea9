// SPDX-License-Identifier: LGPL-2.1-or-later
/* The command's parsers. */
#include "ctl.h"
#include "unit.h"

static void sizes_have_binary_suffixes(void **state)
{
	uint64_t bytes = 0;

	(void)state;
	assert_true(parse_size("4096", &bytes));
	assert_int_equal(bytes, 4096);
	assert_true(parse_size("64k", &bytes));
	assert_int_equal(bytes, 65536);
	assert_true(parse_size("3M", &bytes));
	assert_int_equal(bytes, 3 << 20);
	assert_true(parse_size("2g", &bytes));
	assert_int_equal(bytes, 2ULL << 30);
	assert_true(parse_size("16777215T", &bytes));
	assert_int_equal(bytes, 16777215ULL << 40);
	assert_true(parse_size("18446744073709551615", &bytes));
	assert_int_equal(bytes, UINT64_MAX);
}

static void what_is_no_size_is_refused(void **state)
{
	static const char *const bad[] = {
		"", "k", "-1", "+1", " 1", "1 ", "1kb", "1.5M", "0x10", "1x",
		"18446744073709551616", "16777216T", "99999999999999999999999",
	};
	uint64_t bytes = 7;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_false(parse_size(bad[i], &bytes));
	assert_int_equal(bytes, 7);
}

static void counts_are_digits(void **state)
{
	uint64_t value = 0;

	(void)state;
	assert_true(parse_count("12", &value));
	assert_int_equal(value, 12);
	assert_false(parse_count("12k", &value));
	assert_false(parse_count("", &value));
	assert_false(parse_count("-12", &value));
}

static void seconds_have_fractions(void **state)
{
	uint64_t ns = 0;

	(void)state;
	assert_true(parse_seconds("1", &ns));
	assert_int_equal(ns, 1000000000);
	assert_true(parse_seconds("0.25", &ns));
	assert_int_equal(ns, 250000000);
	assert_true(parse_seconds("2.0000000019", &ns));
	assert_int_equal(ns, 2000000001);
	assert_true(parse_seconds("0.001", &ns));
	assert_false(parse_seconds("0.0009", &ns));
	assert_false(parse_seconds("0", &ns));
	assert_false(parse_seconds("1.", &ns));
	assert_false(parse_seconds(".5", &ns));
	assert_false(parse_seconds("1e3", &ns));
	assert_false(parse_seconds("99999999999", &ns));
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(sizes_have_binary_suffixes),
	cmocka_unit_test(what_is_no_size_is_refused),
	cmocka_unit_test(counts_are_digits),
	cmocka_unit_test(seconds_have_fractions),
};

SUITE(parse_suite, tests);
