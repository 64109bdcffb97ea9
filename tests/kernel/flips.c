// SPDX-License-Identifier: GPL-2.0-only
/*
 * Thousands of ranges are denied, and allowed again, by one call for all
 * processes: between the return of PROTECT and the call of UNPROTECT no store
 * succeeds, and every store either succeeds or is a SIGSEGV.
 */
#include "harness.h"
#include "watch.h"
#include <linux/perf_event.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#define PAGES 16
#define FLIP_PAGES 4096
#define WRITERS 4

/*
 * Writer i stores only to byte i of a page.  @closed is odd while every second
 * page is known to be protected: PROTECT has returned, UNPROTECT has not been
 * called.
 */
struct flips {
	volatile unsigned long closed;
	volatile bool stop;
	struct {
		volatile unsigned long stored, stored_free, refused, wrong;
	} of[WRITERS];
};

static void store_somewhere(struct area *area, struct flips *flips, int id,
			    unsigned int *seed)
{
	size_t page = random_next(seed) % FLIP_PAGES;
	volatile char *at = area->map + page * PAGE + id;
	unsigned long before = flips->closed;
	char old = *at, byte = old + 1;
	struct fault fault;

	__sync_synchronize();
	if (try_store((char *)at, byte, &fault)) {
		flips->of[id].refused++;
		if (page % 2 || *at != old || fault.signal != SIGSEGV ||
		    fault.code != SEGV_ACCERR || fault.address != at)
			flips->of[id].wrong++;
		return;
	}
	__sync_synchronize();
	if (page % 2)
		flips->of[id].stored_free++;
	else
		flips->of[id].stored++;
	if (*at != byte ||
	    (page % 2 == 0 && before % 2 && flips->closed == before))
		flips->of[id].wrong++;
}

static pid_t start_flip_writer(struct area *area, struct flips *flips, int id)
{
	unsigned int seed = 4711 + id;
	pid_t pid = fork();

	if (pid)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	while (!flips->stop)
		store_somewhere(area, flips, id, &seed);
	_exit(0);
}

/* How many pages there are whose writers' bytes are not those of @copy. */
static int pages_changed(const struct area *area, const char *copy)
{
	int page, changed = 0;

	for (page = 0; page < FLIP_PAGES; page += 2)
		changed += !!memcmp(area->map + page * PAGE,
				    copy + page * WRITERS, WRITERS);
	return changed;
}

static void copy_bytes(const struct area *area, char *copy)
{
	int page;

	for (page = 0; page < FLIP_PAGES; page++)
		memcpy(copy + page * WRITERS, area->map + page * PAGE, WRITERS);
}

TEST(flips_of_thousands_of_ranges_hold_for_all_processes_at_once)
{
	static struct wpfile_range ranges[FLIP_PAGES / 2];
	static char copy[FLIP_PAGES * WRITERS];
	unsigned long stored = 0, stored_free = 0, refused = 0;
	struct wpfile_query query;
	struct flips *flips;
	struct area area;
	pid_t pids[WRITERS];
	int i, nr, monitor, rounds = 0, changed = 0;
	uint64_t end;

	ASSERT_EQ(0, area_make(&area, MEMFD, FLIP_PAGES * PAGE));
	ASSERT_EQ(0, area_map(&area));
	area_touch(&area);
	ASSERT_EQ(0, wp_query(area.fd, &query));
	nr = FLIP_PAGES / 2;
	ASSERT_LE(nr, (int)query.ret_max_ranges);
	for (i = 0; i < nr; i++)
		ranges[i] = (struct wpfile_range){ 2 * i * PAGE, PAGE };
	flips = mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
		     MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, flips);
	monitor = deny_monitor(area.fd, 0);
	ASSERT_LE(0, monitor);
	for (i = 0; i < WRITERS; i++)
		pids[i] = start_flip_writer(&area, flips, i);
	end = now_ns() + seconds_to_run(5) * 1000000000ULL;
	while (now_ns() < end || rounds < 10) {
		ASSERT_EQ(0, wp_protect_ranges(monitor, ranges, nr));
		flips->closed++;
		copy_bytes(&area, copy);
		sleep_ms(rounds % 5);
		changed += pages_changed(&area, copy);
		flips->closed++;
		ASSERT_EQ(0, wp_unprotect_ranges(monitor, ranges, nr));
		sleep_ms(rounds % 3);
		rounds++;
	}
	flips->stop = true;
	for (i = 0; i < WRITERS; i++) {
		ASSERT_EQ(pids[i], waitpid(pids[i], NULL, 0));
		EXPECT_EQ(0, flips->of[i].wrong);
		stored += flips->of[i].stored;
		stored_free += flips->of[i].stored_free;
		refused += flips->of[i].refused;
	}
	TH_LOG("%d flips; %lu stores and %lu to free pages, %lu refused",
	       rounds, stored, stored_free, refused);
	EXPECT_EQ(0, changed);
	EXPECT_LT(0, stored);
	EXPECT_LT(0, stored_free);
	EXPECT_LT(0, refused);
	close(monitor);
	area_free(&area);
}

