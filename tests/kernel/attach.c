// SPDX-License-Identifier: GPL-2.0-only
/*
 * ATTACH: several files on one monitor, and one cut over all of them.
 */
#include "harness.h"
#include "watch.h"
#include "who.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define FILES 3
#define SIZE (8 * PAGE)
#define COOKIE(_file) (0x100 + (_file))

static const struct who stranger = WHO_USER(65534);

static int attach(int monitor, struct wpfile_attach request)
{
	request.size = sizeof(request);
	return wp_call(monitor, WPFILE_IOC_ATTACH, &request);
}

static int attach_fd(int monitor, int fd, __u64 cookie)
{
	return attach(monitor, (struct wpfile_attach){ .fd = fd,
						       .cookie = cookie });
}

static int protect_all_files(int monitor)
{
	struct wpfile_range all = { .length = WPFILE_TO_END };
	struct wpfile_protect request = {
		.size = sizeof(request),
		.flags = WPFILE_ALL_FILES,
		.ranges = (uintptr_t)&all,
		.nr_ranges = 1,
	};

	return wp_call(monitor, WPFILE_IOC_PROTECT, &request);
}

/* clang-format off */
FIXTURE(files) {
	struct area area[FILES];
	int monitor[FILES];	/* the same one, by its files */
};

FIXTURE_VARIANT(files) {
	__u32 mode;
};

FIXTURE_VARIANT_ADD(files, track) { .mode = WPFILE_TRACK };
FIXTURE_VARIANT_ADD(files, capture) { .mode = WPFILE_CAPTURE };
FIXTURE_VARIANT_ADD(files, sync) { .mode = WPFILE_SYNC };
FIXTURE_VARIANT_ADD(files, deny) { .mode = WPFILE_DENY };
/* clang-format on */

FIXTURE_SETUP(files)
{
	struct wpfile_monitor request = {
		.mode = variant->mode,
		.cookie = COOKIE(0),
	};
	int i;

	/* Who may trace everybody has everybody in his domain. */
	ASSERT_EQ(0, who_drop(CAP_BIT(CAP_SYS_PTRACE)));
	for (i = 0; i < FILES; i++) {
		ASSERT_EQ(0, area_make_filled(&self->area[i], MEMFD, SIZE));
		self->monitor[i] =
			i ? attach_fd(self->monitor[0], self->area[i].fd,
				      COOKIE(i)) :
			    wp_monitor_with(self->area[0].fd, request);
		ASSERT_LE(0, self->monitor[i]);
	}
}

FIXTURE_TEARDOWN(files)
{
	int i;

	for (i = 0; i < FILES; i++) {
		close(self->monitor[i]);
		area_free(&self->area[i]);
	}
}

static int write_page(struct area *area, size_t page)
{
	char data[PAGE];

	memset(data, 'w', sizeof(data));
	return pwrite(area->fd, data, PAGE, page * PAGE) == (ssize_t)PAGE ?
	       0 : -errno;
}

/* By somebody whom the monitor cannot stop. */
static int write_as_stranger(struct area *area, size_t page)
{
	pid_t pid = fork();
	int status;

	if (!pid) {
		if (who_become(&stranger, -1))
			_exit(1);
		_exit(write_page(area, page) ? 1 : 0);
	}
	if (waitpid(pid, &status, 0) != pid || status)
		return -EIO;
	return 0;
}

TEST_F(files, one_call_protects_all_of_them)
{
	struct pages seen;
	int i;

	ASSERT_EQ(0, protect_all_files(self->monitor[1]));
	for (i = 0; i < FILES; i++) {
		ASSERT_EQ(0, scan_pages(self->monitor[i], 0, &seen));
		EXPECT_STREQ("", pages_text(&seen));
		EXPECT_EQ(1, wp_count(self->area[i].fd, variant->mode));
	}
}

