// SPDX-License-Identifier: GPL-2.0-only
/*
 * No write is lost while everything happens at once.
 *
 *	writers		each adds to its own counter in many pages: two
 *			processes through mappings, one by pwrite()
 *	scanner		SCAN with PROTECT, copies what is reported to a mirror
 *	disturber	moves the pages about
 *
 * An entry that became writable behind a protected page stays so: what is
 * stored through it is missing in the mirror at the end.  A third of the pages
 * belongs to one writer alone, so that nobody else's writes can hide that.
 *
 * With WPFILE_CAPTURE the same disturbance must not change what a monitor
 * knows: two readings after one PROTECT are equal, and no counter goes back
 * from one PROTECT to the next.
 */
#include "harness.h"
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <pthread.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#define WRITERS 3

struct control {
	volatile bool stop;
	volatile unsigned long writes, disturbances;
};

struct writer {
	struct area *area;
	struct control *control;
	int id;
	void (*act)(struct writer *writer);
	unsigned int random;
	uint64_t *counts; /* of the one that uses pwrite() */
};

/* --- the writers --- */

/* Pages are of writer 0, 1, 2, or of all, in turn. */
static size_t pick_page(struct writer *writer)
{
	size_t pages = writer->area->size / PAGE, page;

	do {
		page = random_next(&writer->random) % pages;
	} while (page % 4 != 3 && page % 4 != (size_t)writer->id);
	return page;
}

static void write_by_store(struct writer *writer, unsigned int slot)
{
	volatile uint64_t *page =
		(void *)(writer->area->map + pick_page(writer) * PAGE);

	page[slot]++;
}

static void write_by_pwrite(struct writer *writer)
{
	size_t page = pick_page(writer);

	writer->counts[page]++;
	pwrite(writer->area->fd, &writer->counts[page], sizeof(uint64_t),
	       page * PAGE + writer->id * sizeof(uint64_t));
}

static void write_all_the_time(struct writer *writer)
{
	unsigned long n;

	writer->counts = calloc(writer->area->size / PAGE, sizeof(uint64_t));
	for (n = 0; !writer->control->stop; n++) {
		if (writer->id == 2)
			write_by_pwrite(writer);
		else
			write_by_store(writer, writer->id);
		if (writer->id == 2 && n % 16 == 0)
			sleep_ms(1); /* the inode and the folio are free */
		if (writer->act && writer->id == 0 && n % 16 == 0)
			writer->act(writer);
		__atomic_fetch_add(&writer->control->writes, 1,
				   __ATOMIC_RELAXED);
	}
	_exit(0);
}

/* More threads of one process: all go through the same entry. */
static void *store_in_thread(void *argument)
{
	struct writer writer = *(struct writer *)argument;
	static unsigned int last_slot = 8;
	unsigned int slot = __atomic_add_fetch(&last_slot, 1, __ATOMIC_RELAXED);

	writer.random += slot;
	while (!writer.control->stop)
		write_by_store(&writer, slot);
	return NULL;
}

static void start_threads(struct writer *writer)
{
	pthread_t thread;
	int i;

	for (i = 0; i < 2; i++)
		pthread_create(&thread, NULL, store_in_thread, writer);
	writer->act = NULL;
	writer->control->disturbances++;
}

/* --- what writer 0 does to its own mapping between two writes --- */

static void did(struct writer *writer, bool ok)
{
	if (ok)
		writer->control->disturbances++;
}

static void act_mprotect(struct writer *writer)
{
	struct area *area = writer->area;

	did(writer, !mprotect(area->map, area->size, PROT_READ) &&
			    !mprotect(area->map, area->size,
				      PROT_READ | PROT_WRITE));
}

static void act_dontneed(struct writer *writer)
{
	struct area *area = writer->area;
	volatile char *page;

	did(writer, !madvise(area->map, area->size, MADV_DONTNEED));
	for (page = area->map; page < area->map + area->size; page += PAGE)
		(void)*page;
}

