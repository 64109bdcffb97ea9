// SPDX-License-Identifier: GPL-2.0-only
/*
 * PROTECT and SNAPSHOT at the very moment when entries are copied, moved or
 * taken away: the order of the walk, and the flushes that others owe.
 */
#include "harness.h"
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>

/*
 * PROTECT in one thread, the copy or the move of all entries in another.
 * Whatever comes first, all stores afterwards must be reported.
 *
 *	thread	main
 *	PROTECT	fork() or mremap()
 *		store to all pages in the new place
 *		SCAN: all of them
 */
struct racer {
	int monitor;
	pthread_barrier_t barrier;
	volatile bool stop;
	int ret;
};

static void *protect_again_and_again(void *argument)
{
	struct racer *racer = argument;

	for (;;) {
		pthread_barrier_wait(&racer->barrier);
		if (racer->stop)
			return NULL;
		racer->ret = wp_protect(racer->monitor, 0, WPFILE_TO_END);
		pthread_barrier_wait(&racer->barrier);
	}
}

/* clang-format off */
FIXTURE(raced) {
	struct area area;
	struct racer racer;
	pthread_t thread;
};
/* clang-format on */

FIXTURE_SETUP(raced)
{
	ASSERT_EQ(0, area_make_filled(&self->area, MEMFD, HUGE));
	self->racer.monitor = wp_monitor(self->area.fd, WPFILE_TRACK);
	ASSERT_LE(0, self->racer.monitor);
	ASSERT_EQ(0, pthread_barrier_init(&self->racer.barrier, NULL, 2));
	ASSERT_EQ(0, pthread_create(&self->thread, NULL,
				    protect_again_and_again, &self->racer));
}

FIXTURE_TEARDOWN(raced)
{
	self->racer.stop = true;
	pthread_barrier_wait(&self->racer.barrier);
	pthread_join(self->thread, NULL);
	area_free(&self->area);
}

/* All entries writable, none protected; then both sides run. */
static void begin_race(FIXTURE_DATA(raced) *self)
{
	wp_unprotect(self->racer.monitor, 0, WPFILE_TO_END);
	area_touch(&self->area);
	pthread_barrier_wait(&self->racer.barrier);
}

static void end_race(FIXTURE_DATA(raced) *self)
{
	pthread_barrier_wait(&self->racer.barrier);
}

TEST_F(raced, mremap__store_after_a_move_during_protect)
{
	uint64_t end = now_ns() + seconds_to_run(3) * 1000000000ULL;
	struct area *area = &self->area;
	char *room, *from, *places[3];
	unsigned int n;

	/* To the same place in a page table, to another one, and back. */
	room = map_file(area->fd, 6 * HUGE, PROT_READ);
	ASSERT_NE(NULL, room);
	places[0] = room;
	places[1] = room + HUGE + PAGE;
	places[2] = room + 4 * HUGE;
	for (n = 0; now_ns() < end || n < 3; n++) {
		from = area->map;
		begin_race(self);
		area->map = mremap(from, HUGE, HUGE,
				   MREMAP_MAYMOVE | MREMAP_FIXED,
				   places[n % 3]);
		end_race(self);
		ASSERT_EQ(places[n % 3], area->map);
		/* Nobody else shall settle there. */
		ASSERT_EQ(from, mmap(from, HUGE, PROT_NONE,
				     MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED,
				     -1, 0));
		ASSERT_EQ(0, self->racer.ret);
		area_touch(area);
		ASSERT_STREQ("0-511", unprotected(self->racer.monitor))
			TH_LOG("in round %u", n);
	}
}

TEST_F(raced, fork_with_uffd_wp__store_after_a_copy_during_protect)
{
	uint64_t end = now_ns() + seconds_to_run(3) * 1000000000ULL;
	int status;
	unsigned int n;
	int fds[2];
	pid_t pid;
	char byte;

	SKIP_UNLESS(!uffd_register_for_fork(self->area.map, self->area.size),
		    "no fork events of userfaultfd");
	for (n = 0; now_ns() < end || n < 3; n++) {
		ASSERT_EQ(0, pipe(fds));
		begin_race(self);
		pid = fork();
		if (!pid) {
			if (read(fds[0], &byte, 1) == 1)
				area_touch(&self->area);
			_exit(0);
		}
		end_race(self);
		ASSERT_LT(0, pid);
		ASSERT_EQ(0, self->racer.ret);
		ASSERT_EQ(1, write(fds[1], "g", 1));
		ASSERT_EQ(pid, waitpid(pid, &status, 0));
		ASSERT_EQ(0, status);
		close(fds[0]);
		close(fds[1]);
		ASSERT_STREQ("0-511", unprotected(self->racer.monitor))
			TH_LOG("in round %u", n);
	}
}

