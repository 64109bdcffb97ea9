// SPDX-License-Identifier: GPL-2.0-only
/*
 * How long writers wait, and for how many pages; how long a cut may take; how many
 * events are kept, how many monitors a user has.
 */
#include "harness.h"
#include "watch.h"
#include "who.h"
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/wait.h>

#define OWNER 4001
#define STRANGER 4002
#define PATIENCE 20000 /* ms */
#define MAX_WAIT "/proc/sys/vm/wpfile/max_wait_ms"
#define MAX_QUEUED "/proc/sys/vm/wpfile/max_queued_events"
#define MAX_CUT "/proc/sys/vm/wpfile/max_cut_ms"
#define MAX_MONITORS "/proc/sys/user/max_wpfile_monitors"

static const struct who owner = WHO_USER(OWNER);
static const struct who stranger = WHO_USER(STRANGER);

static long become(void *argument, long value)
{
	(void)value;
	return who_become(argument, -1);
}

/* They are the system's: what they were is put back even if the test fails. */
/* clang-format off */
FIXTURE(sysctl) {
	struct area area;
	char max_wait[32], max_queued[32], max_cut[32], max_monitors[32];
};
/* clang-format on */

FIXTURE_SETUP(sysctl)
{
	ASSERT_EQ(0, area_make_filled(&self->area, MEMFD, 16 * PAGE));
	ASSERT_EQ(0, file_read(MAX_WAIT, self->max_wait, 32));
	ASSERT_EQ(0, file_read(MAX_QUEUED, self->max_queued, 32));
	ASSERT_EQ(0, file_read(MAX_CUT, self->max_cut, 32));
	ASSERT_EQ(0, file_read(MAX_MONITORS, self->max_monitors, 32));
}

FIXTURE_TEARDOWN(sysctl)
{
	file_write(MAX_WAIT, self->max_wait);
	file_write(MAX_QUEUED, self->max_queued);
	file_write(MAX_CUT, self->max_cut);
	file_write(MAX_MONITORS, self->max_monitors);
	area_free(&self->area);
}

TEST_F(sysctl, nonsense_is_EINVAL)
{
	static const char *const files[] = { MAX_WAIT, MAX_QUEUED, MAX_CUT };
	char before[32], after[32];
	size_t i;

	for (i = 0; i < ARRAY_SIZE(files); i++) {
		ASSERT_EQ(0, file_read(files[i], before, sizeof(before)));
		EXPECT_LT(0, atol(before));
		EXPECT_EQ(-EINVAL, file_write(files[i], "-1"));
		EXPECT_EQ(-EINVAL, file_write(files[i], "0"));
		EXPECT_EQ(-EINVAL, file_write(files[i], "3600001"));
		EXPECT_EQ(-EINVAL, file_write(files[i], "many"));
		EXPECT_EQ(-EINVAL, file_write(files[i],
					      "99999999999999999999"));
		ASSERT_EQ(0, file_read(files[i], after, sizeof(after)));
		EXPECT_STREQ(before, after);
	}
}

TEST_F(sysctl, are_for_root_to_set)
{
	ASSERT_EQ(0, who_become(&stranger, -1));
	EXPECT_EQ(-EACCES, file_write(MAX_WAIT, "1000"));
	EXPECT_EQ(-EACCES, file_write(MAX_QUEUED, "1000"));
	EXPECT_EQ(-EACCES, file_write(MAX_CUT, "1000"));
	EXPECT_LT(0, file_number(MAX_WAIT, NULL));
}

static int waiting(int fd, __u32 wait_limit_ms)
{
	return wp_monitor_with(fd, (struct wpfile_monitor){
					   .mode = WPFILE_SYNC,
					   .wait_limit_ms = wait_limit_ms });
}

static int denying(int fd, __u32 queue_limit)
{
	return wp_monitor_with(fd, (struct wpfile_monitor){
					   .mode = WPFILE_DENY,
					   .flags = WPFILE_DENIED_EVENTS,
					   .queue_limit = queue_limit });
}

