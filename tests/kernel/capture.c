// SPDX-License-Identifier: GPL-2.0-only
/*
 * A WPFILE_CAPTURE monitor: pread() of what it keeps, PROTECT again, ranges,
 * UNPROTECT, SCAN.
 */
#include "harness.h"
#include <fcntl.h>
#include <linux/falloc.h>
#include <poll.h>
#include <sys/ioctl.h>

#define PAGES 16

/* clang-format off */
FIXTURE(capture) {
	struct area area;
	int monitor;
};
/* clang-format on */

FIXTURE_SETUP(capture)
{
	ASSERT_EQ(0, area_make_filled(&self->area, MEMFD, PAGES * PAGE + 100));
	area_touch(&self->area);
	self->monitor = area_monitor(&self->area, WPFILE_CAPTURE);
	ASSERT_LE(0, self->monitor);
}

FIXTURE_TEARDOWN(capture)
{
	close(self->monitor);
	area_free(&self->area);
}

static void store(struct area *area, size_t page, unsigned int version)
{
	fill(area->map + page * PAGE, page, version);
}

/* The version of a page that the monitor knows, or -errno. */
static int version_of(int monitor, size_t page)
{
	char seen[PAGE], wanted[PAGE];
	ssize_t done = pread(monitor, seen, PAGE, page * PAGE);
	int version;

	if (done != (ssize_t)PAGE)
		return done < 0 ? -errno : -ERANGE;
	version = *(uint64_t *)seen >> 40;
	fill(wanted, page, version);
	return memcmp(seen, wanted, PAGE) ? -EILSEQ : version;
}

TEST_F(capture, nothing_is_known_before_the_first_protect)
{
	EXPECT_EQ(-ENODATA, version_of(self->monitor, 0));
	store(&self->area, 0, 2);
	EXPECT_EQ(-ENODATA, version_of(self->monitor, 0));
}

TEST_F(capture, protected_and_captured_pages_have_the_content_at_protect)
{
	ASSERT_EQ(0, wp_protect(self->monitor, 0, WPFILE_TO_END));
	store(&self->area, 3, 2);
	EXPECT_EQ(1, version_of(self->monitor, 3));
	EXPECT_EQ(1, version_of(self->monitor, 4));
	EXPECT_STREQ("same", compare(self->monitor, self->area.before,
				     self->area.size));
}

TEST_F(capture, scan_tells_which_pages_were_captured)
{
	struct wpfile_range range;
	struct wpfile_scan scan;

	ASSERT_EQ(0, wp_protect(self->monitor, 0, WPFILE_TO_END));
	store(&self->area, 3, 2);
	ASSERT_EQ(2, pwrite(self->area.fd, "xx", 2, 9 * PAGE - 1));
	EXPECT_STREQ("3 8-9", unprotected(self->monitor));
	EXPECT_EQ(-EOPNOTSUPP, wp_scan(self->monitor, &scan, &range, 1, 0,
				       WPFILE_TO_END, WPFILE_SCAN_PROTECT));
}

TEST_F(capture, protect_again_takes_the_content_of_now)
{
	ASSERT_EQ(0, wp_protect(self->monitor, 0, WPFILE_TO_END));
	store(&self->area, 3, 2);
	store(&self->area, 4, 2);
	EXPECT_EQ(1, version_of(self->monitor, 3));
	ASSERT_EQ(0, wp_protect(self->monitor, 0, WPFILE_TO_END));
	EXPECT_STREQ("", unprotected(self->monitor));
	EXPECT_EQ(2, version_of(self->monitor, 3));
	store(&self->area, 3, 3);
	store(&self->area, 5, 3);
	EXPECT_EQ(2, version_of(self->monitor, 3));
	EXPECT_EQ(2, version_of(self->monitor, 4));
	EXPECT_EQ(1, version_of(self->monitor, 5));
}

TEST_F(capture, protect_again_of_a_range_leaves_the_rest_alone)
{
	ASSERT_EQ(0, wp_protect(self->monitor, 0, WPFILE_TO_END));
	store(&self->area, 3, 2);
	store(&self->area, 4, 2);
	ASSERT_EQ(0, wp_protect(self->monitor, 4 * PAGE, PAGE));
	EXPECT_EQ(1, version_of(self->monitor, 3));
	EXPECT_EQ(2, version_of(self->monitor, 4));
	store(&self->area, 3, 3);
	store(&self->area, 4, 3);
	EXPECT_EQ(1, version_of(self->monitor, 3));
	EXPECT_EQ(2, version_of(self->monitor, 4));
}

