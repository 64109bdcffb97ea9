// SPDX-License-Identifier: GPL-2.0-only
/*
 * A WPFILE_TRACK monitor: SCAN tells every page that was written since it was
 * protected, once, and no other.
 */
#include "harness.h"
#include <fcntl.h>
#include <linux/falloc.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#define PAGES 64

/* clang-format off */
FIXTURE(track) {
	struct area area;
	int monitor;
};

FIXTURE_VARIANT(track) {
	enum kind kind;
};

FIXTURE_VARIANT_ADD(track, memfd) { .kind = MEMFD };
FIXTURE_VARIANT_ADD(track, tmpfs) { .kind = TMPFS };
FIXTURE_VARIANT_ADD(track, sysv) { .kind = SYSV };
FIXTURE_VARIANT_ADD(track, anon) { .kind = ANON };
/* clang-format on */

FIXTURE_SETUP(track)
{
	ASSERT_EQ(0, area_make_filled(&self->area, variant->kind,
				      PAGES * PAGE));
	area_touch(&self->area);
	self->monitor = area_monitor(&self->area, WPFILE_TRACK);
	ASSERT_LE(0, self->monitor);
}

FIXTURE_TEARDOWN(track)
{
	close(self->monitor);
	area_free(&self->area);
}

static void store(struct area *area, size_t page)
{
	volatile char *byte = area->map + page * PAGE + 500;

	*byte = *byte + 1;
}

TEST_F(track, new_monitor_protects_nothing)
{
	EXPECT_STREQ("0-63", unprotected(self->monitor));
	EXPECT_EQ(1, wp_count(self->area.fd, WPFILE_TRACK));
}

TEST_F(track, each_write_is_reported_once)
{
	ASSERT_EQ(0, wp_protect(self->monitor, 0, WPFILE_TO_END));
	EXPECT_STREQ("", written(self->monitor));
	store(&self->area, 3);
	store(&self->area, 3);
	store(&self->area, 40);
	store(&self->area, 41);
	EXPECT_STREQ("3 40-41", written(self->monitor));
	EXPECT_STREQ("", written(self->monitor));
	store(&self->area, 3);
	EXPECT_STREQ("3", written(self->monitor));
	EXPECT_STREQ("", written(self->monitor));
}

TEST_F(track, every_page_is_reported_alone)
{
	char wanted[8];
	size_t i;

	ASSERT_EQ(0, wp_protect(self->monitor, 0, WPFILE_TO_END));
	for (i = 0; i < PAGES; i++) {
		store(&self->area, i);
		sprintf(wanted, "%zu", i);
		EXPECT_STREQ(wanted, written(self->monitor));
	}
}

TEST_F(track, first_protect_by_scan_loses_nothing)
{
	EXPECT_STREQ("0-63", written(self->monitor));
	EXPECT_STREQ("", unprotected(self->monitor));
	store(&self->area, 7);
	EXPECT_STREQ("7", written(self->monitor));
}

TEST_F(track, scan_without_protect_changes_nothing)
{
	ASSERT_EQ(0, wp_protect(self->monitor, 0, WPFILE_TO_END));
	store(&self->area, 5);
	EXPECT_STREQ("5", unprotected(self->monitor));
	EXPECT_STREQ("5", unprotected(self->monitor));
	store(&self->area, 6);
	EXPECT_STREQ("5-6", unprotected(self->monitor));
	EXPECT_STREQ("5-6", written(self->monitor));
	EXPECT_STREQ("", unprotected(self->monitor));
}

TEST_F(track, reading_is_no_write)
{
	char *map = map_file(self->area.fd, self->area.size, PROT_READ);
	char page[PAGE];
	size_t i;

	ASSERT_EQ(0, wp_protect(self->monitor, 0, WPFILE_TO_END));
	for (i = 0; i < PAGES; i++) {
		*(volatile char *)(self->area.map + i * PAGE);
		*(volatile char *)(map + i * PAGE);
		ASSERT_EQ((ssize_t)PAGE,
			  pread(self->area.fd, page, PAGE, i * PAGE));
	}
	EXPECT_STREQ("", written(self->monitor));
}

