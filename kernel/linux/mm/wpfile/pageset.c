// SPDX-License-Identifier: GPL-2.0-only
/*
 * Pagesets: one bit for each page of a file, sparse.
 *
 * A maple tree maps runs of pages to what is known of them:
 *
 *   nothing, or NONE	no page of the run is protected
 *   ALL		every page of the run is protected
 *   a chunk		512 aligned pages with a bit each
 *
 * Runs begin and end where chunks do, and may have any length, so that a terabyte
 * is one entry and no 512 pages are more than one.  The first write to a run cuts
 * a chunk out of it.  A chunk is never replaced and never freed while the
 * pageset lives.
 *
 * Readers (filters under a page table lock, gates, snapshot readers) take RCU
 * only.  Two kinds of writers:
 *
 *  - gates clear single bits with atomic operations, without a lock.  The first
 *    clearing in a run of ALL makes its chunk, under @lock.
 *  - PROTECT, UNPROTECT and SCAN set and clear runs.  They hold the inode lock
 *    and invalidate_lock, one of which every gate holds too (at least shared):
 *    they never meet a gate.  What they change are whole words all the same, as
 *    the search for pins clears bits of TRACK with no such lock.
 *
 * Memory is found before a bit changes: wpfile_pageset_reserve() gives a range
 * its own entries, after which setting and clearing it replace entries one for
 * one and cannot fail.  Gates, which must not fail, fall back to @lost: from
 * then on every page counts as unprotected.  TRACK so reports too much, CAPTURE
 * has FAILED, SYNC and DENY tell so by that event; none says of a written page
 * that it was not.
 */
#include <linux/rcupdate.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/xarray.h>

#include "pageset.h"

#define NONE	xa_mk_value(0)
#define ALL	xa_mk_value(1)

/* How often to ask anew for memory. */
#define ROOM_TRIES	4

/* The entry of a single page, and the run of pages that it stands for. */
struct run {
	void *entry;
	pgoff_t first;
	pgoff_t last;
};

static bool is_chunk(const void *entry)
{
	return entry && !xa_is_value(entry);
}

static pgoff_t chunk_base(pgoff_t index)
{
	return round_down(index, WPFILE_CHUNK_PAGES);
}

static unsigned int chunk_bit(pgoff_t index)
{
	return index & (WPFILE_CHUNK_PAGES - 1);
}

/* Caller holds RCU or @lock. */
static struct run run_at(struct wpfile_pageset *ps, pgoff_t index)
{
	MA_STATE(mas, &ps->tree, index, index);
	struct run run;

	run.entry = mas_walk(&mas);
	run.first = mas.index;
	run.last = min(mas.last, WPFILE_LAST_PAGE);
	return run;
}

/*
 * Does not sleep for memory: a gate that waits for the lock must not be held up
 * by a task that its own memory.high throttles.  See make_room().
 */
static int store(struct wpfile_pageset *ps, pgoff_t first, pgoff_t last,
		 void *entry, gfp_t gfp)
{
	MA_STATE(mas, &ps->tree, first, last);

	lockdep_assert_held(&ps->lock);
	return mas_store_gfp(&mas, entry,
			     (gfp & ~__GFP_DIRECT_RECLAIM) | __GFP_NOWARN);
}

/* After store() has failed, without the lock: sleeps, so that it may not again. */
static bool make_room(gfp_t gfp, unsigned int *tries)
{
	void *room;

	if (!*tries)
		return false;
	--*tries;
	room = kmalloc(PAGE_SIZE, gfp);
	kfree(room);
	return room;
}

void wpfile_pageset_init(struct wpfile_pageset *ps)
{
	mutex_init(&ps->lock);
	mt_init_flags(&ps->tree, MT_FLAGS_USE_RCU | MT_FLAGS_LOCK_EXTERN);
	mt_set_external_lock(&ps->tree, &ps->lock);
	ps->lost = false;
}

/* Nobody reads or writes any more: an RCU grace period has passed. */
void wpfile_pageset_destroy(struct wpfile_pageset *ps)
{
	MA_STATE(mas, &ps->tree, 0, 0);
	void *entry;

	mutex_lock(&ps->lock);
	mas_for_each(&mas, entry, ULONG_MAX) {
		if (is_chunk(entry))
			kfree(entry);
		cond_resched();
	}
	/*
	 * At once: under RCU, mt_free_walk() takes the metadata of an inner node
	 * with 15 slots in use for a 16th, if there are inner nodes below it.
	 */
	mt_clear_in_rcu(&ps->tree);
	__mt_destroy(&ps->tree);
	mutex_unlock(&ps->lock);
	mutex_destroy(&ps->lock);
}

