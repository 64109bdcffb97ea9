// SPDX-License-Identifier: GPL-2.0-only
/*
 * Memory runs out: the writer goes on, the capture FAILS and says so, what is
 * lost is EIO, what is not lost is right; never a wrong byte.
 */
#include "harness.h"
#include <fcntl.h>
#include <linux/falloc.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/swap.h>

#define PAGES 64
#define LIMIT 16

static void store(struct area *area, size_t page, unsigned int version)
{
	fill(area->map + page * PAGE, page, version);
}

enum outcome { RIGHT, LOST, WRONG };

/* What pread() says of a page that had version 1 at the cut. */
static enum outcome look(int fd, struct area *area, size_t page)
{
	char seen[PAGE];
	ssize_t done = pread(fd, seen, PAGE, page * PAGE);

	if (done < 0 && errno == EIO)
		return LOST;
	if (done != (ssize_t)PAGE)
		return WRONG;
	return memcmp(seen, area->before + page * PAGE, PAGE) ? WRONG : RIGHT;
}

static size_t count(int fd, struct area *area, enum outcome wanted)
{
	size_t page, pages = 0;

	for (page = 0; page < area->size / PAGE; page++)
		pages += look(fd, area, page) == wanted;
	return pages;
}

/* --- capture_limit --- */

static int make(struct area *area)
{
	int ret = area_make_filled(area, MEMFD, PAGES * PAGE);

	if (!ret)
		area_touch(area);
	return ret;
}

/* clang-format off */
FIXTURE(limit) {
	struct area area;
	int fd;
};

FIXTURE_VARIANT(limit) {
	bool snapshot;
};

FIXTURE_VARIANT_ADD(limit, monitor) { .snapshot = false };
FIXTURE_VARIANT_ADD(limit, snapshot) { .snapshot = true };
/* clang-format on */

FIXTURE_SETUP(limit)
{
	ASSERT_EQ(0, make(&self->area));
	if (variant->snapshot) {
		self->fd = wp_snapshot_limited(self->area.fd, LIMIT * PAGE);
		ASSERT_LE(0, self->fd);
	} else {
		self->fd = wp_monitor_limited(self->area.fd, LIMIT * PAGE);
		ASSERT_LE(0, self->fd);
		ASSERT_EQ(0, wp_protect(self->fd, 0, WPFILE_TO_END));
	}
}

FIXTURE_TEARDOWN(limit)
{
	close(self->fd);
	area_free(&self->area);
}

TEST_F(limit, as_much_as_allowed_is_kept)
{
	size_t page;

	for (page = 0; page < LIMIT; page++)
		store(&self->area, page, 2);
	EXPECT_STREQ("same",
		     compare(self->fd, self->area.before, self->area.size));
}

TEST_F(limit, writer_goes_on_and_lost_pages_are_EIO)
{
	struct pages changed;
	size_t page;

	for (page = 0; page < LIMIT + 4; page++)
		store(&self->area, page, 2);
	changed_pages(&self->area, &changed);
	EXPECT_STREQ("0-19", pages_text(&changed));
	for (page = 0; page < LIMIT; page++)
		EXPECT_EQ(RIGHT, look(self->fd, &self->area, page))
			TH_LOG("page %zu", page);
	for (; page < LIMIT + 4; page++)
		EXPECT_EQ(LOST, look(self->fd, &self->area, page))
			TH_LOG("page %zu", page);
	for (; page < PAGES; page++)
		EXPECT_NE(WRONG, look(self->fd, &self->area, page))
			TH_LOG("page %zu", page);
}

TEST_F(limit, system_calls_go_on_as_well)
{
	char *zeros = calloc(1, self->area.size);

	EXPECT_EQ((ssize_t)self->area.size,
		  pwrite(self->area.fd, zeros, self->area.size, 0));
	EXPECT_STREQ("same", compare(self->area.fd, zeros, self->area.size));
	EXPECT_EQ(0, count(self->fd, &self->area, WRONG));
	EXPECT_LT(0, count(self->fd, &self->area, LOST));
}

