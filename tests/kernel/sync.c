// SPDX-License-Identifier: GPL-2.0-only
/*
 * A SYNC monitor: its events, its answers, its limits.  Who waits is a store
 * or a pwrite(); other calls are in sync_calls.c, other tasks in sync_tasks.c.
 */
#include "harness.h"
#include "wait.h"
#include "who.h"
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <signal.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>

#define PAGES 16
#define WRITERS 4
#define DATA 64 /* where in a page the writers write */

/* clang-format off */
FIXTURE(sync) {
	struct area area;
	int monitor;
	struct worker writers[WRITERS];	/* two processes, two threads */
};
/* clang-format on */

/* The writers come first: they do not inherit the monitor. */
FIXTURE_SETUP(sync)
{
	int i;

	ASSERT_EQ(0, area_make_filled(&self->area, MEMFD, PAGES * PAGE));
	area_touch(&self->area);
	for (i = 0; i < WRITERS / 2; i++)
		ASSERT_EQ(0, worker_start(&self->writers[i]));
	for (; i < WRITERS; i++)
		ASSERT_EQ(0, worker_start_thread(&self->writers[i]));
	self->monitor = sync_protect(&self->area);
	ASSERT_LE(0, self->monitor);
}

FIXTURE_TEARDOWN(sync)
{
	int i;

	close(self->monitor);
	for (i = 0; i < WRITERS; i++)
		worker_stop(&self->writers[i]);
	area_free(&self->area);
}

/* --- what writers do, and what became of the page --- */

static long do_store(void *argument, long page)
{
	struct area *area = argument;

	area->map[page * PAGE + DATA] = 'S';
	return 0;
}

static long do_store_or_fault(void *argument, long page)
{
	struct area *area = argument;

	return store_or_fault(area->map + page * PAGE + DATA);
}

static long do_pwrite(void *argument, long page)
{
	struct area *area = argument;
	ssize_t done = pwrite(area->fd, "W", 1, page * PAGE + DATA);

	return done < 0 ? -errno : done;
}

/* By the kernel, into the memory of the caller: it passes. */
static long do_pass(void *argument, long page)
{
	struct area *area = argument;
	struct iovec from = { "P", 1 };
	struct iovec to = { area->map + page * PAGE + DATA, 1 };
	ssize_t done = process_vm_writev(getpid(), &from, 1, &to, 1, 0);

	return done < 0 ? -errno : done;
}

static char byte_of(int fd, size_t page)
{
	char byte = 0;

	return pread(fd, &byte, 1, page * PAGE + DATA) == 1 ? byte : -1;
}

static char old_byte(const struct area *area, size_t page)
{
	return area->before[page * PAGE + DATA];
}

static void begin_store(struct worker *writer, struct area *area, size_t page)
{
	worker_begin(writer, do_store, area, page);
}

static bool waits_in_store(struct worker *writer)
{
	return comes_to_sleep_in(writer->pid, IN_NO_CALL) &&
	       !worker_has_ended(writer, MOMENT);
}

static bool waits_in_pwrite(struct worker *writer)
{
	return comes_to_sleep_in(writer->pid, SYS_pwrite64) &&
	       !worker_has_ended(writer, MOMENT);
}

/* --- one event for a page --- */

TEST_F(sync, one_event_for_all_who_wait_for_a_page)
{
	struct wpfile_event event;
	int i;

	for (i = 0; i < WRITERS; i++)
		begin_store(&self->writers[i], &self->area, 3);
	ASSERT_EQ(0, event_expect(self->monitor, &event, WPFILE_WAITING, 3));
	for (i = 0; i < WRITERS; i++)
		ASSERT_TRUE(waits_in_store(&self->writers[i]));
	EXPECT_FALSE(event_is_there(self->monitor, MOMENT));
	EXPECT_EQ(old_byte(&self->area, 3), byte_of(self->area.fd, 3));
	EXPECT_STREQ("", unprotected(self->monitor));

	EXPECT_EQ(0, sync_allow(self->monitor, &event));
	for (i = 0; i < WRITERS; i++)
		EXPECT_EQ(0, worker_result(&self->writers[i]));
	EXPECT_EQ('S', byte_of(self->area.fd, 3));
	EXPECT_STREQ("3", unprotected(self->monitor));
	EXPECT_FALSE(event_is_there(self->monitor, MOMENT));
}

TEST_F(sync, stores_and_calls_wait_for_the_same_event)
{
	struct wpfile_event event;
	int i;

	begin_store(&self->writers[0], &self->area, 3);
	ASSERT_EQ(0, event_expect(self->monitor, &event, WPFILE_WAITING, 3));
	for (i = 1; i < WRITERS; i++)
		worker_begin(&self->writers[i], do_pwrite, &self->area, 3);
	for (i = 1; i < WRITERS; i++)
		ASSERT_TRUE(waits_in_pwrite(&self->writers[i]));
	EXPECT_FALSE(event_is_there(self->monitor, MOMENT));
	EXPECT_EQ(0, sync_allow(self->monitor, &event));
	EXPECT_EQ(0, worker_result(&self->writers[0]));
	for (i = 1; i < WRITERS; i++)
		EXPECT_EQ(1, worker_result(&self->writers[i]));
	EXPECT_FALSE(event_is_there(self->monitor, MOMENT));
}

TEST_F(sync, later_writes_to_an_allowed_page_go_on)
{
	struct wpfile_event event;

	begin_store(&self->writers[0], &self->area, 3);
	ASSERT_EQ(0, event_expect(self->monitor, &event, WPFILE_WAITING, 3));
	ASSERT_EQ(0, sync_allow(self->monitor, &event));
	ASSERT_EQ(0, worker_result(&self->writers[0]));
	worker_begin(&self->writers[1], do_pwrite, &self->area, 3);
	EXPECT_EQ(1, worker_result(&self->writers[1]));
	begin_store(&self->writers[2], &self->area, 3);
	EXPECT_EQ(0, worker_result(&self->writers[2]));
	EXPECT_FALSE(event_is_there(self->monitor, MOMENT));
}

TEST_F(sync, event_tells_who_and_when)
{
	struct wpfile_monitor request = { .cookie = 0xc00c1e0000000001ULL };
	int monitor = sync_monitor(&self->area, request), i;
	uint64_t start = now_ns();
	struct wpfile_event event;

	ASSERT_LE(0, monitor);
	ASSERT_EQ(0, wp_protect(monitor, 5 * PAGE, 2 * PAGE));
	ASSERT_EQ(0, wp_unprotect(self->monitor, 0, WPFILE_TO_END));
	for (i = 0; i < WRITERS; i += WRITERS - 1) {
		worker_begin(&self->writers[i], i ? do_pwrite : do_store,
			     &self->area, 5 + !!i);
		ASSERT_EQ(0, event_expect(monitor, &event, WPFILE_WAITING,
					  5 + !!i));
		EXPECT_EQ(i ? WPFILE_EVENT_WRITE : WPFILE_EVENT_STORE,
			  event.type);
		EXPECT_EQ((__u32)self->writers[i].pid, event.tid);
		/* The last writer is a thread of ours. */
		EXPECT_EQ((__u32)(i ? getpid() : self->writers[i].pid),
			  event.tgid);
		EXPECT_EQ(getuid(), event.uid);
		EXPECT_EQ(PAGE, event.bytes);
		EXPECT_EQ(request.cookie, event.cookie);
		EXPECT_LE(start, event.time_ns);
		EXPECT_GE(now_ns(), event.time_ns);
		EXPECT_EQ(0, sync_allow(monitor, &event));
		EXPECT_LE(0, worker_result(&self->writers[i]));
	}
	close(monitor);
}

