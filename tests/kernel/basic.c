// SPDX-License-Identifier: GPL-2.0-only
/*
 * The snapshot fd: a plain file with the content at T, whatever happens to the
 * file afterwards.
 */
#include "harness.h"
#include <fcntl.h>
#include <linux/falloc.h>
#include <setjmp.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/uio.h>

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25
#endif

#define PAGES 16

/* Stores and writes the whole area with another version. */
static void overwrite(struct area *area, unsigned int version)
{
	char page[PAGE];
	size_t i;

	for (i = 0; i < area->size / PAGE; i++) {
		fill(page, i, version);
		if (i % 2 || !area->map)
			pwrite(area->fd, page, PAGE, i * PAGE);
		else
			memcpy(area->map + i * PAGE, page, PAGE);
	}
}

/* --- every kind of shared memory --- */

/* clang-format off */
FIXTURE(kind) {
	struct area area;
	int snapshot;
};

FIXTURE_VARIANT(kind) {
	enum kind kind;
	size_t size;
};

FIXTURE_VARIANT_ADD(kind, memfd) { .kind = MEMFD, .size = PAGES * PAGE };
FIXTURE_VARIANT_ADD(kind, tmpfs) { .kind = TMPFS, .size = PAGES * PAGE };
FIXTURE_VARIANT_ADD(kind, huge) { .kind = TMPFS_HUGE, .size = 2 * HUGE };
FIXTURE_VARIANT_ADD(kind, sysv) { .kind = SYSV, .size = PAGES * PAGE };
FIXTURE_VARIANT_ADD(kind, anon) { .kind = ANON, .size = PAGES * PAGE };
/* clang-format on */

FIXTURE_SETUP(kind)
{
	ASSERT_EQ(0, area_make_filled(&self->area, variant->kind,
				      variant->size));
	area_touch(&self->area);
	if (variant->kind == TMPFS_HUGE)
		SKIP_UNLESS(area_is_huge(&self->area), "got no huge mapping");
	self->snapshot = area_snapshot(&self->area);
	ASSERT_LE(0, self->snapshot);
}

FIXTURE_TEARDOWN(kind)
{
	close(self->snapshot);
	area_free(&self->area);
}

TEST_F(kind, snapshot_has_the_content_before_later_writes)
{
	struct pages changed;

	overwrite(&self->area, 2);
	changed_pages(&self->area, &changed);
	ASSERT_TRUE(changed.has[0] && changed.has[PAGES - 1]);
	EXPECT_STREQ("same", compare(self->snapshot, self->area.before,
				     self->area.size));
}

TEST_F(kind, second_read_is_the_same_as_the_first)
{
	EXPECT_STREQ("same", compare(self->snapshot, self->area.before,
				     self->area.size));
	overwrite(&self->area, 2);
	EXPECT_STREQ("same", compare(self->snapshot, self->area.before,
				     self->area.size));
	overwrite(&self->area, 3);
	EXPECT_STREQ("same", compare(self->snapshot, self->area.before,
				     self->area.size));
}

TEST_F(kind, snapshot_is_a_regular_file_of_the_size_at_the_cut)
{
	struct stat status;

	ASSERT_EQ(0, fstat(self->snapshot, &status));
	EXPECT_TRUE(S_ISREG(status.st_mode));
	EXPECT_EQ((off_t)self->area.size, status.st_size);
	EXPECT_EQ((off_t)self->area.size, lseek(self->snapshot, 0, SEEK_END));
}

TEST_F(kind, snapshot_counts_as_one_capture_monitor)
{
	EXPECT_EQ(1, wp_count(self->area.fd, WPFILE_CAPTURE));
	EXPECT_EQ(0, wp_count(self->area.fd, WPFILE_TRACK));
	close(self->snapshot);
	EXPECT_EQ(0, wp_count(self->area.fd, WPFILE_CAPTURE));
}

TEST_F(kind, mapped_snapshot_has_the_content_before_later_writes)
{
	char *map = map_file(self->snapshot, self->area.size, PROT_READ);

	ASSERT_NE(NULL, map);
	overwrite(&self->area, 2);
	EXPECT_STREQ("same", compare_memory(map, self->area.before,
					    self->area.size));
	overwrite(&self->area, 3);
	EXPECT_STREQ("same", compare_memory(map, self->area.before,
					    self->area.size));
}

