// SPDX-License-Identifier: GPL-2.0-only
/*
 * What processes say of a file: that it may hold them up (JOIN), and that it
 * gets no monitors any more (FORBID).
 */
#include "harness.h"
#include "watch.h"
#include "who.h"
#include <fcntl.h>
#include <sched.h>
#include <pthread.h>
#include <sys/stat.h>

#define OWNER 4001
#define STRANGER 4002
#define PAGES 4

static const struct who owner = WHO_USER(OWNER);
static const struct who stranger = WHO_USER(STRANGER);

/* --- JOIN --- */

/*
 * The worker is a stranger.  Whether it is in the domain is seen by what a
 * DENY monitor of the owner's does to it.
 */
/* clang-format off */
FIXTURE(join) {
	struct area area;
	struct worker worker, creator;
	int monitor;
};
/* clang-format on */

static long become(void *argument, long value)
{
	(void)value;
	return who_become(argument, -1);
}

static long make_monitor(void *argument, long mode)
{
	struct area *area = argument;

	return area_protect(area, mode);
}

static long join_fd(void *argument, long fd)
{
	(void)argument;
	return wp_join(fd);
}

static long state_of(void *argument, long fd)
{
	(void)argument;
	return wp_state(fd);
}

static long store(void *argument, long page)
{
	struct area *area = argument;

	return -try_store(area->map + page * PAGE, 'x', NULL);
}

static long in_a_child(void *argument, long page)
{
	struct worker child;
	long ret = worker_start(&child);

	if (ret)
		return ret;
	ret = worker_call(&child, store, argument, page);
	worker_stop(&child);
	return ret;
}

FIXTURE_SETUP(join)
{
	ASSERT_EQ(0, area_make_filled(&self->area, MEMFD, PAGES * PAGE));
	ASSERT_EQ(0, fchown(self->area.fd, OWNER, OWNER));
	ASSERT_EQ(0, fchmod(self->area.fd, 0666));
	ASSERT_EQ(0, worker_start(&self->worker));
	ASSERT_EQ(0, worker_start(&self->creator));
	ASSERT_EQ(0, worker_call(&self->worker, become, (void *)&stranger, 0));
	ASSERT_EQ(0, worker_call(&self->creator, become, (void *)&owner, 0));
}

FIXTURE_TEARDOWN(join)
{
	worker_stop(&self->worker);
	worker_stop(&self->creator);
	area_free(&self->area);
}

/* In the creator; it keeps the monitor open, and protects everything again. */
static void watch(struct __test_metadata *const _metadata,
		  FIXTURE_DATA(join) *self)
{
	long fd = worker_call(&self->creator, make_monitor, &self->area,
			      WPFILE_DENY);

	ASSERT_LE(0, fd);
	self->monitor = worker_take_fd(&self->creator, fd);
	ASSERT_LE(0, self->monitor);
}

TEST_F(join, before_the_monitor_counts)
{
	int fd = self->area.fd;

	EXPECT_EQ(0, worker_call(&self->worker, state_of, NULL, fd));
	EXPECT_EQ(0, worker_call(&self->worker, join_fd, NULL, fd));
	EXPECT_EQ(WPFILE_STATE_JOINED,
		  worker_call(&self->worker, state_of, NULL, fd));
	EXPECT_EQ(0, wp_state(fd)); /* this process has not */
	watch(_metadata, self);
	EXPECT_EQ(-SIGSEGV, worker_call(&self->worker, store, &self->area, 1));
}

TEST_F(join, after_the_monitor_counts)
{
	watch(_metadata, self);
	EXPECT_EQ(0, worker_call(&self->worker, store, &self->area, 1));
	EXPECT_EQ(0, worker_call(&self->worker, join_fd, NULL, self->area.fd));
	EXPECT_EQ(-SIGSEGV, worker_call(&self->worker, store, &self->area, 2));
	EXPECT_EQ(0, worker_call(&self->worker, store, &self->area, 1));
}