TEST_F(sysctl, max_wait_ms_bounds_what_monitors_may_ask)
{
	struct wpfile_query query;

	ASSERT_EQ(0, file_write(MAX_WAIT, "1234"));
	ASSERT_EQ(0, wp_query(self->area.fd, &query));
	EXPECT_EQ(1234, (int)query.ret_max_wait_ms);
	EXPECT_LE(0, waiting(self->area.fd, 1234));
	EXPECT_EQ(-EINVAL, waiting(self->area.fd, 1235));
	EXPECT_EQ(-EINVAL, waiting(self->area.fd, ~0U));
}

static void *store_first(void *argument)
{
	struct area *area = argument;
	uint64_t start = now_ns();

	*(volatile char *)area->map = 'w';
	return (void *)(long)((now_ns() - start) / 1000000);
}

static void expect_waits(struct __test_metadata *const _metadata,
			 struct area *area, int monitor, long ms)
{
	struct wpfile_event event;
	pthread_t thread;
	void *waited;
	char byte;

	ASSERT_EQ(0, wp_protect(monitor, 0, PAGE));
	ASSERT_EQ(0, pthread_create(&thread, NULL, store_first, area));
	ASSERT_EQ(0, event_within(monitor, &event, PATIENCE));
	EXPECT_STREQ("STORE WAITING 0+1", event_text(&event));
	ASSERT_EQ(0, pthread_join(thread, &waited));
	EXPECT_LE(ms, (long)waited);
	EXPECT_GE(ms + PATIENCE, (long)waited);
	EXPECT_EQ('w', area->map[0]);
	/* Its old content is kept; nobody waits any more. */
	EXPECT_EQ(1, pread(monitor, &byte, 1, 0));
	EXPECT_EQ(area->before[0], byte);
	EXPECT_EQ(-ENOENT, wp_resolve(monitor, event.id, WPFILE_ALLOW));
}

TEST_F(sysctl, max_wait_ms_is_how_long_writers_wait_where_nothing_is_asked)
{
	int monitor;

	ASSERT_EQ(0, file_write(MAX_WAIT, "700"));
	monitor = wp_monitor(self->area.fd, WPFILE_SYNC);
	ASSERT_LE(0, monitor);
	expect_waits(_metadata, &self->area, monitor, 700);
	close(monitor);
}

TEST_F(sysctl, max_wait_ms_does_not_stretch_what_was_asked)
{
	int monitor;

	ASSERT_EQ(0, file_write(MAX_WAIT, "50000"));
	monitor = waiting(self->area.fd, 300);
	ASSERT_LE(0, monitor);
	expect_waits(_metadata, &self->area, monitor, 300);
	close(monitor);
}

/* Denied stores, until @wanted events are there and one OVERFLOW. */
static void expect_queue(struct __test_metadata *const _metadata,
			 struct area *area, int monitor, int wanted)
{
	struct wpfile_event event;
	int i;

	ASSERT_EQ(0, wp_protect(monitor, 0, area->size));
	for (i = 0; i < wanted + 5; i++)
		EXPECT_EQ(SIGSEGV, try_store(area->map + i % 16 * PAGE, 'x',
					     NULL));
	for (i = 0; i < wanted; i++) {
		ASSERT_EQ(0, event_within(monitor, &event, 0));
		EXPECT_EQ(WPFILE_EVENT_STORE, event.type);
	}
	ASSERT_EQ(0, event_within(monitor, &event, 0));
	EXPECT_EQ(WPFILE_EVENT_OVERFLOW, event.type);
	EXPECT_EQ(0, events_drain(monitor));
	EXPECT_EQ(5, fdinfo_number(monitor, "overflows:"));
}

