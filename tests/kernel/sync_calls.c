// SPDX-License-Identifier: GPL-2.0-only
/*
 * Who waits for the answer of a SYNC monitor, and who passes: every way to
 * change a page (ways.h), with a handler that copies pages before they change.
 * Then what the calls that wait return.
 */
#include "harness.h"
#include "wait.h"
#include "ways.h"
#include <fcntl.h>
#include <linux/falloc.h>
#include <unistd.h>
#include <sys/wait.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>

#define PAGES 8
#define THE_PAGE 3

/* --- each way --- */

/* In memory that is shared with who does it. */
struct job {
	way_fn way;
	struct area *area;
	char reason[100];	/* of WAY_SKIPPED */
};

static long do_way(void *argument, long page)
{
	struct job *job = argument;
	int ret = job->way(job->area, page);

	if (ret == WAY_SKIPPED)
		strncpy(job->reason, way_reason, sizeof(job->reason) - 1);
	return ret;
}

static struct job *new_job(way_fn way, struct area *area)
{
	struct job *job = mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
			       MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (job == MAP_FAILED)
		return NULL;
	job->way = way;
	job->area = area;
	return job;
}

enum manner { WAITS, PASSES };

/* clang-format off */
FIXTURE(way) {
	struct area area;
	int monitor;
	struct worker writer;
	struct job *job;
};

FIXTURE_VARIANT(way) {
	way_fn way;
	enum manner manner;
	__u32 type;
	bool hole;	/* the page is one, before */
	bool ragged;	/* the file ends in the page */
};

#define WAY(_way, _manner, _type, ...)                                         \
	FIXTURE_VARIANT_ADD(way, _way) {                                       \
		.way = way_##_way,                                             \
		.manner = _manner,                                             \
		.type = WPFILE_EVENT_##_type,                                  \
		__VA_ARGS__                                                    \
	}

WAY(store, WAITS, STORE);
WAY(atomic, WAITS, STORE);
WAY(store_across_pages, WAITS, STORE);
WAY(fill_two_pages, WAITS, STORE);
WAY(store_in_child, WAITS, STORE);
WAY(store_through_second_mapping, WAITS, STORE);
WAY(read_then_store_in_other_process, WAITS, STORE);

/* The caller's own synchronous calls on the file. */
WAY(pwrite, WAITS, WRITE);
WAY(pwritev2, WAITS, WRITE);
WAY(direct_write, WAITS, WRITE);
WAY(splice, WAITS, WRITE);
WAY(vmsplice_and_splice, WAITS, WRITE);
WAY(tee_and_splice, WAITS, WRITE);
WAY(sendfile, WAITS, WRITE);
WAY(copy_file_range, WAITS, WRITE);
WAY(append, WAITS, WRITE, .ragged = true);
WAY(punch_hole, WAITS, DISCARD);
WAY(punch_ragged_hole, WAITS, DISCARD);
WAY(truncate, WAITS, DISCARD);
WAY(truncate_ragged, WAITS, DISCARD);
WAY(open_truncate, WAITS, DISCARD);

/* By the kernel: for a task, for another one, by a thread of its own. */
WAY(process_vm_writev, PASSES, STORE);
WAY(proc_mem, PASSES, STORE);
WAY(ptrace_poke, PASSES, STORE);
WAY(read_into, PASSES, STORE);
WAY(readv_from_pipe, PASSES, STORE);
WAY(vmsplice_from_pipe, PASSES, STORE);
WAY(direct_read, PASSES, STORE);
WAY(io_uring_read, PASSES, STORE);
WAY(io_uring_read_by_worker, PASSES, STORE);
WAY(io_uring_read_fixed, PASSES, STORE);
WAY(futex_wake_op, PASSES, STORE);
WAY(signal_frame, PASSES, STORE);
WAY(rseq, PASSES, STORE);
WAY(exit_clears_tid, PASSES, STORE);
WAY(aio, PASSES, WRITE);
WAY(io_uring_write, PASSES, WRITE);
WAY(io_uring_write_by_worker, PASSES, WRITE);
WAY(io_uring_write_fixed, PASSES, WRITE);
WAY(loop_device, PASSES, WRITE);
WAY(loop_discard, PASSES, DISCARD);
WAY(acct, PASSES, WRITE, .ragged = true);
WAY(uffd_copy, PASSES, FILL, .hole = true);
/* clang-format on */

