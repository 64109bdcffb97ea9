// SPDX-License-Identifier: GPL-2.0-only
/*
 * Memory cgroups: who has more than his memory.high is made to sleep where he
 * allocates, up to 2 s each time.  He holds nothing then that others wait for.
 */
#include "harness.h"
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define SECOND 1000000000ULL
#define LONGEST SECOND	/* that a stranger may need for a write */
#define TRIES 3		/* a busy machine may stop anybody for a while */

/* What those who are throttled share with those who must not be. */
struct shared {
	volatile uint64_t began;	/* the call that goes on, or 0 */
	volatile uint64_t longest;	/* call that has ended */
};

static void call_begins(struct shared *shared)
{
	shared->began = now_ns();
}

static void call_ends(struct shared *shared)
{
	uint64_t ns = now_ns() - shared->began;

	shared->began = 0;
	if (ns > shared->longest)
		shared->longest = ns;
}

static uint64_t longest_call(struct shared *shared)
{
	uint64_t began = shared->began, now = now_ns();
	uint64_t ns = began && began < now ? now - began : 0;

	return ns > shared->longest ? ns : shared->longest;
}

/* What a stranger does again and again: how long it took him at the most. */
static uint64_t longest_of(uint64_t (*once)(void *argument), void *argument,
			   int seconds)
{
	uint64_t end = now_ns() + seconds * SECOND, longest = 0, ns;

	while (now_ns() < end) {
		ns = once(argument);
		if (ns > longest)
			longest = ns;
		sleep_ms(1);
	}
	return longest;
}

static struct shared *shared_make(void)
{
	void *map = mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
			 MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	return map == MAP_FAILED ? NULL : map;
}

static long enter(void *path, long value)
{
	(void)value;
	return cgroup_enter(path);
}

/* A cgroup that has more than it should as soon as it has anything. */
static int cgroup_make_throttled(char *path, size_t size)
{
	char high[256];
	int ret = cgroup_make(path, size, -1, -1);

	snprintf(high, sizeof(high), "%s/memory.high", path);
	return ret ?: file_write(high, "4096");
}

/* It may be in the middle of a call that takes a minute. */
static void kill_and_stop(struct worker *worker)
{
	if (worker->pid > 0)
		kill(worker->pid, SIGKILL);
	worker_stop(worker);
}

/* --- an owner who needs memory for what he protects --- */

#define CHUNK ((size_t)512 * PAGE)	/* what has a bitmap of its own */
#define NR_RANGES 16384

struct owned {
	struct shared *shared;
	struct wpfile_range *ranges;
	int file;
	char *map;
	size_t next;	/* chunk that the stranger writes to */
};

/* clang-format off */
FIXTURE(owner) {
	struct owned owned;
	struct worker owner;
	char path[128];
};
/* clang-format on */

/* In turn a page, for which there is a bitmap, and a whole chunk, a run. */
static struct wpfile_range *make_ranges(void)
{
	struct wpfile_range *ranges = calloc(NR_RANGES, sizeof(*ranges));
	size_t i;

	for (i = 0; ranges && i < NR_RANGES; i++) {
		ranges[i].offset = 2 * i * CHUNK;
		ranges[i].length = i % 2 ? CHUNK : PAGE;
	}
	return ranges;
}

/* Two thirds of the file are the owner's, the rest is the stranger's. */
FIXTURE_SETUP(owner)
{
	struct owned *owned = &self->owned;
	size_t size = 3 * NR_RANGES * CHUNK;

	self->owner = (struct worker){ .pid = -1, .fd = -1 };
	owned->shared = shared_make();
	owned->ranges = make_ranges();
	ASSERT_TRUE(owned->shared && owned->ranges);
	owned->file = memfd_create("throttle", MFD_CLOEXEC);
	ASSERT_LE(0, owned->file);
	ASSERT_EQ(0, ftruncate(owned->file, size));
	owned->map = mmap(NULL, size, PROT_READ | PROT_WRITE,
			  MAP_SHARED | MAP_NORESERVE, owned->file, 0);
	ASSERT_NE(MAP_FAILED, owned->map);
	ASSERT_EQ(0, cgroup_make_throttled(self->path, sizeof(self->path)));
}

FIXTURE_TEARDOWN(owner)
{
	kill_and_stop(&self->owner);
	cgroup_remove(self->path);
}

/* Again and again, with a new monitor, which has no memory yet. */
static long protect_anew(void *argument, long rounds)
{
	struct owned *owned = argument;
	int monitor, ret = 0;

	while (!ret && rounds-- > 0) {
		monitor = wp_monitor(owned->file, WPFILE_TRACK);
		if (monitor < 0)
			return monitor;
		ret = wp_protect(monitor, 0, WPFILE_TO_END);
		call_begins(owned->shared);
		ret = ret ?: wp_protect_ranges(monitor, owned->ranges,
					       NR_RANGES);
		call_ends(owned->shared);
		ret = ret ?: wp_unprotect_ranges(monitor, owned->ranges,
						 NR_RANGES);
		close(monitor);
	}
	return ret;
}

/* A store, or a write(), that is the first to its chunk; how long it took. */
static uint64_t write_somewhere(void *argument)
{
	struct owned *owned = argument;
	size_t chunk = 2 * NR_RANGES + owned->next++ % NR_RANGES;
	uint64_t start = now_ns();

	if (owned->next % 2)
		owned->map[chunk * CHUNK] = 'x';
	else if (pwrite(owned->file, "x", 1, chunk * CHUNK) != 1)
		return ~0ULL;
	return now_ns() - start;
}