TEST_F(files, each_descriptor_is_of_its_file)
{
	struct pages seen;
	int i;

	ASSERT_EQ(0, wp_protect(self->monitor[1], 0, WPFILE_TO_END));
	for (i = 0; i < FILES; i++) {
		ASSERT_EQ(0, scan_pages(self->monitor[i], 0, &seen));
		EXPECT_STREQ(i == 1 ? "" : "0-7", pages_text(&seen));
	}
	ASSERT_EQ(0, wp_protect(self->monitor[2], 2 * PAGE, PAGE));
	ASSERT_EQ(0, wp_unprotect(self->monitor[1], 5 * PAGE, PAGE));
	ASSERT_EQ(0, scan_pages(self->monitor[2], 0, &seen));
	EXPECT_STREQ("0-1 3-7", pages_text(&seen));
	ASSERT_EQ(0, scan_pages(self->monitor[1], 0, &seen));
	EXPECT_STREQ("5", pages_text(&seen));
}

TEST_F(files, content_is_read_from_its_own)
{
	char page[PAGE];
	int i;

	if (variant->mode == WPFILE_TRACK)
		SKIP(return, "TRACK keeps no content");
	for (i = 0; i < FILES; i++) {
		ASSERT_EQ(0, area_fill_page(&self->area[i], 3, 7 + i));
		memcpy(self->area[i].before + 3 * PAGE,
		       self->area[i].map + 3 * PAGE, PAGE);
	}
	ASSERT_EQ(0, protect_all_files(self->monitor[0]));
	for (i = 0; i < FILES; i++)
		ASSERT_EQ(0, write_as_stranger(&self->area[i], 3));
	for (i = 0; i < FILES; i++) {
		ASSERT_EQ((ssize_t)PAGE,
			  pread(self->monitor[i], page, PAGE, 3 * PAGE));
		EXPECT_STREQ("same",
			     compare_memory(page,
					    self->area[i].before + 3 * PAGE,
					    PAGE));
	}
}

TEST_F(files, events_tell_the_file_by_its_cookie)
{
	struct wpfile_event events[2 * FILES];
	ssize_t len;
	int i;

	if (variant->mode < WPFILE_SYNC)
		SKIP(return, "no events of writes");
	ASSERT_EQ(0, protect_all_files(self->monitor[0]));
	for (i = FILES - 1; i >= 0; i--)
		ASSERT_EQ(0, write_as_stranger(&self->area[i], 1 + i));
	len = read(self->monitor[1], events, sizeof(events));
	ASSERT_EQ((ssize_t)(FILES * sizeof(events[0])), len);
	for (i = 0; i < FILES; i++) {
		EXPECT_EQ(COOKIE(FILES - 1 - i), (int)events[i].cookie);
		EXPECT_EQ((FILES - i) * PAGE, events[i].offset);
		EXPECT_EQ(WPFILE_EVENT_WRITE, (int)events[i].type);
		EXPECT_EQ(WPFILE_PASSED, (int)events[i].outcome);
		EXPECT_EQ(0, (int)events[i].tid);
	}
}

TEST_F(files, closing_one_gives_up_that_file_alone)
{
	struct pages seen;

	ASSERT_EQ(0, protect_all_files(self->monitor[0]));
	close(self->monitor[0]);
	self->monitor[0] = -1;
	EXPECT_EQ(0, wp_wait_count(self->area[0].fd, variant->mode, 0, 5));
	EXPECT_EQ(1, wp_count(self->area[1].fd, variant->mode));
	ASSERT_EQ(0, write_page(&self->area[0], 2));
	ASSERT_EQ(0, scan_pages(self->monitor[1], 0, &seen));
	EXPECT_STREQ("", pages_text(&seen));

	/* The monitor is what it was, and may have the file again. */
	ASSERT_EQ(0, protect_all_files(self->monitor[2]));
	self->monitor[0] = attach_fd(self->monitor[1], self->area[0].fd, 9);
	ASSERT_LE(0, self->monitor[0]);
	ASSERT_EQ(0, scan_pages(self->monitor[0], 0, &seen));
	EXPECT_STREQ("0-7", pages_text(&seen));
}