TEST_F(sysctl, max_queued_events_bounds_what_monitors_may_ask)
{
	static const struct {
		__u32 asked;
		int got;
	} cases[] = { { 0, 20 }, { 20, 20 }, { 3, 3 } };
	size_t i;
	int monitor;

	ASSERT_EQ(0, file_write(MAX_QUEUED, "20"));
	EXPECT_EQ(-EINVAL, denying(self->area.fd, 21));
	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		monitor = denying(self->area.fd, cases[i].asked);
		ASSERT_LE(0, monitor);
		expect_queue(_metadata, &self->area, monitor, cases[i].got);
		close(monitor);
	}
}

/* --- pages that writers wait for --- */

#define HELD 20
#define OTHERS 5	/* writers, besides one for each page that is held */

struct waiter {
	struct area *area;
	size_t page;
	pthread_t thread;
	volatile bool done;
};

static void *store_and_say(void *argument)
{
	struct waiter *waiter = argument;

	*(volatile char *)(waiter->area->map + waiter->page * PAGE) = 'w';
	waiter->done = true;
	return NULL;
}

static bool has_done(struct waiter *waiter, int ms)
{
	uint64_t end = now_ns() + ms * 1000000ULL;

	while (!waiter->done && now_ns() < end)
		sleep_ms(2);
	return waiter->done;
}

static int start_waiter(struct waiter *waiter, struct area *area, size_t page)
{
	*waiter = (struct waiter){ .area = area, .page = page };
	return pthread_create(&waiter->thread, NULL, store_and_say, waiter);
}

/* The event of each, in the order of their pages. */
static void hold_as_many_as_may_be(struct __test_metadata *const _metadata,
				   struct waiter *waiters, struct area *area,
				   int monitor, struct wpfile_event *events)
{
	size_t page;

	for (page = 0; page < HELD; page++) {
		ASSERT_EQ(0, start_waiter(&waiters[page], area, page));
		ASSERT_EQ(0, event_within(monitor, &events[page], PATIENCE));
		ASSERT_EQ(WPFILE_WAITING, events[page].outcome);
		ASSERT_EQ(page * PAGE, events[page].offset);
	}
	EXPECT_EQ(HELD, fdinfo_number(monitor, "waiting_pages:"));
}

static void expect_passed(struct __test_metadata *const _metadata,
			  struct area *area, int monitor, const char *text,
			  size_t page)
{
	char content[PAGE];

	EXPECT_STREQ(text, event_seen(monitor));
	ASSERT_EQ((ssize_t)PAGE, pread(monitor, content, PAGE, page * PAGE));
	EXPECT_STREQ("same", compare_memory(content, area->before + page * PAGE,
					    PAGE));
	EXPECT_EQ('w', area->map[page * PAGE]);
	EXPECT_EQ(HELD, fdinfo_number(monitor, "waiting_pages:"));
}

TEST_F(sysctl, max_queued_events_bounds_the_pages_that_writers_wait_for)
{
	struct waiter waiters[HELD + OTHERS], *more = waiters + HELD;
	struct wpfile_event events[HELD];
	struct area area;
	int monitor, i;

	ASSERT_EQ(0, file_write(MAX_QUEUED, "20"));
	ASSERT_EQ(0, file_write(MAX_WAIT, "100000"));
	ASSERT_EQ(0, area_make_filled(&area, MEMFD, (HELD + OTHERS) * PAGE));
	monitor = wp_monitor(area.fd, WPFILE_SYNC);
	ASSERT_LE(0, monitor);
	ASSERT_EQ(0, wp_protect(monitor, 0, WPFILE_TO_END));
	hold_as_many_as_may_be(_metadata, waiters, &area, monitor, events);

	/* A page more: by a store, and by a call. */
	ASSERT_EQ(0, start_waiter(&more[0], &area, HELD));
	ASSERT_TRUE(has_done(&more[0], PATIENCE));
	expect_passed(_metadata, &area, monitor, "STORE PASSED 20+1", HELD);
	ASSERT_EQ(0, try_write(area.fd, 'w', (HELD + 1) * PAGE));
	expect_passed(_metadata, &area, monitor, "WRITE PASSED 21+1", HELD + 1);

	/* Not another writer of a page that is held. */
	ASSERT_EQ(0, start_waiter(&more[1], &area, 0));
	EXPECT_FALSE(has_done(&more[1], 200));
	EXPECT_EQ(-ETIME, event_within(monitor, events, 0));

	/* Nor, when one has gone on, the next. */
	ASSERT_EQ(0, wp_resolve(monitor, events[7].id, WPFILE_ALLOW));
	EXPECT_TRUE(has_done(&waiters[7], PATIENCE));
	ASSERT_EQ(0, start_waiter(&more[2], &area, HELD + 2));
	EXPECT_STREQ("STORE WAITING 22+1", event_seen(monitor));
	EXPECT_EQ(HELD, fdinfo_number(monitor, "waiting_pages:"));
	for (i = 0; i < HELD; i++)
		EXPECT_EQ(i == 7, waiters[i].done);

	close(monitor);
	for (i = 0; i < HELD + 3; i++)
		ASSERT_EQ(0, pthread_join(waiters[i].thread, NULL));
	area_free(&area);
}