void wpfile_pageset_lose(struct wpfile_pageset *ps)
{
	WRITE_ONCE(ps->lost, true);
	/* As after clearing a bit, see wpfile_pageset_capture_page(). */
	smp_mb();
}

bool wpfile_pageset_test(struct wpfile_pageset *ps, pgoff_t index)
{
	return wpfile_pageset_next_set(ps, index, index) == index;
}

bool wpfile_pageset_captured(struct wpfile_pageset *ps, pgoff_t index)
{
	struct wpfile_chunk *chunk;

	guard(rcu)();
	chunk = run_at(ps, index).entry;
	return is_chunk(chunk) && test_bit(chunk_bit(index), chunk->captured);
}

static pgoff_t chunk_next(struct wpfile_chunk *chunk, pgoff_t first,
			  pgoff_t last, bool set)
{
	pgoff_t base = chunk_base(first);
	unsigned int end = last - base + 1;
	unsigned int at = chunk_bit(first);

	/*
	 * Other CPUs set and clear bits meanwhile, each for itself.  Which of them
	 * are seen is a matter of the callers' barriers, not of the word.
	 */
	at = set ? data_race(find_next_bit(chunk->protected, end, at)) :
		   /* the same */
		   data_race(find_next_zero_bit(chunk->protected, end, at));
	return base + at;
}

static bool chunk_knows(struct wpfile_chunk *chunk, pgoff_t first, pgoff_t last)
{
	unsigned int end = chunk_bit(last) + 1;

	return find_next_or_bit(chunk->protected, chunk->captured, end,
				chunk_bit(first)) < end;
}

/*
 * Looks from *@at for the first page up to @last whose bit is @set, at some runs
 * only.  True if there is an answer in *@at: a page, or last + 1.
 */
static bool look(struct wpfile_pageset *ps, pgoff_t *at, pgoff_t last, bool set)
{
	unsigned int budget = 1024;
	struct run run;
	pgoff_t end;

	guard(rcu)();
	if (READ_ONCE(ps->lost)) {
		if (set)
			*at = last + 1;
		return true;
	}
	for (; *at <= last && budget; *at = end + 1, budget--) {
		run = run_at(ps, *at);
		end = min(run.last, last);
		if (is_chunk(run.entry)) {
			*at = chunk_next(run.entry, *at, end, set);
			if (*at <= end)
				return true;
		} else if (set == (run.entry == ALL)) {
			return true;
		}
	}
	return *at > last;
}

/**
 * wpfile_pageset_next_set - the first protected page of a range
 * @ps: the pageset
 * @first: first page
 * @last: last page
 *
 * Does not sleep: for short ranges, of a fault or a write().
 *
 * Return: the page, or last + 1.
 */
pgoff_t wpfile_pageset_next_set(struct wpfile_pageset *ps, pgoff_t first,
				pgoff_t last)
{
	while (!look(ps, &first, last, true))
		;
	return first;
}

/**
 * wpfile_pageset_find - the first page of a range that is protected, or not
 * @ps: the pageset
 * @first: first page
 * @last: last page
 * @set: which
 *
 * May sleep.
 *
 * Return: the page, or last + 1.
 */
pgoff_t wpfile_pageset_find(struct wpfile_pageset *ps, pgoff_t first,
			    pgoff_t last, bool set)
{
	while (!look(ps, &first, last, set))
		cond_resched();
	return first;
}

/**
 * wpfile_pageset_knows - is a page of a range protected or captured?
 * @ps: the pageset, not lost
 * @first: first page
 * @last: last page
 */
bool wpfile_pageset_knows(struct wpfile_pageset *ps, pgoff_t first,
			  pgoff_t last)
{
	MA_STATE(mas, &ps->tree, first, first);
	void *entry;

	guard(mutex)(&ps->lock);
	mas_for_each(&mas, entry, last) {
		if (entry == ALL ||
		    (is_chunk(entry) &&
		     chunk_knows(entry, max(mas.index, first),
				 min(mas.last, last))))
			return true;
		cond_resched();
	}
	return false;
}

/* How many pages of a range are protected; what was counted if killed. */
unsigned long wpfile_pageset_count(struct wpfile_pageset *ps, pgoff_t first,
				   pgoff_t last)
{
	unsigned long nr = 0;
	pgoff_t end;

	while (!fatal_signal_pending(current)) {
		first = wpfile_pageset_find(ps, first, last, true);
		if (first > last)
			break;
		end = wpfile_pageset_find(ps, first, last, false);
		nr += end - first;
		first = end;
		cond_resched();
	}
	return nr;
}

