// SPDX-License-Identifier: GPL-2.0-only
/*
 * How monitors live and die: killed, passed on, inherited, executed over,
 * closed while in use; and the file that goes before them.
 */
#include "harness.h"
#include "watch.h"
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>

#define PAGES 64
#define PATIENCE 20 /* seconds until a killed process must be gone */

/* clang-format off */
FIXTURE(life) {
	struct area area;
	struct worker worker;
};
/* clang-format on */

FIXTURE_SETUP(life)
{
	ASSERT_EQ(0, area_make_filled(&self->area, MEMFD, PAGES * PAGE));
	area_touch(&self->area);
	ASSERT_EQ(0, worker_start(&self->worker));
}

FIXTURE_TEARDOWN(life)
{
	worker_stop(&self->worker);
	area_free(&self->area);
}

static void store(struct area *area, size_t page)
{
	volatile char *byte = area->map + page * PAGE + 500;

	*byte = *byte + 1;
}

/* --- in the worker; the values are file descriptors there --- */

static long make_capture(void *argument, long value)
{
	struct area *area = argument;

	(void)value;
	return area_protect(area, WPFILE_CAPTURE);
}

static long make_track(void *argument, long value)
{
	struct area *area = argument;

	(void)value;
	return area_protect(area, WPFILE_TRACK);
}

static long make_snapshot(void *argument, long value)
{
	(void)value;
	return area_snapshot(argument);
}

static long map_snapshot(void *argument, long fd)
{
	struct area *area = argument;
	char *map = map_file(fd, area->size, PROT_READ);

	close(fd);
	return map ? *map : -errno;
}

static long close_fd(void *argument, long fd)
{
	(void)argument;
	return close(fd);
}

static long store_page(void *argument, long page)
{
	store(argument, page);
	return 0;
}

static long exec_sleep(void *argument, long value)
{
	(void)argument;
	(void)value;
	execl("/bin/sleep", "sleep", "1000", NULL);
	return -errno;
}

static void kill_worker(struct worker *worker)
{
	kill(worker->pid, SIGKILL);
	waitpid(worker->pid, NULL, 0);
	worker->pid = -1;
}

/* --- processes that write all the time --- */

struct counter {
	volatile bool stop;
	volatile unsigned long count[4];
};

static pid_t start_writer(struct area *area, struct counter *counter, int id)
{
	pid_t pid = fork();

	if (pid)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	while (!counter->stop) {
		store(area, counter->count[id] % PAGES);
		counter->count[id]++;
	}
	_exit(0);
}

static struct counter *new_counter(void)
{
	return mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
		    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
}

static bool goes_on(struct counter *counter, int id)
{
	unsigned long before = counter->count[id];
	uint64_t end = now_ns() + PATIENCE * 1000000000ULL;

	while (counter->count[id] < before + 1000 && now_ns() < end)
		sleep_ms(5);
	return counter->count[id] >= before + 1000;
}

/* --- death --- */

TEST_F(life, killed_holder_leaves_no_monitor_and_writers_go_on)
{
	struct counter *counter = new_counter();
	pid_t pids[4];
	int i, status;

	for (i = 0; i < 4; i++)
		pids[i] = start_writer(&self->area, counter, i);
	ASSERT_LE(0, worker_call(&self->worker, make_capture, &self->area, 0));
	ASSERT_LE(0, worker_call(&self->worker, make_track, &self->area, 0));
	ASSERT_LE(0, worker_call(&self->worker, make_snapshot, &self->area, 0));
	EXPECT_EQ(2, wp_count(self->area.fd, WPFILE_CAPTURE));
	EXPECT_EQ(1, wp_count(self->area.fd, WPFILE_TRACK));
	kill_worker(&self->worker);
	EXPECT_EQ(0, wp_wait_count(self->area.fd, WPFILE_CAPTURE, 0, PATIENCE));
	EXPECT_EQ(0, wp_wait_count(self->area.fd, WPFILE_TRACK, 0, PATIENCE));
	for (i = 0; i < 4; i++)
		EXPECT_TRUE(goes_on(counter, i));
	counter->stop = true;
	for (i = 0; i < 4; i++) {
		ASSERT_EQ(pids[i], waitpid(pids[i], &status, 0));
		EXPECT_EQ(0, status);
	}
}