static void act_mremap(struct writer *writer)
{
	if (area_move(writer->area, random_next(&writer->random) % 4))
		_exit(1);
	did(writer, true);
}

static void act_remap(struct writer *writer)
{
	area_unmap(writer->area);
	did(writer, !area_map(writer->area));
	*(volatile char *)writer->area->map;
}

static void act_fork(struct writer *writer)
{
	pid_t pid = fork();

	if (!pid) {
		write_by_store(writer, 0);
		_exit(0);
	}
	did(writer, waitpid(pid, NULL, 0) == pid);
}

/* --- what another process does to the pages --- */

static void disturb_nodes(struct writer *writer)
{
	char *page = writer->area->map + pick_page(writer) * PAGE;
	static unsigned int node;

	*(volatile char *)page;
	did(writer, !try_to_move(page, ++node % 2));
}

static void disturb_compaction(struct writer *writer)
{
	did(writer, !compact_memory());
	sleep_ms(5);
}

static void disturb_reclaim(struct writer *writer)
{
	static long before = -1;

	if (before < 0)
		before = file_number("/proc/vmstat", "pswpout ");
	reclaim_memory("128K");
	did(writer, file_number("/proc/vmstat", "pswpout ") > before);
	sleep_ms(1);
}

static void disturb_collapse(struct writer *writer)
{
	struct area *area = writer->area;

	did(writer, !collapse_memory(area->map, area->size));
	split_memory(area->map, area->size);
}

static void disturb_all_the_time(struct writer *writer,
				 void (*disturb)(struct writer *))
{
	while (!writer->control->stop)
		disturb(writer);
	_exit(0);
}

/* --- the fixture --- */

/* clang-format off */
FIXTURE(mirror) {
	struct area area;
	struct control *control;
	char cgroup[128];
	char *copy;
	int monitor;
	int nr_pids;
	pid_t pids[WRITERS + 1];
};

FIXTURE_VARIANT(mirror) {
	enum kind kind;
	size_t pages;
	void (*act)(struct writer *writer);
	void (*disturb)(struct writer *writer);
	bool swap;
	bool nodes;
	int ms;
};

/* wp_shared_gate(): the fault that was let through before PROTECT */
FIXTURE_VARIANT_ADD(mirror, one_entry_many_threads) {
	.kind = MEMFD, .pages = 4, .act = start_threads, .ms = 3000 };
FIXTURE_VARIANT_ADD(mirror, many_entries_many_threads) {
	.kind = MEMFD, .pages = 64, .act = start_threads, .ms = 1000 };
FIXTURE_VARIANT_ADD(mirror, huge_entry_many_threads) {
	.kind = TMPFS_HUGE, .pages = 512, .act = start_threads, .ms = 1000 };
FIXTURE_VARIANT_ADD(mirror, mprotect) {
	.kind = MEMFD, .pages = 64, .act = act_mprotect, .ms = 600 };
FIXTURE_VARIANT_ADD(mirror, huge_mprotect) {
	.kind = TMPFS_HUGE, .pages = 512, .act = act_mprotect, .ms = 600 };
FIXTURE_VARIANT_ADD(mirror, read_faults) {
	.kind = MEMFD, .pages = 64, .act = act_dontneed, .ms = 600 };
FIXTURE_VARIANT_ADD(mirror, mremap) {
	.kind = MEMFD, .pages = 512, .act = act_mremap, .ms = 600 };
FIXTURE_VARIANT_ADD(mirror, huge_remap) {
	.kind = TMPFS_HUGE, .pages = 512, .act = act_remap, .ms = 600 };
FIXTURE_VARIANT_ADD(mirror, fork) {
	.kind = MEMFD, .pages = 64, .act = act_fork, .ms = 600 };
FIXTURE_VARIANT_ADD(mirror, migration) {
	.kind = MEMFD, .pages = 64, .disturb = disturb_nodes, .nodes = true,
	.ms = 1000 };