/* Of a huge page, too, and of memory that has no file descriptor. */
TEST_F(sync, every_kind_of_memory)
{
	static const enum kind kinds[] = { TMPFS, TMPFS_HUGE, SYSV, ANON };
	struct wpfile_event event;
	struct worker writer;
	struct area area;
	size_t i;
	int monitor;

	for (i = 0; i < ARRAY_SIZE(kinds); i++) {
		ASSERT_EQ(0, area_make_filled(&area, kinds[i], HUGE));
		area_touch(&area);
		ASSERT_EQ(0, worker_start(&writer));
		monitor = sync_protect(&area);
		ASSERT_LE(0, monitor);
		begin_store(&writer, &area, 3);
		ASSERT_EQ(0, event_expect(monitor, &event, WPFILE_WAITING, 3));
		ASSERT_TRUE(waits_in_store(&writer));
		EXPECT_EQ(0, sync_allow(monitor, &event));
		EXPECT_EQ(0, worker_result(&writer));
		EXPECT_STREQ("3", unprotected(monitor));
		begin_store(&writer, &area, 4);
		ASSERT_EQ(0, event_expect(monitor, &event, WPFILE_WAITING, 4));
		EXPECT_EQ(0, sync_allow(monitor, &event));
		EXPECT_EQ(0, worker_result(&writer));
		close(monitor);
		worker_stop(&writer);
		area_free(&area);
	}
}

/* --- read() and poll() --- */

static void stores_to_pages_of_their_own(
	struct __test_metadata *const _metadata, FIXTURE_DATA(sync) *self)
{
	int i;

	for (i = 0; i < WRITERS; i++) {
		begin_store(&self->writers[i], &self->area, i);
		ASSERT_TRUE(waits_in_store(&self->writers[i]));
	}
}

TEST_F(sync, events_are_read_in_batches)
{
	struct wpfile_event events[WRITERS + 4];
	int i, j;

	stores_to_pages_of_their_own(_metadata, self);
	ASSERT_EQ((ssize_t)(WRITERS * sizeof(events[0])),
		  read(self->monitor, events, sizeof(events)));
	for (i = 0; i < WRITERS; i++) {
		EXPECT_EQ(sizeof(events[0]), events[i].length);
		EXPECT_EQ(WPFILE_WAITING, events[i].outcome);
		EXPECT_EQ(i * PAGE, events[i].offset); /* as they came */
		for (j = 0; j < i; j++)
			EXPECT_NE(events[j].id, events[i].id);
	}
	/* One answer, one writer. */
	for (i = WRITERS - 1; i >= 0; i--) {
		EXPECT_EQ(0, sync_allow(self->monitor, &events[i]));
		EXPECT_EQ(0, worker_result(&self->writers[i]));
		for (j = 0; j < i; j++)
			EXPECT_FALSE(worker_has_ended(&self->writers[j], 10));
	}
}

TEST_F(sync, a_short_buffer_takes_whole_events)
{
	struct wpfile_event events[2] = {};

	stores_to_pages_of_their_own(_metadata, self);
	EXPECT_EQ(-1, read(self->monitor, events, sizeof(events[0]) - 1));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ((ssize_t)sizeof(events[0]),
		  read(self->monitor, events, sizeof(events) - 1));
	EXPECT_EQ(0, events[0].offset);
	EXPECT_EQ(0, events[1].length);
	EXPECT_EQ((ssize_t)sizeof(events),
		  read(self->monitor, events, sizeof(events)));
	EXPECT_EQ(PAGE, events[0].offset);
	EXPECT_EQ(2 * PAGE, events[1].offset);
}

/* An event that could not be handed over is not lost. */
TEST_F(sync, bad_buffer_loses_no_event)
{
	void *bad = mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS,
			 -1, 0);
	struct wpfile_event event;

	begin_store(&self->writers[0], &self->area, 3);
	ASSERT_TRUE(event_is_there(self->monitor, SOON * 1000));
	EXPECT_EQ(-1, read(self->monitor, bad, sizeof(event)));
	EXPECT_EQ(EFAULT, errno);
	EXPECT_EQ(0, event_expect(self->monitor, &event, WPFILE_WAITING, 3));
	EXPECT_EQ(0, sync_allow(self->monitor, &event));
	EXPECT_EQ(0, worker_result(&self->writers[0]));
}

TEST_F(sync, nonblocking_read_without_an_event_is_eagain)
{
	struct wpfile_event event;

	ASSERT_EQ(0, fcntl(self->monitor, F_SETFL, O_NONBLOCK));
	EXPECT_EQ(-1, read(self->monitor, &event, sizeof(event)));
	EXPECT_EQ(EAGAIN, errno);
	begin_store(&self->writers[0], &self->area, 3);
	ASSERT_EQ(0, event_expect(self->monitor, &event, WPFILE_WAITING, 3));
	EXPECT_EQ(-1, read(self->monitor, &event, sizeof(event)));
	EXPECT_EQ(EAGAIN, errno);
}

struct reader {
	int fd;
	struct wpfile_event events[PAGES];
	int nr;
	volatile pid_t tid;
};

static void *poll_once(void *argument)
{
	struct reader *reader = argument;
	struct pollfd poll_fd = { .fd = reader->fd, .events = POLLIN };

	reader->tid = gettid();
	return (void *)(long)poll(&poll_fd, 1, SOON * 1000);
}

TEST_F(sync, poll_sleeps_until_an_event)
{
	struct reader reader = { .fd = self->monitor };
	struct wpfile_event event;
	pthread_t thread;
	void *ret;

	EXPECT_FALSE(event_is_there(self->monitor, 0));
	ASSERT_EQ(0, pthread_create(&thread, NULL, poll_once, &reader));
	while (!reader.tid)
		sleep_ms(1);
	ASSERT_TRUE(comes_to_sleep_in(reader.tid, SYS_poll));
	begin_store(&self->writers[0], &self->area, 3);
	ASSERT_EQ(0, pthread_join(thread, &ret));
	EXPECT_EQ(1, (long)ret);
	ASSERT_EQ(0, event_expect(self->monitor, &event, WPFILE_WAITING, 3));
	EXPECT_FALSE(event_is_there(self->monitor, 0)); /* read, not answered */
}

static void *read_events(void *argument)
{
	struct reader *reader = argument;

	reader->tid = gettid();
	while (read(reader->fd, &reader->events[reader->nr],
		    sizeof(reader->events[0])) > 0 &&
	       reader->events[reader->nr].outcome == WPFILE_WAITING) {
		sync_allow(reader->fd, &reader->events[reader->nr]);
		reader->nr++;
	}
	return NULL;
}