TEST_F(files, what_cannot_be_attached)
{
	struct area other;
	int fd, i;

	EXPECT_EQ(-EEXIST, attach_fd(self->monitor[1], self->area[0].fd, 0));
	EXPECT_EQ(-EBADF, attach_fd(self->monitor[0], -1, 0));
	fd = open("/dev/null", O_RDWR);
	EXPECT_EQ(-ENOTTY, attach_fd(self->monitor[0], fd, 0));
	close(fd);
	EXPECT_EQ(-EINVAL, attach(self->monitor[0], (struct wpfile_attach){
						.fd = self->area[0].fd,
						.flags = 2 }));
	EXPECT_EQ(-EINVAL, attach(self->monitor[0], (struct wpfile_attach){
						.fd = self->area[0].fd,
						.reserved = 1 }));
	EXPECT_EQ(-EFAULT, attach(self->monitor[0], (struct wpfile_attach){
						.fd = -1,
						.flags = WPFILE_AT_ADDRESS,
						.address = PAGE }));
	ASSERT_EQ(0, area_make(&other, ANON, SIZE));
	ASSERT_EQ(0, area_map(&other));
	fd = attach(self->monitor[0], (struct wpfile_attach){
				.fd = -1,
				.flags = WPFILE_AT_ADDRESS,
				.address = (uintptr_t)other.map });
	EXPECT_LE(0, fd);
	for (i = 0; i < FILES; i++)
		EXPECT_EQ(1, wp_count(self->area[i].fd, variant->mode));
	close(fd);
	area_free(&other);
}

TEST_F(files, only_who_made_the_monitor_attaches)
{
	struct area other;
	pid_t pid;
	int status;

	ASSERT_EQ(0, area_make(&other, MEMFD, SIZE));
	ASSERT_EQ(0, fchown(other.fd, stranger.uid, stranger.gid));
	pid = fork();
	if (!pid) {
		if (who_become(&stranger, -1))
			_exit(1);
		_exit(attach_fd(self->monitor[0], other.fd, 0) == -EPERM ? 0 :
									   2);
	}
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(0, status);
	area_free(&other);
}

/* --- the capabilities of who attaches --- */

#define MADE_WITH (CAP_BIT(CAP_KILL) | CAP_BIT(CAP_CHOWN))
#define USER_WITH(_permitted, _effective)                                      \
	{ .uid = 4001, .euid = 4001, .gid = 4001, .egid = 4001,                \
	  .permitted = (_permitted), .effective = (_effective) }

static const struct who maker = USER_WITH(MADE_WITH, 0);

/* clang-format off */
FIXTURE(caps) {
	struct area area[2];
	struct worker maker;
	int monitor;
};

FIXTURE_VARIANT(caps) {
	struct who who;
	bool attaches;
};

FIXTURE_VARIANT_ADD(caps, the_same) {
	.who = USER_WITH(MADE_WITH, 0), .attaches = true };
FIXTURE_VARIANT_ADD(caps, the_same_in_effect) {
	.who = USER_WITH(MADE_WITH, MADE_WITH), .attaches = true };
FIXTURE_VARIANT_ADD(caps, one_fewer) {
	.who = USER_WITH(CAP_BIT(CAP_KILL), 0) };
FIXTURE_VARIANT_ADD(caps, none) {
	.who = USER_WITH(0, 0) };
FIXTURE_VARIANT_ADD(caps, one_more) {
	.who = USER_WITH(MADE_WITH | CAP_BIT(CAP_NET_RAW), 0) };
FIXTURE_VARIANT_ADD(caps, others) {
	.who = USER_WITH(CAP_BIT(CAP_KILL) | CAP_BIT(CAP_NET_RAW), 0) };
/* clang-format on */

static long make_as(void *argument, long fd)
{
	return who_become(argument, -1) ?: wp_monitor(fd, WPFILE_CAPTURE);
}

FIXTURE_SETUP(caps)
{
	long fd;
	int i;

	for (i = 0; i < 2; i++) {
		ASSERT_EQ(0, area_make_filled(&self->area[i], MEMFD, SIZE));
		ASSERT_EQ(0, fchown(self->area[i].fd, maker.uid, maker.gid));
	}
	ASSERT_EQ(0, worker_start(&self->maker));
	fd = worker_call(&self->maker, make_as, (void *)&maker,
			 self->area[0].fd);
	ASSERT_LE(0, fd);
	self->monitor = worker_take_fd(&self->maker, fd);
	ASSERT_LE(0, self->monitor);
}