/* As reserve_runs(), up to *@first and not for long: gates wait for the lock. */
static int reserve_some(struct wpfile_pageset *ps, pgoff_t *first, pgoff_t last,
			gfp_t gfp)
{
	unsigned int budget = 64;
	struct run run;
	pgoff_t end;
	int err;

	guard(mutex)(&ps->lock);
	for (; *first <= last && budget; *first = end + 1, budget--) {
		run = run_at(ps, *first);
		end = min(run.last, last);
		if (is_chunk(run.entry))
			continue;
		if (run.entry && run.first >= *first && run.last <= end)
			continue;
		err = store(ps, *first, end, run.entry ?: NONE, gfp);
		if (err)
			return err;
	}
	return 0;
}

/* Gives the entries of whole chunks bounds of their own, and values. */
static int reserve_runs(struct wpfile_pageset *ps, pgoff_t first, pgoff_t last,
			gfp_t gfp)
{
	unsigned int tries = ROOM_TRIES;
	int err;

	while (first <= last) {
		err = reserve_some(ps, &first, last, gfp);
		if (!err)
			tries = ROOM_TRIES;
		else if (!make_room(gfp, &tries))
			return err;
		cond_resched();
	}
	return 0;
}

/**
 * wpfile_pageset_reserve - make setting and clearing a range unable to fail
 * @ps: the pageset; no other PROTECT, UNPROTECT or SCAN of it may run until the
 *	range has been set or cleared
 * @first: first page
 * @last: last page
 * @gfp: for chunks at the ends, and for entries
 *
 * Return: 0 or -ENOMEM; no bit has changed.
 */
int wpfile_pageset_reserve(struct wpfile_pageset *ps, pgoff_t first,
			   pgoff_t last, gfp_t gfp)
{
	int err = 0;

	if (chunk_bit(first)) {
		err = wpfile_pageset_prepare(ps, first, gfp);
		first = chunk_base(first) + WPFILE_CHUNK_PAGES;
	}
	if (!err && chunk_bit(last + 1)) {
		err = wpfile_pageset_prepare(ps, last, gfp);
		last = chunk_base(last) - 1;
	}
	/* Less than a chunk: the bounds have passed each other, also below 0. */
	if (err || first > last || last == (pgoff_t)-1)
		return err;
	return reserve_runs(ps, first, last, gfp);
}

/* Word by word, since others may change other bits of a word. */
static void change_bits(unsigned long *map, unsigned int bit, unsigned int nr,
			bool set)
{
	unsigned int end = bit + nr;
	unsigned long mask;

	for (; bit < end; bit = round_down(bit, BITS_PER_LONG) + BITS_PER_LONG) {
		mask = BITMAP_FIRST_WORD_MASK(bit);
		if (end < round_down(bit, BITS_PER_LONG) + BITS_PER_LONG)
			mask &= BITMAP_LAST_WORD_MASK(end);
		if (set)
			atomic_long_or(mask, (atomic_long_t *)&map[BIT_WORD(bit)]);
		else
			atomic_long_andnot(mask,
					   (atomic_long_t *)&map[BIT_WORD(bit)]);
	}
}

/* Replaces the values of a reserved run. */
static void fill(struct wpfile_pageset *ps, pgoff_t first, pgoff_t last,
		 bool set)
{
	void *value = set ? ALL : NONE;
	struct wpfile_chunk *chunk;
	unsigned int bit, nr;
	struct run run;
	pgoff_t end;

	lockdep_assert_held(&ps->lock);
	for (; first <= last; first = end + 1) {
		run = run_at(ps, first);
		end = min(run.last, last);
		if (!is_chunk(run.entry)) {
			if ((run.entry ?: NONE) != value &&
			    WARN_ON_ONCE(store(ps, first, end, value,
					       GFP_NOWAIT | __GFP_NOWARN)))
				wpfile_pageset_lose(ps);
			cond_resched();
			continue;
		}
		chunk = run.entry;
		bit = chunk_bit(first);
		nr = end - first + 1;
		bitmap_clear(chunk->captured, bit, nr);
		change_bits(chunk->protected, bit, nr, set);
	}
}

/* Sets the bits of a reserved run, and forgets what was captured of it. */
void wpfile_pageset_set(struct wpfile_pageset *ps, pgoff_t first, pgoff_t last)
{
	guard(mutex)(&ps->lock);
	fill(ps, first, last, true);
}

/* Clears the bits of a reserved run, and forgets what was captured of it. */
void wpfile_pageset_clear(struct wpfile_pageset *ps, pgoff_t first,
			  pgoff_t last)
{
	guard(mutex)(&ps->lock);
	fill(ps, first, last, false);
}

/*
 * Makes a lost pageset good again, with no page protected.  Caller excludes
 * gates, PROTECT, UNPROTECT and SCAN.
 */