/* --- what one can do with the fd --- */

/* clang-format off */
FIXTURE(snapshot) {
	struct area area;
	int fd;
};
/* clang-format on */

FIXTURE_SETUP(snapshot)
{
	ASSERT_EQ(0, area_make_filled(&self->area, MEMFD, PAGES * PAGE + 100));
	self->fd = area_snapshot(&self->area);
	ASSERT_LE(0, self->fd);
	overwrite(&self->area, 2);
}

FIXTURE_TEARDOWN(snapshot)
{
	close(self->fd);
	area_free(&self->area);
}

TEST_F(snapshot, is_close_on_exec)
{
	EXPECT_EQ(FD_CLOEXEC, fcntl(self->fd, F_GETFD));
}

TEST_F(snapshot, read_goes_on_where_it_stopped)
{
	char *buffer = malloc(self->area.size + PAGE);
	size_t used = 0;
	ssize_t done;

	while ((done = read(self->fd, buffer + used, 1000)) > 0)
		used += done;
	EXPECT_EQ(0, done);
	ASSERT_EQ(self->area.size, used);
	EXPECT_STREQ("same", compare_memory(buffer, self->area.before, used));
	EXPECT_EQ(0, lseek(self->fd, 0, SEEK_SET));
	EXPECT_EQ(8, read(self->fd, buffer, 8));
	EXPECT_EQ(8, lseek(self->fd, 0, SEEK_CUR));
}

TEST_F(snapshot, pread_at_odd_offsets_and_lengths)
{
	static const size_t offsets[] = { 1, 4095, 4096, 8191, 12345, 65500 };
	char buffer[3 * PAGE];
	size_t i, wanted;

	for (i = 0; i < ARRAY_SIZE(offsets); i++) {
		wanted = self->area.size - offsets[i];
		if (wanted > 2 * PAGE + 7)
			wanted = 2 * PAGE + 7;
		EXPECT_EQ((ssize_t)wanted, pread(self->fd, buffer,
						 2 * PAGE + 7, offsets[i]));
		EXPECT_STREQ("same", compare_memory(buffer, self->area.before +
							    offsets[i],
						    wanted));
	}
	EXPECT_EQ(0, pread(self->fd, buffer, 1, self->area.size));
	EXPECT_EQ(0, pread(self->fd, buffer, 1, self->area.size + PAGE));
}

TEST_F(snapshot, preadv_fills_every_buffer)
{
	char first[100], second[2 * PAGE];
	struct iovec iov[2] = { { first, sizeof(first) },
				{ second, sizeof(second) } };

	ASSERT_EQ((ssize_t)(sizeof(first) + sizeof(second)),
		  preadv(self->fd, iov, 2, 50));
	EXPECT_STREQ("same", compare_memory(first, self->area.before + 50,
					    sizeof(first)));
	EXPECT_STREQ("same", compare_memory(second, self->area.before + 150,
					    sizeof(second)));
}

TEST_F(snapshot, sendfile_copies_it)
{
	int to = memfd_create("copy", MFD_CLOEXEC);
	size_t used = 0;
	off_t offset = 0;
	ssize_t done;

	while ((done = sendfile(to, self->fd, &offset, 1 << 20)) > 0)
		used += done;
	EXPECT_EQ(0, done);
	EXPECT_EQ(self->area.size, used);
	EXPECT_STREQ("same", compare(to, self->area.before, self->area.size));
	close(to);
}

/* What is in the pipe must not change any more either. */
TEST_F(snapshot, splice_to_a_pipe_gives_no_live_pages)
{
	char buffer[2 * PAGE];
	loff_t offset = 0;
	int fds[2], fresh;
	ssize_t done;

	fresh = area_snapshot(&self->area);
	ASSERT_LE(0, fresh);
	ASSERT_EQ((ssize_t)sizeof(buffer), pread(fresh, buffer, sizeof(buffer),
						 0));
	memcpy(self->area.before, buffer, sizeof(buffer));
	ASSERT_EQ(0, pipe(fds));
	done = splice(fresh, &offset, fds[1], NULL, sizeof(buffer), 0);
	ASSERT_LT(0, done);
	overwrite(&self->area, 3);
	ASSERT_EQ(done, read(fds[0], buffer, done));
	EXPECT_STREQ("same",
		     compare_memory(buffer, self->area.before, done));
}