/*
 * munmap() takes the entries first and tells the other CPUs later: what they
 * store until then is part of the file, and must be over before a cut is.
 *
 *	writer			main		cutter
 *	store, store, ...	munmap()	snapshot
 *	SIGSEGV					read, wait, read: the same
 */
struct stale {
	struct area *area;
	pthread_barrier_t barrier;
	volatile bool stop;
	char *map;
	const char *result;
	unsigned long stores;
};

static __thread sigjmp_buf after_signal;

static void leave(int sig)
{
	siglongjmp(after_signal, sig);
}

static void *store_until_unmapped(void *argument)
{
	struct stale *stale = argument;
	volatile uint64_t *word;

	for (;;) {
		pthread_barrier_wait(&stale->barrier);
		if (stale->stop)
			return NULL;
		word = (void *)(stale->map + 3 * PAGE);
		if (!sigsetjmp(after_signal, 1))
			for (;;) {
				word[0]++;
				stale->stores++;
			}
		pthread_barrier_wait(&stale->barrier);
		pthread_barrier_wait(&stale->barrier);
	}
}

static void *cut_and_read_twice(void *argument)
{
	struct stale *stale = argument;
	char page[PAGE];
	int fd;

	for (;;) {
		pthread_barrier_wait(&stale->barrier);
		if (stale->stop)
			return NULL;
		fd = area_snapshot(stale->area);
		if (pread(fd, page, PAGE, 3 * PAGE) != (ssize_t)PAGE)
			stale->result = "cannot read the snapshot";
		pthread_barrier_wait(&stale->barrier);
		if (pread(fd, stale->area->before, PAGE, 3 * PAGE) !=
			    (ssize_t)PAGE ||
		    memcmp(page, stale->area->before, PAGE))
			stale->result = "a store after the cut is in the snapshot";
		close(fd);
		pthread_barrier_wait(&stale->barrier);
	}
}

static void munmap_during_cuts(struct __test_metadata *const _metadata,
			       enum kind kind, size_t size)
{
	struct stale stale = {};
	pthread_t writer, cutter;
	struct area area;
	unsigned int rounds;
	uint64_t end;

	ASSERT_EQ(0, area_make_filled(&area, kind, size));
	stale.area = &area;
	signal(SIGSEGV, leave);
	ASSERT_EQ(0, pthread_barrier_init(&stale.barrier, NULL, 3));
	ASSERT_EQ(0, pthread_create(&writer, NULL, store_until_unmapped,
				    &stale));
	ASSERT_EQ(0, pthread_create(&cutter, NULL, cut_and_read_twice, &stale));
	end = now_ns() + seconds_to_run(2) * 1000000000ULL;
	for (rounds = 0; now_ns() < end || rounds < 5; rounds++) {
		ASSERT_EQ(0, area_map(&area));
		area_touch(&area);
		if (kind == TMPFS_HUGE)
			SKIP_UNLESS(area_is_huge(&area), "got no huge mapping");
		stale.map = area.map;
		pthread_barrier_wait(&stale.barrier);
		area_unmap(&area);
		pthread_barrier_wait(&stale.barrier); /* nobody stores */
		pthread_barrier_wait(&stale.barrier); /* nothing is protected */
		ASSERT_STREQ("", stale.result ?: "")
			TH_LOG("in round %u", rounds);
	}
	stale.stop = true;
	pthread_barrier_wait(&stale.barrier);
	pthread_join(writer, NULL);
	pthread_join(cutter, NULL);
	ASSERT_EQ(NULL, stale.result);
	EXPECT_LT(0, stale.stores);
	area_free(&area);
	TH_LOG("%u rounds, %lu stores", rounds, stale.stores);
}

TEST(zap_huge_pmd__store_through_an_entry_that_is_being_unmapped)
{
	munmap_during_cuts(_metadata, TMPFS_HUGE, 4 * HUGE);
}

TEST(zap_pte_range__store_through_an_entry_that_is_being_unmapped)
{
	munmap_during_cuts(_metadata, MEMFD, 1024 * PAGE);
}

TEST_HARNESS_MAIN
