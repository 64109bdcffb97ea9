// SPDX-License-Identifier: GPL-2.0-only
/*
 * Who may make a monitor: a file descriptor that can be read, and either
 * written too or of one's own file.
 *
 *	            opened	O_RDONLY	O_WRONLY	O_RDWR
 *	owner			yes		EACCES		yes
 *	stranger		EPERM		EACCES		yes
 *	CAP_FOWNER		yes		EACCES		yes
 */
#include "harness.h"
#include "watch.h"
#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/shm.h>
#include <sys/stat.h>

#define OWNER 4001
#define STRANGER 4002

/* clang-format off */
FIXTURE(rights) {
	struct area area;
	int fd;
};

FIXTURE_VARIANT(rights) {
	uid_t caller;
	int flags;
	int wanted;	/* 0, or -errno */
};

#define RIGHTS(who, uid, how, error)                                           \
	FIXTURE_VARIANT_ADD(rights, who##_##how) {                             \
		.caller = uid, .flags = how, .wanted = error }

RIGHTS(owner, OWNER, O_RDONLY, 0);
RIGHTS(owner, OWNER, O_WRONLY, -EACCES);
RIGHTS(owner, OWNER, O_RDWR, 0);
RIGHTS(stranger, STRANGER, O_RDONLY, -EPERM);
RIGHTS(stranger, STRANGER, O_WRONLY, -EACCES);
RIGHTS(stranger, STRANGER, O_RDWR, 0);
RIGHTS(root, 0, O_RDONLY, 0);
RIGHTS(root, 0, O_WRONLY, -EACCES);
RIGHTS(root, 0, O_RDWR, 0);
/* clang-format on */

static int become(uid_t uid)
{
	if (!uid)
		return 0;
	return setresgid(uid, uid, uid) || setresuid(uid, uid, uid) ? -errno :
								      0;
}

FIXTURE_SETUP(rights)
{
	ASSERT_EQ(0, area_make(&self->area, MEMFD, 4 * PAGE));
	ASSERT_EQ(0, area_fill(&self->area, 1));
	ASSERT_EQ(0, fchown(self->area.fd, OWNER, OWNER));
	ASSERT_EQ(0, fchmod(self->area.fd, 0666));
	self->fd = reopen(self->area.fd, variant->flags);
	ASSERT_LE(0, self->fd);
	ASSERT_LE(0, wp_device());
	ASSERT_EQ(0, become(variant->caller));
}

FIXTURE_TEARDOWN(rights)
{
	area_free(&self->area);
}

static void expect_result(struct __test_metadata *const _metadata, int wanted,
			  int fd)
{
	if (wanted) {
		EXPECT_EQ(wanted, fd);
	} else {
		EXPECT_LE(0, fd);
		close(fd);
	}
}

TEST_F(rights, of_monitors)
{
	expect_result(_metadata, variant->wanted,
		      wp_monitor(self->fd, WPFILE_TRACK));
	expect_result(_metadata, variant->wanted,
		      wp_monitor(self->fd, WPFILE_CAPTURE));
	EXPECT_EQ(0, wp_count(self->area.fd, WPFILE_TRACK));
	EXPECT_EQ(0, wp_count(self->area.fd, WPFILE_CAPTURE));
}

TEST_F(rights, of_snapshots)
{
	expect_result(_metadata, variant->wanted, wp_snapshot(self->fd));
	EXPECT_EQ(0, wp_count(self->area.fd, WPFILE_CAPTURE));
}

TEST_F(rights, query_needs_none)
{
	struct wpfile_query query;

	EXPECT_EQ(0, wp_query(self->fd, &query));
}

/* By address the rights are those of the file that was mapped. */
TEST_F(rights, by_address)
{
	char *map = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, self->fd, 0);

	if (variant->flags == O_WRONLY) { /* there are no such mappings */
		EXPECT_EQ(MAP_FAILED, map);
		return;
	}
	ASSERT_NE(MAP_FAILED, map);
	expect_result(_metadata, variant->wanted,
		      wp_monitor_at(map, WPFILE_TRACK));
	expect_result(_metadata, variant->wanted, wp_snapshot_at(map));
}