/* --- cuts that take long --- */

#define MAPPINGS 48000
#define FIRST 2000
#define LONG_NS 40000000ULL	/* several ticks of the kernel's clock */

/*
 * A file that is mapped so often that a cut takes long: each mapping has a page
 * table of its own, with an entry that is writable.  The rest of it is holes, lest
 * the checks of a kernel that is built to debug be what takes long.
 */
struct often {
	struct area area;
	char *maps[MAPPINGS];
	int nr;
};

static int map_more(struct often *often, int nr)
{
	for (; nr-- && often->nr < MAPPINGS; often->nr++) {
		often->maps[often->nr] = mmap(NULL, HUGE,
					      PROT_READ | PROT_WRITE,
					      MAP_SHARED, often->area.fd, 0);
		if (often->maps[often->nr] == MAP_FAILED)
			return -errno;
	}
	return 0;
}

static void store_through_all(struct often *often)
{
	int i;

	for (i = 0; i < often->nr; i++)
		*(volatile char *)often->maps[i] = 'm';
}

/* The shortest of several cuts. */
static __u64 cut_ns(struct often *often)
{
	__u64 shortest = ~0ULL, ns;
	int i, monitor;

	for (i = 0; i < 3; i++) {
		store_through_all(often);
		monitor = wp_protect_or_close(
			wp_monitor(often->area.fd, WPFILE_CAPTURE));
		ns = monitor < 0 ? 0 : fdinfo_number(monitor, "cut_ns:");
		shortest = ns < shortest ? ns : shortest;
		close(monitor);
	}
	return shortest;
}

/* clang-format off */
FIXTURE(long_cut) {
	struct often often;
	char max_cut[32];
};
/* clang-format on */

FIXTURE_SETUP(long_cut)
{
	struct often *often = &self->often;
	__u64 ns = 0;

	ASSERT_EQ(0, file_read(MAX_CUT, self->max_cut, 32));
	ASSERT_EQ(0, area_make(&often->area, MEMFD, HUGE));
	ASSERT_EQ(0, area_map(&often->area));
	while (ns < LONG_NS) {
		ASSERT_GT(MAPPINGS, often->nr);
		ASSERT_EQ(0, map_more(often, often->nr ?: FIRST));
		ns = cut_ns(often);
	}
	TH_LOG("%d mappings: a cut takes %llu us", often->nr, ns / 1000);
	store_through_all(often);
}

FIXTURE_TEARDOWN(long_cut)
{
	file_write(MAX_CUT, self->max_cut);
	area_free(&self->often.area);
}

/* On a busy machine those before may have been long for another reason: more mappings. */
static int protect_for_long(struct often *often, int monitor)
{
	int ret = wp_protect(monitor, 0, WPFILE_TO_END);
	bool longer = !ret;

	while (!ret && often->nr < MAPPINGS) {
		ret = wp_unprotect(monitor, 0, WPFILE_TO_END) ?:
		      map_more(often, often->nr);
		if (ret)
			break;
		store_through_all(often);
		ret = wp_protect(monitor, 0, WPFILE_TO_END);
	}
	/* The next one may be a little quicker. */
	if (longer && ret == -ETIMEDOUT) {
		map_more(often, often->nr);
		store_through_all(often);
	}
	return ret;
}