/* Killed within the calls, again and again. */
TEST_F(life, holder_killed_in_the_middle_leaves_no_monitor)
{
	struct counter *counter = new_counter();
	pid_t writer = start_writer(&self->area, counter, 0), pid;
	struct pages seen;
	int round, monitor;

	for (round = 0; round < 30; round++) {
		pid = fork();
		if (!pid) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			for (;;) {
				monitor = area_protect(&self->area, round % 2);
				wp_protect(monitor, 0, WPFILE_TO_END);
				scan_pages(monitor, 0, &seen);
				close(area_snapshot(&self->area));
				close(monitor);
			}
		}
		sleep_ms(10 + round);
		kill(pid, SIGKILL);
		ASSERT_EQ(pid, waitpid(pid, NULL, 0));
		EXPECT_EQ(0, wp_wait_count(self->area.fd, WPFILE_CAPTURE, 0,
					   PATIENCE));
		EXPECT_EQ(0, wp_wait_count(self->area.fd, WPFILE_TRACK, 0,
					   PATIENCE));
	}
	EXPECT_TRUE(goes_on(counter, 0));
	counter->stop = true;
	ASSERT_EQ(writer, waitpid(writer, NULL, 0));
}

TEST_F(life, killed_writers_do_not_hurt_the_snapshot)
{
	struct counter *counter = new_counter();
	char *now = malloc(self->area.size);
	int snapshot, round;
	pid_t pid;

	for (round = 0; round < 20; round++) {
		pid = start_writer(&self->area, counter, 0);
		sleep_ms(5);
		snapshot = area_snapshot(&self->area);
		ASSERT_LE(0, snapshot);
		ASSERT_EQ((ssize_t)self->area.size,
			  pread(snapshot, now, self->area.size, 0));
		kill(pid, SIGKILL);
		ASSERT_EQ(pid, waitpid(pid, NULL, 0));
		EXPECT_STREQ("same", compare(snapshot, now, self->area.size));
		close(snapshot);
	}
}

TEST_F(life, all_writers_gone_before_the_snapshot_is_read)
{
	int snapshot = area_snapshot(&self->area);

	ASSERT_LE(0, snapshot);
	ASSERT_EQ(0, worker_call(&self->worker, store_page, &self->area, 3));
	kill_worker(&self->worker);
	area_unmap(&self->area);
	EXPECT_STREQ("same", compare(snapshot, self->area.before,
				     self->area.size));
}

/* --- passed on --- */

static long make_and_send(void *argument, long socket)
{
	int monitor = area_protect(argument, WPFILE_TRACK);

	return monitor < 0 ? monitor : send_fd(socket, monitor);
}

/* The maker dies while the monitor is nowhere but in the socket. */
TEST_F(life, monitor_in_a_message_outlives_its_maker)
{
	struct worker maker;
	int sockets[2], monitor;

	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_DGRAM, 0, sockets));
	ASSERT_EQ(0, worker_start(&maker));
	ASSERT_EQ(0, worker_call(&maker, make_and_send, &self->area,
				 sockets[0]));
	worker_stop(&maker);
	store(&self->area, 5);
	EXPECT_EQ(1, wp_count(self->area.fd, WPFILE_TRACK));
	monitor = receive_fd(sockets[1]);
	ASSERT_LE(0, monitor);
	EXPECT_STREQ("5", written(monitor));
	store(&self->area, 6);
	EXPECT_STREQ("6", written(monitor));
	close(monitor);
	EXPECT_EQ(0, wp_count(self->area.fd, WPFILE_TRACK));
}

TEST_F(life, monitor_in_a_message_that_nobody_reads_goes_with_the_socket)
{
	int sockets[2], monitor = area_protect(&self->area, WPFILE_CAPTURE);

	ASSERT_LE(0, monitor);
	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_DGRAM, 0, sockets));
	ASSERT_EQ(0, send_fd(sockets[0], monitor));
	close(monitor);
	EXPECT_EQ(1, wp_count(self->area.fd, WPFILE_CAPTURE));
	close(sockets[0]);
	close(sockets[1]);
	EXPECT_EQ(0, wp_wait_count(self->area.fd, WPFILE_CAPTURE, 0, PATIENCE));
}

TEST_F(life, fork_keeps_the_monitor)
{
	int monitor = area_protect(&self->area, WPFILE_TRACK);
	struct worker heir;

	ASSERT_LE(0, monitor);
	ASSERT_EQ(0, worker_start(&heir));
	close(monitor);
	EXPECT_EQ(1, wp_count(self->area.fd, WPFILE_TRACK));
	store(&self->area, 7);
	monitor = worker_take_fd(&heir, monitor);
	ASSERT_LE(0, monitor);
	EXPECT_STREQ("7", written(monitor));
	worker_stop(&heir);
	EXPECT_EQ(1, wp_count(self->area.fd, WPFILE_TRACK));
	close(monitor);
	EXPECT_EQ(0, wp_count(self->area.fd, WPFILE_TRACK));
}

