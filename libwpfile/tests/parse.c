// SPDX-License-Identifier: LGPL-2.1-or-later
/* The command's parsers. */
#include <string.h>

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

#define PAGE 4096

static void ranges_are_offset_and_length_or_end(void **state)
{
	static const struct {
		const char *text;
		struct wpfile_range range;
	} good[] = {
		{ "0+4096", { 0, 4096 } },
		{ "4k+1M", { 4096, 1 << 20 } },
		{ "0x1000+0x2000", { 4096, 8192 } },
		{ "8k-12k", { 8192, 4096 } },
		{ "0x0000103000-0x0000104000", { 0x103000, 4096 } },
		{ "1G-", { 1 << 30, WPFILE_TO_END } },
		{ "0-9223372036854771712", { 0, 9223372036854771712ULL } },
	};
	struct wpfile_range range;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		assert_null(parse_range(good[i].text, PAGE, &range));
		assert_int_equal(range.offset, good[i].range.offset);
		assert_int_equal(range.length, good[i].range.length);
	}
}

static void what_is_no_range_is_refused_with_the_reason(void **state)
{
	static const struct {
		const char *text, *reason;
	} bad[] = {
		{ "", "write" }, { "4096", "write" }, { "+4096", "write" },
		{ "-4096", "write" }, { "-", "write" }, { "0+", "write" },
		{ "0x+4k", "write" }, { "0xg+4k", "write" },
		{ "0x-4k", "write" }, { " 0+4k", "write" }, { "0+4k ", "write" },
		{ "0+4k+4k", "write" }, { "0-4k-8k", "write" },
		{ "0x10000000000000000+4k", "write" },
		{ "000000000000000000000000000+4k", "write" },
		{ "0+-4096", "write" }, { "0+18446744073709551616", "write" },
		{ "0+0", "is empty" }, { "4k-4k", "ends where" },
		{ "8k-4k", "ends where" },
		{ "0+16777215T", "ends beyond" },
		{ "4k+9223372036854775807", "ends beyond" },
		{ "9223372036854775808+4k", "begins beyond" },
		{ "0xffffffffffffffff-", "begins beyond" },
		{ "1+4096", "must be" }, { "0+4095", "must be" },
		{ "0-1", "must be" }, { "1-", "must be" },
	};
	struct wpfile_range range = { 7, 7 };
	const char *reason;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		reason = parse_range(bad[i].text, PAGE, &range);
		assert_non_null(reason);
		assert_memory_equal(reason, bad[i].reason,
				    strlen(bad[i].reason));
	}
	assert_int_equal(range.offset, 7);
	assert_int_equal(range.length, 7);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(ranges_are_offset_and_length_or_end),
	cmocka_unit_test(what_is_no_range_is_refused_with_the_reason),
	cmocka_unit_test(sizes_have_binary_suffixes),
	cmocka_unit_test(what_is_no_size_is_refused),
	cmocka_unit_test(counts_are_digits),
	cmocka_unit_test(seconds_have_fractions),
};

SUITE(parse_suite, tests);
