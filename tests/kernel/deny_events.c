// SPDX-License-Identifier: GPL-2.0-only
/*
 * The events of WPFILE_DENY, what its handler writes, and what other monitors of
 * the file know of writes that were denied: nothing.
 */
#include "harness.h"
#include "watch.h"
#include <fcntl.h>
#include <linux/falloc.h>
#include <pthread.h>
#include <sys/stat.h>

#define PAGES 16
#define PATIENCE 20000 /* ms */

/* --- events --- */

/* clang-format off */
FIXTURE(events) {
	struct area area;
	int monitor;
};
/* clang-format on */

FIXTURE_SETUP(events)
{
	ASSERT_EQ(0, area_make_filled(&self->area, MEMFD, PAGES * PAGE));
	area_touch(&self->area);
	self->monitor = wp_monitor_with(
		self->area.fd,
		(struct wpfile_monitor){ .mode = WPFILE_DENY,
					 .flags = WPFILE_DENIED_EVENTS,
					 .queue_limit = 8,
					 .cookie = 0xfeedfacecafe });
	ASSERT_LE(0, self->monitor);
	ASSERT_EQ(0, wp_protect(self->monitor, 0, PAGES * PAGE));
}

FIXTURE_TEARDOWN(events)
{
	close(self->monitor);
	area_free(&self->area);
}

/* The next event is of @thread, of this process. */
static void expect_mine(struct __test_metadata *const _metadata, int monitor,
			pid_t thread, const char *text, uint64_t since)
{
	struct wpfile_event event;

	ASSERT_EQ(0, event_within(monitor, &event, 1000));
	EXPECT_STREQ(text, event_text(&event));
	EXPECT_EQ((__u32)thread, event.tid);
	EXPECT_EQ((__u32)getpid(), event.tgid);
	EXPECT_EQ(0, event.uid);
	EXPECT_EQ(0xfeedfacecafe, event.cookie);
	EXPECT_EQ(sizeof(event), event.length);
	EXPECT_NE(0, event.id);
	EXPECT_LE(since, event.time_ns);
	EXPECT_GE(now_ns(), event.time_ns);
}

TEST_F(events, of_each_kind_of_write)
{
	int punch = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;
	uint64_t since = now_ns();
	pid_t me = gettid();

	ASSERT_EQ(SIGSEGV, try_store(self->area.map + 3 * PAGE, 'x', NULL));
	expect_mine(_metadata, self->monitor, me, "STORE DENIED 3+1", since);
	ASSERT_EQ(-EFAULT, try_kernel_store(self->area.map + 4 * PAGE, 'x'));
	expect_mine(_metadata, self->monitor, me, "STORE DENIED 4+1", since);
	ASSERT_EQ(-EPERM, try_write(self->area.fd, 'x', 5 * PAGE));
	expect_mine(_metadata, self->monitor, me, "WRITE DENIED 5+1", since);
	ASSERT_EQ(-1, fallocate(self->area.fd, punch, 6 * PAGE, PAGE));
	expect_mine(_metadata, self->monitor, me, "DISCARD DENIED 6+1", since);
	ASSERT_EQ(-1, ftruncate(self->area.fd, (PAGES - 1) * PAGE));
	expect_mine(_metadata, self->monitor, me, "DISCARD DENIED 15+1", since);
	EXPECT_EQ(0, events_drain(self->monitor));
}

struct thread {
	char *at;
	pid_t tid;
};

static void *store_in_thread(void *argument)
{
	struct thread *thread = argument;

	thread->tid = gettid();
	try_store(thread->at, 'x', NULL);
	return NULL;
}

TEST_F(events, name_the_thread)
{
	struct thread thread = { .at = self->area.map + 7 * PAGE };
	uint64_t since = now_ns();
	pthread_t id;

	ASSERT_EQ(0, pthread_create(&id, NULL, store_in_thread, &thread));
	ASSERT_EQ(0, pthread_join(id, NULL));
	ASSERT_NE(getpid(), thread.tid);
	expect_mine(_metadata, self->monitor, thread.tid, "STORE DENIED 7+1",
		    since);
}

TEST_F(events, have_ids_that_come_once)
{
	struct wpfile_event one, two;

	ASSERT_EQ(SIGSEGV, try_store(self->area.map, 'x', NULL));
	ASSERT_EQ(SIGSEGV, try_store(self->area.map, 'x', NULL));
	ASSERT_EQ(0, event_within(self->monitor, &one, 1000));
	ASSERT_EQ(0, event_within(self->monitor, &two, 1000));
	EXPECT_NE(one.id, two.id);
	/* Nobody waits for it. */
	EXPECT_GT(0, wp_resolve(self->monitor, one.id, WPFILE_ALLOW));
	EXPECT_STREQ("", unprotected(self->monitor));
}