static pid_t start_writer(struct area *area, volatile unsigned long *stores)
{
	pid_t pid = fork();

	if (!pid)
		prctl(PR_SET_PDEATHSIG, SIGKILL);
	while (!pid) {
		area->map[100 * PAGE] = *stores;
		(*stores)++;
	}
	return pid;
}

/* Many times through the gates, should there be any. */
static bool goes_on(volatile unsigned long *stores)
{
	uint64_t end = now_ns() + PATIENCE * 1000000ULL;
	unsigned long before = *stores;

	while (*stores < before + 1000 && now_ns() < end)
		sleep_ms(1);
	return *stores >= before + 1000;
}

TEST_F(long_cut, is_given_up_after_max_cut_ms)
{
	volatile unsigned long *stores;
	struct area *area = &self->often.area;
	int monitor = wp_monitor(area->fd, WPFILE_CAPTURE);
	pid_t writer;
	char byte;

	stores = mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	writer = start_writer(area, stores);
	ASSERT_LT(0, writer);
	ASSERT_TRUE(goes_on(stores));
	ASSERT_EQ(0, file_write(MAX_CUT, "1"));
	EXPECT_EQ(-ETIMEDOUT, protect_for_long(&self->often, monitor));
	EXPECT_EQ(1, fdinfo_number(monitor, "failed:"));
	EXPECT_EQ(0, fdinfo_number(monitor, "protected_pages:"));
	EXPECT_STREQ("FAILED PASSED 0+all", event_seen(monitor));
	EXPECT_TRUE(goes_on(stores));
	store_through_all(&self->often);
	EXPECT_EQ(0, fdinfo_number(monitor, "captured_bytes:"));

	EXPECT_EQ(-ETIMEDOUT, wp_snapshot(area->fd));
	EXPECT_EQ(1, wp_wait_count(area->fd, WPFILE_CAPTURE, 1, 20));
	EXPECT_TRUE(goes_on(stores));

	/* It has FAILED, for good; others have not. */
	ASSERT_EQ(0, file_write(MAX_CUT, self->max_cut));
	EXPECT_EQ(-EIO, wp_protect(monitor, 0, WPFILE_TO_END));
	EXPECT_EQ(-1, pread(monitor, &byte, 1, 0));
	EXPECT_EQ(EIO, errno);
	EXPECT_LE(0, wp_snapshot(area->fd));
	kill(writer, SIGKILL);
	waitpid(writer, NULL, 0);
	close(monitor);
}

TEST_F(long_cut, that_is_given_up_denies_nobody)
{
	struct area *area = &self->often.area;
	int monitor = deny_monitor(area->fd, 0), i;

	ASSERT_EQ(0, wp_protect(monitor, 0, 8 * PAGE));
	ASSERT_EQ(-EPERM, try_write(area->fd, 'x', 0));
	ASSERT_EQ(0, wp_unprotect(monitor, 0, WPFILE_TO_END));
	store_through_all(&self->often);
	ASSERT_EQ(0, file_write(MAX_CUT, "1"));
	EXPECT_EQ(-ETIMEDOUT, protect_for_long(&self->often, monitor));
	EXPECT_STREQ("FAILED PASSED 0+all", event_seen(monitor));
	EXPECT_EQ(0, fdinfo_number(monitor, "protected_pages:"));
	for (i = 0; i < self->often.nr; i += self->often.nr - 1)
		EXPECT_EQ(0, try_store(self->often.maps[i], 'y', NULL));
	EXPECT_EQ(0, try_write(area->fd, 'y', 100 * PAGE));

	ASSERT_EQ(0, file_write(MAX_CUT, self->max_cut));
	EXPECT_EQ(0, wp_protect(monitor, 0, WPFILE_TO_END));
	for (i = 0; i < self->often.nr; i += self->often.nr - 1)
		EXPECT_EQ(SIGSEGV, try_store(self->often.maps[i], 'z', NULL));
	EXPECT_EQ(-EPERM, try_write(area->fd, 'z', 100 * PAGE));
	EXPECT_EQ('y', area->map[0]);
	EXPECT_EQ('y', area->map[100 * PAGE]);
	close(monitor);
}