TEST_F(join, lasts_over_all_monitors_to_come)
{
	int i;

	EXPECT_EQ(0, worker_call(&self->worker, join_fd, NULL, self->area.fd));
	for (i = 0; i < 3; i++) {
		worker_stop(&self->creator);
		ASSERT_EQ(0, worker_start(&self->creator));
		ASSERT_EQ(0, worker_call(&self->creator, become,
					 (void *)&owner, 0));
		watch(_metadata, self);
		EXPECT_EQ(-SIGSEGV, worker_call(&self->worker, store,
						&self->area, i));
		close(self->monitor);
	}
}

TEST_F(join, twice_is_the_same)
{
	int fd = self->area.fd;

	EXPECT_EQ(0, worker_call(&self->worker, join_fd, NULL, fd));
	EXPECT_EQ(0, worker_call(&self->worker, join_fd, NULL, fd));
	EXPECT_EQ(WPFILE_STATE_JOINED,
		  worker_call(&self->worker, state_of, NULL, fd));
}

TEST_F(join, is_for_one_file)
{
	struct area other;

	ASSERT_EQ(0, area_make(&other, MEMFD, PAGE));
	EXPECT_EQ(0, wp_join(other.fd));
	EXPECT_EQ(WPFILE_STATE_JOINED, wp_state(other.fd));
	EXPECT_EQ(0, wp_state(self->area.fd));
	area_free(&other);
}

/* By every descriptor, not only by the one it was said on. */
TEST_F(join, belongs_to_the_file)
{
	int fd = reopen(self->area.fd, O_RDWR);

	ASSERT_LE(0, fd);
	EXPECT_EQ(0, wp_join(fd));
	close(fd);
	EXPECT_EQ(WPFILE_STATE_JOINED, wp_state(self->area.fd));
}

static void *join_in_thread(void *argument)
{
	return (void *)(long)wp_join(*(int *)argument);
}

TEST_F(join, of_a_thread_is_of_the_process)
{
	pthread_t thread;
	void *result;

	ASSERT_EQ(0, pthread_create(&thread, NULL, join_in_thread,
				    &self->area.fd));
	ASSERT_EQ(0, pthread_join(thread, &result));
	EXPECT_EQ(0, (long)result);
	EXPECT_EQ(WPFILE_STATE_JOINED, wp_state(self->area.fd));
}

TEST_F(join, is_not_inherited)
{
	EXPECT_EQ(0, worker_call(&self->worker, join_fd, NULL, self->area.fd));
	watch(_metadata, self);
	EXPECT_EQ(0, worker_call(&self->worker, in_a_child, &self->area, 1));
	EXPECT_EQ(-SIGSEGV, worker_call(&self->worker, store, &self->area, 2));
}

static int store_and_exit(void *argument)
{
	_exit(store(argument, 1) ? 1 : 0);
}

/* Who shares the memory of the process is as it is. */
TEST_F(join, is_shared_with_the_memory)
{
	static char stack[64 << 10] __attribute__((aligned(16)));
	int status;
	pid_t pid;

	watch(_metadata, self);
	ASSERT_EQ(0, wp_join(self->area.fd));
	pid = clone(store_and_exit, stack + sizeof(stack), CLONE_VM | SIGCHLD,
		    &self->area);
	ASSERT_LE(0, pid);
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 1);
	EXPECT_EQ(-SIGSEGV, store(&self->area, 2));
}

/* The program that it executes is this one: see --state below. */
TEST_F(join, ends_at_exec)
{
	char fd[16];
	int status;
	pid_t pid;

	sprintf(fd, "%d", self->area.fd);
	fcntl(self->area.fd, F_SETFD, 0);
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		if (wp_join(self->area.fd) ||
		    wp_state(self->area.fd) != WPFILE_STATE_JOINED)
			_exit(100);
		execl("/proc/self/exe", "join_forbid", "--state", fd, NULL);
		_exit(101);
	}
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(0, status);
}