TEST_F(snapshot, private_mapping_is_writable_and_its_own)
{
	char *map = mmap(NULL, self->area.size, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE, self->fd, 0);

	ASSERT_NE(MAP_FAILED, map);
	EXPECT_STREQ("same", compare_memory(map, self->area.before,
					    self->area.size));
	map[0] = 'p';
	map[5 * PAGE] = 'p';
	EXPECT_EQ('p', map[0]);
	EXPECT_STREQ("same", compare(self->fd, self->area.before,
				     self->area.size));
	EXPECT_NE('p', self->area.map[0]);
	EXPECT_NE('p', self->area.map[5 * PAGE]);
}

/* The first touch is a store, with nothing read before. */
TEST_F(snapshot, private_store_keeps_the_rest_of_the_page)
{
	char *map = mmap(NULL, self->area.size, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE, self->fd, 0);

	ASSERT_NE(MAP_FAILED, map);
	map[3 * PAGE] = 'p';
	self->area.before[3 * PAGE] = 'p';
	EXPECT_STREQ("same", compare_memory(map, self->area.before,
					    self->area.size));
}

TEST_F(snapshot, populated_mapping_has_the_content)
{
	char *map = mmap(NULL, self->area.size, PROT_READ,
			 MAP_SHARED | MAP_POPULATE, self->fd, 0);

	ASSERT_NE(MAP_FAILED, map);
	overwrite(&self->area, 3);
	EXPECT_STREQ("same", compare_memory(map, self->area.before,
					    self->area.size));
}

/* Entries that are dropped come back with the same content. */
TEST_F(snapshot, mapping_survives_dontneed_and_mlock)
{
	char *map = map_file(self->fd, self->area.size, PROT_READ);

	ASSERT_NE(NULL, map);
	EXPECT_STREQ("same", compare_memory(map, self->area.before,
					    self->area.size));
	ASSERT_EQ(0, madvise(map, self->area.size, MADV_DONTNEED));
	overwrite(&self->area, 3);
	EXPECT_STREQ("same", compare_memory(map, self->area.before,
					    self->area.size));
	ASSERT_EQ(0, mlock(map, self->area.size));
	EXPECT_STREQ("same", compare_memory(map, self->area.before,
					    self->area.size));
}

/* Mapped pages that were read before the file changes: no page is shared. */
TEST_F(snapshot, mapping_read_before_the_write_keeps_its_content)
{
	int fresh = area_snapshot(&self->area);
	char *map = map_file(fresh, self->area.size, PROT_READ);
	char *now = malloc(self->area.size);

	ASSERT_NE(NULL, map);
	memcpy(now, map, self->area.size);
	overwrite(&self->area, 3);
	EXPECT_STREQ("same", compare_memory(map, now, self->area.size));
	EXPECT_STREQ("same", compare(fresh, now, self->area.size));
}

TEST_F(snapshot, tail_of_the_last_mapped_page_is_not_from_later)
{
	char *map = map_file(self->fd, self->area.size, PROT_READ);
	char zeros[PAGE - 100] = {};

	ASSERT_NE(NULL, map);
	self->area.map[PAGES * PAGE + 200] = 'x';
	EXPECT_STREQ("same", compare_memory(map + PAGES * PAGE + 100, zeros,
					    sizeof(zeros)));
}

static sigjmp_buf after_signal;

static void jump(int sig)
{
	siglongjmp(after_signal, sig);
}

TEST_F(snapshot, load_behind_the_end_is_SIGBUS)
{
	char *map = mmap(NULL, (PAGES + 4) * PAGE, PROT_READ, MAP_SHARED,
			 self->fd, 0);
	int sig;

	ASSERT_NE(MAP_FAILED, map);
	signal(SIGBUS, jump);
	sig = sigsetjmp(after_signal, 1);
	if (!sig)
		*(volatile char *)(map + (PAGES + 2) * PAGE);
	EXPECT_EQ(SIGBUS, sig);
}

