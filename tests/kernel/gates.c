// SPDX-License-Identifier: GPL-2.0-only
/*
 * Writes by system calls on the file: the gates in shmem's write_iter,
 * fallocate, setattr and undo_range.
 */
#include "matrix.h"
#include <linux/falloc.h>

/* clang-format off */
#define NOTHING_TO_LOSE "a hole has nothing to lose"

ROW(pwrite);
ROW(pwrite_two_bytes);
ROW(write);
ROW(pwritev2);
ROW(direct_write);
ROW(aio);
ROW(io_uring_write);
ROW(io_uring_write_by_worker);
ROW(io_uring_write_fixed);
ROW(splice);
ROW(vmsplice_and_splice);
ROW(tee_and_splice);
ROW(sendfile);
ROW(copy_file_range);
ROW_BUT_HOLE(punch_hole, NOTHING_TO_LOSE);
ROW_BUT_HOLE(punch_ragged_hole, NOTHING_TO_LOSE);
ROW_BUT_HOLE(truncate, NOTHING_TO_LOSE);
ROW_BUT_HOLE(truncate_ragged, NOTHING_TO_LOSE);
ROW_BUT_HOLE(open_truncate, NOTHING_TO_LOSE);
ROW_BUT_HOLE_ON(truncate_up, truncate_up, ragged,
		"growing adds zeros to a hole");
ROW_ON(append, append, ragged);
ROW_ON(acct, acct, ragged);
ROW(loop_device);
ROW_BUT_HOLE(loop_discard, NOTHING_TO_LOSE);

FIXTURE(size) {
	struct area area;
	int monitor;
	int snapshot;
};
/* clang-format on */

/* Four pages and a part of a fifth; a monitor without an end. */
FIXTURE_SETUP(size)
{
	ASSERT_EQ(0, area_make_filled(&self->area, MEMFD, 4 * PAGE + 100));
	self->monitor = area_protect(&self->area, WPFILE_TRACK);
	ASSERT_LE(0, self->monitor);
	self->snapshot = area_snapshot(&self->area);
	ASSERT_LE(0, self->snapshot);
}

FIXTURE_TEARDOWN(size)
{
	area_free(&self->area);
}

/* Bytes that were stored behind the end become content when the file grows. */
TEST_F(size, growing_reports_the_page_of_the_old_end)
{
	struct pages seen;

	self->area.map[4 * PAGE + 200] = 'x';
	EXPECT_STREQ("4", written(self->monitor));
	ASSERT_EQ(0, ftruncate(self->area.fd, 8 * PAGE));
	ASSERT_EQ(0, scan_pages(self->monitor, WPFILE_SCAN_PROTECT, &seen));
	EXPECT_TRUE(seen.has[4])
		TH_LOG("reported: %s", pages_text(&seen));
	EXPECT_FALSE(seen.has[3]);
	EXPECT_STREQ("", written(self->monitor));
}

TEST_F(size, growing_does_not_change_the_snapshot)
{
	struct stat status;
	char byte;

	self->area.map[4 * PAGE + 200] = 'x';
	ASSERT_EQ(0, ftruncate(self->area.fd, 8 * PAGE));
	ASSERT_EQ(1, pwrite(self->area.fd, "y", 1, 6 * PAGE));
	EXPECT_STREQ("same", compare(self->snapshot, self->area.before,
				     self->area.size));
	ASSERT_EQ(0, fstat(self->snapshot, &status));
	EXPECT_EQ((off_t)self->area.size, status.st_size);
	EXPECT_EQ(0, pread(self->snapshot, &byte, 1, self->area.size));
	EXPECT_EQ(0, pread(self->snapshot, &byte, 1, 6 * PAGE));
}

TEST_F(size, page_that_did_not_exist_at_protect_is_protected)
{
	ASSERT_EQ(0, ftruncate(self->area.fd, 8 * PAGE));
	written(self->monitor);
	ASSERT_EQ(1, pwrite(self->area.fd, "y", 1, 6 * PAGE));
	EXPECT_STREQ("6", written(self->monitor));
}

TEST_F(size, write_behind_the_end_is_reported)
{
	struct pages seen;

	ASSERT_EQ(2, pwrite(self->area.fd, "yy", 2, 7 * PAGE - 1));
	ASSERT_EQ(0, scan_pages(self->monitor, WPFILE_SCAN_PROTECT, &seen));
	EXPECT_TRUE(seen.has[6] && seen.has[7])
		TH_LOG("reported: %s", pages_text(&seen));
	EXPECT_FALSE(seen.has[3]);
	EXPECT_STREQ("", written(self->monitor));
}

TEST_F(size, fallocate_behind_the_end_does_not_change_the_snapshot)
{
	struct stat status;

	ASSERT_EQ(0, fallocate(self->area.fd, 0, 0, 8 * PAGE));
	EXPECT_STREQ("same", compare(self->snapshot, self->area.before,
				     self->area.size));
	ASSERT_EQ(0, fstat(self->snapshot, &status));
	EXPECT_EQ((off_t)self->area.size, status.st_size);
}

/* What is cut off and comes back as zeros has been changed. */
TEST_F(size, shrinking_reports_what_was_cut_off)
{
	ASSERT_EQ(0, ftruncate(self->area.fd, 2 * PAGE));
	EXPECT_STREQ("", unprotected(self->monitor));
	ASSERT_EQ(0, ftruncate(self->area.fd, 4 * PAGE));
	EXPECT_STREQ("2-3", written(self->monitor));
	EXPECT_STREQ("same", compare(self->snapshot, self->area.before,
				     self->area.size));
}

TEST_F(size, punching_behind_the_end_changes_nothing)
{
	ASSERT_EQ(0, fallocate(self->area.fd,
			       FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
			       6 * PAGE, PAGE));
	EXPECT_STREQ("", written(self->monitor));
	EXPECT_STREQ("same", compare(self->snapshot, self->area.before,
				     self->area.size));
}

/* --- a file system on top --- */

/* The writer opens merged/file; the monitor is on upper/file. */
TEST(write_through_overlayfs_is_reported)
{
	int upper, merged, monitor, snapshot, ret;
	char before[2 * PAGE], *map;
	struct overlay overlay;

	ret = overlay_mount(&overlay);
	SKIP_UNLESS(!ret, "cannot mount overlayfs: %s", strerror(-ret));
	merged = overlay_open(&overlay, "merged");
	ASSERT_LE(0, merged);
	memset(before, 'b', sizeof(before));
	ASSERT_EQ((ssize_t)sizeof(before),
		  pwrite(merged, before, sizeof(before), 0));
	upper = overlay_open(&overlay, "upper");
	ASSERT_LE(0, upper);

	monitor = wp_monitor(upper, WPFILE_TRACK);
	ASSERT_LE(0, monitor);
	ASSERT_EQ(0, wp_protect(monitor, 0, WPFILE_TO_END));
	snapshot = wp_snapshot(upper);
	ASSERT_LE(0, snapshot);
	EXPECT_EQ(1, pwrite(merged, "a", 1, PAGE));
	EXPECT_STREQ("1", written(monitor));
	map = map_file(merged, sizeof(before), PROT_READ | PROT_WRITE);
	ASSERT_NE(NULL, map);
	map[0] = 'a';
	EXPECT_STREQ("0", written(monitor));
	EXPECT_STREQ("same", compare(snapshot, before, sizeof(before)));

	munmap(map, sizeof(before));
	close(monitor);
	close(snapshot);
	close(upper);
	close(merged);
	overlay_unmount(&overlay);
}

MATRIX_MAIN
