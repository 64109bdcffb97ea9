// SPDX-License-Identifier: GPL-2.0-only
/*
 * KUnit tests of pagesets, against a plain bitmap as the model.
 */
#include <kunit/test.h>
#include <linux/cpumask.h>
#include <linux/delay.h>
#include <linux/kthread.h>
#include <linux/prandom.h>
#include <linux/rcupdate.h>
#include <linux/sched/task.h>
#include <linux/slab.h>

#include "pageset.h"

#define NR_PAGES	2000

struct model {
	struct wpfile_pageset ps;
	DECLARE_BITMAP(protected, NR_PAGES);
	DECLARE_BITMAP(captured, NR_PAGES);
};

static int pageset_init(struct kunit *test)
{
	struct model *m = kunit_kzalloc(test, sizeof(*m), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, m);
	wpfile_pageset_init(&m->ps);
	test->priv = m;
	return 0;
}

static void pageset_exit(struct kunit *test)
{
	struct model *m = test->priv;

	wpfile_pageset_destroy(&m->ps);
}

static void expect_same(struct kunit *test)
{
	struct model *m = test->priv;
	pgoff_t i;

	for (i = 0; i < NR_PAGES; i++) {
		KUNIT_ASSERT_EQ_MSG(test, wpfile_pageset_test(&m->ps, i),
				    test_bit(i, m->protected), "page %lu", i);
		KUNIT_ASSERT_EQ_MSG(test, wpfile_pageset_captured(&m->ps, i),
				    test_bit(i, m->captured), "page %lu", i);
	}
	KUNIT_ASSERT_EQ(test, wpfile_pageset_count(&m->ps, 0, NR_PAGES - 1),
			bitmap_weight(m->protected, NR_PAGES));
}

static void set(struct kunit *test, pgoff_t first, pgoff_t last)
{
	struct model *m = test->priv;

	KUNIT_ASSERT_EQ(test, 0, wpfile_pageset_reserve(&m->ps, first, last,
							GFP_KERNEL));
	wpfile_pageset_set(&m->ps, first, last);
	bitmap_set(m->protected, first, last - first + 1);
	bitmap_clear(m->captured, first, last - first + 1);
}

static void clear(struct kunit *test, pgoff_t first, pgoff_t last)
{
	struct model *m = test->priv;

	KUNIT_ASSERT_EQ(test, 0, wpfile_pageset_reserve(&m->ps, first, last,
							GFP_KERNEL));
	wpfile_pageset_clear(&m->ps, first, last);
	bitmap_clear(m->protected, first, last - first + 1);
	bitmap_clear(m->captured, first, last - first + 1);
}

static void gate(struct kunit *test, pgoff_t index, bool capture)
{
	struct model *m = test->priv;

	KUNIT_ASSERT_EQ(test, 0, wpfile_pageset_prepare(&m->ps, index,
							GFP_KERNEL));
	if (capture) {
		wpfile_pageset_capture_page(&m->ps, index);
		set_bit(index, m->captured);
	} else {
		wpfile_pageset_clear_page(&m->ps, index);
	}
	clear_bit(index, m->protected);
}

static void empty_set_has_no_page(struct kunit *test)
{
	struct model *m = test->priv;

	expect_same(test);
	KUNIT_EXPECT_EQ(test, 100, wpfile_pageset_find(&m->ps, 100, 200, false));
	KUNIT_EXPECT_EQ(test, 201, wpfile_pageset_next_set(&m->ps, 100, 200));
}

static void runs_keep_their_bounds(struct kunit *test)
{
	set(test, 3, 700);
	expect_same(test);
	clear(test, 100, 100);
	clear(test, 650, 900);
	expect_same(test);
	set(test, 90, 110);
	expect_same(test);
}

static void first_write_cuts_a_chunk_out_of_runs(struct kunit *test)
{
	set(test, 3, 700);
	set(test, 1000, 1001);
	gate(test, 512, false);
	gate(test, 4, true);
	gate(test, 1001, true);
	gate(test, 1999, true);
	expect_same(test);
}