static int make_area(struct area *area, bool hole, bool ragged)
{
	/* acct() wants a file with a name. */
	int ret = area_make_filled(area, ragged ? TMPFS : MEMFD,
				   ragged ? THE_PAGE * PAGE + 100 :
					    PAGES * PAGE);

	if (!ret)
		area_touch(area);
	if (ret || !hole)
		return ret;
	memset(area->before + THE_PAGE * PAGE, 0, PAGE);
	return fallocate(area->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
			 THE_PAGE * PAGE, PAGE) ?
		       -errno :
		       0;
}

FIXTURE_SETUP(way)
{
	ASSERT_EQ(0, make_area(&self->area, variant->hole, variant->ragged));
	self->job = new_job(variant->way, &self->area);
	ASSERT_NE(NULL, self->job);
	ASSERT_EQ(0, worker_start(&self->writer));
	self->monitor = sync_protect(&self->area);
	ASSERT_LE(0, self->monitor);
}

FIXTURE_TEARDOWN(way)
{
	close(self->monitor);
	worker_stop(&self->writer);
	area_free(&self->area);
}

TEST_F(way, waits_or_passes)
{
	struct pages changed, seen;
	struct handler handler;
	long ret;

	ASSERT_EQ(0, handler_start(&handler, self->monitor, self->area.size));
	worker_begin(&self->writer, do_way, self->job, THE_PAGE);
	ret = worker_result(&self->writer);
	if (ret == WAY_SKIPPED)
		SKIP(return, "%s", self->job->reason);
	ASSERT_EQ(0, ret)
		TH_LOG("the way failed: %s", strerror(-ret));
	ASSERT_EQ(0, handler_stop(&handler));

	/* It has changed the page, and whoever it was it did not get by. */
	changed_pages(&self->area, &changed);
	EXPECT_TRUE(changed.has[THE_PAGE] || variant->ragged);
	ASSERT_EQ(0, scan_pages(self->monitor, 0, &seen));
	EXPECT_TRUE(pages_cover(&seen, &changed));
	EXPECT_STREQ("same", handler_compare(&handler, self->area.before));
	EXPECT_TRUE(handler.types & 1U << variant->type)
		TH_LOG("types of events: %#x", handler.types);
	if (variant->manner == WAITS) {
		EXPECT_TRUE(handler.asked.has[THE_PAGE]);
		EXPECT_STREQ("", pages_text(&handler.passed));
	} else {
		EXPECT_EQ(0, handler.nr_waiting);
		EXPECT_TRUE(handler.passed.has[THE_PAGE]);
	}
	handler_free(&handler);
}

/* Nobody answers. */
TEST_F(way, nothing_happens_before_the_answer)
{
	struct wpfile_event event;
	struct stat status;

	if (variant->manner == PASSES)
		return; /* the test above has shown it */
	worker_begin(&self->writer, do_way, self->job, THE_PAGE);
	ASSERT_EQ(0, event_next(self->monitor, &event));
	EXPECT_EQ(WPFILE_WAITING, event.outcome);
	EXPECT_EQ(variant->type, event.type);
	EXPECT_FALSE(worker_has_ended(&self->writer, MOMENT));
	EXPECT_STREQ("", unprotected(self->monitor));
	EXPECT_STREQ("same", compare(self->area.fd, self->area.before,
				     self->area.size));
	ASSERT_EQ(0, fstat(self->area.fd, &status));
	EXPECT_EQ((off_t)self->area.size, status.st_size);
	EXPECT_EQ(0, sync_allow(self->monitor, &event));
	EXPECT_EQ(0, worker_result_allowing(&self->writer, self->monitor));
}

/* --- what calls return --- */

/* clang-format off */
FIXTURE(calls) {
	struct area area;
	int monitor;
	struct worker writer;
	int pipe[2];
	char *data;	/* of PAGES pages, for the writer */
};
/* clang-format on */

