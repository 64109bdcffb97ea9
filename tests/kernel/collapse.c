// SPDX-License-Identifier: GPL-2.0-only
/*
 * PROTECT and SNAPSHOT while the entries of a page table become a huge one.
 *
 * collapse_pte_mapped_thp() clears the entries under the lock of the table, drops
 * it, and flushes later, with two locks held.  In between the walker finds nothing
 * to make read-only, while a CPU can still store through what is in its TLB.
 *
 *	collapser (SCHED_IDLE)		main
 *
 *					stores: a writable entry, in the TLB
 *	clears the entries
 *					wakes up, preempts
 *					SCAN or SNAPSHOT returns
 *					stores: must fault
 *	flushes
 *
 * So the store is in the next SCAN, and not in the snapshot.
 *
 * Needs one CPU and a kernel that preempts.  With more CPUs the flush is there
 * before the walk is done; and a walk that is checked (CONFIG_DEBUG_WPFILE) waits
 * for the lock of the folio, which the collapser keeps until he has flushed.
 */
#include "harness.h"
#include <pthread.h>
#include <sched.h>
#include <sys/prctl.h>
#include <time.h>

#define STORED	 (3 * PAGE)
#define REHEARSE 20

struct race {
	struct area area;
	pthread_t collapser;
	/* Where a turn begins, and where it ends. */
	pthread_barrier_t barrier;
	volatile bool collapsing, stop;
	int ret;
	uint64_t began, shortest; /* ns: the race, a collapse */
	uint64_t stores;
	unsigned int turns, interrupted, random;
};

/* CONFIG_DEBUG_WPFILE */
static bool walks_are_checked(void)
{
	FILE *symbols = fopen("/proc/kallsyms", "r");
	bool found = false;
	char line[512];

	if (!symbols)
		return false;
	while (!found && fgets(line, sizeof(line), symbols))
		found = strstr(line, " wpfile_check_walk\n");
	fclose(symbols);
	return found;
}

static void *collapse_once_a_turn(void *argument)
{
	const struct sched_param none = { 0 };
	struct race *race = argument;

	sched_setscheduler(0, SCHED_IDLE, &none);
	for (;;) {
		pthread_barrier_wait(&race->barrier);
		if (race->stop)
			return NULL;
		race->collapsing = true;
		race->ret = collapse_memory(race->area.map, HUGE);
		race->collapsing = false;
		pthread_barrier_wait(&race->barrier);
	}
}

/* A number that was not there before. */
static void store(struct race *race)
{
	*(volatile uint64_t *)(race->area.map + STORED) = ++race->stores;
}

/* Wakes up, in a turn or another, at each place in the collapse. */
static void begin_turn(struct race *race)
{
	struct timespec delay = {
		.tv_nsec = random_next(&race->random) % race->shortest,
	};

	store(race);
	pthread_barrier_wait(&race->barrier);
	nanosleep(&delay, NULL);
	race->interrupted += race->collapsing;
	race->turns++;
}

static void end_turn(struct race *race)
{
	pthread_barrier_wait(&race->barrier);
}

static bool time_is_up(const struct race *race)
{
	return now_ns() - race->began > seconds_to_run(15) * 1000000000ULL;
}

/* clang-format off */
FIXTURE(collapsed) {
	struct race race;
};
/* clang-format on */

FIXTURE_SETUP(collapsed)
{
	struct race *race = &self->race;

	SKIP_UNLESS(can_be_preempted(), "needs one CPU and CONFIG_PREEMPT");
	SKIP_UNLESS(!walks_are_checked(), "each walk waits for the collapse");
	ASSERT_EQ(0, area_make_filled(&race->area, TMPFS_HUGE, HUGE));
	area_touch(&race->area);
	SKIP_UNLESS(area_is_huge(&race->area), "got no huge mapping");
	race->random = 1;
	race->shortest = UINT64_MAX;
	prctl(PR_SET_TIMERSLACK, 1);
	ASSERT_EQ(0, pthread_barrier_init(&race->barrier, NULL, 2));
	ASSERT_EQ(0, pthread_create(&race->collapser, NULL,
				    collapse_once_a_turn, race));
}

FIXTURE_TEARDOWN(collapsed)
{
	self->race.stop = true;
	pthread_barrier_wait(&self->race.barrier);
	pthread_join(self->race.collapser, NULL);
	area_free(&self->race.area);
}

/* How long a collapse takes; and that there is one whenever a page was stored to. */
static void rehearse(struct __test_metadata *const _metadata, struct race *race)
{
	uint64_t start, took;
	int i;

	for (i = 0; i < REHEARSE; i++) {
		store(race);
		ASSERT_FALSE(area_is_huge(&race->area));
		start = now_ns();
		pthread_barrier_wait(&race->barrier);
		pthread_barrier_wait(&race->barrier);
		took = now_ns() - start;
		ASSERT_EQ(0, race->ret);
		ASSERT_TRUE(area_is_huge(&race->area));
		if (took < race->shortest)
			race->shortest = took;
	}
	race->began = now_ns();
}

static void log_turns(struct __test_metadata *const _metadata,
		      const struct race *race)
{
	EXPECT_LT(0, race->interrupted);
	TH_LOG("%u turns, %u collapses of %llu us interrupted, %llu ms",
	       race->turns, race->interrupted,
	       (unsigned long long)race->shortest / 1000,
	       (unsigned long long)(now_ns() - race->began) / 1000000);
}

TEST_F(collapsed, store_after_a_scan_is_in_the_next)
{
	struct race *race = &self->race;
	static struct pages seen;
	int monitor, ret;

	monitor = area_protect(&race->area, WPFILE_TRACK);
	ASSERT_LE(0, monitor);
	rehearse(_metadata, race);
	do {
		begin_turn(race);
		ret = scan_pages(monitor, WPFILE_SCAN_PROTECT, &seen);
		store(race);
		end_turn(race);
		ASSERT_EQ(0, ret);
		ASSERT_EQ(0, race->ret);
		ASSERT_EQ(0, scan_pages(monitor, 0, &seen));
		ASSERT_TRUE(seen.has[STORED / PAGE])
			log_turns(_metadata, race);
	} while (!time_is_up(race));
	log_turns(_metadata, race);
}

TEST_F(collapsed, store_after_a_snapshot_is_not_in_it)
{
	struct race *race = &self->race;
	int snapshot, before;
	uint64_t word;

	before = area_snapshot(&race->area);
	ASSERT_LE(0, before);
	rehearse(_metadata, race);
	do {
		begin_turn(race);
		snapshot = area_snapshot(&race->area);
		store(race);
		end_turn(race);
		ASSERT_LE(0, snapshot);
		ASSERT_EQ(0, race->ret);
		ASSERT_EQ((ssize_t)sizeof(word),
			  pread(snapshot, &word, sizeof(word), STORED));
		ASSERT_EQ(race->stores - 1, word)
			log_turns(_metadata, race);
		/* Without any monitor, a store would leave the page huge. */
		close(before);
		before = snapshot;
	} while (!time_is_up(race));
	log_turns(_metadata, race);
}

TEST_HARNESS_MAIN
