// SPDX-License-Identifier: GPL-2.0-only
/*
 * Bad ranges and bad pointers to them: the errno of the header's dictionary,
 * nothing half done, and no write forgotten that could not be told.
 */
#include "harness.h"
#include <errno.h>
#include <sys/ioctl.h>

#define PAGES 8

/* --- ranges of PROTECT and UNPROTECT, the range of SCAN --- */

/* clang-format off */
FIXTURE(ranges) {
	struct area area;
	struct wpfile_query query;
	int monitor;
};

FIXTURE_VARIANT(ranges) {
	unsigned long request;
	__u32 mode;
};

FIXTURE_VARIANT_ADD(ranges, track_protect) {
	.request = WPFILE_IOC_PROTECT, .mode = WPFILE_TRACK };
FIXTURE_VARIANT_ADD(ranges, track_unprotect) {
	.request = WPFILE_IOC_UNPROTECT, .mode = WPFILE_TRACK };
FIXTURE_VARIANT_ADD(ranges, track_scan) {
	.request = WPFILE_IOC_SCAN, .mode = WPFILE_TRACK };
FIXTURE_VARIANT_ADD(ranges, capture_protect) {
	.request = WPFILE_IOC_PROTECT, .mode = WPFILE_CAPTURE };
FIXTURE_VARIANT_ADD(ranges, capture_unprotect) {
	.request = WPFILE_IOC_UNPROTECT, .mode = WPFILE_CAPTURE };
/* clang-format on */

/* Half of the pages are protected, so that each call could change some. */
FIXTURE_SETUP(ranges)
{
	ASSERT_EQ(0, area_make(&self->area, MEMFD, PAGES * PAGE));
	ASSERT_EQ(0, area_fill(&self->area, 1));
	ASSERT_EQ(0, wp_query(self->area.fd, &self->query));
	self->monitor = wp_monitor(self->area.fd, variant->mode);
	ASSERT_LE(0, self->monitor);
	ASSERT_EQ(0, wp_protect(self->monitor, 0, 4 * PAGE));
}

FIXTURE_TEARDOWN(ranges)
{
	EXPECT_STREQ("4-7", unprotected(self->monitor));
	close(self->monitor);
	area_free(&self->area);
}

static int call_scan(int monitor, __u64 offset, __u64 length,
		     struct wpfile_range *ranges, __u32 nr)
{
	struct wpfile_scan scan;

	return wp_scan(monitor, &scan, ranges, nr, offset, length,
		       WPFILE_SCAN_PROTECT);
}

static int call_ranges(int monitor, unsigned long which,
		       struct wpfile_range *ranges, __u32 nr)
{
	struct wpfile_unprotect unprotect = { .size = sizeof(unprotect),
					      .ranges = (uintptr_t)ranges,
					      .nr_ranges = nr };

	if (which == WPFILE_IOC_PROTECT)
		return wp_protect_ranges(monitor, ranges, nr);
	if (which == WPFILE_IOC_UNPROTECT)
		return wp_call(monitor, which, &unprotect);
	return call_scan(monitor, 0, WPFILE_TO_END, ranges, nr);
}

static int call_range(int monitor, unsigned long which, __u64 offset,
		      __u64 length)
{
	struct wpfile_range ranges[2] = { { 0, PAGES * PAGE },
					  { offset, length } };

	if (which == WPFILE_IOC_SCAN)
		return call_scan(monitor, offset, length, ranges, 2);
	return call_ranges(monitor, which, ranges, 2);
}

/* A good range goes before the bad one; nothing of it may be done. */
TEST_F(ranges, misaligned_is_EINVAL)
{
	static const __u64 bad[] = { 1, 8, 512, 2048, 4095, 4097 };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		EXPECT_EQ(-EINVAL, call_range(self->monitor, variant->request,
					      bad[i], PAGE));
		EXPECT_EQ(-EINVAL, call_range(self->monitor, variant->request,
					      0, bad[i]));
		EXPECT_EQ(-EINVAL, call_range(self->monitor, variant->request,
					      bad[i], WPFILE_TO_END));
	}
	EXPECT_EQ(-EINVAL, call_range(self->monitor, variant->request, 0,
				      WPFILE_TO_END - 1));
}