TEST_F(track, unprotected_pages_are_reported)
{
	ASSERT_EQ(0, wp_protect(self->monitor, 0, WPFILE_TO_END));
	ASSERT_EQ(0, wp_unprotect(self->monitor, 10 * PAGE, 5 * PAGE));
	EXPECT_STREQ("10-14", unprotected(self->monitor));
	store(&self->area, 12);
	EXPECT_STREQ("10-14", written(self->monitor));
	EXPECT_STREQ("", unprotected(self->monitor));
	ASSERT_EQ(0, wp_unprotect(self->monitor, 60 * PAGE, WPFILE_TO_END));
	EXPECT_STREQ("60-63", unprotected(self->monitor));
	ASSERT_EQ(0, wp_unprotect(self->monitor, 0, WPFILE_TO_END));
	EXPECT_STREQ("0-63", unprotected(self->monitor));
}

TEST_F(track, protect_of_ranges_protects_these)
{
	struct wpfile_range ranges[] = {
		{ 50 * PAGE, WPFILE_TO_END },
		{ 3 * PAGE, 2 * PAGE },
		{ 4 * PAGE, 4 * PAGE },
	};

	ASSERT_EQ(0, wp_protect_ranges(self->monitor, ranges, 3));
	EXPECT_STREQ("0-2 8-49", unprotected(self->monitor));
	store(&self->area, 2);
	store(&self->area, 8);
	EXPECT_STREQ("0-2 8-49", unprotected(self->monitor));
	store(&self->area, 7);
	EXPECT_STREQ("0-2 7-49", unprotected(self->monitor));
}

TEST_F(track, protect_again_forgets_the_writes)
{
	ASSERT_EQ(0, wp_protect(self->monitor, 0, WPFILE_TO_END));
	store(&self->area, 5);
	ASSERT_EQ(0, wp_protect(self->monitor, 0, WPFILE_TO_END));
	EXPECT_STREQ("", unprotected(self->monitor));
	store(&self->area, 5);
	EXPECT_STREQ("5", unprotected(self->monitor));
}

/* One bit for each page and monitor, not one for each page. */
TEST_F(track, monitors_do_not_disturb_one_another)
{
	int others[8], i;

	ASSERT_EQ(0, wp_protect(self->monitor, 0, WPFILE_TO_END));
	for (i = 0; i < 8; i++) {
		others[i] = area_monitor(&self->area, WPFILE_TRACK);
		ASSERT_LE(0, others[i]);
		ASSERT_EQ(0, wp_protect(others[i], i * PAGE, 8 * PAGE));
	}
	EXPECT_EQ(9, wp_count(self->area.fd, WPFILE_TRACK));
	store(&self->area, 7); /* which all of them protect */
	EXPECT_STREQ("7", written(self->monitor));
	for (i = 0; i < 8; i++) {
		struct pages wanted = {};

		memset(wanted.has, 1, PAGES);
		memset(wanted.has + i, 0, 8);
		wanted.has[7] = 1;
		EXPECT_STREQ(pages_text(&wanted), written(others[i]));
	}
	store(&self->area, 9);
	store(&self->area, 7);
	for (i = 0; i < 8; i += 2) {
		EXPECT_STREQ("7 9", written(others[i]));
		close(others[i]);
	}
	store(&self->area, 11);
	for (i = 1; i < 8; i += 2)
		EXPECT_STREQ("7 9 11", written(others[i]));
	EXPECT_STREQ("7 9 11", written(self->monitor));
	EXPECT_EQ(5, wp_count(self->area.fd, WPFILE_TRACK));
}

TEST_F(track, monitor_made_later_knows_nothing_of_earlier_protection)
{
	int later;

	ASSERT_EQ(0, wp_protect(self->monitor, 0, WPFILE_TO_END));
	store(&self->area, 1);
	close(self->monitor);
	EXPECT_EQ(0, wp_count(self->area.fd, WPFILE_TRACK));
	later = area_monitor(&self->area, WPFILE_TRACK);
	EXPECT_STREQ("0-63", unprotected(later));
	self->monitor = later;
}