static long pass(struct area *area, size_t page)
{
	struct iovec from = { "P", 1 };
	struct iovec to = { area->map + page * PAGE, 1 };

	return process_vm_writev(getpid(), &from, 1, &to, 1, 0);
}

/* The events of lost content say whether anything is left. */
TEST_F(long_cut, that_is_given_up_is_told_beside_what_was_lost_before)
{
	struct area *area = &self->often.area;
	int monitor, round;

	monitor = wp_monitor_with(area->fd, (struct wpfile_monitor){
						    .mode = WPFILE_SYNC,
						    .capture_limit = PAGE });
	ASSERT_LE(0, monitor);
	/* Holes need no memory. */
	for (round = 0; round < 3; round++)
		area->map[round * PAGE] = 'c';
	for (round = 0; round < 2; round++) {
		ASSERT_EQ(0, file_write(MAX_CUT, self->max_cut));
		ASSERT_EQ(0, wp_protect(monitor, 0, WPFILE_TO_END));
		ASSERT_EQ(1, pass(area, 0));
		ASSERT_EQ(1, pass(area, 1));
		EXPECT_STREQ("STORE PASSED 0+1", event_seen(monitor));
		EXPECT_STREQ("FAILED PASSED 1+1", event_seen(monitor));
		EXPECT_STREQ("STORE PASSED 1+1", event_seen(monitor));
		ASSERT_EQ(1, pass(area, 2));
		ASSERT_EQ(0, wp_unprotect(monitor, 0, WPFILE_TO_END));
		store_through_all(&self->often);
		ASSERT_EQ(0, file_write(MAX_CUT, "1"));
		EXPECT_EQ(-ETIMEDOUT, protect_for_long(&self->often, monitor));
		EXPECT_STREQ("STORE PASSED 2+1", event_seen(monitor));
		EXPECT_STREQ("FAILED PASSED 2+all", event_seen(monitor));
		EXPECT_EQ(0, events_drain(monitor));
	}
	close(monitor);
}

/* --- monitors of a user --- */

static void close_all(int *fds, int nr)
{
	while (nr--)
		close(fds[nr]);
}

TEST_F(sysctl, max_wpfile_monitors_is_EDQUOT_until_one_is_closed)
{
	int fds[3], i, round;

	ASSERT_EQ(0, file_write(MAX_MONITORS, "3"));
	for (round = 0; round < 5; round++) {
		for (i = 0; i < 3; i++) {
			fds[i] = wp_monitor(self->area.fd, i + 1);
			ASSERT_LE(0, fds[i]);
		}
		EXPECT_EQ(-EDQUOT, wp_monitor(self->area.fd, WPFILE_TRACK));
		EXPECT_EQ(-EDQUOT, wp_monitor(self->area.fd, WPFILE_SYNC));
		EXPECT_EQ(-EDQUOT, wp_snapshot(self->area.fd));
		close(fds[1]);
		fds[1] = wp_snapshot(self->area.fd);
		EXPECT_LE(0, fds[1]);
		EXPECT_EQ(-EDQUOT, wp_monitor(self->area.fd, WPFILE_TRACK));
		close_all(fds, 3);
	}
}