TEST_F(snapshot, cannot_be_written)
{
	char *map = map_file(self->fd, self->area.size, PROT_READ);
	void *none;
	int mem;

	EXPECT_EQ(O_RDONLY, fcntl(self->fd, F_GETFL) & O_ACCMODE);
	EXPECT_EQ(-1, write(self->fd, "x", 1));
	EXPECT_EQ(EBADF, errno);
	EXPECT_EQ(-1, pwrite(self->fd, "x", 1, 0));
	EXPECT_EQ(EBADF, errno);
	EXPECT_EQ(-1, ftruncate(self->fd, 0));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(-1, fallocate(self->fd,
				FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0,
				PAGE));
	EXPECT_EQ(EBADF, errno);
	none = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, self->fd,
		    0);
	EXPECT_EQ(MAP_FAILED, none);
	EXPECT_EQ(EACCES, errno);
	ASSERT_NE(NULL, map);
	EXPECT_EQ(-1, mprotect(map, PAGE, PROT_READ | PROT_WRITE));
	EXPECT_EQ(EACCES, errno);
	EXPECT_NE(0, madvise(map, PAGE, MADV_REMOVE));
	mem = open("/proc/self/mem", O_RDWR);
	ASSERT_LE(0, mem);
	EXPECT_EQ(-1, pwrite(mem, "x", 1, (off_t)(uintptr_t)map));
	EXPECT_STREQ("same", compare(self->fd, self->area.before,
				     self->area.size));
}

/* Root may open anything through /proc; this must not be a back door. */
TEST_F(snapshot, reopened_for_writing_is_refused)
{
	char path[32];
	int fd;

	sprintf(path, "/proc/self/fd/%d", self->fd);
	fd = open(path, O_RDWR);
	EXPECT_EQ(-1, fd);
	fd = open(path, O_WRONLY | O_TRUNC);
	EXPECT_EQ(-1, fd);
	EXPECT_NE(0, truncate(path, 0));
	EXPECT_STREQ("same", compare(self->fd, self->area.before,
				     self->area.size));
}

TEST_F(snapshot, reopened_for_reading_has_the_content)
{
	char path[32];
	int fd, fresh = area_snapshot(&self->area);
	char *now = malloc(self->area.size);

	ASSERT_LE(0, fresh);
	ASSERT_EQ((ssize_t)self->area.size,
		  pread(self->area.fd, now, self->area.size, 0));
	sprintf(path, "/proc/self/fd/%d", fresh);
	fd = open(path, O_RDONLY);
	ASSERT_LE(0, fd);
	overwrite(&self->area, 3);
	EXPECT_STREQ("same", compare(fd, now, self->area.size));
	close(fresh);
	overwrite(&self->area, 4);
	EXPECT_STREQ("same", compare(fd, now, self->area.size));
}

TEST_F(snapshot, duplicate_keeps_it_alive)
{
	int fd = dup(self->fd);

	close(self->fd);
	overwrite(&self->area, 3);
	EXPECT_STREQ("same", compare(fd, self->area.before, self->area.size));
	EXPECT_EQ(1, wp_count(self->area.fd, WPFILE_CAPTURE));
	close(fd);
	EXPECT_EQ(0, wp_count(self->area.fd, WPFILE_CAPTURE));
}

TEST_F(snapshot, mapping_keeps_it_alive)
{
	int fresh = area_snapshot(&self->area);
	char *now = malloc(self->area.size);
	char *map = map_file(fresh, self->area.size, PROT_READ);

	ASSERT_NE(NULL, map);
	ASSERT_EQ((ssize_t)self->area.size,
		  pread(self->area.fd, now, self->area.size, 0));
	close(self->fd);
	close(fresh);
	EXPECT_EQ(1, wp_count(self->area.fd, WPFILE_CAPTURE));
	overwrite(&self->area, 3);
	EXPECT_STREQ("same", compare_memory(map, now, self->area.size));
	munmap(map, (PAGES + 1) * PAGE);
	EXPECT_EQ(0, wp_count(self->area.fd, WPFILE_CAPTURE));
}

TEST_F(snapshot, outlives_the_file)
{
	area_unmap(&self->area);
	close(self->area.fd);
	self->area.fd = -1;
	EXPECT_STREQ("same", compare(self->fd, self->area.before,
				     self->area.size));
}

TEST_F(snapshot, is_no_file_to_make_monitors_of)
{
	EXPECT_EQ(-ENOTTY, wp_snapshot(self->fd));
	EXPECT_EQ(-ENOTTY, wp_monitor(self->fd, WPFILE_TRACK));
	EXPECT_EQ(-ENOTTY, wp_protect(self->fd, 0, PAGE));
}