static long store_in_worker(void *argument, long page)
{
	store(argument, page);
	return 0;
}

static long pwrite_in_worker(void *argument, long page)
{
	struct area *area = argument;

	return pwrite(area->fd, "w", 1, page * PAGE);
}

static long remap_and_store_in_worker(void *argument, long page)
{
	struct area *area = argument;

	area->map = map_file(area->fd, area->size, PROT_READ | PROT_WRITE);
	if (!area->map)
		return -errno;
	store(area, page);
	return 0;
}

/* Anyone's write is reported, whoever has the monitor. */
TEST_F(track, writes_of_other_processes_are_reported)
{
	struct worker first, second;

	ASSERT_EQ(0, worker_start(&first));
	ASSERT_EQ(0, worker_call(&first, store_in_worker, &self->area, 0));
	ASSERT_EQ(0, wp_protect(self->monitor, 0, WPFILE_TO_END));
	ASSERT_EQ(0, worker_start(&second));
	ASSERT_EQ(0, worker_call(&first, store_in_worker, &self->area, 10));
	ASSERT_EQ(0, worker_call(&second, store_in_worker, &self->area, 20));
	ASSERT_EQ(1, worker_call(&first, pwrite_in_worker, &self->area, 30));
	EXPECT_STREQ("10 20 30", written(self->monitor));
	ASSERT_EQ(0, worker_call(&second, store_in_worker, &self->area, 10));
	ASSERT_EQ(0, worker_call(&first, store_in_worker, &self->area, 20));
	EXPECT_STREQ("10 20", written(self->monitor));
	ASSERT_EQ(0, worker_call(&second, remap_and_store_in_worker,
				 &self->area, 50));
	EXPECT_STREQ("50", written(self->monitor));
	worker_stop(&first);
	worker_stop(&second);
}

/* --- what is no write --- */

TEST_F(track, private_store_is_no_write)
{
	char *map = mmap(NULL, self->area.size, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE, self->area.fd, 0);

	ASSERT_NE(MAP_FAILED, map);
	*(volatile char *)(map + 5 * PAGE) = 'p';
	ASSERT_EQ(0, wp_protect(self->monitor, 0, WPFILE_TO_END));
	*(volatile char *)(map + 5 * PAGE) = 'q';
	*(volatile char *)(map + 6 * PAGE) = 'q';
	EXPECT_STREQ("", written(self->monitor));
	EXPECT_STREQ("same", compare(self->area.fd, self->area.before,
				     self->area.size));
}

TEST_F(track, swapping_out_and_in_is_no_write)
{
	ASSERT_EQ(0, wp_protect(self->monitor, 0, WPFILE_TO_END));
	SWAP_OUT(&self->area);
	EXPECT_STREQ("", written(self->monitor));
	EXPECT_STREQ("same", compare_memory(self->area.map, self->area.before,
					    self->area.size));
	EXPECT_STREQ("", written(self->monitor));
}

TEST_F(track, mprotect_and_fork_and_unmapping_are_no_write)
{
	struct worker worker;

	ASSERT_EQ(0, wp_protect(self->monitor, 0, WPFILE_TO_END));
	ASSERT_EQ(0, worker_start(&worker));
	ASSERT_EQ(0, mprotect(self->area.map, self->area.size, PROT_READ));
	ASSERT_EQ(0, mprotect(self->area.map, self->area.size,
			      PROT_READ | PROT_WRITE));
	ASSERT_EQ(0, madvise(self->area.map, self->area.size, MADV_DONTNEED));
	worker_stop(&worker);
	EXPECT_STREQ("", written(self->monitor));
}

/* --- one monitor of a memfd, in detail --- */

/* clang-format off */
FIXTURE(scan) {
	struct area area;
	int monitor;
};
/* clang-format on */

/* Sixty-four pages, of which every odd one below 32 has been written. */
FIXTURE_SETUP(scan)
{
	size_t i;

	ASSERT_EQ(0, area_make(&self->area, MEMFD, PAGES * PAGE));
	ASSERT_EQ(0, area_map(&self->area));
	self->monitor = area_protect(&self->area, WPFILE_TRACK);
	ASSERT_LE(0, self->monitor);
	for (i = 1; i < 32; i += 2)
		store(&self->area, i);
}