/* Events that nobody reads cost events, no protection. */
TEST_F(events, too_many_become_one_OVERFLOW)
{
	int i;

	for (i = 0; i < 50; i++)
		EXPECT_EQ(SIGSEGV, try_store(self->area.map + i % PAGES * PAGE,
					     'x', NULL));
	for (i = 0; i < 8; i++) {
		char text[32];

		sprintf(text, "STORE DENIED %d+1", i);
		EXPECT_STREQ(text, event_seen(self->monitor));
	}
	EXPECT_EQ(0, strncmp("OVERFLOW", event_seen(self->monitor), 8));
	EXPECT_EQ(0, events_drain(self->monitor));
	EXPECT_STREQ("", unprotected(self->monitor));
	EXPECT_EQ(SIGSEGV, try_store(self->area.map, 'x', NULL));
	EXPECT_STREQ("STORE DENIED 0+1", event_seen(self->monitor));
}

TEST_F(events, are_read_several_at_once_and_whole)
{
	struct wpfile_event events[8];
	int i;

	for (i = 0; i < 4; i++)
		ASSERT_EQ(SIGSEGV, try_store(self->area.map + i * PAGE, 'x',
					     NULL));
	EXPECT_EQ(-1, read(self->monitor, events, sizeof(*events) - 1));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ((ssize_t)sizeof(*events),
		  read(self->monitor, events, 2 * sizeof(*events) - 1));
	EXPECT_EQ(0, events[0].offset);
	EXPECT_EQ((ssize_t)(3 * sizeof(*events)),
		  read(self->monitor, events, sizeof(events)));
	EXPECT_EQ(PAGE, events[0].offset);
	EXPECT_EQ(3 * PAGE, events[2].offset);
	ASSERT_EQ(0, fcntl(self->monitor, F_SETFL, O_NONBLOCK));
	EXPECT_EQ(-1, read(self->monitor, events, sizeof(events)));
	EXPECT_EQ(EAGAIN, errno);
}

TEST_F(events, are_none_without_the_flag)
{
	int other = deny_monitor(self->area.fd, 0);

	ASSERT_LE(0, other);
	ASSERT_EQ(0, wp_unprotect(self->monitor, 0, WPFILE_TO_END));
	ASSERT_EQ(0, wp_protect(other, 0, PAGES * PAGE));
	ASSERT_EQ(SIGSEGV, try_store(self->area.map, 'x', NULL));
	ASSERT_EQ(-EPERM, try_write(self->area.fd, 'x', 0));
	ASSERT_EQ(-EFAULT, try_kernel_store(self->area.map, 'x'));
	EXPECT_EQ(0, events_drain(other));
	EXPECT_EQ(0, events_drain(self->monitor));
	close(other);
}

/* --- the handler's pwrite() --- */

TEST_F(events, pwrite_on_the_monitor_changes_what_is_protected)
{
	char page[PAGE];

	fill(page, 5, 2);
	EXPECT_EQ((ssize_t)PAGE, pwrite(self->monitor, page, PAGE, 5 * PAGE));
	memcpy(self->area.before + 5 * PAGE, page, PAGE);
	EXPECT_EQ(3, pwrite(self->monitor, "abc", 3, 7 * PAGE - 1));
	memcpy(self->area.before + 7 * PAGE - 1, "abc", 3);
	EXPECT_STREQ("same", compare(self->area.fd, self->area.before,
				     self->area.size));
	EXPECT_STREQ("same", compare_memory(self->area.map, self->area.before,
					    self->area.size));
	EXPECT_EQ(0, events_drain(self->monitor));
	/* The others are refused as before. */
	EXPECT_EQ(SIGSEGV, try_store(self->area.map + 5 * PAGE, 'x', NULL));
	EXPECT_EQ(-EPERM, try_write(self->area.fd, 'x', 5 * PAGE));
}

TEST_F(events, pwrite_on_the_monitor_stays_within_the_file)
{
	char bytes[2 * PAGE] = { 'x' };

	EXPECT_GE(0, pwrite(self->monitor, bytes, PAGE, PAGES * PAGE));
	EXPECT_GE((ssize_t)PAGE, pwrite(self->monitor, bytes, 2 * PAGE,
					(PAGES - 1) * PAGE));
	EXPECT_EQ((off_t)(PAGES * PAGE), lseek(self->area.fd, 0, SEEK_END));
}