TEST_F(join, needs_a_descriptor_for_writing)
{
	int reads = reopen(self->area.fd, O_RDONLY);

	ASSERT_LE(0, reads);
	EXPECT_EQ(-EPERM, wp_join(reads));
	EXPECT_EQ(0, wp_state(self->area.fd));
	close(reads);
}

TEST_F(join, by_address)
{
	struct wpfile_consent target = {
		.size = sizeof(target),
		.flags = WPFILE_AT_ADDRESS,
		.address = (uintptr_t)self->area.map + PAGE,
	};
	char *map = map_file(reopen(self->area.fd, O_RDONLY), PAGE, PROT_READ);

	ASSERT_NE(NULL, map);
	target.address = (uintptr_t)map;
	EXPECT_EQ(-EPERM, wp_call(wp_device(), WPFILE_IOC_JOIN, &target));
	EXPECT_EQ(0, wp_state(self->area.fd));
	target.address = (uintptr_t)self->area.map;
	EXPECT_EQ(0, wp_call(wp_device(), WPFILE_IOC_JOIN, &target));
	EXPECT_EQ(WPFILE_STATE_JOINED, wp_state(self->area.fd));
}

/* Thousands come and go, on a file that lives; and the file goes first. */
TEST_F(join, leaves_nothing_behind)
{
	struct area other;
	pid_t pid;
	int i;

	for (i = 0; i < 300; i++) {
		pid = fork();
		ASSERT_LE(0, pid);
		if (!pid)
			_exit(wp_join(self->area.fd));
		ASSERT_EQ(pid, waitpid(pid, &(int){ 0 }, 0));
	}
	EXPECT_EQ(0, wp_state(self->area.fd));
	for (i = 0; i < 300; i++) {
		ASSERT_EQ(0, area_make(&other, MEMFD, PAGE));
		ASSERT_EQ(0, wp_join(other.fd));
		area_free(&other);
	}
}

/* --- FORBID --- */

/* clang-format off */
FIXTURE(forbid) {
	struct area area;
};
/* clang-format on */

FIXTURE_SETUP(forbid)
{
	ASSERT_EQ(0, area_make_filled(&self->area, MEMFD, PAGES * PAGE));
	ASSERT_EQ(0, fchown(self->area.fd, OWNER, OWNER));
	ASSERT_EQ(0, fchmod(self->area.fd, 0666));
	ASSERT_LE(0, wp_device());
}

FIXTURE_TEARDOWN(forbid)
{
	area_free(&self->area);
}

TEST_F(forbid, rules_monitors_and_snapshots_out_for_good)
{
	__u32 mode;

	EXPECT_EQ(0, wp_state(self->area.fd));
	ASSERT_EQ(0, wp_forbid(self->area.fd));
	EXPECT_EQ(WPFILE_STATE_FORBIDDEN, wp_state(self->area.fd));
	for (mode = 0; mode < WPFILE_NR_MODES; mode++) {
		EXPECT_EQ(-EPERM, wp_monitor(self->area.fd, mode));
		EXPECT_EQ(-EPERM, wp_monitor_at(self->area.map, mode));
	}
	EXPECT_EQ(-EPERM, wp_snapshot(self->area.fd));
	EXPECT_EQ(-EPERM, wp_snapshot_at(self->area.map));
	EXPECT_EQ(0, try_store(self->area.map, 'x', NULL));
	EXPECT_EQ(0, try_write(self->area.fd, 'x', PAGE));
}

TEST_F(forbid, is_seen_by_every_receiver)
{
	int reads = reopen(self->area.fd, O_RDONLY);

	ASSERT_LE(0, reads);
	ASSERT_EQ(0, wp_forbid(self->area.fd));
	EXPECT_EQ(WPFILE_STATE_FORBIDDEN, wp_state(reads));
	EXPECT_EQ(-EPERM, wp_snapshot(reads));
	close(reads);
}

TEST_F(forbid, outlives_its_descriptor)
{
	int fd = reopen(self->area.fd, O_RDWR);

	ASSERT_LE(0, fd);
	ASSERT_EQ(0, wp_forbid(fd));
	close(fd);
	EXPECT_EQ(-EPERM, wp_monitor(self->area.fd, WPFILE_TRACK));
}