TEST_F(capture, only_the_protected_range_is_known)
{
	ASSERT_EQ(0, wp_protect(self->monitor, 2 * PAGE, 3 * PAGE));
	store(&self->area, 1, 2);
	store(&self->area, 2, 2);
	store(&self->area, 4, 2);
	store(&self->area, 5, 2);
	EXPECT_EQ(-ENODATA, version_of(self->monitor, 1));
	EXPECT_EQ(1, version_of(self->monitor, 2));
	EXPECT_EQ(1, version_of(self->monitor, 3));
	EXPECT_EQ(1, version_of(self->monitor, 4));
	EXPECT_EQ(-ENODATA, version_of(self->monitor, 5));
}

/* Never a byte of a page that is not known. */
TEST_F(capture, pread_stops_before_a_page_that_is_not_known)
{
	char buffer[4 * PAGE];

	ASSERT_EQ(0, wp_protect(self->monitor, 2 * PAGE, 2 * PAGE));
	EXPECT_EQ((ssize_t)(2 * PAGE - 10),
		  pread(self->monitor, buffer, sizeof(buffer), 2 * PAGE + 10));
	EXPECT_STREQ("same",
		     compare_memory(buffer, self->area.before + 2 * PAGE + 10,
				    2 * PAGE - 10));
	EXPECT_EQ(-1, pread(self->monitor, buffer, sizeof(buffer), PAGE));
	EXPECT_EQ(ENODATA, errno);
}

TEST_F(capture, ranges_of_one_call_are_cut_together)
{
	struct wpfile_range ranges[] = {
		{ 8 * PAGE, 2 * PAGE },
		{ 1 * PAGE, PAGE },
		{ 1 * PAGE, 2 * PAGE },
	};

	ASSERT_EQ(0, wp_protect_ranges(self->monitor, ranges, 3));
	EXPECT_STREQ("0 3-7 10-16", unprotected(self->monitor));
	store(&self->area, 1, 2);
	store(&self->area, 2, 2);
	store(&self->area, 9, 2);
	EXPECT_EQ(1, version_of(self->monitor, 1));
	EXPECT_EQ(1, version_of(self->monitor, 2));
	EXPECT_EQ(1, version_of(self->monitor, 9));
}

TEST_F(capture, unprotect_drops_what_was_kept)
{
	ASSERT_EQ(0, wp_protect(self->monitor, 0, WPFILE_TO_END));
	store(&self->area, 3, 2);
	ASSERT_EQ(0, wp_unprotect(self->monitor, 3 * PAGE, 2 * PAGE));
	EXPECT_EQ(-ENODATA, version_of(self->monitor, 3));
	EXPECT_EQ(-ENODATA, version_of(self->monitor, 4));
	EXPECT_EQ(1, version_of(self->monitor, 5));
	store(&self->area, 4, 2);
	EXPECT_EQ(-ENODATA, version_of(self->monitor, 4));
	ASSERT_EQ(0, wp_protect(self->monitor, 3 * PAGE, PAGE));
	EXPECT_EQ(2, version_of(self->monitor, 3));
}

TEST_F(capture, size_is_that_at_the_last_cut)
{
	char byte;

	ASSERT_EQ(0, wp_protect(self->monitor, 0, WPFILE_TO_END));
	ASSERT_EQ(1, pwrite(self->area.fd, "x", 1, 40 * PAGE));
	EXPECT_EQ(0, pread(self->monitor, &byte, 1, self->area.size));
	EXPECT_STREQ("same", compare(self->monitor, self->area.before,
				     self->area.size));
	ASSERT_EQ(0, wp_protect(self->monitor, 0, WPFILE_TO_END));
	ASSERT_EQ(1, pwrite(self->area.fd, "y", 1, 40 * PAGE));
	EXPECT_EQ(1, pread(self->monitor, &byte, 1, 40 * PAGE));
	EXPECT_EQ('x', byte);
	EXPECT_EQ(0, pread(self->monitor, &byte, 1, 40 * PAGE + 1));
}

