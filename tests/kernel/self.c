// SPDX-License-Identifier: GPL-2.0-only
/*
 * The file, its snapshot and its monitor used on one another: answers, buffers
 * and sources lie in the very pages that are protected.  Nothing may hang, and
 * every byte must be right.
 */
#include "harness.h"
#include <fcntl.h>
#include <pthread.h>
#include <sys/ioctl.h>
#include <sys/sendfile.h>
#include <sys/uio.h>

#define PAGES 32

/* clang-format off */
FIXTURE(self) {
	struct area area;
	int monitor;
	int snapshot;
	char *snap;	/* the snapshot, mapped */
};

FIXTURE_VARIANT(self) {
	enum kind kind;
	size_t size;
};

FIXTURE_VARIANT_ADD(self, memfd) { .kind = MEMFD, .size = PAGES * PAGE };
FIXTURE_VARIANT_ADD(self, huge) { .kind = TMPFS_HUGE, .size = HUGE };
/* clang-format on */

FIXTURE_SETUP(self)
{
	ASSERT_EQ(0, area_make_filled(&self->area, variant->kind,
				      variant->size));
	area_touch(&self->area);
	if (variant->kind == TMPFS_HUGE)
		SKIP_UNLESS(area_is_huge(&self->area), "got no huge mapping");
	self->monitor = area_protect(&self->area, WPFILE_TRACK);
	ASSERT_LE(0, self->monitor);
	self->snapshot = area_snapshot(&self->area);
	ASSERT_LE(0, self->snapshot);
	self->snap = map_file(self->snapshot, self->area.size, PROT_READ);
	ASSERT_NE(NULL, self->snap);
}

FIXTURE_TEARDOWN(self)
{
	munmap(self->snap, self->area.size);
	close(self->snapshot);
	close(self->monitor);
	area_free(&self->area);
}

static void expect_snapshot(struct __test_metadata *const _metadata,
			    FIXTURE_DATA(self) *self)
{
	EXPECT_STREQ("same", compare(self->snapshot, self->area.before,
				     self->area.size));
	EXPECT_STREQ("same", compare_memory(self->snap, self->area.before,
					    self->area.size));
}

/* --- answers --- */

TEST_F(self, scan_answers_into_protected_pages)
{
	struct wpfile_scan *scan = (void *)(self->area.map + 7 * PAGE);
	struct wpfile_range *ranges = (void *)(self->area.map + 9 * PAGE);
	struct pages seen;

	*(volatile char *)(self->area.map + 3 * PAGE) = 'x';
	ASSERT_EQ(0, wp_scan(self->monitor, scan, ranges, 16, 0, WPFILE_TO_END,
			     WPFILE_SCAN_PROTECT));
	EXPECT_LE(1, scan->ret_nr_ranges);
	/* The answer is a write of its own. */
	ASSERT_EQ(0, scan_pages(self->monitor, 0, &seen));
	EXPECT_TRUE(seen.has[9]);
	expect_snapshot(_metadata, self);
}

TEST_F(self, snapshot_answers_into_the_file)
{
	struct wpfile_snapshot *request = (void *)(self->area.map + 7 * PAGE);
	char *now = malloc(self->area.size);
	int fd;

	*request = (struct wpfile_snapshot){ .size = sizeof(*request) };
	ASSERT_EQ((ssize_t)self->area.size,
		  pread(self->area.fd, now, self->area.size, 0));
	fd = ioctl(self->area.fd, WPFILE_IOC_SNAPSHOT, request);
	ASSERT_LE(0, fd);
	EXPECT_EQ(self->area.size, request->ret_bytes);
	/* The answer came after the cut. */
	EXPECT_STREQ("same", compare(fd, now, self->area.size));
	expect_snapshot(_metadata, self);
}

TEST_F(self, protect_answers_into_what_it_protects)
{
	struct wpfile_protect *request = (void *)(self->area.map + 7 * PAGE);
	struct wpfile_range *range = (void *)(self->area.map + 9 * PAGE);
	int monitor = area_monitor(&self->area, WPFILE_CAPTURE);
	char *now = malloc(self->area.size);

	*range = (struct wpfile_range){ 0, WPFILE_TO_END };
	*request = (struct wpfile_protect){ .size = sizeof(*request),
					    .ranges = (uintptr_t)range,
					    .nr_ranges = 1 };
	ASSERT_EQ((ssize_t)self->area.size,
		  pread(self->area.fd, now, self->area.size, 0));
	ASSERT_EQ(0, ioctl(monitor, WPFILE_IOC_PROTECT, request));
	EXPECT_STREQ("same", compare(monitor, now, self->area.size));
	expect_snapshot(_metadata, self);
	close(monitor);
}

/* --- the snapshot is read into the file --- */

TEST_F(self, snapshot_is_read_into_the_file)
{
	size_t half = self->area.size / 2;

	/* Each page over another one, then over itself. */
	ASSERT_EQ((ssize_t)half, pread(self->snapshot, self->area.map + half,
				       half, 0));
	EXPECT_STREQ("same", compare_memory(self->area.map + half,
					    self->area.before, half));
	ASSERT_EQ((ssize_t)half,
		  pread(self->snapshot, self->area.map, half, 0));
	expect_snapshot(_metadata, self);
}