TEST_F(limit, truncation_goes_on_as_well)
{
	struct stat status;

	EXPECT_EQ(0, ftruncate(self->area.fd, 0));
	EXPECT_EQ(0, ftruncate(self->area.fd, PAGES * PAGE));
	ASSERT_EQ(0, fstat(self->area.fd, &status));
	EXPECT_EQ(0, status.st_blocks);
	EXPECT_EQ(0, count(self->fd, &self->area, WRONG));
	EXPECT_LT(0, count(self->fd, &self->area, LOST));
}

TEST_F(limit, later_writes_never_make_a_wrong_page)
{
	unsigned int version;
	size_t page;

	for (version = 2; version < 6; version++)
		for (page = 0; page < PAGES; page++) {
			store(&self->area, page, version);
			EXPECT_NE(WRONG, look(self->fd, &self->area, page));
		}
	EXPECT_EQ(0, count(self->fd, &self->area, WRONG));
	EXPECT_EQ(LIMIT, count(self->fd, &self->area, RIGHT));
}

TEST_F(limit, holes_cost_nothing)
{
	char zeros[PAGE] = {};
	size_t page;
	int fd;

	ASSERT_EQ(0, ftruncate(self->area.fd, 0));
	ASSERT_EQ(0, ftruncate(self->area.fd, PAGES * PAGE));
	fd = wp_snapshot_limited(self->area.fd, LIMIT * PAGE);
	ASSERT_LE(0, fd);
	for (page = 0; page < PAGES; page++)
		store(&self->area, page, 2);
	for (page = 0; page < PAGES; page++) {
		char seen[PAGE];

		ASSERT_EQ((ssize_t)PAGE, pread(fd, seen, PAGE, page * PAGE));
		EXPECT_STREQ("same", compare_memory(seen, zeros, PAGE));
	}
}

TEST_F(limit, other_monitors_are_not_hurt)
{
	int other = area_snapshot(&self->area);
	int track = area_protect(&self->area, WPFILE_TRACK);
	size_t page;

	ASSERT_LE(0, other);
	for (page = 0; page < PAGES; page++)
		store(&self->area, page, 2);
	EXPECT_STREQ("0-63", written(track));
	EXPECT_STREQ("same",
		     compare(other, self->area.before, self->area.size));
	EXPECT_LT(0, count(self->fd, &self->area, LOST));
}

/* --- what only one of them can do --- */

/* clang-format off */
FIXTURE(limited_monitor) {
	struct area area;
	int fd;
};

FIXTURE(limited_snapshot) {
	struct area area;
	int fd;
};
/* clang-format on */

FIXTURE_SETUP(limited_monitor)
{
	ASSERT_EQ(0, make(&self->area));
	self->fd = wp_monitor_limited(self->area.fd, LIMIT * PAGE);
	ASSERT_LE(0, self->fd);
	ASSERT_EQ(0, wp_protect(self->fd, 0, WPFILE_TO_END));
}

FIXTURE_TEARDOWN(limited_monitor)
{
	close(self->fd);
	area_free(&self->area);
}

FIXTURE_SETUP(limited_snapshot)
{
	ASSERT_EQ(0, make(&self->area));
	self->fd = wp_snapshot_limited(self->area.fd, LIMIT * PAGE);
	ASSERT_LE(0, self->fd);
}

FIXTURE_TEARDOWN(limited_snapshot)
{
	close(self->fd);
	area_free(&self->area);
}

static short polled(int fd)
{
	struct pollfd fds = { .fd = fd, .events = POLLIN };

	return poll(&fds, 1, 0) < 0 ? -errno : fds.revents;
}

TEST_F(limited_snapshot, poll_tells_of_lost_content)
{
	size_t page;

	EXPECT_EQ(POLLIN, polled(self->fd));
	for (page = 0; page < LIMIT; page++)
		store(&self->area, page, 2);
	EXPECT_EQ(POLLIN, polled(self->fd));
	EXPECT_EQ(0, fdinfo_number(self->fd, "failed:"));
	store(&self->area, page, 2);
	EXPECT_EQ(POLLIN | POLLERR, polled(self->fd));
	EXPECT_EQ(1, fdinfo_number(self->fd, "failed:"));
}