FIXTURE_SETUP(calls)
{
	size_t i;

	ASSERT_EQ(0, make_area(&self->area, false, false));
	self->data = malloc(PAGES * PAGE);
	for (i = 0; i < PAGES; i++)
		fill(self->data + i * PAGE, i, 7);
	ASSERT_EQ(0, pipe(self->pipe));
	ASSERT_EQ(0, worker_start(&self->writer));
	self->monitor = sync_protect(&self->area);
	ASSERT_LE(0, self->monitor);
}

FIXTURE_TEARDOWN(calls)
{
	close(self->monitor);
	worker_stop(&self->writer);
	area_free(&self->area);
}

/* Calls are done in the writer, on what it inherited. */
static FIXTURE_DATA(calls) *in_writer(void *argument)
{
	return argument;
}

static long or_errno(ssize_t ret)
{
	return ret < 0 ? -errno : ret;
}

static long write_pages(void *argument, long nr)
{
	FIXTURE_DATA(calls) *self = in_writer(argument);

	return or_errno(write(self->area.fd, self->data, nr * PAGE));
}

static long pwrite_all(void *argument, long page)
{
	FIXTURE_DATA(calls) *self = in_writer(argument);

	return or_errno(pwrite(self->area.fd, self->data + page * PAGE,
			       (PAGES - page) * PAGE, page * PAGE));
}

static long where(FIXTURE_DATA(calls) *self)
{
	return lseek(self->area.fd, 0, SEEK_CUR);
}

/* The part that nobody protects is written at once. */
TEST_F(calls, write_returns_short_before_a_protected_page)
{
	struct wpfile_event event = {};

	ASSERT_EQ(0, wp_unprotect(self->monitor, 0, 2 * PAGE));
	ASSERT_EQ(0, lseek(self->area.fd, 0, SEEK_SET));
	worker_begin(&self->writer, write_pages, self, 4);
	EXPECT_EQ(2 * PAGE, worker_result(&self->writer));
	EXPECT_EQ(2 * PAGE, where(self));
	memcpy(self->area.before, self->data, 2 * PAGE);
	EXPECT_STREQ("same", compare(self->area.fd, self->area.before,
				     self->area.size));

	/* Whoever goes on there waits; the position does not move meanwhile. */
	while (event_is_there(self->monitor, 0))
		ASSERT_EQ(0, event_next(self->monitor, &event));
	worker_begin(&self->writer, write_pages, self, 1);
	ASSERT_TRUE(comes_to_sleep_in(self->writer.pid, SYS_write));
	EXPECT_FALSE(worker_has_ended(&self->writer, MOMENT));
	EXPECT_EQ(2 * PAGE, where(self));
	if (event.id)
		EXPECT_EQ(0, sync_allow(self->monitor, &event));
	EXPECT_EQ(PAGE, worker_result_allowing(&self->writer, self->monitor));
	EXPECT_EQ(3 * PAGE, where(self));
}

/* However the answers fall, every byte arrives in its place, once. */
TEST_F(calls, long_write_in_parts)
{
	struct pages seen;
	long page = 0, ret;

	while (page < PAGES) {
		worker_begin(&self->writer, pwrite_all, self, page);
		ret = worker_result_allowing(&self->writer, self->monitor);
		ASSERT_LT(0, ret);
		ASSERT_EQ(0, ret % PAGE);
		page += ret / PAGE;
		ASSERT_EQ(0, scan_pages(self->monitor, 0, &seen));
		EXPECT_STREQ("same", compare(self->area.fd, self->data,
					     page * PAGE));
	}
	EXPECT_STREQ("0-7", unprotected(self->monitor));
	EXPECT_EQ(PAGES, page);
}

static long write_two_bytes(void *argument, long page)
{
	FIXTURE_DATA(calls) *self = in_writer(argument);

	return or_errno(pwrite(self->area.fd, "xy", 2, (page + 1) * PAGE - 1));
}

TEST_F(calls, write_across_pages_asks_for_both_or_returns_short)
{
	long ret;

	worker_begin(&self->writer, write_two_bytes, self, 3);
	ret = worker_result_allowing(&self->writer, self->monitor);
	EXPECT_TRUE(ret == 1 || ret == 2);
	EXPECT_FALSE(event_is_there(self->monitor, MOMENT));
	EXPECT_STREQ(ret == 1 ? "3" : "3-4", unprotected(self->monitor));
	self->area.before[4 * PAGE - 1] = 'x';
	if (ret == 2)
		self->area.before[4 * PAGE] = 'y';
	EXPECT_STREQ("same", compare(self->area.fd, self->area.before,
				     self->area.size));
}