/* A call that fails for another reason is not charged. */
TEST_F(sysctl, max_wpfile_monitors_counts_no_failed_calls)
{
	int reads = reopen(self->area.fd, O_RDONLY), fd, i;

	ASSERT_EQ(0, file_write(MAX_MONITORS, "2"));
	for (i = 0; i < 10; i++) {
		EXPECT_EQ(-EPERM, wp_monitor(reads, WPFILE_SYNC));
		EXPECT_EQ(-EINVAL, wp_monitor(self->area.fd, 99));
		EXPECT_GT(0, wp_snapshot(-1));
	}
	fd = wp_monitor(self->area.fd, WPFILE_SYNC);
	EXPECT_LE(0, fd);
	EXPECT_LE(0, wp_monitor(self->area.fd, WPFILE_SYNC));
	EXPECT_EQ(-EDQUOT, wp_monitor(self->area.fd, WPFILE_SYNC));
}

/* Nor one for which the file has no place. */
TEST_F(sysctl, max_wpfile_monitors_counts_none_of_a_forbidden_file)
{
	struct area other;
	int i;

	ASSERT_EQ(0, area_make(&other, MEMFD, PAGE));
	ASSERT_EQ(0, wp_forbid(other.fd));
	ASSERT_EQ(0, file_write(MAX_MONITORS, "2"));
	for (i = 0; i < 10; i++) {
		EXPECT_EQ(-EPERM, wp_monitor(other.fd, WPFILE_TRACK));
		EXPECT_EQ(-EPERM, wp_snapshot(other.fd));
	}
	EXPECT_LE(0, wp_monitor(self->area.fd, WPFILE_TRACK));
	EXPECT_LE(0, wp_monitor(self->area.fd, WPFILE_TRACK));
	area_free(&other);
}

static long make_tracks(void *argument, long nr)
{
	struct area *area = argument;
	int fd = 0;

	while (nr-- > 0 && fd >= 0)
		fd = wp_monitor(area->fd, WPFILE_TRACK);
	return fd;
}

TEST_F(sysctl, max_wpfile_monitors_is_for_each_user)
{
	struct worker one, two, two_again;
	long fd;

	ASSERT_EQ(0, fchmod(self->area.fd, 0666));
	ASSERT_EQ(0, file_write(MAX_MONITORS, "4"));
	ASSERT_EQ(0, worker_start(&one));
	ASSERT_EQ(0, worker_start(&two));
	ASSERT_EQ(0, worker_start(&two_again));
	ASSERT_EQ(0, worker_call(&one, become, (void *)&owner, 0));
	ASSERT_EQ(0, worker_call(&two, become, (void *)&stranger, 0));
	EXPECT_LE(0, worker_call(&one, make_tracks, &self->area, 4));
	EXPECT_EQ(-EDQUOT, worker_call(&one, make_tracks, &self->area, 1));
	fd = worker_call(&two, make_tracks, &self->area, 4);
	EXPECT_LE(0, fd);

	/* Who has it now does not matter; it is his who made it. */
	fd = worker_take_fd(&two, fd);
	ASSERT_LE(0, fd);
	worker_stop(&two);
	ASSERT_EQ(5, wp_wait_count(self->area.fd, WPFILE_TRACK, 5, 20));
	ASSERT_EQ(0, worker_call(&two_again, become, (void *)&stranger, 0));
	EXPECT_LE(0, worker_call(&two_again, make_tracks, &self->area, 3));
	EXPECT_EQ(-EDQUOT, worker_call(&two_again, make_tracks, &self->area,
				       1));
	close(fd);
	EXPECT_LE(0, worker_call(&two_again, make_tracks, &self->area, 1));
	worker_stop(&one);
	worker_stop(&two_again);
}

TEST_F(sysctl, max_wpfile_monitors_comes_back_when_holders_are_killed)
{
	struct worker worker;
	int round;

	ASSERT_EQ(0, file_write(MAX_MONITORS, "5"));
	for (round = 0; round < 20; round++) {
		ASSERT_EQ(0, worker_start(&worker));
		ASSERT_LE(0, worker_call(&worker, make_tracks, &self->area, 5));
		kill(worker.pid, SIGKILL);
		worker_stop(&worker);
		ASSERT_EQ(0, wp_wait_count(self->area.fd, WPFILE_TRACK, 0, 20));
	}
}

TEST_HARNESS_MAIN