static long do_store_all(void *argument, long first)
{
	size_t page;

	for (page = first; page < PAGES - WRITERS; page += WRITERS)
		do_store(argument, page);
	return 0;
}

/* The last events, PASSED, get the readers out. */
TEST_F(sync, several_readers_share_the_events)
{
	struct reader readers[3] = {};
	pthread_t threads[3];
	struct pages seen = {};
	size_t page;
	int i, j;

	for (i = 0; i < 3; i++) {
		readers[i].fd = self->monitor;
		ASSERT_EQ(0, pthread_create(&threads[i], NULL, read_events,
					    &readers[i]));
		while (!readers[i].tid)
			sleep_ms(1);
		ASSERT_TRUE(comes_to_sleep_in(readers[i].tid, SYS_read));
	}
	for (i = 0; i < WRITERS; i++)
		worker_begin(&self->writers[i], do_store_all, &self->area, i);
	for (i = 0; i < WRITERS; i++)
		EXPECT_EQ(0, worker_result(&self->writers[i]));
	for (page = PAGES - 3; page < PAGES; page++)
		ASSERT_EQ(1, do_pass(&self->area, page));
	for (i = 0; i < 3; i++) {
		ASSERT_EQ(0, pthread_join(threads[i], NULL));
		for (j = 0; j < readers[i].nr; j++) {
			page = readers[i].events[j].offset / PAGE;
			EXPECT_FALSE(seen.has[page]);
			seen.has[page] = 1;
		}
	}
	EXPECT_STREQ("0-11", pages_text(&seen));
}

/* --- RESOLVE --- */

TEST_F(sync, fail_is_a_segv_at_the_address)
{
	struct wpfile_event event;

	worker_begin(&self->writers[0], do_store_or_fault, &self->area, 3);
	worker_begin(&self->writers[2], do_store_or_fault, &self->area, 3);
	ASSERT_EQ(0, event_expect(self->monitor, &event, WPFILE_WAITING, 3));
	ASSERT_TRUE(waits_in_store(&self->writers[0]));
	ASSERT_TRUE(waits_in_store(&self->writers[2]));
	EXPECT_EQ(0, sync_fail(self->monitor, &event));
	EXPECT_EQ(1, worker_result(&self->writers[0]));
	EXPECT_EQ(1, worker_result(&self->writers[2]));
	EXPECT_EQ(old_byte(&self->area, 3), byte_of(self->area.fd, 3));
	EXPECT_STREQ("", unprotected(self->monitor));
	EXPECT_FALSE(event_is_there(self->monitor, MOMENT));
}

TEST_F(sync, fail_is_eperm_for_a_call)
{
	struct wpfile_event event;

	worker_begin(&self->writers[0], do_pwrite, &self->area, 3);
	worker_begin(&self->writers[2], do_pwrite, &self->area, 3);
	ASSERT_EQ(0, event_expect(self->monitor, &event, WPFILE_WAITING, 3));
	ASSERT_TRUE(waits_in_pwrite(&self->writers[0]));
	ASSERT_TRUE(waits_in_pwrite(&self->writers[2]));
	EXPECT_EQ(0, sync_fail(self->monitor, &event));
	EXPECT_EQ(-EPERM, worker_result(&self->writers[0]));
	EXPECT_EQ(-EPERM, worker_result(&self->writers[2]));
	EXPECT_EQ(old_byte(&self->area, 3), byte_of(self->area.fd, 3));
	EXPECT_STREQ("", unprotected(self->monitor));
	EXPECT_FALSE(event_is_there(self->monitor, MOMENT));
}

TEST_F(sync, fail_concerns_those_who_wait_now)
{
	struct wpfile_event first, second, other;

	worker_begin(&self->writers[0], do_store_or_fault, &self->area, 3);
	ASSERT_EQ(0, event_expect(self->monitor, &first, WPFILE_WAITING, 3));
	begin_store(&self->writers[1], &self->area, 4);
	ASSERT_EQ(0, event_expect(self->monitor, &other, WPFILE_WAITING, 4));
	ASSERT_EQ(0, sync_fail(self->monitor, &first));
	ASSERT_EQ(1, worker_result(&self->writers[0]));
	EXPECT_FALSE(worker_has_ended(&self->writers[1], MOMENT));

	/* The same writer, the same page, by either way. */
	worker_begin(&self->writers[0], do_pwrite, &self->area, 3);
	ASSERT_EQ(0, event_expect(self->monitor, &second, WPFILE_WAITING, 3));
	EXPECT_NE(first.id, second.id);
	EXPECT_EQ(0, sync_allow(self->monitor, &second));
	EXPECT_EQ(1, worker_result(&self->writers[0]));
	EXPECT_EQ(0, sync_allow(self->monitor, &other));
	EXPECT_EQ(0, worker_result(&self->writers[1]));
	worker_begin(&self->writers[0], do_store_or_fault, &self->area, 3);
	EXPECT_EQ(0, worker_result(&self->writers[0]));
}

TEST_F(sync, answers_to_nobody_are_enoent)
{
	struct wpfile_event event;
	int other;

	EXPECT_EQ(-ENOENT, wp_resolve(self->monitor, 0, WPFILE_ALLOW));
	EXPECT_EQ(-ENOENT, wp_resolve(self->monitor, 0, WPFILE_FAIL));
	EXPECT_EQ(-ENOENT, wp_resolve(self->monitor, ~0ULL, WPFILE_FAIL));
	begin_store(&self->writers[0], &self->area, 3);
	ASSERT_EQ(0, event_expect(self->monitor, &event, WPFILE_WAITING, 3));
	EXPECT_EQ(-ENOENT, wp_resolve(self->monitor, 0, WPFILE_ALLOW));
	EXPECT_EQ(-ENOENT, wp_resolve(self->monitor, 0, WPFILE_FAIL));
	EXPECT_EQ(-ENOENT, wp_resolve(self->monitor, event.id + 1,
					WPFILE_ALLOW));
	other = sync_monitor(&self->area, (struct wpfile_monitor){});
	ASSERT_LE(0, other);
	EXPECT_EQ(-ENOENT, sync_allow(other, &event));
	EXPECT_EQ(-EINVAL, wp_resolve(self->monitor, event.id, 2));
	EXPECT_FALSE(worker_has_ended(&self->writers[0], MOMENT));
	EXPECT_EQ(0, sync_allow(self->monitor, &event));
	EXPECT_EQ(-ENOENT, sync_allow(self->monitor, &event));
	EXPECT_EQ(0, worker_result(&self->writers[0]));
	EXPECT_EQ(-ENOENT, sync_fail(self->monitor, &event));
	close(other);
}

TEST_F(sync, resolve_is_not_for_monitors_that_ask_nobody)
{
	int track = area_monitor(&self->area, WPFILE_TRACK);
	int capture = area_monitor(&self->area, WPFILE_CAPTURE);

	EXPECT_EQ(-EOPNOTSUPP, wp_resolve(track, 1, WPFILE_ALLOW));
	EXPECT_EQ(-EOPNOTSUPP, wp_resolve(capture, 1, WPFILE_ALLOW));
	close(track);
	close(capture);
}

