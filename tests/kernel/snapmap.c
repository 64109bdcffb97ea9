// SPDX-License-Identifier: GPL-2.0-only
/*
 * Mappings of snapshots: a page is captured when it is loaded first, and no other
 * way of mapping memory may show one that has not been.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "harness.h"

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE	25
#endif
#define SHMEM_ENABLED	"/sys/kernel/mm/transparent_hugepage/shmem_enabled"

static sigjmp_buf fault;

static void on_fault(int signal)
{
	(void)signal;
	siglongjmp(fault, 1);
}

static bool load_faults(const volatile char *at)
{
	struct sigaction action = { .sa_handler = on_fault }, old;
	bool faulted = true;

	sigaction(SIGBUS, &action, &old);
	if (!sigsetjmp(fault, 1)) {
		(void)*at;
		faulted = false;
	}
	sigaction(SIGBUS, &old, NULL);
	return faulted;
}

FIXTURE(snapmap)
{
	struct area area;
	int fd;
	char *map;
};

FIXTURE_SETUP(snapmap)
{
	ASSERT_EQ(0, area_make_filled(&self->area, MEMFD, 2 * HUGE));
}

FIXTURE_TEARDOWN(snapmap)
{
	if (self->map)
		munmap(self->map, self->area.size);
	if (self->fd > 0)
		close(self->fd);
	area_free(&self->area);
	file_write(SHMEM_ENABLED, "never");
}

static int take_and_map(FIXTURE_DATA(snapmap) *self)
{
	self->fd = area_snapshot(&self->area);
	if (self->fd < 0)
		return self->fd;
	self->map = map_file(self->fd, self->area.size, PROT_READ);
	return self->map ? 0 : -errno;
}

static const char *stored_and_compared(FIXTURE_DATA(snapmap) *self)
{
	memset(self->area.map, 'x', self->area.size);
	return compare_memory(self->map, self->area.before, self->area.size);
}

TEST_F(snapmap, cannot_be_collapsed_to_pages_not_captured)
{
	ASSERT_EQ(0, take_and_map(self));
	EXPECT_FALSE(load_faults(self->map + 3 * PAGE));
	self->area.map[5 * PAGE] = 'x';
	EXPECT_EQ(-1, madvise(self->map, HUGE, MADV_COLLAPSE));
	EXPECT_EQ(0, smaps_kib(self->map, "ShmemPmdMapped:"));
	EXPECT_STREQ("same", stored_and_compared(self));
}

TEST_F(snapmap, is_right_where_shared_memory_is_always_huge)
{
	ASSERT_EQ(0, file_write(SHMEM_ENABLED, "force"));
	ASSERT_EQ(0, take_and_map(self));
	EXPECT_FALSE(load_faults(self->map));
	EXPECT_EQ(0, smaps_kib(self->map, "ShmemPmdMapped:"));
	EXPECT_STREQ("same", stored_and_compared(self));
}

TEST_F(snapmap, cannot_be_monitored_itself)
{
	ASSERT_EQ(0, take_and_map(self));
	EXPECT_EQ(-ENOTTY, wp_snapshot_at(self->map));
	EXPECT_EQ(-ENOTTY, wp_monitor_at(self->map, WPFILE_TRACK));
}

TEST_F(snapmap, cannot_be_made_executable)
{
	ASSERT_EQ(0, take_and_map(self));
	EXPECT_EQ(-1, fchmod(self->fd, 0500));
	EXPECT_EQ(EPERM, errno);
}

TEST_F(snapmap, load_over_the_limit_faults_and_loses_nothing)
{
	self->fd = wp_snapshot_limited(self->area.fd, PAGE);
	ASSERT_LE(0, self->fd);
	self->map = map_file(self->fd, self->area.size, PROT_READ);
	ASSERT_NE(NULL, self->map);
	EXPECT_FALSE(load_faults(self->map));
	EXPECT_TRUE(load_faults(self->map + PAGE));
	EXPECT_STREQ("same", compare(self->fd, self->area.before,
				     self->area.size));
}

/* The bytes behind the end of a file, which a mapping may have written. */
TEST(growth_by_fallocate_is_reported)
{
	struct area area;
	int track;

	ASSERT_EQ(0, area_make(&area, MEMFD, 4 * PAGE));
	ASSERT_EQ(0, area_map(&area));
	ASSERT_EQ(0, ftruncate(area.fd, PAGE + 100));
	area.map[PAGE + 200] = 'x';
	track = area_protect(&area, WPFILE_TRACK);
	ASSERT_LE(0, track);
	ASSERT_EQ(0, fallocate(area.fd, 0, 0, 3 * PAGE));
	EXPECT_STREQ("1-2", written(track));
	close(track);
	area_free(&area);
}

TEST_HARNESS_MAIN