FIXTURE_VARIANT_ADD(mirror, huge_migration) {
	.kind = TMPFS_HUGE, .pages = 512, .disturb = disturb_nodes,
	.nodes = true, .ms = 1000 };
FIXTURE_VARIANT_ADD(mirror, compaction) {
	.kind = MEMFD, .pages = 64, .disturb = disturb_compaction,
	.ms = 600 };
FIXTURE_VARIANT_ADD(mirror, reclaim) {
	.kind = MEMFD, .pages = 64, .disturb = disturb_reclaim, .swap = true,
	.ms = 1000 };
FIXTURE_VARIANT_ADD(mirror, reclaim_and_read_faults) {
	.kind = MEMFD, .pages = 64, .disturb = disturb_reclaim,
	.act = act_dontneed, .swap = true, .ms = 600 };
FIXTURE_VARIANT_ADD(mirror, huge_reclaim) {
	.kind = TMPFS_HUGE, .pages = 512, .disturb = disturb_reclaim,
	.swap = true, .ms = 600 };
FIXTURE_VARIANT_ADD(mirror, collapse_and_split) {
	.kind = MEMFD, .pages = 512, .disturb = disturb_collapse,
	.ms = 1000 };
/* clang-format on */

FIXTURE_SETUP(mirror)
{
	self->control = mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
			     MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, self->control);
	if (variant->nodes)
		SKIP_UNLESS(nr_nodes() > 1, "one NUMA node only");
	if (variant->swap)
		SKIP_UNLESS(file_number("/proc/meminfo", "SwapTotal:") > 0,
			    "no swap");
	ASSERT_EQ(0, cgroup_make(self->cgroup, sizeof(self->cgroup), -1, -1));
	ASSERT_EQ(0, cgroup_enter(self->cgroup));
	ASSERT_EQ(0, area_make(&self->area, variant->kind,
			       variant->pages * PAGE));
	ASSERT_EQ(0, area_map(&self->area));
	memset(self->area.map, 0, self->area.size);
	if (variant->kind == TMPFS_HUGE)
		SKIP_UNLESS(area_is_huge(&self->area), "got no huge mapping");
	self->copy = calloc(1, self->area.size);
}

/* The children of this process are dead or will be, whatever happened. */
FIXTURE_TEARDOWN(mirror)
{
	int i;

	for (i = 0; i < self->nr_pids; i++)
		if (self->pids[i] > 0) {
			kill(self->pids[i], SIGKILL);
			waitpid(self->pids[i], NULL, 0);
		}
	close(self->monitor);
	area_free(&self->area);
	cgroup_remove(self->cgroup);
}

static void start(FIXTURE_DATA(mirror) *self,
		  const FIXTURE_VARIANT(mirror) *variant)
{
	struct writer writer = { .area = &self->area,
				 .control = self->control,
				 .act = variant->act };
	int i;

	for (i = 0; i < WRITERS + !!variant->disturb; i++) {
		writer.id = i;
		writer.random = 12345 + i;
		self->pids[i] = fork();
		if (!self->pids[i]) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			setpriority(PRIO_PROCESS, 0, 10); /* behind the scanner */
			if (i < WRITERS)
				write_all_the_time(&writer);
			writer.id = 3;
			disturb_all_the_time(&writer, variant->disturb);
		}
	}
	self->nr_pids = i;
}

/* All must have come to their end by themselves: no signal, no error. */
static void stop(struct __test_metadata *const _metadata,
		 FIXTURE_DATA(mirror) *self)
{
	int i, status;

	self->control->stop = true;
	for (i = 0; i < self->nr_pids; i++) {
		ASSERT_EQ(self->pids[i], waitpid(self->pids[i], &status, 0));
		self->pids[i] = 0;
		EXPECT_EQ(0, status)
			TH_LOG("process %d ended with %#x", i, status);
	}
}