TEST_F(limited_monitor, failure_is_an_event)
{
	struct pollfd poll_fd = { .fd = self->fd, .events = POLLIN };
	struct wpfile_event event;
	uint64_t start = now_ns();
	size_t page;

	ASSERT_EQ(0, fcntl(self->fd, F_SETFL, O_NONBLOCK));
	for (page = 0; page < LIMIT; page++)
		store(&self->area, page, 2);
	EXPECT_EQ(0, poll(&poll_fd, 1, 0));
	store(&self->area, LIMIT + 7, 2);
	EXPECT_EQ(1, poll(&poll_fd, 1, 0));
	EXPECT_NE(0, poll_fd.revents & POLLIN);

	EXPECT_EQ(-1, read(self->fd, &event, 8));
	EXPECT_EQ(EINVAL, errno);
	ASSERT_LE((ssize_t)sizeof(event),
		  read(self->fd, &event, sizeof(event)));
	EXPECT_EQ(sizeof(event), event.length);
	EXPECT_EQ(WPFILE_EVENT_FAILED, event.type);
	EXPECT_EQ((LIMIT + 7) * PAGE, event.offset);
	EXPECT_EQ(WPFILE_TO_END, event.bytes);
	EXPECT_LE(start, event.time_ns);
	EXPECT_GE(now_ns(), event.time_ns);
	EXPECT_EQ(-1, read(self->fd, &event, sizeof(event)));
	EXPECT_EQ(EAGAIN, errno);
}

/* Nothing of the first cut counts against the second. */
TEST_F(limited_monitor, protect_again_begins_anew)
{
	size_t page;

	for (page = 0; page < LIMIT; page++)
		store(&self->area, page, 2);
	ASSERT_EQ(0, wp_protect(self->fd, 0, WPFILE_TO_END));
	for (page = 0; page < LIMIT; page++)
		fill(self->area.before + page * PAGE, page, 2);
	for (page = 10; page < 10 + LIMIT; page++)
		store(&self->area, page, 3);
	EXPECT_STREQ("same",
		     compare(self->fd, self->area.before, self->area.size));
}

static sigjmp_buf after_signal;

static void jump(int sig)
{
	siglongjmp(after_signal, sig);
}

TEST_F(limited_snapshot, load_of_a_lost_page_is_SIGBUS)
{
	char *map;
	size_t page;
	int sig;

	map = map_file(self->fd, self->area.size, PROT_READ);
	ASSERT_NE(NULL, map);
	for (page = 0; page < LIMIT + 4; page++)
		store(&self->area, page, 2);
	EXPECT_STREQ("same", compare_memory(map, self->area.before,
					    LIMIT * PAGE));
	signal(SIGBUS, jump);
	sig = sigsetjmp(after_signal, 1);
	if (!sig)
		*(volatile char *)(map + (LIMIT + 1) * PAGE);
	EXPECT_EQ(SIGBUS, sig);
}

/* --- memory that is broken --- */

#define HWPOISON "/sys/kernel/debug/hwpoison/corrupt-pfn"

static int poison(unsigned long frame)
{
	char text[32];

	sprintf(text, "%lu", frame);
	return file_write(HWPOISON, text);
}

/* clang-format off */
FIXTURE(poison) {
	struct area area;
	int fd;
};
/* clang-format on */

/* Nobody maps the pages when it happens, so that nobody gets a signal. */
FIXTURE_SETUP(poison)
{
	unsigned long frames[2];

	ASSERT_EQ(0, make(&self->area));
	self->fd = area_snapshot(&self->area);
	ASSERT_LE(0, self->fd);
	store(&self->area, 5, 2); /* captured while it was whole */
	frames[0] = frame_of(self->area.map + 4 * PAGE);
	frames[1] = frame_of(self->area.map + 5 * PAGE);
	ASSERT_TRUE(frames[0] && frames[1]);
	area_unmap(&self->area);
	SKIP_UNLESS(!access(HWPOISON, W_OK), "cannot poison pages");
	ASSERT_EQ(0, poison(frames[0]));
	ASSERT_EQ(0, poison(frames[1]));
}