TEST_F(ranges, length_0_is_EINVAL)
{
	EXPECT_EQ(-EINVAL, call_range(self->monitor, variant->request, 0, 0));
	EXPECT_EQ(-EINVAL,
		  call_range(self->monitor, variant->request, PAGE, 0));
}

TEST_F(ranges, end_behind_the_largest_file_is_EOVERFLOW)
{
	static const __u64 bad[][2] = {
		{ 0, -4096ULL },
		{ 4096, -4096ULL },
		{ 8192, -4096ULL },
		{ 1ULL << 63, 4096 },
		{ -4096ULL, 4096 },
		{ -8192ULL, 4096 },
		{ 4096, 1ULL << 63 },
		{ 1ULL << 62, 3ULL << 62 },
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(bad); i++)
		EXPECT_EQ(-EOVERFLOW,
			  call_range(self->monitor, variant->request, bad[i][0],
				     bad[i][1]))
			TH_LOG("%#llx + %#llx", bad[i][0], bad[i][1]);
}

TEST_F(ranges, number_of_ranges_is_checked)
{
	__u32 max = self->query.ret_max_ranges;
	struct wpfile_range *ranges = calloc((size_t)max + 1, sizeof(*ranges));
	__u32 i;

	for (i = 0; i <= max; i++)
		ranges[i] = (struct wpfile_range){ 0, PAGES * PAGE };
	EXPECT_EQ(-EINVAL, call_ranges(self->monitor, variant->request, ranges,
				       0));
	EXPECT_EQ(-EINVAL, call_ranges(self->monitor, variant->request, ranges,
				       max + 1));
	EXPECT_EQ(-EINVAL, call_ranges(self->monitor, variant->request, ranges,
				       ~0U));
	free(ranges);
}

/* Whatever fits in no memory must not be done by halves, nor be forgotten. */
TEST_F(ranges, bad_array_is_EFAULT)
{
	char *map = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct wpfile_range *last = (void *)(map + PAGE - sizeof(*last));

	ASSERT_EQ(0, munmap(map + PAGE, PAGE));
	*last = (struct wpfile_range){ 0, PAGES * PAGE };
	EXPECT_EQ(-EFAULT, call_ranges(self->monitor, variant->request, NULL,
				       1));
	EXPECT_EQ(-EFAULT, call_ranges(self->monitor, variant->request,
				       (void *)(map + PAGE), 1));
	EXPECT_EQ(-EFAULT, call_ranges(self->monitor, variant->request,
				       (void *)-4096UL, 1));
	if (variant->request != WPFILE_IOC_SCAN)
		EXPECT_EQ(-EFAULT, call_ranges(self->monitor, variant->request,
					       last, 2));
}

/* --- SCAN must not lose what it cannot deliver --- */

/* clang-format off */
FIXTURE(lost) {
	struct area area;
	int monitor;
	char *map;	/* a page of memory, and one that cannot be written */
};
/* clang-format on */

FIXTURE_SETUP(lost)
{
	ASSERT_EQ(0, area_make(&self->area, MEMFD, PAGES * PAGE));
	self->monitor = area_protect(&self->area, WPFILE_TRACK);
	ASSERT_LE(0, self->monitor);
	ASSERT_EQ(1, pwrite(self->area.fd, "x", 1, 2 * PAGE));
	ASSERT_EQ(1, pwrite(self->area.fd, "x", 1, 4 * PAGE));
	ASSERT_EQ(1, pwrite(self->area.fd, "x", 1, 6 * PAGE));
	self->map = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, self->map);
}

FIXTURE_TEARDOWN(lost)
{
	close(self->monitor);
	area_free(&self->area);
}

TEST_F(lost, pages_are_reported_again_if_the_array_cannot_be_written)
{
	struct wpfile_range *ranges =
		(void *)(self->map + PAGE - sizeof(*ranges));
	struct wpfile_scan scan;
	struct pages seen;

	ASSERT_EQ(0, mprotect(self->map + PAGE, PAGE, PROT_READ));
	EXPECT_EQ(-EFAULT, wp_scan(self->monitor, &scan, ranges, 8, 0,
				   WPFILE_TO_END, WPFILE_SCAN_PROTECT));
	ASSERT_EQ(0, scan_pages(self->monitor, 0, &seen));
	EXPECT_TRUE(seen.has[2] && seen.has[4] && seen.has[6])
		TH_LOG("only: %s", pages_text(&seen));
}