static void setting_forgets_what_was_captured(struct kunit *test)
{
	set(test, 0, 1023);
	gate(test, 10, true);
	gate(test, 600, true);
	set(test, 0, 599);
	expect_same(test);
	clear(test, 600, 600);
	expect_same(test);
}

static void whole_files_are_one_run(struct kunit *test)
{
	struct model *m = test->priv;
	struct wpfile_pageset *ps = &m->ps;

	KUNIT_ASSERT_EQ(test, 0, wpfile_pageset_reserve(ps, 0, WPFILE_LAST_PAGE,
							GFP_KERNEL));
	wpfile_pageset_set(ps, 0, WPFILE_LAST_PAGE);
	KUNIT_EXPECT_TRUE(test, wpfile_pageset_test(ps, 0));
	KUNIT_EXPECT_TRUE(test, wpfile_pageset_test(ps, WPFILE_LAST_PAGE));
	KUNIT_ASSERT_EQ(test, 0, wpfile_pageset_prepare(ps, WPFILE_LAST_PAGE,
							GFP_KERNEL));
	wpfile_pageset_clear_page(ps, WPFILE_LAST_PAGE);
	KUNIT_EXPECT_FALSE(test, wpfile_pageset_test(ps, WPFILE_LAST_PAGE));
	KUNIT_EXPECT_TRUE(test, wpfile_pageset_test(ps, WPFILE_LAST_PAGE - 1));
	KUNIT_EXPECT_EQ(test, WPFILE_LAST_PAGE,
			wpfile_pageset_find(ps, 0, WPFILE_LAST_PAGE, false));
	KUNIT_EXPECT_EQ(test, WPFILE_LAST_PAGE + 1,
			wpfile_pageset_next_set(ps, WPFILE_LAST_PAGE,
						WPFILE_LAST_PAGE));
}

/* So many that the tree has inner nodes of inner nodes, full ones among them. */
static void sets_of_many_runs_can_be_freed(struct kunit *test)
{
	struct model *m = test->priv;
	pgoff_t first;
	int i;

	for (i = 0; i < 16384; i++) {
		first = 2 * (pgoff_t)i * WPFILE_CHUNK_PAGES;
		KUNIT_ASSERT_EQ(test, 0,
				wpfile_pageset_reserve(&m->ps, first,
						       first + WPFILE_CHUNK_PAGES - 1,
						       GFP_KERNEL));
		wpfile_pageset_set(&m->ps, first, first + WPFILE_CHUNK_PAGES - 1);
	}
	wpfile_pageset_destroy(&m->ps);
	/* What the tree leaves to RCU is done when it can be told of this test. */
	rcu_barrier();
	wpfile_pageset_init(&m->ps);
}

static bool model_knows(struct model *m, pgoff_t first, pgoff_t last)
{
	return find_next_or_bit(m->protected, m->captured, last + 1, first) <=
	       last;
}

static void captured_pages_are_known_like_protected_ones(struct kunit *test)
{
	struct model *m = test->priv;
	struct wpfile_pageset *ps = &m->ps;

	KUNIT_EXPECT_FALSE(test, wpfile_pageset_knows(ps, 0, WPFILE_LAST_PAGE));
	set(test, 600, 600);
	gate(test, 600, true);
	KUNIT_EXPECT_TRUE(test, wpfile_pageset_knows(ps, 0, WPFILE_LAST_PAGE));
	KUNIT_EXPECT_TRUE(test, wpfile_pageset_knows(ps, 600, 600));
	KUNIT_EXPECT_FALSE(test, wpfile_pageset_knows(ps, 0, 599));
	KUNIT_EXPECT_FALSE(test, wpfile_pageset_knows(ps, 601,
						      WPFILE_LAST_PAGE));
	set(test, 1024, 1535);
	KUNIT_EXPECT_TRUE(test, wpfile_pageset_knows(ps, 601, 1024));
	KUNIT_EXPECT_TRUE(test, wpfile_pageset_knows(ps, 1535, 1535));
	KUNIT_EXPECT_FALSE(test, wpfile_pageset_knows(ps, 601, 1023));
	KUNIT_EXPECT_FALSE(test, wpfile_pageset_knows(ps, 1536, 1999));
	clear(test, 600, 1535);
	KUNIT_EXPECT_FALSE(test, wpfile_pageset_knows(ps, 0, WPFILE_LAST_PAGE));
}

