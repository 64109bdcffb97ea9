// SPDX-License-Identifier: GPL-2.0-only
/*
 * The interface from a 32-bit process: structures, pointers and offsets above
 * 4 GiB.  Compiled with -m32.
 */
#include "harness.h"
#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

#ifndef __i386__
#error "compile with -m32"
#endif

#define PAGES 16
#define FAR (5ULL << 30)

_Static_assert(sizeof(struct wpfile_range) == 16, "wpfile_range");
_Static_assert(sizeof(struct wpfile_query) == 64, "wpfile_query");
_Static_assert(sizeof(struct wpfile_monitor) == 48, "wpfile_monitor");
_Static_assert(sizeof(struct wpfile_snapshot) == 48, "wpfile_snapshot");
_Static_assert(sizeof(struct wpfile_protect) == 40, "wpfile_protect");
_Static_assert(sizeof(struct wpfile_unprotect) == 24, "wpfile_unprotect");
_Static_assert(sizeof(struct wpfile_scan) == 56, "wpfile_scan");
_Static_assert(sizeof(struct wpfile_event) == 64, "wpfile_event");
_Static_assert(sizeof(struct wpfile_consent) == 16, "wpfile_consent");
_Static_assert(sizeof(struct wpfile_resolve) == 16, "wpfile_resolve");
_Static_assert(sizeof(struct wpfile_attach) == 32, "wpfile_attach");

/* clang-format off */
FIXTURE(compat) {
	struct area area;
};

FIXTURE_VARIANT(compat) {
	enum kind kind;
};

FIXTURE_VARIANT_ADD(compat, memfd) { .kind = MEMFD };
FIXTURE_VARIANT_ADD(compat, anon_by_address) { .kind = ANON };
FIXTURE_VARIANT_ADD(compat, sysv_by_address) { .kind = SYSV };
/* clang-format on */

FIXTURE_SETUP(compat)
{
	ASSERT_EQ(0, area_make_filled(&self->area, variant->kind,
				      PAGES * PAGE));
	area_touch(&self->area);
}

FIXTURE_TEARDOWN(compat)
{
	area_free(&self->area);
}

TEST_F(compat, query_fills_all_fields)
{
	int monitor = area_monitor(&self->area, WPFILE_TRACK);
	struct wpfile_query query;

	ASSERT_LE(0, monitor);
	ASSERT_EQ(0, wp_query(self->area.fd, &query));
	EXPECT_NE(0, query.ret_features & WPFILE_FEATURE_SNAPSHOT);
	EXPECT_EQ(1, query.ret_monitors[WPFILE_TRACK]);
	EXPECT_EQ(0, query.ret_monitors[WPFILE_CAPTURE]);
	EXPECT_LT(1, query.ret_max_monitors);
	EXPECT_LT(1, query.ret_max_ranges);
}

TEST_F(compat, protect_and_scan_and_unprotect)
{
	int monitor = area_protect(&self->area, WPFILE_TRACK);

	ASSERT_LE(0, monitor);
	self->area.map[3 * PAGE] = 'x';
	ASSERT_EQ(1, pwrite(self->area.fd, "x", 1, 5 * PAGE));
	EXPECT_STREQ("3 5", written(monitor));
	ASSERT_EQ(0, wp_unprotect(monitor, 7 * PAGE, 2 * PAGE));
	EXPECT_STREQ("7-8", written(monitor));
	EXPECT_STREQ("", written(monitor));
}

TEST_F(compat, snapshot_has_the_content)
{
	int snapshot = area_snapshot(&self->area);
	struct stat status;

	ASSERT_LE(0, snapshot);
	memset(self->area.map, 0xff, self->area.size);
	EXPECT_STREQ("same", compare(snapshot, self->area.before,
				     self->area.size));
	ASSERT_EQ(0, fstat(snapshot, &status));
	EXPECT_EQ((off_t)self->area.size, status.st_size);
}