static long append_byte(void *argument, long value)
{
	FIXTURE_DATA(calls) *self = in_writer(argument);
	char path[32];
	ssize_t done;
	int fd;

	(void)value;
	sprintf(path, "/proc/self/fd/%d", self->area.fd);
	fd = open(path, O_WRONLY | O_APPEND | O_CLOEXEC);
	done = write(fd, "a", 1);
	close(fd);
	return or_errno(done);
}

TEST_F(calls, append_is_done_once)
{
	struct wpfile_event event;
	char bytes[3] = {};
	struct stat status;

	ASSERT_EQ(0, wp_unprotect(self->monitor, 0, WPFILE_TO_END));
	ASSERT_EQ(1, pwrite(self->area.fd, "1", 1, PAGES * PAGE));
	ASSERT_EQ(0, wp_protect(self->monitor, 0, WPFILE_TO_END));
	worker_begin(&self->writer, append_byte, self, 0);
	ASSERT_EQ(0, event_expect(self->monitor, &event, WPFILE_WAITING,
				  PAGES));
	ASSERT_TRUE(comes_to_sleep_in(self->writer.pid, SYS_write));
	ASSERT_EQ(0, sync_allow(self->monitor, &event));
	EXPECT_EQ(1, worker_result(&self->writer));
	ASSERT_EQ(0, fstat(self->area.fd, &status));
	EXPECT_EQ((off_t)(PAGES * PAGE + 2), status.st_size);
	EXPECT_EQ(2, pread(self->area.fd, bytes, 3, PAGES * PAGE));
	EXPECT_STREQ("1a", bytes);
}

static long write_nowait(void *argument, long page)
{
	FIXTURE_DATA(calls) *self = in_writer(argument);
	struct iovec iov = { self->data, PAGE };

	return or_errno(pwritev2(self->area.fd, &iov, 1, page * PAGE,
				 RWF_NOWAIT));
}

TEST_F(calls, nowait_passes)
{
	struct wpfile_event event;
	long ret;

	worker_begin(&self->writer, write_nowait, self, THE_PAGE);
	ret = worker_result(&self->writer);
	SKIP_UNLESS(ret != -EOPNOTSUPP, "this file knows no RWF_NOWAIT");
	EXPECT_EQ(PAGE, ret);
	EXPECT_EQ(0, event_expect(self->monitor, &event, WPFILE_PASSED,
				  THE_PAGE));
	EXPECT_STREQ("same", compare(self->monitor, self->area.before,
				     self->area.size));
}

/* O_NONBLOCK says nothing about regular files. */
TEST_F(calls, nonblocking_descriptor_waits_too)
{
	struct wpfile_event event;

	ASSERT_EQ(0, fcntl(self->area.fd, F_SETFL, O_NONBLOCK));
	worker_begin(&self->writer, pwrite_all, self, PAGES - 1);
	ASSERT_EQ(0, event_expect(self->monitor, &event, WPFILE_WAITING,
				  PAGES - 1));
	EXPECT_FALSE(worker_has_ended(&self->writer, MOMENT));
	EXPECT_EQ(0, sync_allow(self->monitor, &event));
	EXPECT_EQ(PAGE, worker_result(&self->writer));
}

/* --- splice, sendfile: what was taken from the source is not lost --- */

static long splice_pages(void *argument, long nr)
{
	FIXTURE_DATA(calls) *self = in_writer(argument);
	off_t offset = THE_PAGE * PAGE;

	return or_errno(splice(self->pipe[0], NULL, self->area.fd, &offset,
			       nr * PAGE, 0));
}