static void lost_set_has_no_page_until_it_is_reset(struct kunit *test)
{
	struct model *m = test->priv;

	set(test, 5, 1500);
	gate(test, 700, true);
	wpfile_pageset_lose(&m->ps);
	bitmap_zero(m->protected, NR_PAGES);
	expect_same(test);
	KUNIT_EXPECT_EQ(test, 0, wpfile_pageset_find(&m->ps, 0, 10, false));
	wpfile_pageset_reset(&m->ps);
	bitmap_zero(m->captured, NR_PAGES);
	expect_same(test);
	set(test, 6, 6);
	expect_same(test);
}

/* Reserving needs memory; setting and clearing a reserved run never does. */
static void random_operations_agree_with_a_bitmap(struct kunit *test)
{
	struct model *m = test->priv;
	struct rnd_state rnd;
	pgoff_t first, last;
	int i;

	prandom_seed_state(&rnd, 20251120);
	for (i = 0; i < 3000; i++) {
		first = prandom_u32_state(&rnd) % NR_PAGES;
		last = first + prandom_u32_state(&rnd) % (NR_PAGES - first);
		switch (prandom_u32_state(&rnd) % 8) {
		case 0:
			set(test, first, last);
			break;
		case 1:
			clear(test, first, last);
			break;
		case 2:
			set(test, first, min(last, first + 5));
			break;
		case 3:
			clear(test, first, min(last, first + 5));
			break;
		default:
			gate(test, first, i & 1);
		}
		KUNIT_ASSERT_FALSE(test, m->ps.lost);
		KUNIT_ASSERT_EQ(test, find_next_bit(m->protected, last + 1, first),
				wpfile_pageset_next_set(&m->ps, first, last));
		KUNIT_ASSERT_EQ(test,
				find_next_zero_bit(m->protected, last + 1, first),
				wpfile_pageset_find(&m->ps, first, last, false));
		KUNIT_ASSERT_EQ(test, model_knows(m, first, last),
				wpfile_pageset_knows(&m->ps, first, last));
		if (i % 100 == 0)
			expect_same(test);
	}
	expect_same(test);
}

static void expect_same_runs(struct kunit *test, pgoff_t first, pgoff_t last)
{
	struct model *m = test->priv;
	pgoff_t at = 0;
	bool set;

	for (set = true; at < NR_PAGES; set = !set) {
		pgoff_t end = set ? find_next_bit(m->protected, NR_PAGES, at) :
				    find_next_zero_bit(m->protected, NR_PAGES,
						       at);

		at = wpfile_pageset_find(&m->ps, at, NR_PAGES - 1, set);
		KUNIT_ASSERT_EQ_MSG(test, at, end, "pages %lu to %lu, %s",
				    first, last, set ? "set" : "clear");
	}
}

/* From @first on, as many as are less, equal and more than a word or chunk. */
static void change_edges(struct kunit *test, pgoff_t first)
{
	static const unsigned int lengths[] = { 1, 2, 63, 64, 65, 127, 128, 129,
						511, 512, 513 };
	unsigned int i;
	pgoff_t last;

	for (i = 0; i < ARRAY_SIZE(lengths); i++) {
		last = first + lengths[i] - 1;
		set(test, first, last);
		expect_same_runs(test, first, last);
		clear(test, first, last);
		expect_same_runs(test, first, last);
		set(test, 0, NR_PAGES - 1);
		clear(test, first, last);
		expect_same_runs(test, first, last);
		set(test, first, last);
		expect_same_runs(test, first, last);
		clear(test, 0, NR_PAGES - 1);
	}
}

