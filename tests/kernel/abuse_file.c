// SPDX-License-Identifier: GPL-2.0-only
/*
 * Bad requests on the file: fields, limits, and addresses on /dev/wpfile.
 */
#include "harness.h"
#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/resource.h>

#define PAGES 8

/* --- single fields --- */

/* clang-format off */
FIXTURE(file) {
	struct area area;
};
/* clang-format on */

FIXTURE_SETUP(file)
{
	ASSERT_EQ(0, area_make(&self->area, MEMFD, PAGES * PAGE));
}

FIXTURE_TEARDOWN(file)
{
	EXPECT_EQ(0, wp_count(self->area.fd, WPFILE_TRACK));
	EXPECT_EQ(0, wp_count(self->area.fd, WPFILE_CAPTURE));
	area_free(&self->area);
}

TEST_F(file, unknown_mode_is_EINVAL)
{
	EXPECT_EQ(-EINVAL, wp_monitor(self->area.fd, WPFILE_NR_MODES));
	EXPECT_EQ(-EINVAL, wp_monitor(self->area.fd, ~0U));
}

TEST_F(file, reserved_field_is_EINVAL)
{
	struct wpfile_monitor monitor = { .size = sizeof(monitor),
					  .reserved = 1 };

	EXPECT_EQ(-EINVAL, wp_call(self->area.fd, WPFILE_IOC_MONITOR, &monitor));
	monitor.reserved = 1U << 31;
	EXPECT_EQ(-EINVAL, wp_call(self->area.fd, WPFILE_IOC_MONITOR, &monitor));
}

TEST_F(file, reserved_field_of_ranges_is_EINVAL)
{
	struct wpfile_range range = { 0, PAGE };
	struct wpfile_protect protect = {
		.size = sizeof(protect),
		.ranges = (uintptr_t)&range,
		.nr_ranges = 1,
		.reserved = 1,
	};
	struct wpfile_unprotect unprotect = {
		.size = sizeof(unprotect),
		.ranges = (uintptr_t)&range,
		.nr_ranges = 1,
		.reserved = 1,
	};
	int monitor = wp_monitor(self->area.fd, WPFILE_TRACK);

	EXPECT_EQ(-EINVAL, wp_call(monitor, WPFILE_IOC_PROTECT, &protect));
	EXPECT_EQ(-EINVAL, wp_call(monitor, WPFILE_IOC_UNPROTECT, &unprotect));
	EXPECT_STREQ("0-7", unprotected(monitor));
	close(monitor);
}

TEST_F(file, capture_limit_of_a_tracker_is_EINVAL)
{
	struct wpfile_monitor monitor = { .size = sizeof(monitor),
					  .mode = WPFILE_TRACK,
					  .capture_limit = PAGE };

	EXPECT_EQ(-EINVAL, wp_call(self->area.fd, WPFILE_IOC_MONITOR, &monitor));
}

/* The address belongs to /dev/wpfile. */
TEST_F(file, address_on_a_file_is_EINVAL)
{
	struct wpfile_query query = { .size = sizeof(query) };
	struct wpfile_monitor monitor = { .size = sizeof(monitor) };
	struct wpfile_snapshot snapshot = { .size = sizeof(snapshot) };

	ASSERT_EQ(0, area_map(&self->area));
	query.address = monitor.address = snapshot.address =
		(uintptr_t)self->area.map;
	EXPECT_EQ(-EINVAL, wp_call(self->area.fd, WPFILE_IOC_QUERY, &query));
	EXPECT_EQ(-EINVAL, wp_call(self->area.fd, WPFILE_IOC_MONITOR, &monitor));
	EXPECT_EQ(-EINVAL, wp_call(self->area.fd, WPFILE_IOC_SNAPSHOT, &snapshot));
	query.flags = monitor.flags = snapshot.flags = WPFILE_AT_ADDRESS;
	EXPECT_EQ(-EINVAL, wp_call(self->area.fd, WPFILE_IOC_QUERY, &query));
	EXPECT_EQ(-EINVAL, wp_call(self->area.fd, WPFILE_IOC_MONITOR, &monitor));
	EXPECT_EQ(-EINVAL, wp_call(self->area.fd, WPFILE_IOC_SNAPSHOT, &snapshot));
}

TEST_F(file, scan_flag_of_a_capture_monitor_is_EOPNOTSUPP)
{
	int monitor = wp_monitor(self->area.fd, WPFILE_CAPTURE);
	struct wpfile_range range;
	struct wpfile_scan scan;

	EXPECT_EQ(-EOPNOTSUPP, wp_scan(monitor, &scan, &range, 1, 0,
				       WPFILE_TO_END, WPFILE_SCAN_PROTECT));
	EXPECT_EQ(0, wp_scan(monitor, &scan, &range, 1, 0, WPFILE_TO_END, 0));
	close(monitor);
}