FIXTURE_TEARDOWN(caps)
{
	int i;

	close(self->monitor);
	worker_stop(&self->maker);
	for (i = 0; i < 2; i++)
		area_free(&self->area[i]);
}

static long attach_as(void *argument, long value)
{
	FIXTURE_DATA(caps) *self = argument;

	(void)value;
	return attach_fd(self->monitor, self->area[1].fd, 0);
}

static long become(void *argument, long value)
{
	(void)value;
	return who_become(argument, -1);
}

/* His memory, his domain: who has the descriptor does not borrow them. */
TEST_F(caps, are_those_of_who_made_the_monitor)
{
	struct worker other;
	long ret;

	ASSERT_EQ(0, worker_start(&other));
	ASSERT_EQ(0, worker_call(&other, become, (void *)&variant->who, 0));
	ret = worker_call(&other, attach_as, self, 0);
	if (variant->attaches) {
		EXPECT_LE(0, ret);
	} else {
		EXPECT_EQ(-EPERM, ret);
	}
	EXPECT_EQ(variant->attaches,
		  wp_count(self->area[1].fd, WPFILE_CAPTURE));
	worker_stop(&other);
}

/* --- how many --- */

TEST(a_monitor_has_so_many_files_and_no_more)
{
	struct wpfile_query query;
	int monitor, fd;
	unsigned int i;

	fd = memfd_create("wpfile", MFD_CLOEXEC);
	ASSERT_EQ(0, wp_query(fd, &query));
	ASSERT_LT(FILES, query.ret_max_files);
	monitor = wp_monitor(fd, WPFILE_TRACK);
	ASSERT_LE(0, monitor);
	for (i = 1; i < query.ret_max_files; i++) {
		fd = memfd_create("wpfile", MFD_CLOEXEC);
		ASSERT_LE(0, attach_fd(monitor, fd, 0));
	}
	fd = memfd_create("wpfile", MFD_CLOEXEC);
	EXPECT_EQ(-EBUSY, attach_fd(monitor, fd, 0));
	EXPECT_EQ(0, wp_count(fd, WPFILE_TRACK));
}

/* Their locks are held at one time. */
TEST(one_call_protects_as_many_files_as_there_may_be)
{
	struct wpfile_query query;
	int fds[64], monitors[64];
	unsigned int i, nr;

	fds[0] = memfd_create("wpfile", MFD_CLOEXEC);
	ASSERT_EQ(0, wp_query(fds[0], &query));
	nr = query.ret_max_files;
	ASSERT_GE(ARRAY_SIZE(fds), nr);
	for (i = 0; i < nr; i++) {
		fds[i] = memfd_create("wpfile", MFD_CLOEXEC);
		ASSERT_EQ(1, pwrite(fds[i], "o", 1, 0));
		monitors[i] = i ? attach_fd(monitors[0], fds[i], i) :
				  deny_monitor(fds[0], 0);
		ASSERT_LE(0, monitors[i]);
	}
	ASSERT_EQ(0, protect_all_files(monitors[nr / 2]));
	for (i = 0; i < nr; i++) {
		EXPECT_EQ(-EPERM, try_write(fds[i], 'n', 0));
		EXPECT_STREQ("", unprotected(monitors[i]));
	}
}

TEST(capture_limit_is_for_all_files_together)
{
	struct area area[2];
	struct wpfile_event event;
	int monitor[2], i;

	for (i = 0; i < 2; i++)
		ASSERT_EQ(0, area_make_filled(&area[i], MEMFD, SIZE));
	monitor[0] = wp_monitor_limited(area[0].fd, 2 * PAGE);
	ASSERT_LE(0, monitor[0]);
	monitor[1] = attach_fd(monitor[0], area[1].fd, COOKIE(1));
	ASSERT_LE(0, monitor[1]);
	ASSERT_EQ(0, protect_all_files(monitor[0]));
	for (i = 0; i < 2; i++)
		ASSERT_EQ(0, write_page(&area[i], 3));
	EXPECT_STREQ("none", event_seen(monitor[0]));
	ASSERT_EQ(0, write_page(&area[1], 4));
	ASSERT_EQ(0, event_within(monitor[0], &event, 1000));
	EXPECT_EQ(WPFILE_EVENT_FAILED, (int)event.type);
	EXPECT_EQ(COOKIE(1), (int)event.cookie);
	EXPECT_EQ(WPFILE_TO_END, event.bytes);
	for (i = 0; i < 2; i++) {
		close(monitor[i]);
		area_free(&area[i]);
	}
}