TEST_F(snapshot, second_one_has_the_content_of_its_own_instant)
{
	char *now = malloc(self->area.size);
	int second = area_snapshot(&self->area);

	ASSERT_LE(0, second);
	ASSERT_EQ((ssize_t)self->area.size,
		  pread(self->area.fd, now, self->area.size, 0));
	overwrite(&self->area, 3);
	EXPECT_STREQ("same", compare(self->fd, self->area.before,
				     self->area.size));
	EXPECT_STREQ("same", compare(second, now, self->area.size));
	close(self->fd);
	overwrite(&self->area, 4);
	EXPECT_STREQ("same", compare(second, now, self->area.size));
}

/*
 * A huge page made of what the snapshot has so far would have zeros where it
 * has nothing yet.
 */
TEST(collapse_of_a_mapped_snapshot_gives_no_zeros)
{
	struct area area;
	char *map;
	int fd;

	ASSERT_EQ(0, area_make_filled(&area, MEMFD, 2 * HUGE));
	fd = area_snapshot(&area);
	ASSERT_LE(0, fd);
	map = map_file(fd, area.size, PROT_READ);
	ASSERT_NE(NULL, map);
	*(volatile char *)(map + 3 * PAGE);
	memset(area.map + 5 * PAGE, 'x', 10 * PAGE);
	madvise(map, area.size, MADV_HUGEPAGE);
	madvise(map, area.size, MADV_COLLAPSE); /* whatever it says */
	EXPECT_STREQ("same", compare(fd, area.before, area.size));
	EXPECT_STREQ("same", compare_memory(map, area.before, area.size));
	memset(area.map, 'y', area.size);
	EXPECT_STREQ("same", compare(fd, area.before, area.size));
	EXPECT_STREQ("same", compare_memory(map, area.before, area.size));
}

/* --- other processes --- */

static long make_and_snapshot(void *argument, long value)
{
	struct area *area = argument;

	(void)value;
	return area_fill(area, 1) ?: area_snapshot(area);
}

/* The writer and all its memory are gone; the snapshot came over a socket. */
TEST(snapshot_outlives_the_process_that_had_the_file)
{
	struct worker worker;
	struct area area;
	long remote;
	int fd;

	ASSERT_EQ(0, area_make(&area, MEMFD, PAGES * PAGE));
	ASSERT_EQ(0, worker_start(&worker));
	remote = worker_call(&worker, make_and_snapshot, &area, 0);
	ASSERT_LE(0, remote);
	fd = worker_take_fd(&worker, remote);
	ASSERT_LE(0, fd);
	close(area.fd);
	worker_stop(&worker);
	for (size_t i = 0; i < PAGES; i++)
		fill(area.before + i * PAGE, i, 1);
	EXPECT_STREQ("same", compare(fd, area.before, area.size));
}

static long store_version(void *argument, long version)
{
	struct area *area = argument;
	size_t i;

	for (i = 0; i < PAGES; i++)
		fill(area->map + i * PAGE, i, version);
	return 0;
}

/* Each snapshot has the version of its instant, of all processes' pages. */
TEST(eight_snapshots_of_eight_versions)
{
	struct worker worker;
	struct area area;
	char page[PAGE];
	int fds[8], i;
	size_t n;

	ASSERT_EQ(0, area_make(&area, MEMFD, PAGES * PAGE));
	ASSERT_EQ(0, area_map(&area));
	ASSERT_EQ(0, worker_start(&worker));
	for (i = 0; i < 8; i++) {
		ASSERT_EQ(0, worker_call(&worker, store_version, &area, i + 1));
		fds[i] = area_snapshot(&area);
		ASSERT_LE(0, fds[i]);
	}
	ASSERT_EQ(0, worker_call(&worker, store_version, &area, 9));
	for (i = 0; i < 8; i++) {
		for (n = 0; n < PAGES; n++)
			fill(area.before + n * PAGE, n, i + 1);
		EXPECT_STREQ("same", compare(fds[i], area.before, area.size));
	}
	fill(page, 0, 9);
	EXPECT_STREQ("same", compare(area.fd, page, PAGE));
	worker_stop(&worker);
}

TEST_HARNESS_MAIN