/* What pread() of a byte says: 0 behind the end. */
static int byte_of(int monitor, size_t page)
{
	char byte;

	return pread(monitor, &byte, 1, page * PAGE);
}

TEST_F(capture, size_shrinks_with_the_file_where_nothing_is_known_beyond)
{
	ASSERT_EQ(0, wp_protect(self->monitor, 0, PAGE));
	ASSERT_EQ(0, ftruncate(self->area.fd, 5 * PAGE));
	EXPECT_EQ(-1, byte_of(self->monitor, 7));
	EXPECT_EQ(ENODATA, errno);
	ASSERT_EQ(0, wp_protect(self->monitor, 0, PAGE));
	EXPECT_EQ(0, byte_of(self->monitor, 7));
	EXPECT_EQ(0, byte_of(self->monitor, 5));
	EXPECT_EQ(-1, byte_of(self->monitor, 4));
	EXPECT_EQ(ENODATA, errno);
}

TEST_F(capture, size_stays_while_a_page_beyond_is_known)
{
	struct wpfile_range ranges[] = {
		{ 0, 8 * PAGE },
		{ 9 * PAGE, WPFILE_TO_END },
	};

	ASSERT_EQ(0, wp_protect(self->monitor, 0, WPFILE_TO_END));
	ASSERT_EQ(0, ftruncate(self->area.fd, 5 * PAGE));
	ASSERT_EQ(0, wp_protect_ranges(self->monitor, ranges, 2));
	EXPECT_EQ(1, version_of(self->monitor, 8));
	EXPECT_EQ(-ENODATA, version_of(self->monitor, 7));
	EXPECT_EQ(-ENODATA, version_of(self->monitor, 9));
	ASSERT_EQ(0, wp_unprotect(self->monitor, 8 * PAGE, PAGE));
	ASSERT_EQ(0, wp_protect(self->monitor, 0, PAGE));
	EXPECT_EQ(0, byte_of(self->monitor, 7));
}

TEST_F(capture, end_within_a_page_that_is_left_alone_stays)
{
	off_t end = self->area.size;
	char bytes[100];

	ASSERT_EQ(100, end % (off_t)PAGE);
	ASSERT_EQ(0, wp_protect(self->monitor, 0, WPFILE_TO_END));
	ASSERT_EQ(0, ftruncate(self->area.fd, end - 50));
	ASSERT_EQ(0, wp_protect(self->monitor, end + PAGE - 100,
				WPFILE_TO_END));
	EXPECT_EQ(30, pread(self->monitor, bytes, sizeof(bytes), end - 30));
	EXPECT_STREQ("same", compare_memory(bytes, self->area.before + end - 30,
					    30));
	ASSERT_EQ(0, wp_protect(self->monitor, end - 100, WPFILE_TO_END));
	EXPECT_EQ(0, pread(self->monitor, bytes, sizeof(bytes), end - 30));
}

TEST_F(capture, what_is_cut_off_is_kept)
{
	ASSERT_EQ(0, wp_protect(self->monitor, 0, WPFILE_TO_END));
	ASSERT_EQ(0, ftruncate(self->area.fd, 3 * PAGE + 7));
	EXPECT_STREQ("same", compare(self->monitor, self->area.before,
				     self->area.size));
	ASSERT_EQ(0, ftruncate(self->area.fd, 30 * PAGE));
	EXPECT_STREQ("same", compare(self->monitor, self->area.before,
				     self->area.size));
}

TEST_F(capture, hole_is_kept_as_zeros)
{
	char zeros[PAGE] = {};

	ASSERT_EQ(0, fallocate(self->area.fd,
			       FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
			       3 * PAGE, 2 * PAGE));
	memset(self->area.before + 3 * PAGE, 0, 2 * PAGE);
	ASSERT_EQ(0, wp_protect(self->monitor, 0, WPFILE_TO_END));
	store(&self->area, 3, 2);
	EXPECT_STREQ("same", compare(self->monitor, self->area.before,
				     self->area.size));
	memset(self->area.map + 4 * PAGE, 0xff, PAGE);
	EXPECT_EQ((ssize_t)PAGE, pread(self->monitor, zeros, PAGE, 4 * PAGE));
	EXPECT_STREQ("same", compare_memory(zeros,
					    self->area.before + 4 * PAGE,
					    PAGE));
}