TEST_F(calls, splice_loses_nothing)
{
	long done = 0, ret;
	char more[2 * PAGE];

	ASSERT_EQ((ssize_t)(2 * PAGE),
		  write(self->pipe[1], self->data, 2 * PAGE));
	worker_begin(&self->writer, splice_pages, self, 2);
	ASSERT_TRUE(comes_to_sleep_in(self->writer.pid, SYS_splice));
	EXPECT_FALSE(worker_has_ended(&self->writer, MOMENT));
	ret = worker_result_allowing(&self->writer, self->monitor);
	ASSERT_LT(0, ret);
	done = ret;
	memcpy(self->area.before + THE_PAGE * PAGE, self->data, done);
	EXPECT_STREQ("same", compare(self->area.fd, self->area.before,
				     self->area.size));
	/* The rest is where it was. */
	if (done < (long)(2 * PAGE))
		ASSERT_EQ(2 * (long)PAGE - done,
			  read(self->pipe[0], more, sizeof(more)));
	EXPECT_STREQ("same", compare_memory(more, self->data + done,
					    2 * PAGE - done));
}

TEST_F(calls, failed_splice_loses_nothing)
{
	struct wpfile_event event;
	char more[2 * PAGE];

	ASSERT_EQ((ssize_t)PAGE, write(self->pipe[1], self->data, PAGE));
	worker_begin(&self->writer, splice_pages, self, 1);
	ASSERT_EQ(0, event_expect(self->monitor, &event, WPFILE_WAITING,
				  THE_PAGE));
	EXPECT_EQ(0, sync_fail(self->monitor, &event));
	EXPECT_EQ(-EPERM, worker_result(&self->writer));
	ASSERT_EQ((ssize_t)PAGE, read(self->pipe[0], more, sizeof(more)));
	EXPECT_STREQ("same", compare_memory(more, self->data, PAGE));
	EXPECT_STREQ("same", compare(self->area.fd, self->area.before,
				     self->area.size));
}

/* From a file at its position, to the protected one at its. */
static long sendfile_pages(void *argument, long from)
{
	FIXTURE_DATA(calls) *self = in_writer(argument);

	return or_errno(sendfile(self->area.fd, from, NULL, 4 * PAGE));
}

TEST_F(calls, sendfile_goes_on_where_it_was)
{
	int from = memfd_create("from", MFD_CLOEXEC);
	long done = 0, ret;

	ASSERT_EQ((ssize_t)(4 * PAGE), write(from, self->data, 4 * PAGE));
	ASSERT_EQ(0, lseek(from, 0, SEEK_SET));
	ASSERT_EQ((off_t)(2 * PAGE),
		  lseek(self->area.fd, 2 * PAGE, SEEK_SET));
	worker_stop(&self->writer);
	ASSERT_EQ(0, worker_start(&self->writer)); /* with @from */
	ASSERT_EQ(0, wp_unprotect(self->monitor, 2 * PAGE, PAGE));
	while (done < (long)(4 * PAGE)) {
		worker_begin(&self->writer, sendfile_pages, self, from);
		ret = worker_result_allowing(&self->writer, self->monitor);
		ASSERT_LT(0, ret);
		done += ret;
		EXPECT_EQ(done, lseek(from, 0, SEEK_CUR));
		EXPECT_EQ((off_t)(2 * PAGE) + done, where(self));
	}
	EXPECT_EQ((long)(4 * PAGE), done);
	memcpy(self->area.before + 2 * PAGE, self->data, 4 * PAGE);
	EXPECT_STREQ("same", compare(self->area.fd, self->area.before,
				     self->area.size));
	close(from);
}

/* --- what is discarded --- */

static long punch_all(void *argument, long page)
{
	FIXTURE_DATA(calls) *self = in_writer(argument);

	return or_errno(fallocate(self->area.fd,
				  FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
				  page * PAGE, (PAGES - page) * PAGE));
}

static long truncate_at(void *argument, long size)
{
	FIXTURE_DATA(calls) *self = in_writer(argument);

	return or_errno(ftruncate(self->area.fd, size));
}

static long open_truncated(void *argument, long value)
{
	FIXTURE_DATA(calls) *self = in_writer(argument);
	char path[32];
	int fd;

	(void)value;
	sprintf(path, "/proc/self/fd/%d", self->area.fd);
	fd = open(path, O_RDWR | O_TRUNC | O_CLOEXEC);
	return fd < 0 ? -errno : close(fd);
}

static long madvise_remove(void *argument, long page)
{
	FIXTURE_DATA(calls) *self = in_writer(argument);

	return or_errno(madvise(self->area.map + page * PAGE, PAGE,
				MADV_REMOVE));
}