FIXTURE_TEARDOWN(scan)
{
	close(self->monitor);
	area_free(&self->area);
}

TEST_F(scan, reports_ascending_ranges_and_their_pages)
{
	struct wpfile_range ranges[64];
	struct wpfile_scan scan;
	__u32 i;

	store(&self->area, 2);
	ASSERT_EQ(0, wp_scan(self->monitor, &scan, ranges, 64, 0,
			     WPFILE_TO_END, 0));
	ASSERT_EQ(15, scan.ret_nr_ranges);
	EXPECT_EQ(17, scan.ret_pages);
	EXPECT_EQ(WPFILE_TO_END, scan.ret_next);
	EXPECT_EQ(PAGE, ranges[0].offset);
	EXPECT_EQ(3 * PAGE, ranges[0].length);
	for (i = 1; i < scan.ret_nr_ranges; i++) {
		EXPECT_EQ((2 * i + 3) * PAGE, ranges[i].offset);
		EXPECT_EQ(PAGE, ranges[i].length);
	}
}

TEST_F(scan, full_array_says_where_to_go_on)
{
	struct wpfile_range ranges[3];
	struct wpfile_scan scan;
	__u64 offset = 0;
	__u32 i, page = 1;

	do {
		ASSERT_EQ(0, wp_scan(self->monitor, &scan, ranges, 3, offset,
				     WPFILE_TO_END, WPFILE_SCAN_PROTECT));
		ASSERT_GE(3, scan.ret_nr_ranges);
		EXPECT_EQ(scan.ret_nr_ranges, scan.ret_pages);
		for (i = 0; i < scan.ret_nr_ranges; i++, page += 2) {
			EXPECT_EQ(page * PAGE, ranges[i].offset);
			EXPECT_EQ(PAGE, ranges[i].length);
			EXPECT_GE(scan.ret_next,
				  ranges[i].offset + ranges[i].length);
		}
		ASSERT_GT(scan.ret_next, offset);
		offset = scan.ret_next;
	} while (offset != WPFILE_TO_END);
	EXPECT_EQ(33, page);
	EXPECT_STREQ("", unprotected(self->monitor));
}

/* What is not reported is not protected again. */
TEST_F(scan, full_array_leaves_the_rest_unprotected)
{
	struct wpfile_range ranges[2];
	struct wpfile_scan scan;

	ASSERT_EQ(0, wp_scan(self->monitor, &scan, ranges, 2, 0, WPFILE_TO_END,
			     WPFILE_SCAN_PROTECT));
	EXPECT_EQ(2, scan.ret_nr_ranges);
	EXPECT_LE(4 * PAGE, scan.ret_next);
	EXPECT_GE(5 * PAGE, scan.ret_next);
	EXPECT_STREQ("5 7 9 11 13 15 17 19 21 23 25 27 29 31",
		     unprotected(self->monitor));
}

TEST_F(scan, stays_inside_the_range_asked_for)
{
	struct wpfile_range ranges[64];
	struct wpfile_scan scan;

	ASSERT_EQ(0, wp_scan(self->monitor, &scan, ranges, 64, 3 * PAGE,
			     3 * PAGE, WPFILE_SCAN_PROTECT));
	ASSERT_EQ(2, scan.ret_nr_ranges);
	EXPECT_EQ(3 * PAGE, ranges[0].offset);
	EXPECT_EQ(5 * PAGE, ranges[1].offset);
	EXPECT_EQ(6 * PAGE, scan.ret_next);
	EXPECT_STREQ("1 7 9 11 13 15 17 19 21 23 25 27 29 31",
		     unprotected(self->monitor));
}