/* How long PROTECT takes whom nobody throttles. */
static uint64_t time_to_protect(FIXTURE_DATA(owner) *self)
{
	struct shared *shared = self->owned.shared;

	shared->longest = 0;
	if (protect_anew(&self->owned, 1))
		return 0;
	return shared->longest;
}

TEST_F(owner, who_is_throttled_holds_up_no_writer)
{
	struct owned *owned = &self->owned;
	uint64_t longest = ~0ULL, free_ns = time_to_protect(self);
	int i;

	ASSERT_LT(0, free_ns);
	owned->shared->longest = 0;
	ASSERT_EQ(0, worker_start(&self->owner));
	ASSERT_EQ(0, worker_call(&self->owner, enter, self->path, 0));
	worker_begin(&self->owner, protect_anew, owned, 1000);
	for (i = 0; i < TRIES && longest >= LONGEST; i++) {
		longest = longest_of(write_somewhere, owned, 12);
		TH_LOG("%zu writes, the longest took %lu ms", owned->next,
		       longest / 1000000);
	}
	TH_LOG("PROTECT: %lu ms, throttled %lu ms", free_ns / 1000000,
	       longest_call(owned->shared) / 1000000);
	/* On the way back to user space he sleeps once. */
	SKIP_UNLESS(longest_call(owned->shared) > free_ns + 4 * SECOND,
		    "the owner is not throttled in PROTECT");
	EXPECT_GT(LONGEST, longest);
}

/* --- a writer whose writes are kept for two makers of monitors --- */

#define PAGES 4096

struct kept {
	struct shared *shared;
	int file;
	char *map;
	size_t next;	/* page that the stranger stores to */
};

/* clang-format off */
FIXTURE(writer) {
	struct kept kept;
	struct worker makers[2], protector;	/* the first maker writes */
	char paths[2][128];
};
/* clang-format on */

static long make_capture(void *argument, long value)
{
	struct kept *kept = argument;
	int monitor = wp_monitor(kept->file, WPFILE_CAPTURE);

	(void)value;
	return monitor < 0 ? monitor : wp_protect(monitor, 0, WPFILE_TO_END);
}

/* The first half of the pages is the maker's, the other the stranger's. */
FIXTURE_SETUP(writer)
{
	struct kept *kept = &self->kept;
	int i;

	kept->shared = shared_make();
	ASSERT_TRUE(kept->shared);
	kept->file = memfd_create("throttle", MFD_CLOEXEC);
	ASSERT_LE(0, kept->file);
	ASSERT_EQ(0, ftruncate(kept->file, PAGES * PAGE));
	kept->map = mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED,
			 kept->file, 0);
	ASSERT_NE(MAP_FAILED, kept->map);
	memset(kept->map, 'a', PAGES * PAGE);
	ASSERT_EQ(0, worker_start(&self->protector));
	for (i = 0; i < 2; i++) {
		ASSERT_EQ(0, cgroup_make_throttled(self->paths[i],
						   sizeof(self->paths[i])));
		ASSERT_EQ(0, worker_start(&self->makers[i]));
		ASSERT_EQ(0, worker_call(&self->makers[i], enter,
					 self->paths[i], 0));
		ASSERT_EQ(0, worker_call(&self->makers[i], make_capture, kept,
					 0));
	}
}

FIXTURE_TEARDOWN(writer)
{
	int i;

	kill_and_stop(&self->protector);
	for (i = 0; i < 2; i++) {
		kill_and_stop(&self->makers[i]);
		cgroup_remove(self->paths[i]);
	}
}

static long store_to_each(void *argument, long value)
{
	struct kept *kept = argument;
	size_t page;

	(void)value;
	for (page = 0; page < PAGES / 2; page++) {
		call_begins(kept->shared);
		kept->map[page * PAGE] = 'x';
		call_ends(kept->shared);
	}
	return 0;
}

/* Waits for whoever is in a gate, and makes others wait for that. */
static long protect_often(void *argument, long rounds)
{
	struct kept *kept = argument;
	int monitor = wp_monitor(kept->file, WPFILE_TRACK), ret = 0;

	if (monitor < 0)
		return monitor;
	while (!ret && rounds-- > 0)
		ret = wp_protect(monitor, 0, WPFILE_TO_END);
	return ret;
}

static uint64_t store_somewhere(void *argument)
{
	struct kept *kept = argument;
	size_t page = PAGES / 2 + kept->next++ % (PAGES / 2);
	uint64_t start = now_ns();

	kept->map[page * PAGE] = 's';
	return now_ns() - start;
}

TEST_F(writer, who_is_throttled_sleeps_in_no_gate)
{
	struct kept *kept = &self->kept;
	uint64_t longest = ~0ULL;
	int i;

	worker_begin(&self->protector, protect_often, kept, 1000000);
	worker_begin(&self->makers[0], store_to_each, kept, 0);
	for (i = 0; i < TRIES && longest >= LONGEST; i++) {
		longest = longest_of(store_somewhere, kept, 12);
		TH_LOG("%zu stores, the longest took %lu ms", kept->next,
		       longest / 1000000);
	}
	TH_LOG("a store, throttled: %lu ms",
	       longest_call(kept->shared) / 1000000);
	SKIP_UNLESS(longest_call(kept->shared) > SECOND,
		    "the writer is not throttled");
	EXPECT_GT(LONGEST, longest);
}

TEST_HARNESS_MAIN