FIXTURE_TEARDOWN(poison)
{
	close(self->fd);
	area_free(&self->area);
}

TEST_F(poison, page_that_cannot_be_read_is_EIO)
{
	EXPECT_EQ(LOST, look(self->fd, &self->area, 4));
	EXPECT_EQ(RIGHT, look(self->fd, &self->area, 3));
	EXPECT_EQ(RIGHT, look(self->fd, &self->area, 6));
}

TEST_F(poison, page_that_was_captured_before_is_right)
{
	EXPECT_EQ(RIGHT, look(self->fd, &self->area, 5));
}

/* The hole reads as zeros now; the snapshot must not. */
TEST_F(poison, page_that_is_punched_out_stays_EIO)
{
	ASSERT_EQ(0, fallocate(self->area.fd,
			       FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
			       4 * PAGE, 2 * PAGE));
	EXPECT_EQ(LOST, look(self->fd, &self->area, 4));
	EXPECT_EQ(RIGHT, look(self->fd, &self->area, 5));
	EXPECT_EQ(RIGHT, look(self->fd, &self->area, 6));
}

/* --- what was kept is broken --- */

/* clang-format off */
FIXTURE(poison_kept) {
	struct area area;
	int fd;
};
/* clang-format on */

/* Page 4 is kept for a load, page 5 before a store; nobody maps the copies. */
FIXTURE_SETUP(poison_kept)
{
	unsigned long frames[2];
	char *map;

	ASSERT_EQ(0, make(&self->area));
	self->fd = area_snapshot(&self->area);
	ASSERT_LE(0, self->fd);
	map = map_file(self->fd, self->area.size, PROT_READ);
	ASSERT_NE(NULL, map);
	store(&self->area, 5, 2);
	EXPECT_STREQ("same", compare_memory(map + 4 * PAGE,
					    self->area.before + 4 * PAGE,
					    2 * PAGE));
	frames[0] = frame_of(map + 4 * PAGE);
	frames[1] = frame_of(map + 5 * PAGE);
	ASSERT_TRUE(frames[0] && frames[1]);
	ASSERT_NE(frames[1], frame_of(self->area.map + 5 * PAGE));
	ASSERT_EQ(0, munmap(map, self->area.size));
	SKIP_UNLESS(!access(HWPOISON, W_OK), "cannot poison pages");
	ASSERT_EQ(0, poison(frames[0]));
	ASSERT_EQ(0, poison(frames[1]));
}

FIXTURE_TEARDOWN(poison_kept)
{
	close(self->fd);
	area_free(&self->area);
}

TEST_F(poison_kept, page_is_EIO_for_pread)
{
	size_t page;

	for (page = 0; page < PAGES; page++)
		EXPECT_EQ(page == 4 || page == 5 ? LOST : RIGHT,
			  look(self->fd, &self->area, page))
			TH_LOG("page %zu", page);
}

TEST_F(poison_kept, read_ends_before_it_and_goes_on_behind)
{
	char seen[6 * PAGE];

	ASSERT_EQ(2 * (off_t)PAGE, lseek(self->fd, 2 * PAGE, SEEK_SET));
	ASSERT_EQ(2 * (ssize_t)PAGE, read(self->fd, seen, sizeof(seen)));
	EXPECT_STREQ("same", compare_memory(seen, self->area.before + 2 * PAGE,
					    2 * PAGE));
	EXPECT_EQ(-1, read(self->fd, seen, sizeof(seen)));
	EXPECT_EQ(EIO, errno);
	ASSERT_EQ(6 * (off_t)PAGE, lseek(self->fd, 6 * PAGE, SEEK_SET));
	ASSERT_EQ(2 * (ssize_t)PAGE, read(self->fd, seen, 2 * PAGE));
	EXPECT_STREQ("same", compare_memory(seen, self->area.before + 6 * PAGE,
					    2 * PAGE));
}