/* --- limits --- */

TEST_F(file, one_monitor_too_many_is_EBUSY)
{
	struct rlimit limit = { 65536, 65536 };
	struct wpfile_query query;
	int *fds, i;

	setrlimit(RLIMIT_NOFILE, &limit);
	ASSERT_EQ(0, wp_query(self->area.fd, &query));
	ASSERT_LT(0, (int)query.ret_max_monitors);
	fds = calloc(query.ret_max_monitors, sizeof(*fds));
	for (i = 0; i < (int)query.ret_max_monitors; i++) {
		fds[i] = i % 2 ? wp_monitor(self->area.fd, WPFILE_TRACK) :
				 wp_snapshot(self->area.fd);
		ASSERT_LE(0, fds[i])
			TH_LOG("monitor %d of %u", i, query.ret_max_monitors);
	}
	EXPECT_EQ(-EBUSY, wp_monitor(self->area.fd, WPFILE_TRACK));
	EXPECT_EQ(-EBUSY, wp_monitor(self->area.fd, WPFILE_CAPTURE));
	EXPECT_EQ(-EBUSY, wp_snapshot(self->area.fd));
	EXPECT_EQ((int)query.ret_max_monitors,
		  wp_count(self->area.fd, WPFILE_TRACK) +
			  wp_count(self->area.fd, WPFILE_CAPTURE));
	close(fds[1]);
	fds[1] = wp_monitor(self->area.fd, WPFILE_CAPTURE);
	EXPECT_LE(0, fds[1]);
	for (i = 0; i < (int)query.ret_max_monitors; i++)
		close(fds[i]);
}

TEST_F(file, full_table_of_file_descriptors_is_EMFILE)
{
	struct rlimit limit = { 64, 64 };

	ASSERT_EQ(0, setrlimit(RLIMIT_NOFILE, &limit));
	while (dup(self->area.fd) >= 0)
		;
	ASSERT_EQ(EMFILE, errno);
	EXPECT_EQ(-EMFILE, wp_monitor(self->area.fd, WPFILE_TRACK));
	EXPECT_EQ(-EMFILE, wp_monitor(self->area.fd, WPFILE_CAPTURE));
	EXPECT_EQ(-EMFILE, wp_snapshot(self->area.fd));
}

TEST_F(file, query_tells_features_and_limits)
{
	struct wpfile_query query;

	ASSERT_EQ(0, wp_query(self->area.fd, &query));
	EXPECT_EQ(WPFILE_FEATURE_TRACK | WPFILE_FEATURE_CAPTURE |
			  WPFILE_FEATURE_SNAPSHOT |
			  WPFILE_FEATURE_SCAN_PROTECT | WPFILE_FEATURE_ADDRESS |
			  WPFILE_FEATURE_HUGE | WPFILE_FEATURE_PINNED |
			  WPFILE_FEATURE_SYNC | WPFILE_FEATURE_DENY |
			  WPFILE_FEATURE_ATTACH,
		  query.ret_features);
	EXPECT_EQ(0, query.ret_monitors[0] + query.ret_monitors[1] +
			     query.ret_monitors[2] + query.ret_monitors[3]);
	EXPECT_LT(1, query.ret_max_monitors);
	EXPECT_LT(1, query.ret_max_ranges);
}

/* --- addresses, on /dev/wpfile --- */

/* clang-format off */
FIXTURE(address) {
	struct area area;
};
/* clang-format on */

FIXTURE_SETUP(address)
{
	ASSERT_EQ(0, area_make_filled(&self->area, MEMFD, PAGES * PAGE));
	ASSERT_LE(0, wp_device());
}

FIXTURE_TEARDOWN(address)
{
	area_free(&self->area);
}

static int query_at(const void *address)
{
	struct wpfile_query query = { .size = sizeof(query),
				      .flags = WPFILE_AT_ADDRESS,
				      .address = (uintptr_t)address };

	return wp_call(wp_device(), WPFILE_IOC_QUERY, &query);
}

static void expect_refused(struct __test_metadata *const _metadata,
			   const void *address, int error)
{
	EXPECT_EQ(error, query_at(address));
	EXPECT_EQ(error, wp_monitor_at(address, WPFILE_TRACK));
	EXPECT_EQ(error, wp_monitor_at(address, WPFILE_CAPTURE));
	EXPECT_EQ(error, wp_snapshot_at(address));
}

TEST_F(address, anywhere_in_the_mapping_names_the_whole_file)
{
	int monitor = wp_monitor_at(self->area.map + 5 * PAGE + 123,
				    WPFILE_TRACK);

	ASSERT_LE(0, monitor);
	ASSERT_EQ(0, wp_protect(monitor, 0, WPFILE_TO_END));
	self->area.map[PAGE] = 'x';
	EXPECT_STREQ("1", written(monitor));
	EXPECT_EQ(1, wp_count(self->area.fd, WPFILE_TRACK));
	EXPECT_EQ(0, query_at(self->area.map));
}