static void expect_unchanged(struct __test_metadata *const _metadata,
			     FIXTURE_DATA(calls) *self)
{
	struct stat status;

	EXPECT_STREQ("same", compare(self->area.fd, self->area.before,
				     self->area.size));
	ASSERT_EQ(0, fstat(self->area.fd, &status));
	EXPECT_EQ((off_t)self->area.size, status.st_size);
}

TEST_F(calls, failed_discards_change_nothing)
{
	static const struct {
		worker_fn fn;
		long value;
	} calls[] = {
		{ punch_all, 2 },
		{ truncate_at, THE_PAGE * PAGE },
		{ truncate_at, THE_PAGE * PAGE + 100 },
		{ open_truncated, 0 },
	};
	struct wpfile_event event;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(calls); i++) {
		worker_begin(&self->writer, calls[i].fn, self, calls[i].value);
		ASSERT_EQ(0, event_next(self->monitor, &event));
		ASSERT_EQ(WPFILE_WAITING, event.outcome);
		EXPECT_EQ(WPFILE_EVENT_DISCARD, event.type);
		ASSERT_EQ(0, sync_fail(self->monitor, &event));
		EXPECT_EQ(-EPERM, worker_result(&self->writer))
			TH_LOG("call %zu", i);
		expect_unchanged(_metadata, self);
		EXPECT_STREQ("", unprotected(self->monitor));
	}
}

/* All of it or nothing: it waits until the last page is allowed. */
TEST_F(calls, long_discard_is_done_at_once)
{
	struct wpfile_event event;
	struct pages asked = {};

	worker_begin(&self->writer, punch_all, self, 2);
	while (event_is_there(self->monitor, 1000)) {
		ASSERT_EQ(0, event_next(self->monitor, &event));
		ASSERT_EQ(WPFILE_WAITING, event.outcome);
		expect_unchanged(_metadata, self);
		asked.has[event.offset / PAGE] = 1;
		ASSERT_EQ(0, sync_allow(self->monitor, &event));
	}
	EXPECT_EQ(0, worker_result(&self->writer));
	EXPECT_STREQ("2-7", pages_text(&asked));
	memset(self->area.before + 2 * PAGE, 0, (PAGES - 2) * PAGE);
	expect_unchanged(_metadata, self);
}

/* One page of a long discard refused: none of it is done. */
TEST_F(calls, long_discard_fails_as_a_whole)
{
	struct wpfile_event event;
	bool failed = false;

	worker_begin(&self->writer, punch_all, self, 2);
	while (!failed) {
		ASSERT_EQ(0, event_next(self->monitor, &event));
		failed = event.offset == 5 * PAGE;
		ASSERT_EQ(0, wp_resolve(self->monitor, event.id,
					  failed ? WPFILE_FAIL :
						   WPFILE_ALLOW));
	}
	EXPECT_EQ(-EPERM, worker_result(&self->writer));
	expect_unchanged(_metadata, self);
}

TEST_F(calls, growing_and_allocating_ask_nobody)
{
	worker_begin(&self->writer, truncate_at, self, 2 * PAGES * PAGE);
	EXPECT_EQ(0, worker_result(&self->writer));
	ASSERT_EQ(0, fallocate(self->area.fd, 0, 0, 2 * PAGES * PAGE));
	EXPECT_FALSE(event_is_there(self->monitor, MOMENT));
}

/* A call on memory, not on the file; whether it waits or passes, it asks. */
TEST_F(calls, madvise_remove_is_noticed)
{
	struct handler handler;

	ASSERT_EQ(0, handler_start(&handler, self->monitor, self->area.size));
	worker_begin(&self->writer, madvise_remove, self, THE_PAGE);
	EXPECT_EQ(0, worker_result(&self->writer));
	EXPECT_EQ(0, handler_stop(&handler));
	EXPECT_TRUE(handler.asked.has[THE_PAGE] ||
		    handler.passed.has[THE_PAGE]);
	EXPECT_EQ(1U << WPFILE_EVENT_DISCARD, handler.types);
	EXPECT_STREQ("same", handler_compare(&handler, self->area.before));
	handler_free(&handler);
}

/* --- what is no write --- */