/* --- UNPROTECT, PROTECT, close() --- */

TEST_F(sync, unprotect_releases_those_of_its_pages)
{
	struct wpfile_event event;

	stores_to_pages_of_their_own(_metadata, self);
	ASSERT_EQ(0, event_expect(self->monitor, &event, WPFILE_WAITING, 0));
	ASSERT_EQ(0, wp_unprotect(self->monitor, 0, 2 * PAGE));
	EXPECT_EQ(0, worker_result(&self->writers[0]));
	EXPECT_EQ(0, worker_result(&self->writers[1]));
	EXPECT_EQ(-ENOENT, sync_allow(self->monitor, &event));
	EXPECT_FALSE(worker_has_ended(&self->writers[2], MOMENT));
	EXPECT_FALSE(worker_has_ended(&self->writers[3], 0));
	ASSERT_EQ(0, wp_unprotect(self->monitor, 3 * PAGE, WPFILE_TO_END));
	EXPECT_EQ(0, worker_result(&self->writers[3]));
	EXPECT_FALSE(worker_has_ended(&self->writers[2], MOMENT));
	ASSERT_EQ(0, wp_unprotect(self->monitor, 0, WPFILE_TO_END));
	EXPECT_EQ(0, worker_result(&self->writers[2]));
}

TEST_F(sync, protect_again_gives_another_event)
{
	struct wpfile_event first, second;

	begin_store(&self->writers[0], &self->area, 3);
	ASSERT_EQ(0, event_expect(self->monitor, &first, WPFILE_WAITING, 3));
	ASSERT_EQ(0, sync_allow(self->monitor, &first));
	ASSERT_EQ(0, worker_result(&self->writers[0]));
	ASSERT_EQ(0, wp_protect(self->monitor, 3 * PAGE, PAGE));
	EXPECT_STREQ("", unprotected(self->monitor));
	worker_begin(&self->writers[1], do_pwrite, &self->area, 3);
	ASSERT_EQ(0, event_expect(self->monitor, &second, WPFILE_WAITING, 3));
	ASSERT_TRUE(waits_in_pwrite(&self->writers[1]));
	EXPECT_NE(first.id, second.id);
	EXPECT_EQ('S', byte_of(self->monitor, 3));
	EXPECT_EQ(0, sync_allow(self->monitor, &second));
	EXPECT_EQ(1, worker_result(&self->writers[1]));
}

TEST_F(sync, protect_again_releases_nobody)
{
	struct wpfile_event event;

	begin_store(&self->writers[0], &self->area, 3);
	worker_begin(&self->writers[1], do_pwrite, &self->area, 3);
	ASSERT_EQ(0, event_expect(self->monitor, &event, WPFILE_WAITING, 3));
	ASSERT_TRUE(waits_in_store(&self->writers[0]));
	ASSERT_TRUE(waits_in_pwrite(&self->writers[1]));
	ASSERT_EQ(0, wp_protect(self->monitor, 0, WPFILE_TO_END));
	EXPECT_FALSE(worker_has_ended(&self->writers[0], MOMENT));
	EXPECT_FALSE(worker_has_ended(&self->writers[1], MOMENT));
	EXPECT_EQ(0, sync_allow(self->monitor, &event));
	EXPECT_EQ(0, worker_result(&self->writers[0]));
	EXPECT_EQ(1, worker_result(&self->writers[1]));
}

/* A system call on the file that takes its buffer from there. */
static long do_pwrite_from(void *from, long fd)
{
	return pwrite(fd, from, 1, DATA) < 0 ? -errno : 0;
}

static long do_protect_last(void *argument, long monitor)
{
	(void)argument;
	return wp_protect(monitor, (PAGES - 1) * PAGE, PAGE);
}

/* Whoever may write the file keeps its inode lock for as long as he likes. */
TEST_F(sync, answers_wait_for_nobody_who_waits_for_a_lock)
{
	char *nowhere = mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
			     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int uffd = uffd_open(0);
	struct wpfile_event event;

	ASSERT_LE(0, uffd);
	ASSERT_EQ(0, uffd_register(uffd, nowhere, PAGE,
				   UFFDIO_REGISTER_MODE_MISSING));
	ASSERT_EQ(0, wp_unprotect(self->monitor, 0, PAGE));
	worker_begin(&self->writers[2], do_pwrite_from, nowhere,
		     self->area.fd);
	ASSERT_TRUE(comes_to_sleep_in(self->writers[2].pid, SYS_pwrite64));
	worker_begin(&self->writers[3], do_protect_last, NULL, self->monitor);
	ASSERT_TRUE(comes_to_sleep_in(self->writers[3].pid, SYS_ioctl));

	begin_store(&self->writers[0], &self->area, 3);
	ASSERT_EQ(0, event_expect(self->monitor, &event, WPFILE_WAITING, 3));
	EXPECT_EQ(0, sync_allow(self->monitor, &event));
	EXPECT_EQ(0, worker_result(&self->writers[0]));
	EXPECT_FALSE(worker_has_ended(&self->writers[3], 0));
	EXPECT_EQ(0, uffd_zeropage(uffd, nowhere));
	EXPECT_EQ(0, worker_result(&self->writers[2]));
	EXPECT_EQ(0, worker_result(&self->writers[3]));
	close(uffd);
	munmap(nowhere, PAGE);
}

TEST_F(sync, closing_the_monitor_releases_all)
{
	stores_to_pages_of_their_own(_metadata, self);
	close(self->monitor);
	EXPECT_EQ(0, worker_result(&self->writers[0]));
	EXPECT_EQ(0, worker_result(&self->writers[1]));
	EXPECT_EQ(0, worker_result(&self->writers[2]));
	EXPECT_EQ(0, worker_result(&self->writers[3]));
	EXPECT_EQ(0, wp_count(self->area.fd, WPFILE_SYNC));
	EXPECT_EQ('S', byte_of(self->area.fd, 0));
	self->monitor = -1;
}

TEST_F(sync, closing_the_monitor_releases_calls)
{
	int i;

	for (i = 0; i < WRITERS; i++) {
		worker_begin(&self->writers[i], do_pwrite, &self->area, i / 2);
		ASSERT_TRUE(waits_in_pwrite(&self->writers[i]));
	}
	close(self->monitor);
	for (i = 0; i < WRITERS; i++)
		EXPECT_EQ(1, worker_result(&self->writers[i]));
	self->monitor = -1;
}

static long make_monitor(void *argument, long value)
{
	(void)value;
	return sync_protect(argument);
}