bool wpfile_pageset_reset(struct wpfile_pageset *ps)
{
	struct wpfile_chunk *chunk;

	MA_STATE(mas, &ps->tree, 0, 0);
	void *entry;

	guard(mutex)(&ps->lock);
	if (!ps->lost)
		return false;
	mas_for_each(&mas, entry, ULONG_MAX) {
		if (is_chunk(entry)) {
			chunk = entry;
			bitmap_zero(chunk->protected, WPFILE_CHUNK_PAGES);
			bitmap_zero(chunk->captured, WPFILE_CHUNK_PAGES);
		} else if (entry == ALL) {
			/* One for one: no memory is needed. */
			mas_store_gfp(&mas, NONE, GFP_NOWAIT | __GFP_NOWARN);
		}
		cond_resched();
	}
	WRITE_ONCE(ps->lost, false);
	return true;
}

/* A new chunk says what the runs say of the pages from @base on. */
static void copy_runs(struct wpfile_pageset *ps, pgoff_t base,
		      struct wpfile_chunk *chunk)
{
	pgoff_t last = base + WPFILE_CHUNK_PAGES - 1;
	struct run run;
	pgoff_t at, end;

	bitmap_zero(chunk->protected, WPFILE_CHUNK_PAGES);
	for (at = base; at <= last; at = end + 1) {
		run = run_at(ps, at);
		end = min(run.last, last);
		if (run.entry == ALL)
			bitmap_set(chunk->protected, chunk_bit(at), end - at + 1);
		if (end == WPFILE_LAST_PAGE)
			break;
	}
}

/* 0, and the chunk is the tree's; -EEXIST or -ENOMEM. */
static int add_chunk(struct wpfile_pageset *ps, pgoff_t base,
		     struct wpfile_chunk *chunk, gfp_t gfp)
{
	guard(mutex)(&ps->lock);
	/* Another gate may have come first. */
	if (is_chunk(run_at(ps, base).entry))
		return -EEXIST;
	copy_runs(ps, base, chunk);
	return store(ps, base, base + WPFILE_CHUNK_PAGES - 1, chunk, gfp);
}

/**
 * wpfile_pageset_prepare - give a page a bit of its own
 * @ps: the pageset
 * @index: the page
 * @gfp: for the chunk
 *
 * Return: 0 or -ENOMEM.  The bit has its old value.
 */
int wpfile_pageset_prepare(struct wpfile_pageset *ps, pgoff_t index, gfp_t gfp)
{
	unsigned int tries = ROOM_TRIES;
	struct wpfile_chunk *chunk;
	int err;

	scoped_guard(rcu)
		if (is_chunk(run_at(ps, index).entry))
			return 0;
	chunk = kzalloc(sizeof(*chunk), gfp);
	if (!chunk)
		return -ENOMEM;
	do {
		err = add_chunk(ps, chunk_base(index), chunk, gfp);
	} while (err == -ENOMEM && make_room(gfp, &tries));
	if (err)
		kfree(chunk);
	return err == -EEXIST ? 0 : err;
}

static struct wpfile_chunk *prepared_chunk(struct wpfile_pageset *ps,
					   pgoff_t index)
{
	struct wpfile_chunk *chunk = run_at(ps, index).entry;

	return WARN_ON_ONCE(!is_chunk(chunk)) ? NULL : chunk;
}

/* Clears the bit of a prepared page. */
void wpfile_pageset_clear_page(struct wpfile_pageset *ps, pgoff_t index)
{
	struct wpfile_chunk *chunk;

	guard(rcu)();
	chunk = prepared_chunk(ps, index);
	if (chunk)
		clear_bit(chunk_bit(index), chunk->protected);
	/* As in wpfile_pageset_capture_page(). */
	smp_mb__after_atomic();
}

/*
 * Marks a prepared page as captured, then clears its bit.  False if that was clear.
 *
 * Partners: wpfile_content_read() looks at the bit, the content, the bit again,
 * then at the mark.
 */
bool wpfile_pageset_capture_page(struct wpfile_pageset *ps, pgoff_t index)
{
	struct wpfile_chunk *chunk;

	guard(rcu)();
	chunk = prepared_chunk(ps, index);
	if (!chunk)
		return false;
	/*
	 * The copy before its mark: a reader may go by that alone, if the set was
	 * lost, with the bit as it was.
	 */
	smp_mb__before_atomic();
	set_bit(chunk_bit(index), chunk->captured);
	/*
	 * Ordered in full: the copy and its mark before the bit, the bit before
	 * the write that it lets through.
	 */
	return test_and_clear_bit(chunk_bit(index), chunk->protected);
}