/*
 * What one of two files has kept is as much as there may be.  That one is closed:
 * after @ms, may the other keep as much?
 */
static bool limit_is_given_back(struct area *area, unsigned int ms)
{
	int monitor[2], i;
	bool full, failed;

	monitor[0] = wp_monitor_limited(area[0].fd, 2 * PAGE);
	monitor[1] = attach_fd(monitor[0], area[1].fd, COOKIE(1));
	full = !protect_all_files(monitor[0]);
	for (i = 0; i < 2 && full; i++)
		full = !write_page(&area[1], i);
	full &= fdinfo_number(monitor[1], "captured_bytes:") == 2 * PAGE;
	close(monitor[1]);
	sleep_ms(ms);
	for (i = 0; i < 2 && full; i++)
		full = !write_page(&area[0], i);
	failed = fdinfo_number(monitor[0], "failed:");
	close(monitor[0]);
	return full && !failed;
}

/* It is freed after a while. */
TEST(capture_limit_is_given_back_by_a_file_that_is_closed)
{
	struct area area[2];
	unsigned int ms = 1;
	int i;

	for (i = 0; i < 2; i++)
		ASSERT_EQ(0, area_make_filled(&area[i], MEMFD, SIZE));
	while (ms < 20000 && !limit_is_given_back(area, ms))
		ms *= 2;
	EXPECT_GT(20000, ms);
	for (i = 0; i < 2; i++)
		area_free(&area[i]);
}

/*
 * A chain of causes: the writer counts in one file after the other, each store
 * after the one before.  At one instant no count is behind that of the next file.
 */
static pid_t start_counter(_Atomic uint64_t *words[FILES])
{
	pid_t pid = fork();
	uint64_t n;
	int i;

	if (pid)
		return pid;
	for (n = 1;; n++)
		for (i = 0; i < FILES; i++)
			atomic_store(words[i], n);
}

FIXTURE(cut) {
	struct area area[FILES];
	int monitor[FILES];
	pid_t writer;
};

FIXTURE_SETUP(cut)
{
	_Atomic uint64_t *words[FILES];
	int i;

	for (i = 0; i < FILES; i++) {
		ASSERT_EQ(0, area_make_filled(&self->area[i], MEMFD, SIZE));
		words[i] = (void *)(self->area[i].map + 2 * PAGE);
		atomic_store(words[i], 0);
		self->monitor[i] = i ? attach_fd(self->monitor[0],
						 self->area[i].fd, i) :
				       area_monitor(&self->area[0],
						    WPFILE_CAPTURE);
		ASSERT_LE(0, self->monitor[i]);
	}
	self->writer = start_counter(words);
	ASSERT_LT(0, self->writer);
}

FIXTURE_TEARDOWN(cut)
{
	int i;

	kill(self->writer, SIGKILL);
	waitpid(self->writer, NULL, 0);
	for (i = 0; i < FILES; i++) {
		close(self->monitor[i]);
		area_free(&self->area[i]);
	}
}

static uint64_t count_at_cut(int monitor)
{
	uint64_t n = ~0ULL;

	return pread(monitor, &n, sizeof(n), 2 * PAGE) == sizeof(n) ? n : ~0ULL;
}

/* How often the counts are out of order, of @rounds; -1: an error. */
static int inversions(const int monitor[FILES], int rounds, bool at_once)
{
	uint64_t count[FILES], first = 0;
	int round, i, ret, bad = 0;

	for (round = 0; round < rounds; round++) {
		ret = at_once ? protect_all_files(monitor[0]) : 0;
		for (i = 0; i < FILES && !at_once; i++)
			ret |= wp_protect(monitor[i], 0, WPFILE_TO_END);
		if (ret)
			return -1;
		usleep(100 * (round % 7));
		for (i = 0; i < FILES; i++) {
			count[i] = count_at_cut(monitor[i]);
			if (count[i] == ~0ULL)
				return -1;
		}
		if (count[0] < first)
			return -1;
		first = count[0];
		for (i = 1; i < FILES; i++)
			if (count[i] > count[i - 1] ||
			    count[i] + 1 < count[0])
				bad++;
	}
	return first ? bad : -1;
}