TEST_F(capture, two_monitors_keep_their_own_versions)
{
	int other = area_monitor(&self->area, WPFILE_CAPTURE);

	ASSERT_LE(0, other);
	ASSERT_EQ(0, wp_protect(self->monitor, 0, WPFILE_TO_END));
	store(&self->area, 3, 2);
	ASSERT_EQ(0, wp_protect(other, 0, WPFILE_TO_END));
	store(&self->area, 3, 3);
	store(&self->area, 4, 3);
	EXPECT_EQ(1, version_of(self->monitor, 3));
	EXPECT_EQ(2, version_of(other, 3));
	EXPECT_EQ(1, version_of(self->monitor, 4));
	EXPECT_EQ(1, version_of(other, 4));
	close(self->monitor);
	store(&self->area, 5, 3);
	EXPECT_EQ(1, version_of(other, 5));
}

TEST_F(capture, no_event_without_a_failure)
{
	struct pollfd poll_fd = { .fd = self->monitor, .events = POLLIN };
	struct wpfile_event event;

	ASSERT_EQ(0, wp_protect(self->monitor, 0, WPFILE_TO_END));
	store(&self->area, 3, 2);
	EXPECT_EQ(0, poll(&poll_fd, 1, 0));
	ASSERT_EQ(0, fcntl(self->monitor, F_SETFL, O_NONBLOCK));
	EXPECT_EQ(-1, read(self->monitor, &event, sizeof(event)));
	EXPECT_EQ(EAGAIN, errno);
}

TEST_F(capture, tracking_beside_it_sees_the_same_write)
{
	int track = area_protect(&self->area, WPFILE_TRACK);
	int snapshot = area_snapshot(&self->area);

	ASSERT_LE(0, track);
	ASSERT_LE(0, snapshot);
	ASSERT_EQ(0, wp_protect(self->monitor, 0, WPFILE_TO_END));
	EXPECT_EQ(1, wp_count(self->area.fd, WPFILE_TRACK));
	EXPECT_EQ(2, wp_count(self->area.fd, WPFILE_CAPTURE));
	store(&self->area, 3, 2);
	EXPECT_STREQ("3", written(track));
	EXPECT_EQ(1, version_of(self->monitor, 3));
	EXPECT_STREQ("same", compare(snapshot, self->area.before,
				     self->area.size));
	store(&self->area, 3, 3);
	EXPECT_STREQ("3", written(track));
	EXPECT_EQ(1, version_of(self->monitor, 3));
	EXPECT_STREQ("same", compare(snapshot, self->area.before,
				     self->area.size));
}

TEST_F(capture, closing_the_monitor_frees_the_writers)
{
	ASSERT_EQ(0, wp_protect(self->monitor, 0, WPFILE_TO_END));
	EXPECT_EQ(1, wp_count(self->area.fd, WPFILE_CAPTURE));
	close(self->monitor);
	EXPECT_EQ(0, wp_count(self->area.fd, WPFILE_CAPTURE));
	store(&self->area, 3, 2);
	self->monitor = area_monitor(&self->area, WPFILE_CAPTURE);
	EXPECT_EQ(-ENODATA, version_of(self->monitor, 3));
}

TEST_F(capture, protect_behind_the_end_protects_nothing)
{
	char byte;

	ASSERT_EQ(0, wp_protect(self->monitor, 100 * PAGE, 10 * PAGE));
	ASSERT_EQ(1, pwrite(self->area.fd, "x", 1, 100 * PAGE));
	EXPECT_EQ(-1, pread(self->monitor, &byte, 1, 0));
	EXPECT_EQ(ENODATA, errno);
	EXPECT_EQ(0, pread(self->monitor, &byte, 1, 100 * PAGE));
}

TEST_F(capture, cut_time_is_within_the_call)
{
	struct wpfile_range range = { 0, WPFILE_TO_END };
	struct wpfile_protect request = {
		.size = sizeof(request),
		.ranges = (uintptr_t)&range,
		.nr_ranges = 1,
		.ret_cut_ns = ~0ULL,
	};
	uint64_t start = now_ns();

	ASSERT_EQ(0, ioctl(self->monitor, WPFILE_IOC_PROTECT, &request));
	EXPECT_LE(request.ret_cut_ns, now_ns() - start);
}

TEST_HARNESS_MAIN