TEST_F(sync, killed_holder_releases_all)
{
	struct worker holder;

	ASSERT_EQ(0, wp_unprotect(self->monitor, 0, WPFILE_TO_END));
	ASSERT_EQ(0, worker_start(&holder));
	ASSERT_LE(0, worker_call(&holder, make_monitor, &self->area, 0));
	ASSERT_EQ(2, wp_count(self->area.fd, WPFILE_SYNC));
	stores_to_pages_of_their_own(_metadata, self);
	kill(holder.pid, SIGKILL);
	EXPECT_EQ(0, worker_result(&self->writers[0]));
	EXPECT_EQ(0, worker_result(&self->writers[1]));
	EXPECT_EQ(0, worker_result(&self->writers[2]));
	EXPECT_EQ(0, worker_result(&self->writers[3]));
	worker_stop(&holder);
	EXPECT_EQ(1, wp_wait_count(self->area.fd, WPFILE_SYNC, 1, SOON));
}

/* --- behind the end --- */

/*
 * A writer of a hole, behind which the file is cut off: a hole has no content, so
 * nobody was asked.  He waits for a page that no PROTECT protects any more.
 */
FIXTURE(behind) {
	struct area area;
	int monitor;
	struct worker writers[2];
};

FIXTURE_SETUP(behind)
{
	int i;

	ASSERT_EQ(0, area_make_filled(&self->area, MEMFD, PAGES * PAGE));
	ASSERT_EQ(0, ftruncate(self->area.fd, PAGES / 2 * PAGE));
	ASSERT_EQ(0, ftruncate(self->area.fd, PAGES * PAGE));
	memset(self->area.before + PAGES / 2 * PAGE, 0, PAGES / 2 * PAGE);
	for (i = 0; i < 2; i++)
		ASSERT_EQ(0, worker_start(&self->writers[i]));
	self->monitor = sync_protect(&self->area);
	ASSERT_LE(0, self->monitor);
}

FIXTURE_TEARDOWN(behind)
{
	close(self->monitor);
	worker_stop(&self->writers[0]);
	worker_stop(&self->writers[1]);
	area_free(&self->area);
}

static long do_truncate(void *argument, long pages)
{
	struct area *area = argument;

	return ftruncate(area->fd, pages * PAGE) ? -errno : 0;
}

static void goes_on_behind_the_end(struct __test_metadata *const _metadata,
				   FIXTURE_DATA(behind) *self, worker_fn fn,
				   long result)
{
	struct wpfile_event first, second;
	const size_t page = PAGES - 4;

	worker_begin(&self->writers[0], fn, &self->area, page);
	ASSERT_EQ(0, event_expect(self->monitor, &first, WPFILE_WAITING, page));
	worker_begin(&self->writers[1], do_truncate, &self->area, PAGES / 2);
	ASSERT_EQ(0, worker_result(&self->writers[1]));
	EXPECT_FALSE(worker_has_ended(&self->writers[0], MOMENT));
	EXPECT_EQ(1, fdinfo_number(self->monitor, "waiting_pages:"));

	/* SOON is less than the limit of the wait. */
	ASSERT_EQ(0, wp_protect(self->monitor, 0, WPFILE_TO_END));
	EXPECT_EQ(result, worker_result(&self->writers[0]));
	EXPECT_EQ(0, fdinfo_number(self->monitor, "waiting_pages:"));
	EXPECT_EQ(-ENOENT, sync_allow(self->monitor, &first));

	/* Nothing is left of it when there is such a page again. */
	ASSERT_EQ(0, ftruncate(self->area.fd, PAGES * PAGE));
	ASSERT_EQ(0, wp_protect(self->monitor, 0, WPFILE_TO_END));
	worker_begin(&self->writers[1], fn, &self->area, page);
	ASSERT_EQ(0, event_expect(self->monitor, &second, WPFILE_WAITING,
				  page));
	EXPECT_NE(first.id, second.id);
	EXPECT_FALSE(worker_has_ended(&self->writers[1], MOMENT));
	EXPECT_EQ(0, sync_allow(self->monitor, &second));
	EXPECT_LE(0, worker_result(&self->writers[1]));
}

/* There is no such page: SIGBUS. */
TEST_F(behind, a_store_goes_on_with_the_next_protect)
{
	goes_on_behind_the_end(_metadata, self, do_store_or_fault, -EPROTO);
}

TEST_F(behind, a_call_goes_on_with_the_next_protect)
{
	goes_on_behind_the_end(_metadata, self, do_pwrite, 1);
}

/* --- references --- */

/* Pages that PROTECT of all counts as pinned; or -errno. */
static long pinned(int monitor)
{
	int ret = wp_protect(monitor, 0, WPFILE_TO_END);

	return ret ?: fdinfo_number(monitor, "pinned_pages:");
}

/*
 * From now on pages are looked at one by one, since the kernel has stored to one
 * for a task; a page in a pipe is then one with a reference too many.
 */
static void expect_pins_are_counted(struct __test_metadata *const _metadata,
				    struct area *area, int monitor, long pages)
{
	struct iovec page = { area->map + 5 * PAGE, PAGE };
	int fds[2];

	ASSERT_EQ(1, do_pass(area, 0));
	EXPECT_EQ(0, pinned(monitor));
	ASSERT_EQ(0, pipe(fds));
	ASSERT_EQ((ssize_t)PAGE, vmsplice(fds[1], &page, 1, 0));
	ASSERT_EQ(pages, pinned(monitor));
	close(fds[0]);
	close(fds[1]);
	ASSERT_EQ(0, pinned(monitor));
}

/* clang-format off */
FIXTURE(present) {
	struct area area;
	int monitor, capture;
	struct worker writer;
};

FIXTURE_VARIANT(present) {
	bool huge;
};

FIXTURE_VARIANT_ADD(present, page) { .huge = false };
FIXTURE_VARIANT_ADD(present, part_of_a_huge_page) { .huge = true };
/* clang-format on */

FIXTURE_SETUP(present)
{
	struct area *area = &self->area;

	ASSERT_EQ(0, area_make_filled(area, variant->huge ? TMPFS_HUGE : MEMFD,
				      variant->huge ? HUGE : PAGES * PAGE));
	area_touch(area);
	if (variant->huge) {
		SKIP_UNLESS(area_is_huge(area), "got no huge page");
		/* To where its entries are those of small pages. */
		ASSERT_EQ(0, area_move(area, 1));
		area_touch(area);
		ASSERT_FALSE(area_is_huge(area));
	}
	self->capture = area_monitor(area, WPFILE_CAPTURE);
	ASSERT_LE(0, self->capture);
	expect_pins_are_counted(_metadata, area, self->capture,
				variant->huge ? HUGE_PAGES : 1);
	area_touch(area);
	ASSERT_EQ(0, worker_start_thread(&self->writer));
	self->monitor = sync_protect(area);
	ASSERT_LE(0, self->monitor);
}

FIXTURE_TEARDOWN(present)
{
	close(self->monitor);
	close(self->capture);
	worker_stop(&self->writer);
	area_free(&self->area);
}