TEST_F(life, exec_closes_monitors_and_snapshots)
{
	ASSERT_LE(0, worker_call(&self->worker, make_track, &self->area, 0));
	ASSERT_LE(0, worker_call(&self->worker, make_snapshot, &self->area, 0));
	EXPECT_EQ(1, wp_count(self->area.fd, WPFILE_TRACK));
	EXPECT_EQ(1, wp_count(self->area.fd, WPFILE_CAPTURE));
	worker_begin(&self->worker, exec_sleep, NULL, 0);
	EXPECT_EQ(0, wp_wait_count(self->area.fd, WPFILE_TRACK, 0, PATIENCE));
	EXPECT_EQ(0, wp_wait_count(self->area.fd, WPFILE_CAPTURE, 0, PATIENCE));
	EXPECT_EQ(0, kill(self->worker.pid, 0)); /* it is alive */
	kill_worker(&self->worker);
}

/* A mapping keeps the snapshot; its end with the process ends it too. */
TEST_F(life, mapped_snapshot_goes_with_the_process)
{
	long fd = worker_call(&self->worker, make_snapshot, &self->area, 0);

	ASSERT_LE(0, fd);
	ASSERT_LE(0, worker_call(&self->worker, map_snapshot, &self->area, fd));
	EXPECT_EQ(1, wp_count(self->area.fd, WPFILE_CAPTURE));
	store(&self->area, 4);
	kill_worker(&self->worker);
	EXPECT_EQ(0, wp_wait_count(self->area.fd, WPFILE_CAPTURE, 0, PATIENCE));
}

TEST_F(life, closing_in_one_process_keeps_it_for_the_other)
{
	long remote = worker_call(&self->worker, make_track, &self->area, 0);
	int monitor;

	ASSERT_LE(0, remote);
	monitor = worker_take_fd(&self->worker, remote);
	ASSERT_LE(0, monitor);
	ASSERT_EQ(0, worker_call(&self->worker, close_fd, NULL, remote));
	store(&self->area, 9);
	EXPECT_STREQ("9", written(monitor));
	close(monitor);
	EXPECT_EQ(0, wp_count(self->area.fd, WPFILE_TRACK));
}

/* --- closed while in use --- */

struct user {
	volatile int fd;
	volatile bool stop;
	struct area *area;
	volatile unsigned long calls;
};

static void *scan_until_stopped(void *argument)
{
	struct user *user = argument;
	struct pages seen;

	while (!user->stop) {
		scan_pages(user->fd, WPFILE_SCAN_PROTECT, &seen);
		wp_protect(user->fd, 0, WPFILE_TO_END);
		user->calls++;
	}
	return NULL;
}

static void *read_until_stopped(void *argument)
{
	struct user *user = argument;

	while (!user->stop) {
		compare(user->fd, user->area->before, user->area->size);
		user->calls++;
	}
	return NULL;
}

static void close_under_thread(struct __test_metadata *const _metadata,
			       struct area *area, void *(*use)(void *),
			       __u32 mode)
{
	struct user user = { .area = area };
	pthread_t thread;
	int round;

	user.fd = mode == WPFILE_TRACK ? area_protect(area, mode) :
					 area_snapshot(area);
	ASSERT_LE(0, user.fd);
	ASSERT_EQ(0, pthread_create(&thread, NULL, use, &user));
	for (round = 0; round < 100; round++) {
		store(area, round % PAGES);
		sched_yield();
		close(user.fd);
		user.fd = mode == WPFILE_TRACK ? area_protect(area, mode) :
						 area_snapshot(area);
		ASSERT_LE(0, user.fd);
		if (round % 10 == 0)
			sleep_ms(1);
	}
	user.stop = true;
	ASSERT_EQ(0, pthread_join(thread, NULL));
	EXPECT_LT(0, user.calls);
	close(user.fd);
	EXPECT_EQ(0, wp_wait_count(area->fd, mode, 0, PATIENCE));
}

TEST_F(life, closing_while_another_thread_scans)
{
	close_under_thread(_metadata, &self->area, scan_until_stopped,
			   WPFILE_TRACK);
}

TEST_F(life, closing_while_another_thread_reads_the_snapshot)
{
	close_under_thread(_metadata, &self->area, read_until_stopped,
			   WPFILE_CAPTURE);
}

static void *read_event(void *argument)
{
	struct wpfile_event event;
	int fd = *(int *)argument;

	return (void *)(long)read(fd, &event, sizeof(event));
}

static void ignore_signal(int sig)
{
	(void)sig;
}

/* There is no event to come; a signal gets the reader out. */
TEST_F(life, read_waits_for_an_event_until_a_signal)
{
	struct sigaction action = { .sa_handler = ignore_signal };
	int monitor = area_protect(&self->area, WPFILE_CAPTURE);
	pthread_t thread;
	void *result;

	ASSERT_LE(0, monitor);
	ASSERT_EQ(0, sigaction(SIGUSR1, &action, NULL));
	ASSERT_EQ(0, pthread_create(&thread, NULL, read_event, &monitor));
	sleep_ms(200);
	ASSERT_EQ(EBUSY, pthread_tryjoin_np(thread, &result));
	ASSERT_EQ(0, pthread_kill(thread, SIGUSR1));
	ASSERT_EQ(0, pthread_join(thread, &result));
	EXPECT_EQ(-1, (long)result);
}