TEST_F_TIMEOUT(cut, there_is_one_instant_for_all_files, 300)
{
	EXPECT_EQ(0, inversions(self->monitor, 500, true));
}

/* That the test can fail: file by file there is no such instant. */
TEST_F_TIMEOUT(cut, file_by_file_there_is_none, 300)
{
	EXPECT_LT(0, inversions(self->monitor, 500, false));
}

/* --- two that protect the same files --- */

#define ROUNDS 100	/* of each, while the other goes on */
#define GENEROUS 100	/* seconds */

/* Shared by all. */
struct progress {
	_Atomic unsigned long rounds[2], failed, stores, writes;
};

static void protect_for_ever(struct area *area, struct progress *progress,
			     int nr)
{
	int monitor = area_monitor(&area[nr ? FILES - 1 : 0], WPFILE_CAPTURE);
	int i;

	for (i = 1; i < FILES; i++)
		if (attach_fd(monitor, area[nr ? FILES - 1 - i : i].fd, i) < 0)
			progress->failed++;
	while (!progress->failed) {
		if (protect_all_files(monitor))
			progress->failed++;
		progress->rounds[nr]++;
	}
}

static void write_for_ever(struct area *area, struct progress *progress,
			   int nr)
{
	size_t n;

	for (n = 0;; n++) {
		if (nr) {
			progress->writes++;
			if (write_page(&area[n % FILES], 5))
				progress->failed++;
			continue;
		}
		progress->stores++;
		area[n % FILES].map[n % 4 * PAGE] = n;
	}
}

/* clang-format off */
FIXTURE(both) {
	struct area area[FILES];
	struct progress *progress;
	pid_t pids[4];
};
/* clang-format on */

FIXTURE_SETUP(both)
{
	int i;

	self->progress = mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
			      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, self->progress);
	for (i = 0; i < FILES; i++)
		ASSERT_EQ(0, area_make_filled(&self->area[i], MEMFD, SIZE));
	for (i = 0; i < 4; i++) {
		self->pids[i] = fork();
		ASSERT_LE(0, self->pids[i]);
		if (self->pids[i])
			continue;
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		(i < 2 ? protect_for_ever : write_for_ever)(
			self->area, self->progress, i % 2);
		_exit(1);
	}
}

/* Nobody waits for them: should they be stuck, the test goes on. */
FIXTURE_TEARDOWN(both)
{
	int i;

	for (i = 0; i < 4; i++)
		kill(self->pids[i], SIGKILL);
	for (i = 0; i < FILES; i++)
		area_free(&self->area[i]);
}

static bool both_have_done(struct progress *progress, unsigned long rounds)
{
	return progress->rounds[0] >= rounds && progress->rounds[1] >= rounds;
}

/* Neither stops the other, nor those who write. */
TEST_F(both, make_progress_in_whatever_order_they_attached)
{
	struct progress *progress = self->progress;
	uint64_t end = now_ns() + GENEROUS * 1000000000ULL;
	unsigned long stores, writes;

	while (!both_have_done(progress, 1) && now_ns() < end)
		sleep_ms(1);
	stores = progress->stores;
	writes = progress->writes;
	while (!both_have_done(progress, ROUNDS) && !progress->failed &&
	       now_ns() < end)
		sleep_ms(10);
	TH_LOG("%lu and %lu rounds, %lu stores, %lu writes",
	       progress->rounds[0], progress->rounds[1],
	       progress->stores - stores, progress->writes - writes);
	EXPECT_EQ(0, progress->failed);
	EXPECT_TRUE(both_have_done(progress, ROUNDS));
	EXPECT_LT(stores + FILES, progress->stores);
	EXPECT_LT(writes + FILES, progress->writes);
}

TEST_HARNESS_MAIN