/* Nor does a store to the file make the page good again. */
TEST_F(poison_kept, page_stays_EIO_when_the_file_is_written)
{
	store(&self->area, 4, 3);
	store(&self->area, 5, 3);
	EXPECT_EQ(LOST, look(self->fd, &self->area, 4));
	EXPECT_EQ(LOST, look(self->fd, &self->area, 5));
}

/* --- memory cgroups: the creator pays --- */

/* clang-format off */
FIXTURE(cgroup) {
	struct area area;
	struct worker owner;	/* the only one in the cgroup */
	char path[128];
};
/* clang-format on */

static long enter(void *argument, long value)
{
	(void)value;
	return cgroup_enter(argument);
}

static long snapshot_in_owner(void *argument, long value)
{
	(void)value;
	return area_snapshot(argument);
}

static long store_in_owner(void *argument, long version)
{
	struct area *area = argument;
	size_t page;

	for (page = 0; page < area->size / PAGE; page++)
		store(area, page, version);
	return 0;
}

FIXTURE_SETUP(cgroup)
{
	self->path[0] = 0;
	self->owner = (struct worker){ .pid = -1, .fd = -1 };
	self->area.fd = -1;
}

FIXTURE_TEARDOWN(cgroup)
{
	worker_stop(&self->owner);
	area_free(&self->area);
	if (self->path[0])
		cgroup_remove(self->path);
}

static void start(struct __test_metadata *const _metadata,
		  FIXTURE_DATA(cgroup) *self, size_t size, long memory,
		  long swap)
{
	size_t page;

	ASSERT_EQ(0, area_make(&self->area, MEMFD, size));
	for (page = 0; page < size / PAGE; page++)
		ASSERT_EQ(0, area_fill_page(&self->area, page, 1));
	ASSERT_EQ(0, area_map(&self->area));
	ASSERT_EQ(0, cgroup_make(self->path, sizeof(self->path), memory, swap));
	ASSERT_EQ(0, worker_start(&self->owner));
	ASSERT_EQ(0, worker_call(&self->owner, enter, self->path, 0));
}

static long cgroup_value(FIXTURE_DATA(cgroup) *self, const char *file,
			 const char *key)
{
	char path[256];

	snprintf(path, sizeof(path), "%s/%s", self->path, file);
	return file_number(path, key);
}

/* A snapshot that the owner made, so that its cgroup pays. */
static int take_snapshot(FIXTURE_DATA(cgroup) *self)
{
	long fd = worker_call(&self->owner, snapshot_in_owner, &self->area, 0);

	return fd < 0 ? fd : worker_take_fd(&self->owner, fd);
}

/* The writer is not of the cgroup, and must not notice its limit. */
TEST_F(cgroup, small_limit_of_the_creator_fails_the_capture_only)
{
	size_t pages = (32 << 20) / PAGE, lost, right;
	struct pages changed;
	int fd;

	start(_metadata, self, pages * PAGE, 12 << 20, 0);
	fd = take_snapshot(self);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, store_in_owner(&self->area, 2)); /* here, not there */
	changed_pages(&self->area, &changed);
	EXPECT_STREQ("0-8191", pages_text(&changed));
	lost = count(fd, &self->area, LOST);
	right = count(fd, &self->area, RIGHT);
	TH_LOG("%zu pages: %zu right, %zu lost", pages, right, lost);
	EXPECT_EQ(pages, lost + right);
	EXPECT_LT((16 << 20) / PAGE, lost);
	EXPECT_LT((2 << 20) / PAGE, right);
	EXPECT_EQ(0, cgroup_value(self, "memory.events", "oom_kill "));
}

TEST_F(cgroup, what_is_kept_is_charged_to_the_creator)
{
	size_t size = 16 << 20;
	long before, after;

	start(_metadata, self, size, -1, -1);
	before = cgroup_value(self, "memory.stat", "shmem ");
	ASSERT_LE(0, take_snapshot(self));
	ASSERT_EQ(0, store_in_owner(&self->area, 2));
	after = cgroup_value(self, "memory.stat", "shmem ");
	EXPECT_LE(before + (long)size - (1 << 20), after)
		TH_LOG("%ld before, %ld after", before, after);
}

/* --- swap --- */