/* --- the file goes --- */

TEST_F(life, unlinked_file_is_watched_on)
{
	int dir = tmpfs_new("never"), monitor, snapshot;
	char *map, before[PAGE];
	int fd;

	ASSERT_LE(0, dir);
	fd = openat(dir, "file", O_RDWR | O_CREAT, 0600);
	ASSERT_LE(0, fd);
	fill(before, 0, 1);
	ASSERT_EQ((ssize_t)PAGE, pwrite(fd, before, PAGE, 0));
	map = map_file(fd, PAGE, PROT_READ | PROT_WRITE);
	ASSERT_NE(NULL, map);
	monitor = wp_monitor(fd, WPFILE_TRACK);
	ASSERT_EQ(0, wp_protect(monitor, 0, WPFILE_TO_END));
	snapshot = wp_snapshot(fd);
	ASSERT_LE(0, snapshot);
	ASSERT_EQ(0, unlinkat(dir, "file", 0));
	close(fd);
	map[0] = 'x';
	EXPECT_STREQ("0", written(monitor));
	munmap(map, PAGE);
	EXPECT_STREQ("same", compare(snapshot, before, PAGE));
}

TEST_F(life, every_way_to_the_file_closed_but_the_snapshot)
{
	int snapshot = area_snapshot(&self->area);

	ASSERT_LE(0, snapshot);
	store(&self->area, 3);
	worker_stop(&self->worker);
	area_unmap(&self->area);
	close(self->area.fd);
	self->area.fd = -1;
	EXPECT_STREQ("same", compare(snapshot, self->area.before,
				     self->area.size));
	close(snapshot);
}

static int mount_with_file(const char *dir, int *fd)
{
	char path[64];

	if (mount("tmpfs", dir, "tmpfs", 0, NULL))
		return -errno;
	snprintf(path, sizeof(path), "%s/file", dir);
	*fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	return *fd < 0 || ftruncate(*fd, 4 * PAGE) ? -errno : 0;
}

static void expect_busy_until_closed(struct __test_metadata *const _metadata,
				     const char *dir, int last)
{
	uint64_t end;
	int ret;

	EXPECT_EQ(-1, umount(dir));
	EXPECT_EQ(EBUSY, errno);
	close(last);
	end = now_ns() + PATIENCE * 1000000000ULL;
	while ((ret = umount(dir)) && now_ns() < end)
		sleep_ms(1);
	EXPECT_EQ(0, ret);
}

TEST_F(life, tmpfs_cannot_be_unmounted_while_a_monitor_exists)
{
	char dir[] = "/tmp/wpfile-XXXXXX";
	int fd, last;

	ASSERT_NE(NULL, mkdtemp(dir));
	ASSERT_EQ(0, mount_with_file(dir, &fd));
	last = wp_monitor(fd, WPFILE_TRACK);
	ASSERT_LE(0, last);
	close(fd);
	expect_busy_until_closed(_metadata, dir, last);
	rmdir(dir);
}

TEST_F(life, tmpfs_cannot_be_unmounted_while_a_snapshot_exists)
{
	char dir[] = "/tmp/wpfile-XXXXXX";
	int fd, last;

	ASSERT_NE(NULL, mkdtemp(dir));
	ASSERT_EQ(0, mount_with_file(dir, &fd));
	last = wp_snapshot(fd);
	ASSERT_LE(0, last);
	close(fd);
	expect_busy_until_closed(_metadata, dir, last);
	rmdir(dir);
}

/* --- what it held is given back --- */

TEST_F(life, closing_a_snapshot_gives_its_memory_back)
{
	size_t size = 16 << 20;
	struct area area;
	long before, during;
	uint64_t end;
	int snapshot;

	ASSERT_EQ(0, area_make(&area, MEMFD, size));
	ASSERT_EQ(0, area_fill(&area, 1));
	before = file_number("/proc/meminfo", "Shmem:");
	snapshot = area_snapshot(&area);
	ASSERT_LE(0, snapshot);
	ASSERT_EQ(0, area_fill(&area, 2));
	during = file_number("/proc/meminfo", "Shmem:");
	EXPECT_LE(before + (long)(size >> 10) - 1024, during);
	close(snapshot);
	end = now_ns() + PATIENCE * 1000000000ULL;
	while (file_number("/proc/meminfo", "Shmem:") > before + 1024 &&
	       now_ns() < end)
		sleep_ms(50);
	EXPECT_GE(before + 1024, file_number("/proc/meminfo", "Shmem:"));
	area_free(&area);
}

TEST_HARNESS_MAIN
