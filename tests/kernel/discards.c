// SPDX-License-Identifier: GPL-2.0-only
/*
 * Truncations and punches of many pages that a SYNC monitor is asked about:
 * what each page costs must not grow with those that were answered before it.
 * To be run with --icount, where CPU time counts instructions.
 */
#include "harness.h"
#include "wait.h"
#include <fcntl.h>
#include <linux/falloc.h>
#include <unistd.h>
#include <sys/stat.h>

#define MANY 2048
#define SOME 128

static long discard_file(void *argument, long truncates)
{
	struct area *area = argument;

	int ret;

	if (truncates)
		ret = ftruncate(area->fd, 0);
	else
		ret = fallocate(area->fd, FALLOC_FL_PUNCH_HOLE |
				FALLOC_FL_KEEP_SIZE, 0, area->size);
	return ret ? -errno : 0;
}

/* How long a process has been on a CPU. */
static long cpu_ns(clockid_t process)
{
	struct timespec ts = {};

	clock_gettime(process, &ts);
	return ts.tv_sec * 1000000000L + ts.tv_nsec;
}

static int by_value(const void *a, const void *b)
{
	long one = *(const long *)a, two = *(const long *)b;

	return one < two ? -1 : one > two;
}

static long median(long *values, size_t nr)
{
	qsort(values, nr, sizeof(*values), by_value);
	return values[nr / 2];
}

/* Answers for each page, in order, once; and what the writer did from one to the next. */
static void answer_for_all(struct __test_metadata *const _metadata,
			   struct worker *writer, int monitor, long *ns)
{
	struct wpfile_event event;
	clockid_t process;
	size_t page;
	long now, last;

	ASSERT_EQ(0, clock_getcpuclockid(writer->pid, &process));
	last = cpu_ns(process);
	for (page = 0; page < MANY; page++) {
		ASSERT_EQ(0, event_expect(monitor, &event, WPFILE_WAITING,
					  page));
		ASSERT_EQ(WPFILE_EVENT_DISCARD, event.type);
		now = cpu_ns(process);
		ns[page] = now - last;
		last = now;
		ASSERT_EQ(0, sync_allow(monitor, &event));
	}
}

/* Each answer restarts the call: it must not look at all that was answered anew. */
static void expect_linear(struct __test_metadata *const _metadata,
			  bool truncates)
{
	long ns[MANY], first, last;
	struct worker writer;
	struct stat status;
	struct area area;
	int monitor;

	ASSERT_EQ(0, area_make_filled(&area, MEMFD, MANY * PAGE));
	ASSERT_EQ(0, worker_start(&writer));
	monitor = sync_protect(&area);
	ASSERT_LE(0, monitor);
	worker_begin(&writer, discard_file, &area, truncates);
	answer_for_all(_metadata, &writer, monitor, ns);
	EXPECT_EQ(0, worker_result(&writer));
	EXPECT_FALSE(event_is_there(monitor, MOMENT));
	ASSERT_EQ(0, fstat(area.fd, &status));
	EXPECT_EQ(0, status.st_blocks);

	first = median(ns, SOME);
	last = median(ns + MANY - SOME, SOME);
	TH_LOG("%ld ns for one of the first pages, %ld ns of the last", first,
	       last);
	EXPECT_LT(0, first);
	EXPECT_GT(2 * first, last);
	close(monitor);
	worker_stop(&writer);
	area_free(&area);
}

TEST(long_truncation_takes_as_long_as_it_has_pages)
{
	expect_linear(_metadata, true);
}

TEST(long_punch_takes_as_long_as_it_has_pages)
{
	expect_linear(_metadata, false);
}

TEST_HARNESS_MAIN