/* N of those who wait must not look like N pins, nor keep N pages in their place. */
TEST_F(present, waiting_writer_holds_no_reference)
{
	struct wpfile_event event;

	ASSERT_TRUE(is_mapped(self->area.map + 3 * PAGE));
	begin_store(&self->writer, &self->area, 3);
	ASSERT_EQ(0, event_expect(self->monitor, &event, WPFILE_WAITING, 3));
	ASSERT_TRUE(waits_in_store(&self->writer));
	ASSERT_TRUE(is_mapped(self->area.map + 3 * PAGE));
	EXPECT_EQ(0, pinned(self->capture));
	EXPECT_FALSE(worker_has_ended(&self->writer, 0));
	EXPECT_EQ(0, sync_allow(self->monitor, &event));
	EXPECT_EQ(0, worker_result(&self->writer));
	EXPECT_EQ('S', byte_of(self->area.fd, 3));
	EXPECT_EQ(0, pinned(self->capture));
}

/* --- content --- */

TEST_F(sync, pread_gives_the_content_at_protect)
{
	struct wpfile_event event;
	char page[PAGE];

	EXPECT_STREQ("same", compare(self->monitor, self->area.before,
				     self->area.size));
	begin_store(&self->writers[0], &self->area, 3);
	ASSERT_EQ(0, event_expect(self->monitor, &event, WPFILE_WAITING, 3));
	EXPECT_STREQ("same", compare(self->monitor, self->area.before,
				     self->area.size));
	ASSERT_EQ(0, sync_allow(self->monitor, &event));
	ASSERT_EQ(0, worker_result(&self->writers[0]));
	EXPECT_EQ(-1, pread(self->monitor, page, PAGE, 3 * PAGE));
	EXPECT_EQ(ENODATA, errno);
	EXPECT_EQ(old_byte(&self->area, 4), byte_of(self->monitor, 4));
}

/* A handler that changes the page before the writer does. */
TEST_F(sync, pwrite_of_the_handler_asks_not_itself)
{
	int track = area_protect(&self->area, WPFILE_TRACK);
	int capture = area_protect(&self->area, WPFILE_CAPTURE);
	struct wpfile_event event;

	begin_store(&self->writers[0], &self->area, 3);
	ASSERT_EQ(0, event_expect(self->monitor, &event, WPFILE_WAITING, 3));
	EXPECT_STREQ("", unprotected(track));
	EXPECT_EQ(2, pwrite(self->monitor, "hH", 2, 3 * PAGE + DATA));
	EXPECT_EQ('h', byte_of(self->area.fd, 3));
	EXPECT_EQ('h', self->area.map[3 * PAGE + DATA]);
	EXPECT_STREQ("3", written(track));
	EXPECT_EQ(old_byte(&self->area, 3), byte_of(capture, 3));

	/* It is still protected, and known as the handler wants it. */
	EXPECT_FALSE(worker_has_ended(&self->writers[0], MOMENT));
	EXPECT_STREQ("", unprotected(self->monitor));
	EXPECT_EQ('h', byte_of(self->monitor, 3));
	EXPECT_EQ(0, sync_allow(self->monitor, &event));
	EXPECT_EQ(0, worker_result(&self->writers[0]));
	EXPECT_EQ('S', self->area.map[3 * PAGE + DATA]);
	EXPECT_EQ('H', self->area.map[3 * PAGE + DATA + 1]);
	EXPECT_STREQ("3", written(track));
	EXPECT_STREQ("same", compare(capture, self->area.before,
				     self->area.size));
	close(track);
	close(capture);
}

TEST_F(sync, pwrite_of_the_handler_asks_other_monitors)
{
	int other = sync_protect(&self->area);
	struct wpfile_event event;
	struct worker handler;

	ASSERT_LE(0, other);
	ASSERT_EQ(0, wp_unprotect(other, 0, 3 * PAGE));
	ASSERT_EQ(1, pwrite(self->monitor, "h", 1, 2 * PAGE + DATA));
	EXPECT_FALSE(event_is_there(self->monitor, MOMENT));

	/* Inherits both: what it does on @area->fd is on the monitor. */
	self->area.fd = dup2(self->monitor, self->area.fd);
	ASSERT_EQ(0, worker_start_thread(&handler));
	worker_begin(&handler, do_pwrite, &self->area, 3);
	ASSERT_EQ(0, event_expect(other, &event, WPFILE_WAITING, 3))
		TH_LOG("outcome %u, page %llu", event.outcome,
		       event.offset / PAGE);
	ASSERT_TRUE(waits_in_pwrite(&handler));
	EXPECT_EQ(0, sync_allow(other, &event));
	EXPECT_EQ(1, worker_result(&handler));
	EXPECT_EQ('W', self->area.map[3 * PAGE + DATA]);
	EXPECT_FALSE(event_is_there(self->monitor, MOMENT));
	worker_stop(&handler);
	close(other);
}

TEST_F(sync, pwrite_of_the_handler_stays_within_the_file)
{
	struct stat status;
	char page[2 * PAGE];

	memset(page, 'x', sizeof(page));
	EXPECT_EQ((ssize_t)PAGE, pwrite(self->monitor, page, sizeof(page),
					(PAGES - 1) * PAGE));
	EXPECT_GE(0, pwrite(self->monitor, "x", 1, PAGES * PAGE));
	ASSERT_EQ(0, fstat(self->area.fd, &status));
	EXPECT_EQ((off_t)self->area.size, status.st_size);
	EXPECT_EQ('x', byte_of(self->area.fd, PAGES - 1));
}

/* What write() does besides. */

static const struct who owner = WHO_USER(4001);

static mode_t mode_of(const struct area *area)
{
	struct stat status;

	return fstat(area->fd, &status) ? 0 : status.st_mode & 07777;
}

/* By the owner, who has no capabilities; what the call returned. */
static long write_as_handler(void *argument, long mode)
{
	struct area *area = argument;
	int monitor, ret;
	ssize_t done;

	ret = who_become(&owner, -1);
	if (ret)
		return ret;
	monitor = area_protect(area, mode);
	if (monitor < 0)
		return monitor;
	done = pwrite(monitor, "h", 1, area->size);
	if (done >= 0 || errno != EINVAL || mode_of(area) != 04755)
		return -EPROTO;
	done = pwrite(monitor, "h", 1, 3 * PAGE + DATA);
	return done < 0 ? -errno : done;
}

TEST(pwrite_of_the_handler_takes_setuid_away)
{
	static const __u32 modes[] = { WPFILE_SYNC, WPFILE_DENY };
	struct worker handler;
	struct area area;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(modes); i++) {
		ASSERT_EQ(0, area_make_filled(&area, TMPFS, PAGES * PAGE));
		ASSERT_EQ(0, fchown(area.fd, owner.uid, owner.gid));
		ASSERT_EQ(0, fchmod(area.fd, 04755));
		ASSERT_EQ(04755, mode_of(&area));
		ASSERT_EQ(0, worker_start(&handler));
		EXPECT_EQ(1, worker_call(&handler, write_as_handler, &area,
					 modes[i]));
		EXPECT_EQ('h', byte_of(area.fd, 3));
		EXPECT_EQ(0755, mode_of(&area));
		worker_stop(&handler);
		area_free(&area);
	}
}

/* The events since the last call, together. */
static uint32_t inotify_seen(int inotify)
{
	struct inotify_event event;
	uint32_t mask = 0;

	while (read(inotify, &event, sizeof(event)) == sizeof(event))
		mask |= event.mask;
	return mask;
}