/* Offsets are of the file, not of the mapping. */
TEST_F(address, mapping_of_a_part_names_the_whole_file)
{
	char *map = mmap(NULL, 2 * PAGE, PROT_READ, MAP_SHARED, self->area.fd,
			 4 * PAGE);
	int monitor, snapshot;

	ASSERT_NE(MAP_FAILED, map);
	monitor = wp_monitor_at(map, WPFILE_TRACK);
	ASSERT_LE(0, monitor);
	ASSERT_EQ(0, wp_protect(monitor, 0, WPFILE_TO_END));
	snapshot = wp_snapshot_at(map + PAGE);
	ASSERT_LE(0, snapshot);
	self->area.map[PAGE] = 'x';
	EXPECT_STREQ("1", written(monitor));
	EXPECT_STREQ("same", compare(snapshot, self->area.before,
				     self->area.size));
}

TEST_F(address, unmapped_is_EFAULT)
{
	char *gone = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, self->area.fd, 0);

	munmap(gone, PAGE);
	expect_refused(_metadata, gone, -EFAULT);
	expect_refused(_metadata, NULL, -EFAULT);
	expect_refused(_metadata, (void *)-4096UL, -EFAULT);
	expect_refused(_metadata, (void *)0xffff888000000000UL, -EFAULT);
}

TEST_F(address, private_mapping_of_the_file_is_refused)
{
	char *map = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE,
			 self->area.fd, 0);

	ASSERT_NE(MAP_FAILED, map);
	expect_refused(_metadata, map, -ENOTTY);
}

TEST_F(address, anonymous_private_memory_is_ENOTTY)
{
	char *map = mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	ASSERT_NE(MAP_FAILED, map);
	expect_refused(_metadata, map, -ENOTTY);
}

TEST_F(address, shared_mapping_of_another_file_is_ENOTTY)
{
	int fd = open("/proc/self/exe", O_RDONLY);
	char *map = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, fd, 0);

	SKIP_UNLESS(map != MAP_FAILED, "cannot map the program shared");
	expect_refused(_metadata, map, -ENOTTY);
}

TEST_F(address, shared_hugetlb_is_EOPNOTSUPP)
{
	int fd = memfd_create("hugetlb", MFD_HUGETLB | MFD_CLOEXEC);
	char *map = MAP_FAILED;

	if (fd >= 0 && !ftruncate(fd, HUGE))
		map = mmap(NULL, HUGE, PROT_READ | PROT_WRITE,
			   MAP_SHARED | MAP_NORESERVE, fd, 0);
	SKIP_UNLESS(map != MAP_FAILED, "no hugetlb mapping");
	expect_refused(_metadata, map, -EOPNOTSUPP);
}

TEST_F(address, is_required_on_the_device)
{
	struct wpfile_query query;

	EXPECT_EQ(-EINVAL, wp_monitor(wp_device(), WPFILE_TRACK));
	EXPECT_EQ(-EINVAL, wp_snapshot(wp_device()));
	ASSERT_EQ(0, wp_query(wp_device(), &query));
	EXPECT_EQ(0, query.ret_monitors[0] + query.ret_monitors[1] +
			     query.ret_monitors[2] + query.ret_monitors[3]);
	EXPECT_NE(0, query.ret_features & WPFILE_FEATURE_ADDRESS);
}

TEST_F(address, without_the_flag_is_EINVAL)
{
	struct wpfile_query query = { .size = sizeof(query),
				      .address = (uintptr_t)self->area.map };

	EXPECT_EQ(-EINVAL, wp_call(wp_device(), WPFILE_IOC_QUERY, &query));
}

TEST_F(address, mapping_without_access_will_do)
{
	char *map = mmap(NULL, PAGE, PROT_NONE, MAP_SHARED, self->area.fd, 0);
	int monitor;

	ASSERT_NE(MAP_FAILED, map);
	monitor = wp_monitor_at(map, WPFILE_TRACK);
	EXPECT_LE(0, monitor);
}

/* Fields of the device's ioctls are checked like those of the file's. */
TEST_F(address, bad_fields_are_EINVAL)
{
	struct wpfile_monitor monitor = { .size = sizeof(monitor),
					  .flags = WPFILE_AT_ADDRESS | 2,
					  .address =
						  (uintptr_t)self->area.map };

	EXPECT_EQ(-EINVAL, wp_call(wp_device(), WPFILE_IOC_MONITOR, &monitor));
	monitor.flags = WPFILE_AT_ADDRESS;
	monitor.mode = 7;
	EXPECT_EQ(-EINVAL, wp_call(wp_device(), WPFILE_IOC_MONITOR, &monitor));
}

TEST_HARNESS_MAIN