TEST(snapshot_can_be_reopened_by_its_maker)
{
	struct area area;
	int snapshot, again;

	ASSERT_EQ(0, area_make(&area, MEMFD, 4 * PAGE));
	ASSERT_EQ(0, area_fill(&area, 1));
	ASSERT_EQ(0, become(STRANGER));
	/* Not before: /proc of a process that changes its ids is root's. */
	ASSERT_EQ(0, prctl(PR_SET_DUMPABLE, 1));
	snapshot = wp_snapshot(area.fd);
	ASSERT_LE(0, snapshot);
	again = reopen(snapshot, O_RDONLY);
	ASSERT_LE(0, again)
		TH_LOG("open: %s", strerror(-again));
	EXPECT_STREQ("same", compare(again, area.before, area.size));
	EXPECT_GT(0, reopen(snapshot, O_RDWR));
}

/* What a monitor may do was decided when it was made. */
TEST(monitor_works_for_whoever_got_it)
{
	struct area area;
	int monitor;

	ASSERT_EQ(0, area_make(&area, MEMFD, 4 * PAGE));
	ASSERT_EQ(0, fchmod(area.fd, 0600));
	monitor = wp_monitor(area.fd, WPFILE_TRACK);
	ASSERT_LE(0, monitor);
	ASSERT_EQ(0, become(STRANGER));
	EXPECT_EQ(0, wp_protect(monitor, 0, WPFILE_TO_END));
	ASSERT_EQ(1, pwrite(area.fd, "x", 1, PAGE));
	EXPECT_STREQ("1", written(monitor));
}

/* --- SysV: shmat() decides how the file is open --- */

/* Attached by root first, so that it lives as long as this process. */
static int shm_attach_as_stranger(mode_t mode, int flags, void **map)
{
	int id = shmget(IPC_PRIVATE, 4 * PAGE, IPC_CREAT | mode);

	if (id < 0 || shmat(id, NULL, 0) == (void *)-1 ||
	    shmctl(id, IPC_RMID, NULL) || become(STRANGER))
		return -errno;
	*map = shmat(id, NULL, flags);
	return *map == (void *)-1 ? -errno : 0;
}

TEST(sysv_segment_attached_read_only_by_a_stranger_is_EPERM)
{
	void *map;

	ASSERT_LE(0, wp_device());
	ASSERT_EQ(0, shm_attach_as_stranger(0644, SHM_RDONLY, &map));
	EXPECT_EQ(-EPERM, wp_monitor_at(map, WPFILE_TRACK));
	EXPECT_EQ(-EPERM, wp_snapshot_at(map));
}

TEST(sysv_segment_that_a_stranger_may_write_is_ok)
{
	void *map;

	ASSERT_LE(0, wp_device());
	ASSERT_EQ(0, shm_attach_as_stranger(0666, 0, &map));
	EXPECT_LE(0, wp_monitor_at(map, WPFILE_TRACK));
	EXPECT_LE(0, wp_snapshot_at(map));
}

/* --- map_files: root reaches the memory of others --- */

static long map_anonymous(void *argument, long value)
{
	char *map = mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE,
			 MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	(void)argument;
	(void)value;
	if (map == MAP_FAILED)
		return 0;
	map[2 * PAGE] = 'b';
	return (long)map;
}

static long store_at(void *argument, long address)
{
	(void)argument;
	*(volatile char *)address = 'a';
	return 0;
}

TEST(root_watches_the_anonymous_memory_of_another_process)
{
	int fd, monitor, snapshot;
	struct worker worker;
	char path[96], byte;
	long address;

	ASSERT_EQ(0, worker_start(&worker));
	address = worker_call(&worker, map_anonymous, NULL, 0);
	ASSERT_NE(0, address);
	sprintf(path, "/proc/%d/map_files/%lx-%lx", worker.pid, address,
		address + 4 * (long)PAGE);
	fd = open(path, O_RDWR);
	ASSERT_LE(0, fd);
	monitor = wp_monitor(fd, WPFILE_TRACK);
	ASSERT_LE(0, monitor);
	ASSERT_EQ(0, wp_protect(monitor, 0, WPFILE_TO_END));
	snapshot = wp_snapshot(fd);
	ASSERT_LE(0, snapshot);
	ASSERT_EQ(0, worker_call(&worker, store_at, NULL,
				 address + 2 * (long)PAGE));
	EXPECT_STREQ("2", written(monitor));
	EXPECT_EQ(1, pread(snapshot, &byte, 1, 2 * PAGE));
	EXPECT_EQ('b', byte);
	worker_stop(&worker);
}

TEST_HARNESS_MAIN
