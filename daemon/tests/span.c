// SPDX-License-Identifier: GPL-2.0-or-later
/* Ranges: what is left of one when others are taken away. */
#include <stdlib.h>
#include <unistd.h>

#include "span.h"
#include "unit.h"

static void the_end_is_the_end(void **state)
{
	const struct span all = span_of(4096, WPFILE_TO_END);
	const struct span one = span_of(4096, 8192);

	(void)state;
	assert_int_equal(all.last, UINT64_MAX);
	assert_int_equal(span_range(all).length, WPFILE_TO_END);
	assert_int_equal(one.last, 4096 + 8192 - 1);
	assert_int_equal(span_range(one).length, 8192);
	assert_true(span_meets(all, one));
	assert_false(span_meets(span_of(0, 4096), one));
	assert_true(span_meets(span_of(0, 4097), one));
}

/* Against a map of 64 places, of random ranges. */
static void what_nobody_covers_is_found_once(void **state)
{
	struct span others[5], parts[6], span;
	bool covered[64], found[64];
	uint64_t i, j, nr, round;

	(void)state;
	srand(1);
	for (round = 0; round < 20000; round++) {
		memset(covered, 0, sizeof(covered));
		memset(found, 0, sizeof(found));
		for (i = 0; i < 5; i++) {
			others[i].first = rand() % 64;
			others[i].last = others[i].first + rand() % 16;
			for (j = others[i].first; j <= others[i].last; j++)
				if (j < 64)
					covered[j] = true;
		}
		span.first = rand() % 64;
		span.last = span.first + rand() % (64 - span.first);
		nr = span_rest(span, others, 5, parts);
		assert_true(nr <= 6);
		for (i = 0; i < nr; i++) {
			assert_true(parts[i].first <= parts[i].last);
			for (j = parts[i].first; j <= parts[i].last; j++) {
				assert_false(found[j] || covered[j]);
				found[j] = true;
			}
		}
		for (j = span.first; j <= span.last; j++)
			assert_true(found[j] != covered[j]);
	}
}

static void a_range_is_whole_pages_of_a_file(void **state)
{
	const uint64_t page = sysconf(_SC_PAGESIZE), end = 1ULL << 63;

	(void)state;
	assert_int_equal(span_check(0, WPFILE_TO_END), 0);
	assert_int_equal(span_check(page, page), 0);
	assert_int_equal(span_check(0, end), 0);
	assert_int_equal(span_check(end - page, page), 0);
	assert_int_equal(span_check(1, page), -EINVAL);
	assert_int_equal(span_check(0, 0), -EINVAL);
	assert_int_equal(span_check(0, page - 1), -EINVAL);
	assert_int_equal(span_check(end, page), -EOVERFLOW);
	assert_int_equal(span_check(end, WPFILE_TO_END), -EOVERFLOW);
	assert_int_equal(span_check(page, end), -EOVERFLOW);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(the_end_is_the_end),
	cmocka_unit_test(what_nobody_covers_is_found_once),
	cmocka_unit_test(a_range_is_whole_pages_of_a_file),
};

SUITE(span_suite, tests);