TEST_F(scan, range_begins_inside_a_run_of_pages)
{
	struct wpfile_range range;
	struct wpfile_scan scan;

	ASSERT_EQ(0, wp_unprotect(self->monitor, 40 * PAGE, 10 * PAGE));
	ASSERT_EQ(0, wp_scan(self->monitor, &scan, &range, 1, 43 * PAGE,
			     4 * PAGE, WPFILE_SCAN_PROTECT));
	EXPECT_EQ(1, scan.ret_nr_ranges);
	EXPECT_EQ(43 * PAGE, range.offset);
	EXPECT_EQ(4 * PAGE, range.length);
	EXPECT_EQ(4, scan.ret_pages);
	EXPECT_EQ(47 * PAGE, scan.ret_next);
	ASSERT_EQ(0, wp_protect(self->monitor, 0, 32 * PAGE));
	EXPECT_STREQ("40-42 47-49", unprotected(self->monitor));
}

TEST_F(scan, finite_range_behind_the_end_is_empty_and_done)
{
	struct wpfile_range range;
	struct wpfile_scan scan;

	ASSERT_EQ(0, wp_scan(self->monitor, &scan, &range, 1, 100 * PAGE,
			     10 * PAGE, 0));
	EXPECT_EQ(0, scan.ret_nr_ranges);
	EXPECT_EQ(0, scan.ret_pages);
	EXPECT_EQ(110 * PAGE, scan.ret_next);
	ASSERT_EQ(0, wp_scan(self->monitor, &scan, &range, 1, 100 * PAGE,
			     WPFILE_TO_END, 0));
	EXPECT_EQ(0, scan.ret_nr_ranges);
	EXPECT_EQ(WPFILE_TO_END, scan.ret_next);
}

TEST_F(scan, range_across_the_end_stops_there)
{
	struct wpfile_range range;
	struct wpfile_scan scan;

	ASSERT_EQ(0, wp_unprotect(self->monitor, 60 * PAGE, WPFILE_TO_END));
	ASSERT_EQ(0, wp_scan(self->monitor, &scan, &range, 1, 40 * PAGE,
			     100 * PAGE, 0));
	ASSERT_EQ(1, scan.ret_nr_ranges);
	EXPECT_EQ(60 * PAGE, range.offset);
	EXPECT_EQ(4 * PAGE, range.length);
	EXPECT_EQ(140 * PAGE, scan.ret_next);
}

TEST_F(scan, end_is_rounded_up_to_a_page)
{
	ASSERT_EQ(0, ftruncate(self->area.fd, 40 * PAGE + 1));
	ASSERT_EQ(0, wp_protect(self->monitor, 0, WPFILE_TO_END));
	ASSERT_EQ(1, pwrite(self->area.fd, "x", 1, 40 * PAGE));
	EXPECT_STREQ("40", written(self->monitor));
}

TEST_F(scan, empty_file_has_nothing_to_report)
{
	ASSERT_EQ(0, ftruncate(self->area.fd, 0));
	EXPECT_STREQ("", unprotected(self->monitor));
}

TEST_F(scan, write_to_a_hole_is_reported_and_allocation_is_not)
{
	ASSERT_EQ(0, wp_protect(self->monitor, 0, WPFILE_TO_END));
	ASSERT_EQ((off_t)(50 * PAGE), lseek(self->area.fd, 50 * PAGE, SEEK_HOLE));
	*(volatile char *)(self->area.map + 50 * PAGE); /* allocates a page */
	ASSERT_EQ(0, fallocate(self->area.fd, 0, 52 * PAGE, PAGE));
	EXPECT_STREQ("", written(self->monitor));
	store(&self->area, 50);
	store(&self->area, 52);
	store(&self->area, 54);
	EXPECT_STREQ("50 52 54", written(self->monitor));
}

TEST_F(scan, cut_time_is_zero_because_nobody_is_held)
{
	struct wpfile_range range = { 0, WPFILE_TO_END };
	struct wpfile_protect request = {
		.size = sizeof(request),
		.ranges = (uintptr_t)&range,
		.nr_ranges = 1,
		.ret_cut_ns = ~0ULL,
	};

	ASSERT_EQ(0, ioctl(self->monitor, WPFILE_IOC_PROTECT, &request));
	EXPECT_EQ(0, request.ret_cut_ns);
}