static void expect_life(struct __test_metadata *const _metadata,
			FIXTURE_DATA(mirror) *self,
			const FIXTURE_VARIANT(mirror) *variant,
			unsigned long rounds)
{
	EXPECT_LT(10, self->control->writes);
	EXPECT_LT(2, rounds);
	if (variant->act || variant->disturb)
		EXPECT_LT(0, self->control->disturbances);
	TH_LOG("%lu writes, %lu rounds, %lu disturbances",
	       self->control->writes, rounds, self->control->disturbances);
}

/* Long enough, and until something has happened. */
static bool go_on(FIXTURE_DATA(mirror) *self,
		  const FIXTURE_VARIANT(mirror) *variant, uint64_t start,
		  unsigned long rounds)
{
	const char *given = getenv("WPFILE_SECONDS");
	uint64_t ms = given ? atoi(given) * 1000ULL : (uint64_t)variant->ms;
	uint64_t passed = (now_ns() - start) / 1000000;
	bool quiet = (variant->act || variant->disturb) &&
		     !self->control->disturbances;

	return passed < ms || (passed < 60000 && (rounds < 3 || quiet));
}

static void copy_reported(FIXTURE_DATA(mirror) *self, struct pages *seen)
{
	size_t i;

	for (i = 0; i < self->area.size / PAGE; i++)
		if (seen->has[i])
			pread(self->area.fd, self->copy + i * PAGE, PAGE,
			      i * PAGE);
}

TEST_F(mirror, no_write_is_lost)
{
	uint64_t begin = now_ns();
	unsigned long rounds = 0;
	struct pages seen;

	self->monitor = area_protect(&self->area, WPFILE_TRACK);
	ASSERT_LE(0, self->monitor);
	start(self, variant);
	while (go_on(self, variant, begin, rounds)) {
		ASSERT_EQ(0, scan_pages(self->monitor, WPFILE_SCAN_PROTECT,
					&seen));
		copy_reported(self, &seen);
		rounds++;
	}
	stop(_metadata, self);
	ASSERT_EQ(0, scan_pages(self->monitor, WPFILE_SCAN_PROTECT, &seen));
	copy_reported(self, &seen);
	EXPECT_STREQ("same",
		     compare(self->area.fd, self->copy, self->area.size));
	expect_life(_metadata, self, variant, rounds);
}

static bool goes_back(const char *older, const char *newer, size_t size)
{
	const uint64_t *old = (const void *)older, *new = (const void *)newer;
	size_t i;

	for (i = 0; i < size / sizeof(*old); i++)
		if (old[i] > new[i])
			return true;
	return false;
}

TEST_F(mirror, captured_content_stays)
{
	char *previous = calloc(1, self->area.size);
	uint64_t begin = now_ns();
	unsigned long rounds = 0;

	self->monitor = area_monitor(&self->area, WPFILE_CAPTURE);
	ASSERT_LE(0, self->monitor);
	start(self, variant);
	while (go_on(self, variant, begin, rounds)) {
		ASSERT_EQ(0, wp_protect(self->monitor, 0, WPFILE_TO_END));
		ASSERT_EQ((ssize_t)self->area.size,
			  pread(self->monitor, self->copy, self->area.size, 0));
		ASSERT_FALSE(goes_back(previous, self->copy, self->area.size));
		sched_yield();
		ASSERT_STREQ("same", compare(self->monitor, self->copy,
					     self->area.size));
		memcpy(previous, self->copy, self->area.size);
		rounds++;
	}
	stop(_metadata, self);
	expect_life(_metadata, self, variant, rounds);
}

/*
 * A write fault that must capture for eight monitors takes long; each of them
 * may be cut again between its own capture and the moment when the entry
 * becomes writable.
 */