TEST_F(lost, pages_are_reported_again_if_the_structure_cannot_be_written)
{
	struct wpfile_range ranges[8];
	struct wpfile_scan *scan = (void *)(self->map + PAGE);
	struct pages seen;

	*scan = (struct wpfile_scan){
		.size = sizeof(*scan),
		.flags = WPFILE_SCAN_PROTECT,
		.length = WPFILE_TO_END,
		.ranges = (uintptr_t)ranges,
		.nr_ranges = 8,
	};
	ASSERT_EQ(0, mprotect(self->map + PAGE, PAGE, PROT_READ));
	EXPECT_EQ(-EFAULT, wp_call(self->monitor, WPFILE_IOC_SCAN, scan));
	ASSERT_EQ(0, scan_pages(self->monitor, 0, &seen));
	EXPECT_TRUE(seen.has[2] && seen.has[4] && seen.has[6])
		TH_LOG("only: %s", pages_text(&seen));
}

/* The whole file, by a structure that cannot be written. */
static int protect_without_answer(FIXTURE_DATA(lost) *self, int monitor)
{
	struct wpfile_range range = { 0, WPFILE_TO_END };
	struct wpfile_protect *protect = (void *)(self->map + PAGE);

	*protect = (struct wpfile_protect){
		.size = sizeof(*protect),
		.ranges = (uintptr_t)&range,
		.nr_ranges = 1,
	};
	if (mprotect(self->map + PAGE, PAGE, PROT_READ))
		return -errno;
	return wp_call(monitor, WPFILE_IOC_PROTECT, protect);
}

TEST_F(lost, protect_that_cannot_answer_hides_no_write)
{
	EXPECT_EQ(-EFAULT, protect_without_answer(self, self->monitor));
	EXPECT_STREQ("2 4 6", unprotected(self->monitor));
	EXPECT_STREQ("2 4 6", written(self->monitor));
	EXPECT_STREQ("", written(self->monitor));
}

/* Neither what was captured, nor what is still to be. */
TEST_F(lost, protect_that_cannot_answer_drops_no_capture)
{
	int capture;

	ASSERT_EQ(0, area_fill(&self->area, 1));
	capture = area_protect(&self->area, WPFILE_CAPTURE);
	ASSERT_LE(0, capture);
	ASSERT_EQ(1, pwrite(self->area.fd, "x", 1, PAGE));
	EXPECT_EQ(-EFAULT, protect_without_answer(self, capture));
	EXPECT_STREQ("1", unprotected(capture));
	ASSERT_EQ(1, pwrite(self->area.fd, "x", 1, 3 * PAGE));
	EXPECT_STREQ("same",
		     compare(capture, self->area.before, self->area.size));
	close(capture);
}

TEST_F(lost, snapshot_that_cannot_answer_leaves_nothing)
{
	struct wpfile_snapshot *snapshot = (void *)(self->map + PAGE);
	int fds = open_fds();

	*snapshot = (struct wpfile_snapshot){ .size = sizeof(*snapshot) };
	ASSERT_EQ(0, mprotect(self->map + PAGE, PAGE, PROT_READ));
	EXPECT_EQ(-EFAULT, wp_call(self->area.fd, WPFILE_IOC_SNAPSHOT, snapshot));
	EXPECT_EQ(0, wp_wait_count(self->area.fd, WPFILE_CAPTURE, 0, 5));
	EXPECT_EQ(fds, open_fds());
}

TEST_F(lost, query_that_cannot_answer_is_EFAULT)
{
	struct wpfile_query *query = (void *)(self->map + PAGE);

	*query = (struct wpfile_query){ .size = sizeof(*query) };
	ASSERT_EQ(0, mprotect(self->map + PAGE, PAGE, PROT_READ));
	EXPECT_EQ(-EFAULT, wp_call(self->area.fd, WPFILE_IOC_QUERY, query));
}

TEST_HARNESS_MAIN