TEST_F(scan, monitor_has_no_events_and_no_content)
{
	struct pollfd poll_fd = { .fd = self->monitor, .events = POLLIN };
	struct wpfile_event event;

	EXPECT_EQ(FD_CLOEXEC, fcntl(self->monitor, F_GETFD));
	EXPECT_EQ(0, poll(&poll_fd, 1, 0));
	ASSERT_EQ(0, fcntl(self->monitor, F_SETFL, O_NONBLOCK));
	EXPECT_EQ(-1, read(self->monitor, &event, sizeof(event)));
	EXPECT_EQ(EAGAIN, errno);
	EXPECT_EQ(-1, pread(self->monitor, &event, sizeof(event), 0));
	EXPECT_EQ(EOPNOTSUPP, errno);
	EXPECT_EQ(-1, write(self->monitor, &event, sizeof(event)));
	EXPECT_EQ(MAP_FAILED, mmap(NULL, PAGE, PROT_READ, MAP_SHARED,
				   self->monitor, 0));
}

TEST_F(scan, fdinfo_names_mode_and_file)
{
	char path[64], text[4096], file[96];
	struct stat st;

	sprintf(path, "/proc/self/fdinfo/%d", self->monitor);
	ASSERT_EQ(0, file_read(path, text, sizeof(text)));
	ASSERT_EQ(0, fstat(self->area.fd, &st));
	sprintf(file, "wpfile_dev:\t%02x:%02x\nwpfile_ino:\t%lu\n",
		major(st.st_dev), minor(st.st_dev), (long)st.st_ino);
	EXPECT_NE(NULL, strstr(text, "wpfile_mode:\ttrack\n"))
		TH_LOG("fdinfo:\n%s", text);
	EXPECT_NE(NULL, strstr(text, file))
		TH_LOG("no %s in fdinfo:\n%s", file, text);
}

/* --- sealed files --- */

TEST(sealed_file_can_be_watched)
{
	struct area area;
	int monitor, snapshot;

	ASSERT_EQ(0, area_make(&area, MEMFD, 4 * PAGE));
	ASSERT_EQ(0, area_fill(&area, 1));
	ASSERT_EQ(0, fcntl(area.fd, F_ADD_SEALS,
			   F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW |
				   F_SEAL_SEAL));
	monitor = area_protect(&area, WPFILE_TRACK);
	ASSERT_LE(0, monitor);
	snapshot = wp_snapshot(area.fd);
	ASSERT_LE(0, snapshot);
	EXPECT_EQ(-1, pwrite(area.fd, "x", 1, 0));
	EXPECT_EQ(EPERM, errno);
	EXPECT_STREQ("same", compare(snapshot, area.before, area.size));
}

/* A mapping from before the seal may still be written through. */
TEST(future_write_seal_and_an_old_mapping)
{
	struct area area;
	int monitor, snapshot;

	ASSERT_EQ(0, area_make_filled(&area, MEMFD, 4 * PAGE));
	ASSERT_EQ(0, fcntl(area.fd, F_ADD_SEALS, F_SEAL_FUTURE_WRITE));
	monitor = area_protect(&area, WPFILE_TRACK);
	ASSERT_LE(0, monitor);
	snapshot = wp_snapshot(area.fd);
	ASSERT_LE(0, snapshot);
	store(&area, 2);
	EXPECT_STREQ("2", written(monitor));
	EXPECT_STREQ("same", compare(snapshot, area.before, area.size));
}

/* Sealing changes no byte; a monitor or a snapshot is no writable mapping. */
TEST(watched_file_can_be_sealed)
{
	int monitor, snapshot;
	struct area area;

	ASSERT_EQ(0, area_make(&area, MEMFD, 4 * PAGE));
	ASSERT_EQ(0, area_fill(&area, 1));
	monitor = area_protect(&area, WPFILE_TRACK);
	snapshot = wp_snapshot(area.fd);
	ASSERT_LE(0, snapshot);
	ASSERT_EQ(0, fcntl(area.fd, F_ADD_SEALS, F_SEAL_WRITE));
	EXPECT_STREQ("", written(monitor));
	EXPECT_STREQ("same", compare(snapshot, area.before, area.size));
}

TEST_HARNESS_MAIN