static long read_all(void *argument, long value)
{
	FIXTURE_DATA(calls) *self = in_writer(argument);

	(void)value;
	area_load(&self->area);
	return or_errno(pread(self->area.fd, self->data, PAGES * PAGE, 0));
}

static long no_bytes(void *argument, long page)
{
	FIXTURE_DATA(calls) *self = in_writer(argument);

	return or_errno(pwrite(self->area.fd, self->data, 0, page * PAGE));
}

static long bad_buffer(void *argument, long page)
{
	FIXTURE_DATA(calls) *self = in_writer(argument);
	void *bad = mmap(NULL, PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS,
			 -1, 0);

	return or_errno(pwrite(self->area.fd, bad, PAGE, page * PAGE));
}

static long private_store(void *argument, long page)
{
	FIXTURE_DATA(calls) *self = in_writer(argument);
	char *map = mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE, self->area.fd, 0);

	if (map == MAP_FAILED)
		return -errno;
	map[page * PAGE] = 'p';
	return munmap(map, PAGES * PAGE);
}

TEST_F(calls, who_does_not_write_does_not_wait)
{
	worker_begin(&self->writer, read_all, self, 0);
	EXPECT_EQ(PAGES * PAGE, worker_result(&self->writer));
	worker_begin(&self->writer, no_bytes, self, THE_PAGE);
	EXPECT_EQ(0, worker_result(&self->writer));
	worker_begin(&self->writer, private_store, self, THE_PAGE);
	EXPECT_EQ(0, worker_result(&self->writer));
	EXPECT_FALSE(event_is_there(self->monitor, MOMENT));
	EXPECT_STREQ("", unprotected(self->monitor));
}

/* A write that then fails by itself does so after the answer, not before. */
TEST_F(calls, bad_buffer_is_efault_in_the_end)
{
	worker_begin(&self->writer, bad_buffer, self, THE_PAGE);
	EXPECT_EQ(-EFAULT,
		  worker_result_allowing(&self->writer, self->monitor));
	EXPECT_STREQ("same", compare(self->area.fd, self->area.before,
				     self->area.size));
}

/* The buffer of the call is a page of the file, as protected as the other. */
static long write_from_itself(void *argument, long page)
{
	FIXTURE_DATA(calls) *self = in_writer(argument);

	return or_errno(pwrite(self->area.fd, self->area.map, PAGE,
			       page * PAGE));
}

static long read_into_itself(void *argument, long page)
{
	FIXTURE_DATA(calls) *self = in_writer(argument);

	return or_errno(pread(self->area.fd, self->area.map + page * PAGE,
			      PAGE, 0));
}

TEST_F(calls, source_and_target_are_one_file)
{
	struct wpfile_event event;

	worker_begin(&self->writer, write_from_itself, self, THE_PAGE);
	ASSERT_EQ(0, event_expect(self->monitor, &event, WPFILE_WAITING,
				  THE_PAGE));
	EXPECT_EQ(0, sync_allow(self->monitor, &event));
	EXPECT_EQ(PAGE, worker_result(&self->writer));
	worker_begin(&self->writer, read_into_itself, self, 5);
	EXPECT_EQ(PAGE, worker_result(&self->writer));
	EXPECT_EQ(0, event_expect(self->monitor, &event, WPFILE_PASSED, 5));
	memcpy(self->area.before + THE_PAGE * PAGE, self->area.before, PAGE);
	memcpy(self->area.before + 5 * PAGE, self->area.before, PAGE);
	EXPECT_STREQ("same", compare(self->area.fd, self->area.before,
				     self->area.size));
}

/* --- a file system on top --- */