TEST_F(forbid, twice_is_the_same)
{
	ASSERT_EQ(0, wp_forbid(self->area.fd));
	EXPECT_EQ(0, wp_forbid(self->area.fd));
	EXPECT_EQ(WPFILE_STATE_FORBIDDEN, wp_state(self->area.fd));
}

TEST_F(forbid, is_EBUSY_while_monitors_exist)
{
	__u32 mode;
	int fd;

	for (mode = 0; mode < WPFILE_NR_MODES; mode++) {
		fd = wp_monitor(self->area.fd, mode);
		ASSERT_LE(0, fd);
		EXPECT_EQ(-EBUSY, wp_forbid(self->area.fd));
		EXPECT_EQ(0, wp_state(self->area.fd));
		close(fd);
	}
	fd = wp_snapshot(self->area.fd);
	ASSERT_LE(0, fd);
	EXPECT_EQ(-EBUSY, wp_forbid(self->area.fd));
	close(fd);
	EXPECT_EQ(0, wp_forbid(self->area.fd));
}

TEST_F(forbid, lets_processes_join)
{
	ASSERT_EQ(0, wp_forbid(self->area.fd));
	EXPECT_EQ(0, wp_join(self->area.fd));
	EXPECT_EQ(WPFILE_STATE_FORBIDDEN | WPFILE_STATE_JOINED,
		  wp_state(self->area.fd));
}

TEST_F(forbid, by_address)
{
	struct wpfile_consent target = {
		.size = sizeof(target),
		.flags = WPFILE_AT_ADDRESS,
		.address = (uintptr_t)self->area.map,
	};

	EXPECT_EQ(0, wp_call(wp_device(), WPFILE_IOC_FORBID, &target));
	EXPECT_EQ(WPFILE_STATE_FORBIDDEN, wp_state(self->area.fd));
}

TEST_F(forbid, concerns_no_other_file)
{
	struct area other;
	int fd;

	ASSERT_EQ(0, wp_forbid(self->area.fd));
	ASSERT_EQ(0, area_make(&other, MEMFD, PAGE));
	fd = wp_monitor(other.fd, WPFILE_SYNC);
	EXPECT_LE(0, fd);
	close(fd);
	area_free(&other);
}

/* FORBID against MONITOR: one of them wins, never both. */
static long monitor_when_told(void *argument, long when)
{
	while (now_ns() < (uint64_t)when)
		;
	return wp_monitor(*(int *)argument, WPFILE_TRACK);
}

TEST_F(forbid, and_a_monitor_at_the_same_time)
{
	int round, forbidden = 0, made = 0, ret;
	long monitor, ahead = 0; /* ns: adjusted until they meet */
	struct worker other;
	struct area area;
	uint64_t when;

	for (round = 0; round < 100; round++) {
		ASSERT_EQ(0, area_make(&area, MEMFD, PAGE));
		ASSERT_EQ(0, worker_start(&other));
		when = now_ns() + 50000000;
		worker_begin(&other, monitor_when_told, &area.fd, when);
		while (now_ns() < when - ahead)
			;
		ret = wp_forbid(area.fd);
		monitor = worker_end(&other);
		if (ret) {
			EXPECT_EQ(-EBUSY, ret);
			EXPECT_LE(0, monitor);
			made++;
			ahead += 10000;
		} else {
			EXPECT_EQ(-EPERM, monitor);
			forbidden++;
			ahead -= 10000;
		}
		worker_stop(&other);
		area_free(&area);
	}
	TH_LOG("%d monitors, %d forbidden", made, forbidden);
	EXPECT_LT(0, made);
	EXPECT_LT(0, forbidden);
}

/* --- main --- */

int main(int argc, char **argv)
{
	if (argc == 3 && !strcmp(argv[1], "--state"))
		return wp_state(atoi(argv[2]));
	return test_harness_run(argc, argv);
}