/* What a kernel with all checkers, or little swap, can do in a minute. */
static size_t size_to_swap(void)
{
	uint64_t start = now_ns();
	struct area area;

	if (area_make(&area, MEMFD, 4 << 20) || area_fill(&area, 1))
		return 0;
	area_free(&area);
	return now_ns() - start < 100000000 &&
			       file_number("/proc/meminfo", "SwapFree:") >
				       300 * 1024 ?
		       128 << 20 :
		       32 << 20;
}

/*
 * The file, the writer and the snapshot in a cgroup of half the file's size:
 * pages are captured from swap, and to swap.
 */
TEST_F(cgroup, snapshot_is_right_under_swap_pressure)
{
	size_t size = size_to_swap();
	struct area *area = &self->area;
	long swapped, version;
	int fd;
	size_t page, i, wrong = 0;
	char seen[PAGE], wanted[PAGE];

	SKIP_UNLESS(file_number("/proc/meminfo", "SwapFree:") > 80 * 1024,
		    "less than 80 MiB of swap");
	swapped = file_number("/proc/vmstat", "pswpout ");
	ASSERT_EQ(0, area_make(area, MEMFD, 0));
	area->size = size;
	ASSERT_EQ(0, ftruncate(area->fd, size));
	ASSERT_EQ(0, area_map(area));
	ASSERT_EQ(0, cgroup_make(self->path, sizeof(self->path), size / 2, -1));
	ASSERT_EQ(0, worker_start(&self->owner));
	ASSERT_EQ(0, worker_call(&self->owner, enter, self->path, 0));
	ASSERT_EQ(0, worker_call(&self->owner, store_in_owner, area, 1));
	fd = take_snapshot(self);
	ASSERT_LE(0, fd);
	for (version = 2; version < 4; version++) {
		ASSERT_EQ(0, worker_call(&self->owner, store_in_owner, area,
					 version));
		for (i = 0; i < size / PAGE; i++) {
			page = version % 2 ? i : size / PAGE - 1 - i;
			fill(wanted, page, 1);
			if (pread(fd, seen, PAGE, page * PAGE) !=
				    (ssize_t)PAGE ||
			    memcmp(seen, wanted, PAGE))
				wrong++;
		}
	}
	EXPECT_EQ(0, wrong);
	swapped = file_number("/proc/vmstat", "pswpout ") - swapped;
	TH_LOG("%zu MiB, %ld pages swapped out", size >> 20, swapped);
	EXPECT_LT((long)(size / PAGE / 4), swapped);
	close(fd);
}

static int swap_device(char *path)
{
	FILE *file = fopen("/proc/swaps", "re");
	int found = 0;

	if (!file)
		return 0;
	if (fscanf(file, "%*[^\n] %100s", path) == 1)
		found = path[0] == '/';
	fclose(file);
	return found;
}

/* What was kept, swapped out by itself, and all swap taken away. */
TEST(kept_pages_survive_swap_and_swapoff)
{
	struct area area, kept = {};
	char path[128] = "";
	size_t page;
	int fd;

	SKIP_UNLESS(swap_device(path), "no swap");
	ASSERT_EQ(0, make(&area));
	fd = area_snapshot(&area);
	ASSERT_LE(0, fd);
	for (page = 0; page < PAGES; page++)
		store(&area, page, 2);
	kept.size = area.size;
	kept.map = map_file(fd, area.size, PROT_READ);
	ASSERT_NE(NULL, kept.map);
	EXPECT_STREQ("same",
		     compare_memory(kept.map, area.before, area.size));
	ASSERT_EQ(0, area_page_out(&kept));
	EXPECT_STREQ("same", compare(fd, area.before, area.size));
	EXPECT_STREQ("same",
		     compare_memory(kept.map, area.before, area.size));
	area_page_out(&kept);
	area_page_out(&area);
	ASSERT_EQ(0, swapoff(path));
	EXPECT_STREQ("same", compare(fd, area.before, area.size));
	EXPECT_STREQ("same",
		     compare_memory(kept.map, area.before, area.size));
	ASSERT_EQ(0, swapon(path, 0));
}

TEST_HARNESS_MAIN