TEST(pwrite_of_the_handler_is_told_by_inotify)
{
	int inotify = inotify_init1(IN_NONBLOCK | IN_CLOEXEC), monitor;
	struct area area;
	char path[32];

	SKIP_UNLESS(inotify >= 0, "no inotify: %s", strerror(errno));
	ASSERT_EQ(0, area_make_filled(&area, TMPFS, PAGES * PAGE));
	monitor = sync_protect(&area);
	ASSERT_LE(0, monitor);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", area.fd);
	ASSERT_LE(0, inotify_add_watch(inotify, path, IN_MODIFY));
	EXPECT_EQ(-1, pwrite(monitor, "h", 1, area.size));
	EXPECT_EQ(0, inotify_seen(inotify));
	ASSERT_EQ(1, pwrite(monitor, "h", 1, 3 * PAGE + DATA));
	EXPECT_EQ(IN_MODIFY, inotify_seen(inotify));
	close(monitor);
	close(inotify);
	area_free(&area);
}

/* --- other monitors --- */

TEST_F(sync, others_see_the_write_when_it_is_done)
{
	int track = area_protect(&self->area, WPFILE_TRACK);
	int capture = area_protect(&self->area, WPFILE_CAPTURE);
	int snapshot = area_snapshot(&self->area);
	struct wpfile_event event;

	worker_begin(&self->writers[0], do_store_or_fault, &self->area, 3);
	ASSERT_EQ(0, event_expect(self->monitor, &event, WPFILE_WAITING, 3));
	EXPECT_STREQ("", unprotected(track));
	EXPECT_STREQ("", unprotected(capture));
	ASSERT_EQ(0, sync_fail(self->monitor, &event));
	ASSERT_EQ(1, worker_result(&self->writers[0]));
	EXPECT_STREQ("", unprotected(track)); /* nothing was written */
	EXPECT_STREQ("", unprotected(capture));

	begin_store(&self->writers[0], &self->area, 3);
	ASSERT_EQ(0, event_expect(self->monitor, &event, WPFILE_WAITING, 3));
	ASSERT_EQ(0, sync_allow(self->monitor, &event));
	ASSERT_EQ(0, worker_result(&self->writers[0]));
	EXPECT_STREQ("3", unprotected(track));
	EXPECT_STREQ("3", unprotected(capture));
	EXPECT_STREQ("same", compare(capture, self->area.before,
				     self->area.size));
	EXPECT_STREQ("same", compare(snapshot, self->area.before,
				     self->area.size));
	close(track);
	close(capture);
	close(snapshot);
}

/* One after the other, or both at once: neither is left out. */
TEST_F(sync, all_monitors_must_allow)
{
	int other = sync_protect(&self->area), first, second;
	struct wpfile_event event;
	bool is_store;

	ASSERT_LE(0, other);
	for (is_store = false;; is_store = true) {
		worker_begin(&self->writers[0], is_store ? do_store : do_pwrite,
			     &self->area, 3 + is_store);
		sleep_ms(MOMENT);
		first = event_is_there(self->monitor, 0) ? self->monitor :
							   other;
		second = first == other ? self->monitor : other;
		ASSERT_EQ(0, event_expect(first, &event, WPFILE_WAITING,
					  3 + is_store));
		EXPECT_EQ(0, sync_allow(first, &event));
		EXPECT_FALSE(worker_has_ended(&self->writers[0], MOMENT));
		ASSERT_EQ(0, event_expect(second, &event, WPFILE_WAITING,
					  3 + is_store));
		EXPECT_EQ(0, sync_allow(second, &event));
		EXPECT_LE(0, worker_result(&self->writers[0]));
		EXPECT_FALSE(event_is_there(self->monitor, MOMENT));
		EXPECT_FALSE(event_is_there(other, MOMENT));
		if (is_store)
			break;
	}
	close(other);
}

/* --- limits --- */

static void passes_after_the_limit(struct __test_metadata *const _metadata,
				   FIXTURE_DATA(sync) *self, worker_fn fn,
				   long result)
{
	struct wpfile_monitor request = { .wait_limit_ms = 1000 };
	int monitor = sync_monitor(&self->area, request);
	struct wpfile_event waiting, passed;
	uint64_t start = now_ns();

	ASSERT_LE(0, monitor);
	ASSERT_EQ(0, wp_unprotect(self->monitor, 0, WPFILE_TO_END));
	ASSERT_EQ(0, wp_protect(monitor, 0, WPFILE_TO_END));
	worker_begin(&self->writers[0], fn, &self->area, 3);
	worker_begin(&self->writers[2], fn, &self->area, 3);
	ASSERT_EQ(0, event_expect(monitor, &waiting, WPFILE_WAITING, 3));
	EXPECT_EQ(result, worker_result(&self->writers[0]));
	EXPECT_EQ(result, worker_result(&self->writers[2]));
	EXPECT_LE(1000000000ULL, now_ns() - start);
	ASSERT_EQ(0, event_expect(monitor, &passed, WPFILE_PASSED, 3));
	EXPECT_EQ(waiting.type, passed.type);
	EXPECT_FALSE(event_is_there(monitor, MOMENT));
	EXPECT_EQ(-ENOENT, sync_allow(monitor, &waiting));

	/* Nothing is lost: the page was captured. */
	EXPECT_STREQ("3", unprotected(monitor));
	EXPECT_STREQ("same", compare(monitor, self->area.before,
				     self->area.size));
	EXPECT_NE(old_byte(&self->area, 3), byte_of(self->area.fd, 3));
	close(monitor);
}

TEST_F(sync, store_passes_after_the_limit)
{
	passes_after_the_limit(_metadata, self, do_store, 0);
}

TEST_F(sync, call_passes_after_the_limit)
{
	passes_after_the_limit(_metadata, self, do_pwrite, 1);
}

TEST_F(sync, system_limits_the_wait)
{
	struct wpfile_monitor request = { .wait_limit_ms = 501 };
	struct wpfile_query query;
	uint64_t start;
	int monitor;

	ASSERT_EQ(0, wp_unprotect(self->monitor, 0, WPFILE_TO_END));
	ASSERT_EQ(0, file_write("/proc/sys/vm/wpfile/max_wait_ms", "500"));
	ASSERT_EQ(0, wp_query(self->area.fd, &query));
	EXPECT_EQ(500, query.ret_max_wait_ms);
	EXPECT_EQ(-EINVAL, sync_monitor(&self->area, request));
	request.wait_limit_ms = 0;
	monitor = sync_monitor(&self->area, request);
	ASSERT_LE(0, monitor);
	ASSERT_EQ(0, wp_protect(monitor, 0, WPFILE_TO_END));
	start = now_ns();
	begin_store(&self->writers[0], &self->area, 3);
	EXPECT_EQ(0, worker_result(&self->writers[0]));
	EXPECT_LE(500000000ULL, now_ns() - start);
	close(monitor);
}