TEST_F(self, snapshot_is_read_into_the_file_misaligned)
{
	ASSERT_EQ((ssize_t)(20 * PAGE),
		  pread(self->snapshot, self->area.map + 5 * PAGE + 123,
			20 * PAGE, 4 * PAGE + 77));
	EXPECT_STREQ("same",
		     compare_memory(self->area.map + 5 * PAGE + 123,
				    self->area.before + 4 * PAGE + 77,
				    20 * PAGE));
	expect_snapshot(_metadata, self);
}

TEST_F(self, capture_monitor_is_read_into_the_file)
{
	int monitor = area_protect(&self->area, WPFILE_CAPTURE);

	ASSERT_EQ((ssize_t)(20 * PAGE),
		  pread(monitor, self->area.map + 100, 20 * PAGE, 0));
	EXPECT_STREQ("same", compare(monitor, self->area.before,
				     self->area.size));
	expect_snapshot(_metadata, self);
	close(monitor);
}

/* --- the file is written from the snapshot --- */

TEST_F(self, mapped_snapshot_is_written_to_the_file)
{
	size_t page;

	for (page = 0; page < PAGES; page++)
		ASSERT_EQ((ssize_t)PAGE,
			  pwrite(self->area.fd, self->snap + page * PAGE, PAGE,
				 page * PAGE));
	ASSERT_EQ((ssize_t)(20 * PAGE),
		  pwrite(self->area.fd, self->snap + 3 * PAGE + 50, 20 * PAGE,
			 100));
	expect_snapshot(_metadata, self);
}

TEST_F(self, file_is_written_from_its_own_mapping)
{
	ASSERT_EQ((ssize_t)(20 * PAGE),
		  pwrite(self->area.fd, self->area.map + 5 * PAGE + 50,
			 20 * PAGE, 100));
	expect_snapshot(_metadata, self);
}

TEST_F(self, sendfile_from_the_snapshot_to_the_file)
{
	off_t offset = 5 * PAGE;

	ASSERT_EQ(0, lseek(self->area.fd, 0, SEEK_SET));
	ASSERT_LT(0, sendfile(self->area.fd, self->snapshot, &offset,
			      20 * PAGE));
	expect_snapshot(_metadata, self);
}

TEST_F(self, memory_is_copied_from_the_snapshot_to_the_file)
{
	struct iovec from = { self->snap, PAGES * PAGE };
	struct iovec to = { self->area.map, PAGES * PAGE };

	memcpy(self->area.map + PAGE, self->snap, (PAGES - 1) * PAGE);
	ASSERT_EQ((ssize_t)(PAGES * PAGE),
		  process_vm_writev(getpid(), &from, 1, &to, 1, 0));
	EXPECT_STREQ("same", compare_memory(self->area.map, self->area.before,
					    PAGES * PAGE));
	expect_snapshot(_metadata, self);
}

/* The kernel reads and writes the same page table in one call. */
TEST_F(self, file_is_read_into_its_own_mapping)
{
	ASSERT_EQ((ssize_t)(20 * PAGE),
		  pread(self->area.fd, self->area.map + 5 * PAGE + 50,
			20 * PAGE, 100));
	expect_snapshot(_metadata, self);
}

/* --- all of it at once, from several threads --- */

struct thread {
	struct area *area;
	int snapshot;
	char *snap;
	volatile bool stop;
};

static void *copy_to_file(void *argument)
{
	struct thread *thread = argument;
	size_t page;

	while (!thread->stop)
		for (page = 0; page < PAGES; page++)
			pwrite(thread->area->fd, thread->snap + page * PAGE,
			       PAGE, (PAGES - 1 - page) * PAGE);
	return NULL;
}

static void *read_into_map(void *argument)
{
	struct thread *thread = argument;

	while (!thread->stop)
		pread(thread->snapshot, thread->area->map, PAGES * PAGE, 0);
	return NULL;
}

static void *snapshot_again(void *argument)
{
	struct thread *thread = argument;

	while (!thread->stop)
		close(area_snapshot(thread->area));
	return NULL;
}

static void *drop_and_load(void *argument)
{
	struct thread *thread = argument;

	while (!thread->stop) {
		madvise(thread->area->map, thread->area->size, MADV_DONTNEED);
		madvise(thread->snap, thread->area->size, MADV_DONTNEED);
		*(volatile char *)(thread->snap + 3 * PAGE);
	}
	return NULL;
}

TEST_F(self, all_at_once)
{
	void *(*const uses[])(void *) = { copy_to_file, read_into_map,
					  snapshot_again, drop_and_load };
	struct thread thread = { .area = &self->area,
				 .snapshot = self->snapshot,
				 .snap = self->snap };
	pthread_t threads[ARRAY_SIZE(uses)];
	uint64_t end;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(uses); i++)
		ASSERT_EQ(0, pthread_create(&threads[i], NULL, uses[i],
					    &thread));
	end = now_ns() + seconds_to_run(2) * 1000000000ULL;
	while (now_ns() < end)
		expect_snapshot(_metadata, self);
	thread.stop = true;
	for (i = 0; i < ARRAY_SIZE(uses); i++)
		ASSERT_EQ(0, pthread_join(threads[i], NULL));
	expect_snapshot(_metadata, self);
}

TEST_HARNESS_MAIN