/* A counter of the flushes that @cpu does or asks other CPUs for, for a process. */
static int count_flushes(int cpu)
{
	struct perf_event_attr attr = {
		.size = sizeof(attr), .type = PERF_TYPE_TRACEPOINT,
	};
	FILE *file = fopen("/sys/kernel/tracing/events/tlb/tlb_flush/id", "r");
	int fd, got = 0;

	if (file) {
		got = fscanf(file, "%llu", &attr.config);
		fclose(file);
	}
	if (got != 1)
		return -1;
	fd = syscall(SYS_perf_event_open, &attr, -1, cpu, -1, 0);
	/* TLB_LOCAL_MM_SHOOTDOWN and TLB_REMOTE_SEND_IPI */
	if (fd >= 0 && ioctl(fd, PERF_EVENT_IOC_SET_FILTER, "reason >= 3")) {
		close(fd);
		return -1;
	}
	return fd;
}

static long flushes_counted(const int fds[2])
{
	long long counts[2];
	int i;

	for (i = 0; i < 2; i++) {
		if (read(fds[i], &counts[i], sizeof(*counts)) != sizeof(*counts))
			return -1;
	}
	return counts[0] + counts[1];
}

/* Stores into a page of each range, and goes on running until it is killed. */
static pid_t start_runner(const struct area *area, size_t stride, int nr,
			  volatile bool *ready)
{
	pid_t pid = fork();
	int i;

	if (pid)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (i = 0; i < nr; i++)
		area->map[i * stride] = 'x';
	*ready = true;
	for (;;)
		;
}

#define RUNNERS 2

/* However far apart the ranges are. */
TEST(vector_of_ranges_is_one_flush_for_each_process)
{
	static struct wpfile_range ranges[1024];
	const size_t nr = sizeof(ranges) / sizeof(*ranges), stride = 16 * HUGE;
	struct area area;
	pid_t pids[RUNNERS];
	int i, counters[2], monitor;
	volatile bool *ready;
	long before, flushes;
	size_t n;

	for (i = 0; i < 2; i++) {
		counters[i] = count_flushes(i);
		if (counters[i] < 0)
			SKIP(return, "no tracepoint of flushes, or no 2 CPUs");
	}
	ready = mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
		     MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, ready);
	ASSERT_EQ(0, area_make(&area, MEMFD, nr * stride));
	ASSERT_EQ(0, area_map(&area));
	for (n = 0; n < nr; n++)
		ranges[n] = (struct wpfile_range){ n * stride, PAGE };
	monitor = deny_monitor(area.fd, 0);
	ASSERT_LE(0, monitor);
	for (i = 0; i < RUNNERS; i++) {
		pids[i] = start_runner(&area, stride, nr, &ready[i]);
		while (!ready[i])
			sleep_ms(1);
	}
	before = flushes_counted(counters);
	ASSERT_EQ(0, wp_protect_ranges(monitor, ranges, nr));
	flushes = flushes_counted(counters) - before;
	TH_LOG("%zu ranges, %d processes: %ld flushes", nr, RUNNERS, flushes);
	/* One that is sent to another CPU may also be done here. */
	EXPECT_LE(1, flushes);
	EXPECT_GE(2 * RUNNERS, flushes);
	for (i = 0; i < RUNNERS; i++) {
		kill(pids[i], SIGKILL);
		waitpid(pids[i], NULL, 0);
		close(counters[i]);
	}
	close(monitor);
	area_free(&area);
}

/* One bad range, and none of them is done. */
TEST(flip_with_one_bad_range_does_nothing)
{
	struct wpfile_range ranges[] = { { 0, PAGE }, { 2 * PAGE, 7 } };
	struct area area;
	int monitor;

	ASSERT_EQ(0, area_make_filled(&area, MEMFD, PAGES * PAGE));
	monitor = deny_monitor(area.fd, 0);
	ASSERT_LE(0, monitor);
	EXPECT_EQ(-EINVAL, wp_protect_ranges(monitor, ranges, 2));
	EXPECT_EQ(0, try_store(area.map, 'y', NULL));
	ASSERT_EQ(0, wp_protect(monitor, 0, PAGE));
	EXPECT_EQ(-EINVAL, wp_unprotect_ranges(monitor, ranges, 2));
	EXPECT_EQ(SIGSEGV, try_store(area.map, 'y', NULL));
	close(monitor);
	area_free(&area);
}

TEST_HARNESS_MAIN