/* Events of pages that passed are dropped, not the pages. */
TEST_F(sync, full_queue_loses_events_and_nothing_else)
{
	struct wpfile_monitor request = { .queue_limit = 2 };
	int monitor = sync_monitor(&self->area, request);
	struct wpfile_event event;
	size_t page;

	ASSERT_LE(0, monitor);
	ASSERT_EQ(0, wp_unprotect(self->monitor, 0, WPFILE_TO_END));
	ASSERT_EQ(0, wp_protect(monitor, 0, WPFILE_TO_END));
	for (page = 0; page < 6; page++)
		ASSERT_EQ(1, do_pass(&self->area, page));
	begin_store(&self->writers[0], &self->area, 9);
	ASSERT_TRUE(waits_in_store(&self->writers[0]));
	EXPECT_STREQ("0-5", unprotected(monitor));
	EXPECT_STREQ("same", compare(monitor, self->area.before,
				     self->area.size));

	EXPECT_EQ(0, event_expect(monitor, &event, WPFILE_PASSED, 0));
	EXPECT_EQ(0, event_expect(monitor, &event, WPFILE_PASSED, 1));
	EXPECT_EQ(0, event_next(monitor, &event));
	EXPECT_EQ(WPFILE_EVENT_OVERFLOW, event.type);
	EXPECT_EQ(0, event.tid);
	/* A full queue keeps nobody from being asked for. */
	EXPECT_EQ(0, event_expect(monitor, &event, WPFILE_WAITING, 9));
	EXPECT_EQ(0, sync_allow(monitor, &event));
	EXPECT_EQ(0, worker_result(&self->writers[0]));

	/* There is room again. */
	ASSERT_EQ(1, do_pass(&self->area, 7));
	EXPECT_EQ(0, event_expect(monitor, &event, WPFILE_PASSED, 7));
	EXPECT_FALSE(event_is_there(monitor, MOMENT));
	close(monitor);
}

/* What passes without anybody to be asked needs memory; there is none. */
TEST_F(sync, capture_limit_fails_the_capture_not_the_writer)
{
	struct wpfile_monitor request = { .capture_limit = PAGE };
	int monitor = sync_monitor(&self->area, request);
	struct wpfile_event event;
	bool failed = false;

	ASSERT_LE(0, monitor);
	ASSERT_EQ(0, wp_unprotect(self->monitor, 0, WPFILE_TO_END));
	ASSERT_EQ(0, wp_protect(monitor, 0, WPFILE_TO_END));
	ASSERT_EQ(1, do_pass(&self->area, 0));
	EXPECT_EQ(old_byte(&self->area, 0), byte_of(monitor, 0));
	ASSERT_EQ(1, do_pass(&self->area, 1));
	while (event_is_there(monitor, 0)) {
		ASSERT_EQ(0, event_next(monitor, &event));
		if (event.type != WPFILE_EVENT_FAILED)
			continue;
		failed = true;
		EXPECT_EQ(PAGE, event.offset);
		EXPECT_EQ(PAGE, event.bytes);
	}
	EXPECT_TRUE(failed);
	EXPECT_EQ('P', byte_of(self->area.fd, 1));
	EXPECT_EQ(-1, byte_of(monitor, 1));
	EXPECT_EQ(EIO, errno);

	/* It still asks: that needs no memory. */
	begin_store(&self->writers[0], &self->area, 9);
	ASSERT_EQ(0, event_expect(monitor, &event, WPFILE_WAITING, 9));
	EXPECT_EQ(0, sync_allow(monitor, &event));
	EXPECT_EQ(0, worker_result(&self->writers[0]));
	close(monitor);
}

/* --- many at once --- */

/* What threads of the test have done, until they are told to stop. */
static volatile long protects, passes;
static volatile bool told;

static long protect_until_told(void *argument, long monitor)
{
	long ret = 0;

	(void)argument;
	for (; !told && !ret; protects++)
		ret = wp_protect(monitor, 0, WPFILE_TO_END);
	return ret;
}

static long pass_until_told(void *argument, long page)
{
	for (; !told; passes++)
		if (do_pass(argument, page) != 1)
			return -EIO;
	return 0;
}

/*
 * A page that is protected, or captured, is known at every moment: also while
 * PROTECT takes it anew.  Somebody waits for page 3; page 5 is always captured.
 */
TEST_F(sync, protect_again_hides_no_page)
{
	uint64_t end = now_ns() + 3 * SOON * 1000000000ULL;
	struct wpfile_event event;
	unsigned int rounds;
	char page[PAGE];

	begin_store(&self->writers[0], &self->area, 3);
	ASSERT_EQ(0, event_expect(self->monitor, &event, WPFILE_WAITING, 3));
	worker_begin(&self->writers[2], protect_until_told, NULL,
		     self->monitor);
	worker_begin(&self->writers[3], pass_until_told, &self->area, 5);
	for (rounds = 0; rounds < 50 || protects < 50 || passes < 50; rounds++) {
		ASSERT_EQ((ssize_t)PAGE,
			  pread(self->monitor, page, PAGE, 3 * PAGE))
			TH_LOG("errno %d in round %u", errno, rounds);
		ASSERT_EQ((ssize_t)PAGE,
			  pread(self->monitor, page, PAGE, 5 * PAGE))
			TH_LOG("errno %d in round %u", errno, rounds);
		ASSERT_GT(end, now_ns())
			TH_LOG("%u rounds, %ld PROTECTs, %ld passed", rounds,
			       protects, passes);
	}
	told = true;
	EXPECT_EQ(0, worker_result(&self->writers[2]));
	EXPECT_EQ(0, worker_result(&self->writers[3]));
	EXPECT_EQ(0, sync_allow(self->monitor, &event));
	EXPECT_EQ(0, worker_result(&self->writers[0]));
}

static long store_everywhere(void *argument, long seed)
{
	struct area *area = argument;
	unsigned int state = seed, i;

	for (i = 0; i < 200; i++) {
		size_t page = random_next(&state) % PAGES;

		if (i % 4)
			area->map[page * PAGE + DATA] = 'S';
		else if (do_pwrite(area, page) != 1)
			return -EIO;
	}
	return 0;
}

/* PROTECT again and again, while a handler answers. */
TEST_F(sync, handler_under_load)
{
	uint64_t end = now_ns() + seconds_to_run(5) * 1000000000ULL;
	struct handler handler;
	unsigned int seed = 1;
	int i;

	ASSERT_EQ(0, handler_start(&handler, self->monitor, self->area.size));
	while (now_ns() < end) {
		for (i = 0; i < WRITERS; i++)
			worker_begin(&self->writers[i], store_everywhere,
				     &self->area, seed++);
		while (!worker_has_ended(&self->writers[0], 1))
			ASSERT_EQ(0, wp_protect(self->monitor, 0,
						WPFILE_TO_END));
		for (i = 0; i < WRITERS; i++)
			ASSERT_EQ(0, worker_result(&self->writers[i]));
	}
	EXPECT_EQ(0, handler_stop(&handler));
	EXPECT_LT(PAGES, handler.nr_waiting);
	handler_free(&handler);
}

TEST_HARNESS_MAIN
