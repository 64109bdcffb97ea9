// SPDX-License-Identifier: GPL-2.0-only
/*
 * Sizes and holes of snapshots: those of the file at T.
 */
#include "harness.h"
#include <fcntl.h>
#include <linux/falloc.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

TEST(snapshot_of_an_empty_file_is_empty)
{
	struct area area;
	struct stat status;
	char byte;
	int fd;

	ASSERT_EQ(0, area_make(&area, MEMFD, 0));
	fd = area_snapshot(&area);
	ASSERT_LE(0, fd);
	EXPECT_EQ(1, pwrite(area.fd, "x", 1, 0));
	EXPECT_EQ(0, read(fd, &byte, 1));
	ASSERT_EQ(0, fstat(fd, &status));
	EXPECT_EQ(0, status.st_size);
	EXPECT_EQ(-1, lseek(fd, 0, SEEK_DATA));
	EXPECT_EQ(ENXIO, errno);
}

TEST(snapshot_call_returns_size_and_cut_time)
{
	struct wpfile_snapshot request = { .size = sizeof(request),
					   .ret_cut_ns = ~0ULL };
	uint64_t start, took;
	struct area area;
	int fd;

	ASSERT_EQ(0, area_make(&area, MEMFD, 3 * PAGE + 17));
	start = now_ns();
	fd = ioctl(area.fd, WPFILE_IOC_SNAPSHOT, &request);
	took = now_ns() - start;
	ASSERT_LE(0, fd);
	EXPECT_EQ(3 * PAGE + 17, request.ret_bytes);
	EXPECT_LE(request.ret_cut_ns, took);
}

/* The extents of a file, by SEEK_DATA and SEEK_HOLE, as text. */
static const char *extents(int fd)
{
	static char texts[2][512];
	static int last;
	char *text = texts[++last % 2];
	off_t data = 0, hole = 0;
	int used = 0;

	text[0] = 0;
	while ((data = lseek(fd, hole, SEEK_DATA)) >= 0 && used < 400) {
		hole = lseek(fd, data, SEEK_HOLE);
		used += sprintf(text + used, "%lld-%lld ",
				(long long)data / (long long)PAGE,
				(long long)hole / (long long)PAGE);
	}
	if (errno != ENXIO)
		sprintf(text + used, "errno %d", errno);
	return text;
}

/* clang-format off */
FIXTURE(sparse) {
	struct area area;
	int fd;
};
/* clang-format on */

FIXTURE_SETUP(sparse)
{
	static const size_t data[] = { 2, 3, 7, 20, 31 };
	size_t i;

	ASSERT_EQ(0, area_make(&self->area, MEMFD, 64 * PAGE));
	for (i = 0; i < ARRAY_SIZE(data); i++)
		ASSERT_EQ(0, area_fill_page(&self->area, data[i], 1));
	ASSERT_EQ(0, area_map(&self->area));
	ASSERT_STREQ("2-4 7-8 20-21 31-32 ", extents(self->area.fd));
	self->fd = area_snapshot(&self->area);
	ASSERT_LE(0, self->fd);
}

FIXTURE_TEARDOWN(sparse)
{
	close(self->fd);
	area_free(&self->area);
}

TEST_F(sparse, snapshot_has_the_holes_of_the_file)
{
	EXPECT_STREQ("2-4 7-8 20-21 31-32 ", extents(self->fd));
	EXPECT_STREQ("same", compare(self->fd, self->area.before,
				     self->area.size));
}

TEST_F(sparse, hole_that_is_filled_later_stays_a_hole)
{
	self->area.map[10 * PAGE] = 'x';
	ASSERT_EQ(1, pwrite(self->area.fd, "x", 1, 40 * PAGE));
	EXPECT_STREQ("2-4 7-8 20-21 31-32 ", extents(self->fd));
	EXPECT_STREQ("same", compare(self->fd, self->area.before,
				     self->area.size));
}

/* Zeros all the same: whether it counts as data does not matter. */
TEST_F(sparse, hole_that_is_allocated_and_then_written_stays_zeros)
{
	ASSERT_EQ(0, fallocate(self->area.fd, 0, 50 * PAGE, PAGE));
	*(volatile char *)(self->area.map + 52 * PAGE);
	EXPECT_STREQ("same", compare(self->fd, self->area.before,
				     self->area.size));
	self->area.map[50 * PAGE] = 'x';
	self->area.map[52 * PAGE] = 'x';
	EXPECT_STREQ("same", compare(self->fd, self->area.before,
				     self->area.size));
}

TEST_F(sparse, data_that_is_punched_later_stays_data)
{
	ASSERT_EQ(0, fallocate(self->area.fd,
			       FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
			       3 * PAGE, 20 * PAGE));
	EXPECT_STREQ("2-4 7-8 20-21 31-32 ", extents(self->fd));
	EXPECT_STREQ("same", compare(self->fd, self->area.before,
				     self->area.size));
}

TEST_F(sparse, data_that_is_cut_off_later_stays_data)
{
	ASSERT_EQ(0, ftruncate(self->area.fd, 0));
	EXPECT_STREQ("2-4 7-8 20-21 31-32 ", extents(self->fd));
	EXPECT_STREQ("same", compare(self->fd, self->area.before,
				     self->area.size));
	EXPECT_EQ((off_t)self->area.size, lseek(self->fd, 0, SEEK_END));
}

TEST_F(sparse, reading_a_hole_through_a_mapping_does_not_fill_the_file)
{
	char *map = map_file(self->fd, self->area.size, PROT_READ);

	ASSERT_NE(NULL, map);
	EXPECT_STREQ("same", compare_memory(map, self->area.before,
					    self->area.size));
	EXPECT_STREQ("2-4 7-8 20-21 31-32 ", extents(self->area.fd));
}

TEST_F(sparse, file_that_shrinks_and_grows_leaves_the_size)
{
	struct stat status;

	ASSERT_EQ(0, ftruncate(self->area.fd, 5 * PAGE + 5));
	ASSERT_EQ(0, ftruncate(self->area.fd, 100 * PAGE));
	ASSERT_EQ(1, pwrite(self->area.fd, "x", 1, 99 * PAGE));
	ASSERT_EQ(0, fstat(self->fd, &status));
	EXPECT_EQ((off_t)self->area.size, status.st_size);
	EXPECT_STREQ("same", compare(self->fd, self->area.before,
				     self->area.size));
}

/* A terabyte without a page, and a page at its end. */
TEST(snapshot_of_a_huge_hole_costs_nothing)
{
	off_t last = (1LL << 40) - PAGE;
	struct area area;
	uint64_t start;
	char byte = 'n';
	int fd;

	ASSERT_EQ(0, area_make(&area, MEMFD, 0));
	ASSERT_EQ(0, ftruncate(area.fd, 1LL << 40));
	ASSERT_EQ(1, pwrite(area.fd, "a", 1, last));
	start = now_ns();
	fd = wp_snapshot(area.fd);
	ASSERT_LE(0, fd);
	EXPECT_GT(5000000000ULL, now_ns() - start);
	ASSERT_EQ(1, pwrite(area.fd, "b", 1, last));
	ASSERT_EQ(1, pwrite(area.fd, "b", 1, last / 2));
	EXPECT_EQ(1, pread(fd, &byte, 1, last));
	EXPECT_EQ('a', byte);
	EXPECT_EQ(1, pread(fd, &byte, 1, last / 2));
	EXPECT_EQ(0, byte);
	EXPECT_EQ(last, lseek(fd, 0, SEEK_DATA));
	close(fd);
}

TEST_HARNESS_MAIN