static void ranges_change_no_bit_beside_their_edges(struct kunit *test)
{
	pgoff_t first;

	/* In chunks: words are changed, not entries. */
	for (first = 0; first < NR_PAGES; first += WPFILE_CHUNK_PAGES)
		gate(test, first, false);
	for (first = 0; first <= 2 * BITS_PER_LONG; first++)
		change_edges(test, first);
	for (first = WPFILE_CHUNK_PAGES - BITS_PER_LONG - 2;
	     first <= WPFILE_CHUNK_PAGES + 2; first++)
		change_edges(test, first);
	expect_same(test);
}

#define HALF		(BITS_PER_LONG / 2)
#define NR_SHARED	(128 * WPFILE_CHUNK_PAGES)

/* Somebody who clears the first half of each word, bit by bit, as gates do. */
struct clearer {
	struct wpfile_pageset *ps;
	pgoff_t at;
};

static int clear_first_halves(void *arg)
{
	struct clearer *clearer = arg;
	pgoff_t page;

	for (page = 0; page < NR_SHARED; page++) {
		WRITE_ONCE(clearer->at, page);
		/* Not so fast that the other is always behind. */
		udelay(2);
		if (page % BITS_PER_LONG < HALF)
			wpfile_pageset_clear_page(clearer->ps, page);
		if (page % WPFILE_CHUNK_PAGES == 0)
			cond_resched();
	}
	WRITE_ONCE(clearer->at, NR_SHARED);
	return 0;
}

/* The second half of the word that the other is at, again and again. */
static void change_second_halves(struct clearer *clearer)
{
	struct wpfile_pageset *ps = clearer->ps;
	pgoff_t at;

	while ((at = READ_ONCE(clearer->at)) < NR_SHARED) {
		at = round_down(at, BITS_PER_LONG) + HALF;
		wpfile_pageset_set(ps, at, at + HALF - 1);
		wpfile_pageset_clear(ps, at, at + HALF - 1);
		cond_resched();
	}
}

static void no_cleared_bit_comes_back_with_its_word(struct kunit *test)
{
	struct model *m = test->priv;
	struct clearer clearer = { .ps = &m->ps };
	struct task_struct *task;
	pgoff_t page;

	if (num_online_cpus() < 2)
		kunit_skip(test, "one CPU");
	for (page = 0; page < NR_SHARED; page += WPFILE_CHUNK_PAGES)
		KUNIT_ASSERT_EQ(test, 0, wpfile_pageset_prepare(&m->ps, page,
								GFP_KERNEL));
	wpfile_pageset_set(&m->ps, 0, NR_SHARED - 1);
	task = kthread_create(clear_first_halves, &clearer, "wpfile_clearer");
	KUNIT_ASSERT_FALSE(test, IS_ERR(task));
	/* Not where this one runs: they would take turns. */
	kthread_bind(task, cpumask_any_but(cpu_online_mask,
					   raw_smp_processor_id()));
	get_task_struct(task);
	wake_up_process(task);
	change_second_halves(&clearer);
	kthread_stop_put(task);
	for (page = 0; page < NR_SHARED; page += BITS_PER_LONG)
		KUNIT_EXPECT_EQ(test, page + HALF,
				wpfile_pageset_next_set(&m->ps, page,
							page + HALF - 1));
}

static struct kunit_case pageset_cases[] = {
	KUNIT_CASE(empty_set_has_no_page),
	KUNIT_CASE(runs_keep_their_bounds),
	KUNIT_CASE(first_write_cuts_a_chunk_out_of_runs),
	KUNIT_CASE(setting_forgets_what_was_captured),
	KUNIT_CASE(whole_files_are_one_run),
	KUNIT_CASE(sets_of_many_runs_can_be_freed),
	KUNIT_CASE(captured_pages_are_known_like_protected_ones),
	KUNIT_CASE(lost_set_has_no_page_until_it_is_reset),
	KUNIT_CASE(random_operations_agree_with_a_bitmap),
	KUNIT_CASE(ranges_change_no_bit_beside_their_edges),
	KUNIT_CASE(no_cleared_bit_comes_back_with_its_word),
	{}
};

static struct kunit_suite pageset_suite = {
	.name = "wpfile_pageset",
	.init = pageset_init,
	.exit = pageset_exit,
	.test_cases = pageset_cases,
};

kunit_test_suite(pageset_suite);