TEST_F(events, pwrite_on_the_monitor_asks_other_monitors)
{
	int other = deny_monitor(self->area.fd, WPFILE_DENIED_EVENTS);
	int track = area_protect(&self->area, WPFILE_TRACK);
	int snapshot = area_snapshot(&self->area);

	ASSERT_LE(0, other);
	ASSERT_LE(0, track);
	ASSERT_LE(0, snapshot);
	ASSERT_EQ(0, wp_protect(other, 2 * PAGE, PAGE));
	EXPECT_EQ(-1, pwrite(self->monitor, "x", 1, 2 * PAGE));
	EXPECT_EQ(EPERM, errno);
	EXPECT_STREQ("WRITE DENIED 2+1", event_seen(other));
	EXPECT_EQ(1, pwrite(self->monitor, "x", 1, 3 * PAGE));
	EXPECT_STREQ("3", written(track));
	EXPECT_STREQ("same", compare(snapshot, self->area.before,
				     self->area.size));
	close(other);
	close(track);
	close(snapshot);
}

/* --- several monitors --- */

static void *store_and_say(void *argument)
{
	struct fault fault;

	return (void *)(long)try_store(argument, 'x', &fault);
}

/* A write that fails has changed nothing: nobody else hears of it. */
TEST_F(events, of_a_denied_write_are_for_DENY_alone)
{
	char *at = self->area.map + 6 * PAGE;
	int track = area_protect(&self->area, WPFILE_TRACK);
	int capture = area_protect(&self->area, WPFILE_CAPTURE);
	int sync = area_protect(&self->area, WPFILE_SYNC);
	struct wpfile_event event;
	pthread_t thread;
	void *result;

	ASSERT_LE(0, track);
	ASSERT_LE(0, capture);
	ASSERT_LE(0, sync);
	EXPECT_EQ(SIGSEGV, try_store(at, 'x', NULL));
	EXPECT_EQ(-EPERM, try_write(self->area.fd, 'x', 6 * PAGE));
	EXPECT_EQ(-EFAULT, try_kernel_store(at, 'x'));
	EXPECT_EQ(3, events_drain(self->monitor));
	EXPECT_EQ(0, events_drain(sync));
	EXPECT_STREQ("", unprotected(sync));
	EXPECT_STREQ("", unprotected(capture));
	EXPECT_STREQ("", unprotected(track));

	/* The next one is SYNC, before CAPTURE and TRACK. */
	ASSERT_EQ(0, wp_unprotect(self->monitor, 6 * PAGE, PAGE));
	ASSERT_EQ(0, pthread_create(&thread, NULL, store_and_say, at));
	ASSERT_EQ(0, event_within(sync, &event, PATIENCE));
	EXPECT_STREQ("STORE WAITING 6+1", event_text(&event));
	EXPECT_STREQ("", unprotected(capture));
	EXPECT_STREQ("", unprotected(track));
	EXPECT_EQ(EBUSY, pthread_tryjoin_np(thread, &result));
	ASSERT_EQ(0, wp_resolve(sync, event.id, WPFILE_ALLOW));
	ASSERT_EQ(0, pthread_join(thread, &result));
	EXPECT_EQ(0, (long)result);
	EXPECT_STREQ("6", unprotected(capture));
	EXPECT_STREQ("6", unprotected(track));
	EXPECT_EQ(0, events_drain(self->monitor));
	close(track);
	close(capture);
	close(sync);
}

/* A writer held by SYNC meets a DENY that came meanwhile. */
TEST_F(events, of_a_page_denied_while_its_writer_waited)
{
	char *at = self->area.map + 6 * PAGE;
	int sync = area_protect(&self->area, WPFILE_SYNC);
	struct wpfile_event event;
	pthread_t thread;
	void *result;

	ASSERT_LE(0, sync);
	ASSERT_EQ(0, wp_unprotect(self->monitor, 0, WPFILE_TO_END));
	ASSERT_EQ(0, pthread_create(&thread, NULL, store_and_say, at));
	ASSERT_EQ(0, event_within(sync, &event, PATIENCE));
	ASSERT_EQ(0, wp_protect(self->monitor, 6 * PAGE, PAGE));
	ASSERT_EQ(0, wp_resolve(sync, event.id, WPFILE_ALLOW));
	ASSERT_EQ(0, pthread_join(thread, &result));
	EXPECT_EQ(SIGSEGV, (long)result);
	EXPECT_STREQ("STORE DENIED 6+1", event_seen(self->monitor));
	EXPECT_STREQ("same", compare(self->area.fd, self->area.before,
				     self->area.size));
	close(sync);
}

TEST_HARNESS_MAIN