/* Overlayfs writes with the credentials of who mounted it, holding its locks. */
TEST(write_through_overlayfs_passes)
{
	struct area upper = { .kind = TMPFS, .size = 2 * PAGE };
	struct area merged = upper;
	struct wpfile_event event;
	struct overlay overlay;
	struct worker writer;
	char before[2 * PAGE];
	struct job *call, *store;
	int monitor, ret;

	ret = overlay_mount(&overlay);
	SKIP_UNLESS(!ret, "cannot mount overlayfs: %s", strerror(-ret));
	merged.fd = overlay_open(&overlay, "merged");
	ASSERT_LE(0, merged.fd);
	memset(before, 'b', sizeof(before));
	ASSERT_EQ((ssize_t)sizeof(before),
		  pwrite(merged.fd, before, sizeof(before), 0));
	ASSERT_EQ(0, area_map(&merged));
	upper.fd = overlay_open(&overlay, "upper");
	ASSERT_LE(0, upper.fd);
	call = new_job(way_pwrite, &merged);
	store = new_job(way_store, &merged);
	ASSERT_EQ(0, worker_start(&writer));
	monitor = sync_protect(&upper);
	ASSERT_LE(0, monitor);

	worker_begin(&writer, do_way, call, 0);
	EXPECT_EQ(0, worker_result(&writer));
	EXPECT_EQ(0, event_expect(monitor, &event, WPFILE_PASSED, 0));
	/* A store goes to the file below, as any store does. */
	worker_begin(&writer, do_way, store, 1);
	ASSERT_EQ(0, event_expect(monitor, &event, WPFILE_WAITING, 1));
	EXPECT_FALSE(worker_has_ended(&writer, MOMENT));
	EXPECT_STREQ("same", compare(monitor, before, sizeof(before)));
	EXPECT_EQ(0, sync_allow(monitor, &event));
	EXPECT_EQ(0, worker_result(&writer));

	close(monitor);
	worker_stop(&writer);
	area_free(&merged);
	area_free(&upper);
	overlay_unmount(&overlay);
}

/* --- the events of the monitor itself --- */

static long read_event_into_the_file(void *argument, long monitor)
{
	FIXTURE_DATA(calls) *self = in_writer(argument);

	return or_errno(read(monitor, self->area.map + 5 * PAGE,
			     sizeof(struct wpfile_event)));
}

/* A handler reads events into a page that it protects: it does not hang. */
TEST_F(calls, events_are_read_into_a_protected_page)
{
	struct wpfile_event event, *seen;
	struct worker handler;

	ASSERT_EQ(0, worker_start_thread(&handler));
	worker_begin(&self->writer, pwrite_all, self, PAGES - 1);
	ASSERT_TRUE(comes_to_sleep_in(self->writer.pid, SYS_pwrite64));
	worker_begin(&handler, read_event_into_the_file, self, self->monitor);
	ASSERT_EQ((long)sizeof(event), worker_result(&handler));
	seen = (void *)(self->area.map + 5 * PAGE);
	EXPECT_EQ(WPFILE_WAITING, seen->outcome);
	EXPECT_EQ(0, sync_allow(self->monitor, seen));
	EXPECT_EQ(PAGE, worker_result(&self->writer));
	EXPECT_EQ(0, event_expect(self->monitor, &event, WPFILE_PASSED, 5));
	EXPECT_STREQ("same", compare_memory(self->area.before, self->area.map,
					    5 * PAGE));
	worker_stop(&handler);
}

/* Its first chunk is written; it returns that, whatever is answered for the next. */
TEST(sendfile_that_has_done_a_part_returns_that)
{
	struct wpfile_resolve fail = { .size = sizeof(fail),
				       .verdict = WPFILE_FAIL };
	struct wpfile_event event;
	struct area area, source;
	int monitor, status;
	off_t from = 0;
	pid_t pid;

	ASSERT_EQ(0, area_make_filled(&area, MEMFD, 32 * PAGE));
	ASSERT_EQ(0, area_make_filled(&source, MEMFD, 32 * PAGE));
	monitor = wp_monitor(area.fd, WPFILE_SYNC);
	ASSERT_LE(0, monitor);
	ASSERT_EQ(0, wp_protect(monitor, 20 * PAGE, PAGE));
	pid = fork();
	if (!pid)
		_exit(sendfile(area.fd, source.fd, &from, 32 * PAGE) ==
				      (ssize_t)(20 * PAGE) ?
			      0 :
			      1);
	ASSERT_EQ((ssize_t)sizeof(event), read(monitor, &event, sizeof(event)));
	EXPECT_EQ(20 * PAGE, event.offset);
	fail.id = event.id;
	EXPECT_EQ(0, wp_call(monitor, WPFILE_IOC_RESOLVE, &fail));
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(0, status);
	close(monitor);
	area_free(&area);
	area_free(&source);
}

TEST_HARNESS_MAIN