TEST(capture_monitor_and_its_events)
{
	struct wpfile_event event;
	struct area area;
	int monitor;

	ASSERT_EQ(0, area_make_filled(&area, MEMFD, PAGES * PAGE));
	monitor = wp_monitor_limited(area.fd, PAGE);
	ASSERT_LE(0, monitor);
	ASSERT_EQ(0, wp_protect(monitor, 0, WPFILE_TO_END));
	area.map[3 * PAGE] = 'x';
	EXPECT_STREQ("same", compare(monitor, area.before, area.size));
	area.map[4 * PAGE] = 'x';
	ASSERT_EQ(sizeof(event), (size_t)read(monitor, &event, sizeof(event)));
	EXPECT_EQ(WPFILE_EVENT_FAILED, event.type);
	EXPECT_EQ(4 * PAGE, event.offset);
	EXPECT_EQ(WPFILE_TO_END, event.bytes);
}

/* Nothing is cut to 32 bits on the way. */
TEST(offsets_above_4_GiB)
{
	struct wpfile_range range;
	struct wpfile_scan scan;
	struct area area;
	int monitor, snapshot;
	char byte;

	ASSERT_EQ(0, area_make(&area, MEMFD, 0));
	ASSERT_EQ(0, ftruncate(area.fd, 2 * FAR));
	monitor = wp_monitor(area.fd, WPFILE_TRACK);
	ASSERT_LE(0, monitor);
	ASSERT_EQ(0, wp_protect(monitor, 0, WPFILE_TO_END));
	ASSERT_EQ(1, pwrite(area.fd, "a", 1, FAR));
	ASSERT_EQ(0, wp_scan(monitor, &scan, &range, 1, 0, WPFILE_TO_END,
			     WPFILE_SCAN_PROTECT));
	ASSERT_EQ(1, scan.ret_nr_ranges);
	EXPECT_EQ(FAR, range.offset);
	EXPECT_EQ(PAGE, range.length);
	snapshot = wp_snapshot(area.fd);
	ASSERT_LE(0, snapshot);
	ASSERT_EQ(1, pwrite(area.fd, "b", 1, FAR));
	EXPECT_EQ((off_t)FAR, lseek(snapshot, 0, SEEK_DATA));
	EXPECT_EQ(1, pread(snapshot, &byte, 1, FAR));
	EXPECT_EQ('a', byte);
	ASSERT_EQ(0, wp_unprotect(monitor, FAR + PAGE, FAR - PAGE));
	ASSERT_EQ(0, wp_scan(monitor, &scan, &range, 1, FAR + PAGE,
			     WPFILE_TO_END, 0));
	EXPECT_EQ(FAR + PAGE, range.offset);
	EXPECT_EQ(FAR - PAGE, range.length);
}

TEST(hugetlb_is_EOPNOTSUPP)
{
	int fd = memfd_create("hugetlb", MFD_HUGETLB | MFD_CLOEXEC);
	struct wpfile_query query;

	SKIP_UNLESS(fd >= 0, "no hugetlbfs");
	EXPECT_EQ(-EOPNOTSUPP, wp_query(fd, &query));
	EXPECT_EQ(-EOPNOTSUPP, wp_snapshot(fd));
}

TEST(bad_pointers_are_EFAULT)
{
	struct wpfile_query query = { .size = sizeof(query) };
	struct area area;
	int monitor;

	ASSERT_EQ(0, area_make(&area, MEMFD, PAGE));
	EXPECT_EQ(-1, ioctl(area.fd, WPFILE_IOC_QUERY, NULL));
	EXPECT_EQ(EFAULT, errno);
	EXPECT_EQ(-1, ioctl(area.fd, WPFILE_IOC_QUERY, 0xfffff000));
	EXPECT_EQ(EFAULT, errno);
	monitor = wp_monitor(area.fd, WPFILE_TRACK);
	EXPECT_EQ(-EFAULT, wp_protect_ranges(monitor, (void *)0xfffff000, 1));
	query.size = sizeof(query) - 1;
	EXPECT_EQ(-1, ioctl(area.fd, WPFILE_IOC_QUERY, &query));
	EXPECT_EQ(EINVAL, errno);
}

TEST_HARNESS_MAIN