TEST(many_captures_at_one_fault)
{
	struct control control = {};
	struct writer writer = { .control = &control, .random = 1 };
	unsigned int random = 77, rounds, i;
	struct area area;
	int monitors[8];
	char *copies[8];
	uint64_t end;

	ASSERT_EQ(0, area_make(&area, MEMFD, PAGE));
	ASSERT_EQ(0, area_map(&area));
	for (i = 0; i < 8; i++) {
		monitors[i] = area_protect(&area, WPFILE_CAPTURE);
		ASSERT_LE(0, monitors[i]);
		copies[i] = calloc(1, PAGE);
	}
	writer.area = &area;
	start_threads(&writer);
	end = now_ns() + seconds_to_run(4) * 1000000000ULL;
	for (rounds = 0; now_ns() < end; rounds++) {
		i = random_next(&random) % 8;
		ASSERT_STREQ("same", compare(monitors[i], copies[i], PAGE))
			TH_LOG("monitor %u in round %u", i, rounds);
		ASSERT_EQ(0, wp_protect(monitors[i], 0, WPFILE_TO_END));
		ASSERT_EQ((ssize_t)PAGE, pread(monitors[i], copies[i], PAGE, 0));
	}
	control.stop = true;
	TH_LOG("%u rounds", rounds);
	EXPECT_LT(8, rounds);
}

/* --- a fault that takes long between its captures and its entry --- */

static long monitor_in_cgroup(void *argument, long value)
{
	static char path[128];
	struct area *area = argument;
	int ret = path[0] ? 0 : cgroup_make(path, sizeof(path), value, -1);

	return ret ?: cgroup_enter(path) ?: area_protect(area, WPFILE_CAPTURE);
}

static long leave_cgroup(void *argument, long value)
{
	(void)argument;
	(void)value;
	return cgroup_enter("/sys/fs/cgroup");
}

/* All of what @monitor knows, twice, while the writers go on. */
static const char *read_twice(int monitor, char *copy, size_t size)
{
	if (pread(monitor, copy, size, 0) != (ssize_t)size)
		return "cannot read";
	sleep_ms(2);
	return compare(monitor, copy, size);
}

/*
 * The slow monitor's cgroup has no room: each capture for it swaps something
 * out.  Meanwhile the quick ones, made before it and after it, are cut again;
 * the entry that then becomes writable must not be, whichever was captured for
 * first.
 */
TEST(one_slow_monitor)
{
	struct control control = {};
	struct writer writer = { .control = &control, .random = 1 };
	unsigned int rounds = 0, i, cuts = 0;
	struct worker owner;
	struct area area;
	int quick[2], slow;
	uint64_t end;
	char *copy;

	SKIP_UNLESS(file_number("/proc/meminfo", "SwapFree:") > 60 * 1024,
		    "no swap");
	ASSERT_EQ(0, area_make_filled(&area, MEMFD, 2048 * PAGE));
	copy = calloc(1, area.size);
	ASSERT_EQ(0, worker_start(&owner));
	quick[0] = area_protect(&area, WPFILE_CAPTURE);
	slow = worker_call(&owner, monitor_in_cgroup, &area, 4 << 20);
	ASSERT_LE(0, slow);
	slow = worker_take_fd(&owner, slow);
	ASSERT_EQ(0, worker_call(&owner, leave_cgroup, NULL, 0));
	quick[1] = area_protect(&area, WPFILE_CAPTURE);
	writer.area = &area;
	start_threads(&writer);
	end = now_ns() + seconds_to_run(6) * 1000000000ULL;
	while (now_ns() < end || rounds < 2) {
		ASSERT_EQ(0, wp_protect(slow, 0, WPFILE_TO_END));
		for (i = 0; i < 50; i++, cuts++)
			ASSERT_EQ(0, wp_protect(quick[i % 2], 0,
						WPFILE_TO_END));
		for (i = 0; i < 2; i++)
			ASSERT_STREQ("same",
				     read_twice(quick[i], copy, area.size))
				TH_LOG("monitor %u in round %u", i, rounds);
		rounds++;
	}
	control.stop = true;
	TH_LOG("%u rounds, %u cuts", rounds, cuts);
	worker_stop(&owner);
}

TEST_HARNESS_MAIN
