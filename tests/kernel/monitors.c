// SPDX-License-Identifier: GPL-2.0-only
/*
 * Many monitors of all modes on one file, monitors of those who monitor,
 * userfaultfd beside; monitors that change hands, that several read, and whose
 * holders are killed.
 *
 * WPFILE_ROUNDS=n: so many rounds of killing.
 */
#include "harness.h"
#include "watch.h"
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <pthread.h>
#include <sys/prctl.h>
#include <sys/socket.h>

#define PAGES 32
#define PATIENCE 20000 /* ms */
#define MAX_WAIT "/proc/sys/vm/wpfile/max_wait_ms"
#define WAIT_LIMIT "60000"

/* clang-format off */
FIXTURE(monitors) {
	struct area area;
	struct worker writer;
};
/* clang-format on */

FIXTURE_SETUP(monitors)
{
	ASSERT_EQ(0, file_write(MAX_WAIT, WAIT_LIMIT));
	ASSERT_EQ(0, area_make_filled(&self->area, MEMFD, PAGES * PAGE));
	area_touch(&self->area);
	ASSERT_EQ(0, worker_start(&self->writer));
}

FIXTURE_TEARDOWN(monitors)
{
	worker_stop(&self->writer);
	area_free(&self->area);
}

static long store(void *argument, long page)
{
	struct area *area = argument;

	return -try_store(area->map + page * PAGE + 9, 'm', NULL);
}

static long write_page(void *argument, long page)
{
	struct area *area = argument;

	return try_write(area->fd, 'm', page * PAGE + 9);
}

/* Lets everybody go on until the worker has an answer. */
static int allow_until_done(struct worker *worker, const int *syncs, int nr,
			    long *result)
{
	struct pollfd poll_fds[8] = { { .fd = worker->fd, .events = POLLIN } };
	struct wpfile_event event;
	int i, ret, waited = 0;

	for (i = 0; i < nr; i++)
		poll_fds[i + 1] = (struct pollfd){ .fd = syncs[i],
						   .events = POLLIN };
	while (poll(poll_fds, nr + 1, PATIENCE) > 0) {
		for (i = 0; i < nr; i++) {
			if (event_within(syncs[i], &event, 0))
				continue;
			if (event.outcome != WPFILE_WAITING)
				return -EBADMSG;
			ret = wp_resolve(syncs[i], event.id, WPFILE_ALLOW);
			if (ret)
				return ret;
			waited++;
		}
		if (poll_fds[0].revents) {
			*result = worker_end(worker);
			return waited;
		}
	}
	return -ETIME;
}

static void expect_old_byte(struct __test_metadata *const _metadata,
			    const struct area *area, int monitor, size_t page)
{
	char byte = 0;

	EXPECT_EQ(1, pread(monitor, &byte, 1, page * PAGE + 9));
	EXPECT_EQ(area->before[page * PAGE + 9], byte);
}

/* --- many --- */

enum { TRACKS = 3, CAPTURES = 2, SNAPSHOTS = 2, SYNCS = 3 };

TEST_F(monitors, of_all_modes_each_do_what_they_do_alone)
{
	int tracks[TRACKS], captures[CAPTURES], snapshots[SNAPSHOTS];
	int syncs[SYNCS], deny, other_deny, i;
	struct area *area = &self->area;
	worker_fn ways[] = { store, write_page };
	long result, page;

	for (i = 0; i < TRACKS; i++)
		ASSERT_LE(0, tracks[i] = area_protect(area, WPFILE_TRACK));
	for (i = 0; i < CAPTURES; i++)
		ASSERT_LE(0, captures[i] = area_protect(area, WPFILE_CAPTURE));
	for (i = 0; i < SNAPSHOTS; i++)
		ASSERT_LE(0, snapshots[i] = area_snapshot(area));
	for (i = 0; i < SYNCS; i++)
		ASSERT_LE(0, syncs[i] = area_protect(area, WPFILE_SYNC));
	ASSERT_LE(0, deny = wp_monitor(area->fd, WPFILE_DENY));
	ASSERT_LE(0, other_deny = wp_monitor(area->fd, WPFILE_DENY));
	ASSERT_EQ(0, wp_protect(deny, 20 * PAGE, 2 * PAGE));
	ASSERT_EQ(0, wp_protect(other_deny, 21 * PAGE, 2 * PAGE));

	for (page = 4; page < 6; page++) {
		worker_begin(&self->writer, ways[page % 2], area, page);
		EXPECT_EQ(SYNCS, allow_until_done(&self->writer, syncs, SYNCS,
						  &result));
		EXPECT_EQ(0, result);
		EXPECT_EQ('m', area->map[page * PAGE + 9]);
	}
	EXPECT_EQ(-SIGSEGV, worker_call(&self->writer, store, area, 20));
	EXPECT_EQ(-SIGSEGV, worker_call(&self->writer, store, area, 21));
	EXPECT_EQ(-EPERM, worker_call(&self->writer, write_page, area, 22));
	for (i = 0; i < SYNCS; i++) {
		EXPECT_EQ(0, events_drain(syncs[i]));
		EXPECT_STREQ("4-5", unprotected(syncs[i]));
	}
	for (i = 0; i < CAPTURES; i++) {
		expect_old_byte(_metadata, area, captures[i], 4);
		expect_old_byte(_metadata, area, captures[i], 5);
		EXPECT_STREQ("4-5", unprotected(captures[i]));
	}
	for (i = 0; i < SNAPSHOTS; i++)
		EXPECT_STREQ("same", compare(snapshots[i], area->before,
					     area->size));
	for (i = 0; i < TRACKS; i++)
		EXPECT_STREQ("4-5", written(tracks[i]));

	/* One lifted DENY leaves the other. */
	ASSERT_EQ(0, wp_unprotect(deny, 0, WPFILE_TO_END));
	EXPECT_EQ(-SIGSEGV, worker_call(&self->writer, store, area, 21));
	close(other_deny);
	worker_begin(&self->writer, store, area, 21);
	EXPECT_EQ(SYNCS, allow_until_done(&self->writer, syncs, SYNCS,
					  &result));
	EXPECT_EQ(0, result);
}

/* As many as a file may have; closed in another order. */
TEST_F(monitors, as_many_as_there_may_be)
{
	struct area *area = &self->area;
	struct wpfile_query query;
	int *fds, syncs[1], nr, i;
	long result;

	ASSERT_EQ(0, wp_query(area->fd, &query));
	nr = query.ret_max_monitors;
	ASSERT_LE(8, nr);
	fds = calloc(nr, sizeof(*fds));
	syncs[0] = fds[0] = area_protect(area, WPFILE_SYNC);
	for (i = 1; i < nr; i++) {
		fds[i] = wp_monitor(area->fd, i % WPFILE_NR_MODES);
		ASSERT_LE(0, fds[i]);
		if (i % WPFILE_NR_MODES < WPFILE_SYNC) {
			ASSERT_EQ(0, wp_protect(fds[i], 0, PAGES * PAGE));
		} else if (i % WPFILE_NR_MODES == WPFILE_DENY) {
			ASSERT_EQ(0, wp_protect(fds[i], 8 * PAGE, PAGE));
		}
	}
	EXPECT_EQ(-EBUSY, wp_monitor(area->fd, WPFILE_SYNC));
	EXPECT_EQ(-SIGSEGV, worker_call(&self->writer, store, area, 8));
	worker_begin(&self->writer, store, area, 3);
	EXPECT_EQ(1, allow_until_done(&self->writer, syncs, 1, &result));
	EXPECT_EQ(0, result);
	for (i = 0; i < nr; i++) {
		if (i % WPFILE_NR_MODES == WPFILE_TRACK && i)
			EXPECT_STREQ("3", written(fds[i]));
		if (i % WPFILE_NR_MODES == WPFILE_CAPTURE)
			expect_old_byte(_metadata, area, fds[i], 3);
	}
	for (i = 0; i < nr; i += 2)
		close(fds[i]);
	EXPECT_EQ(-SIGSEGV, worker_call(&self->writer, store, area, 8));
	for (i = 1; i < nr; i += 2)
		close(fds[i]);
	EXPECT_EQ(0, worker_call(&self->writer, store, area, 8));
	for (i = 0; i < WPFILE_NR_MODES; i++)
		EXPECT_EQ(0, wp_count(area->fd, i));
}

/* What one writer waits for is one event for each monitor, not for each try. */
TEST_F(monitors, of_one_page_get_one_waiting_event_for_many_writers)
{
	struct area *area = &self->area;
	struct worker writers[6];
	struct wpfile_event event;
	int sync = area_protect(area, WPFILE_SYNC), i;

	ASSERT_LE(0, sync);
	for (i = 0; i < 6; i++) {
		ASSERT_EQ(0, worker_start(&writers[i]));
		worker_begin(&writers[i], i % 2 ? write_page : store, area, 7);
	}
	ASSERT_EQ(0, event_within(sync, &event, PATIENCE));
	EXPECT_EQ(WPFILE_WAITING, event.outcome);
	EXPECT_EQ(-ETIME, event_within(sync, &(struct wpfile_event){}, 500));
	ASSERT_EQ(0, wp_resolve(sync, event.id, WPFILE_ALLOW));
	for (i = 0; i < 6; i++) {
		EXPECT_EQ(0, worker_end(&writers[i]));
		worker_stop(&writers[i]);
	}
	EXPECT_EQ(0, events_drain(sync));
	close(sync);
}

/* --- nested --- */

struct handler {
	struct area *log;	/* it stores there before it answers */
	int monitor;
	int handled;
};

static void *handle(void *argument)
{
	struct handler *handler = argument;
	struct wpfile_event event;

	while (!event_within(handler->monitor, &event, PATIENCE / 2)) {
		if (handler->log)
			handler->log->map[event.offset] = 'h';
		if (wp_resolve(handler->monitor, event.id, WPFILE_ALLOW))
			break;
		handler->handled++;
	}
	return NULL;
}

static long handle_one(void *argument, long monitor)
{
	struct handler handler = { .log = argument, .monitor = monitor };
	struct wpfile_event event;
	int ret = event_within(monitor, &event, PATIENCE);

	if (ret)
		return ret;
	handler.log->map[event.offset] = 'h';
	return wp_resolve(monitor, event.id, WPFILE_ALLOW);
}

/*
 * The writer stores to A.  The handler of A stores to B before it answers, and
 * B is monitored by this process.
 */
TEST_F(monitors, of_a_process_that_monitors)
{
	int sync = area_protect(&self->area, WPFILE_SYNC), outer, track;
	struct wpfile_event event;
	struct worker handler;
	struct area log;

	ASSERT_LE(0, sync);
	ASSERT_EQ(0, area_make_filled(&log, MEMFD, PAGES * PAGE));
	ASSERT_EQ(0, worker_start(&handler));
	outer = area_protect(&log, WPFILE_SYNC);
	track = area_protect(&log, WPFILE_TRACK);
	ASSERT_LE(0, outer);
	worker_begin(&handler, handle_one, &log, sync);
	worker_begin(&self->writer, store, &self->area, 3);
	ASSERT_EQ(0, event_within(outer, &event, PATIENCE));
	EXPECT_STREQ("STORE WAITING 3+1", event_text(&event));
	EXPECT_EQ((__u32)handler.pid, event.tgid);
	EXPECT_STREQ("same", compare(self->area.fd, self->area.before,
				     self->area.size));
	ASSERT_EQ(0, wp_resolve(outer, event.id, WPFILE_ALLOW));
	EXPECT_EQ(0, worker_end(&handler));
	EXPECT_EQ(0, worker_end(&self->writer));
	EXPECT_EQ('m', self->area.map[3 * PAGE + 9]);
	EXPECT_EQ('h', log.map[3 * PAGE]);
	EXPECT_STREQ("3", written(track));
	worker_stop(&handler);
	close(outer);
	close(track);
	area_free(&log);
}

/* Two threads; the one that answers is none that waits. */
TEST_F(monitors, of_ones_own_stores)
{
	struct handler handler = {};
	pthread_t thread;
	size_t page;

	handler.monitor = area_protect(&self->area, WPFILE_SYNC);
	ASSERT_LE(0, handler.monitor);
	ASSERT_EQ(0, pthread_create(&thread, NULL, handle, &handler));
	for (page = 0; page < PAGES; page++)
		ASSERT_EQ(0, try_store(self->area.map + page * PAGE, 'o',
				       NULL));
	ASSERT_EQ(0, pthread_join(thread, NULL));
	EXPECT_EQ(PAGES, handler.handled);
	close(handler.monitor);
}

/* Events read into a page that is protected: the kernel's store passes. */
TEST_F(monitors, whose_events_are_read_into_protected_memory)
{
	int sync = area_protect(&self->area, WPFILE_SYNC), inner, ret;
	struct wpfile_event event;
	struct area buffer;
	long result;

	ASSERT_LE(0, sync);
	ASSERT_EQ(0, area_make_filled(&buffer, MEMFD, 2 * PAGE));
	inner = area_protect(&buffer, WPFILE_SYNC);
	ASSERT_LE(0, inner);
	worker_begin(&self->writer, store, &self->area, 3);
	ASSERT_EQ(1, poll(&(struct pollfd){ .fd = sync, .events = POLLIN }, 1,
			  PATIENCE));
	ret = read(sync, buffer.map + PAGE, sizeof(event));
	ASSERT_EQ((int)sizeof(event), ret);
	memcpy(&event, buffer.map + PAGE, sizeof(event));
	EXPECT_STREQ("STORE WAITING 3+1", event_text(&event));
	ASSERT_EQ(0, wp_resolve(sync, event.id, WPFILE_ALLOW));
	result = worker_end(&self->writer);
	EXPECT_EQ(0, result);
	EXPECT_STREQ("STORE PASSED 1+1", event_seen(inner));
	close(inner);
	close(sync);
	area_free(&buffer);
}

/* --- userfaultfd beside --- */

static int uffd_wp(struct area *area)
{
	int uffd = uffd_open(UFFD_FEATURE_PAGEFAULT_FLAG_WP |
			     UFFD_FEATURE_WP_HUGETLBFS_SHMEM);

	if (uffd < 0)
		return uffd;
	return uffd_register(uffd, area->map, area->size,
			     UFFDIO_REGISTER_MODE_WP) ?:
		       uffd_writeprotect(uffd, area->map, area->size, true) ?:
		       uffd_serve(uffd) ?:
		       uffd;
}

TEST_F(monitors, beside_userfaultfd_both_are_asked)
{
	struct handler handler = {};
	pthread_t thread;
	unsigned int before;
	int track = area_protect(&self->area, WPFILE_TRACK);
	size_t page;

	handler.monitor = area_protect(&self->area, WPFILE_SYNC);
	ASSERT_LE(0, handler.monitor);
	ASSERT_LE(0, uffd_wp(&self->area));
	before = uffd_served();
	ASSERT_EQ(0, pthread_create(&thread, NULL, handle, &handler));
	for (page = 0; page < 8; page++)
		ASSERT_EQ(0, try_store(self->area.map + page * PAGE, 'u',
				       NULL));
	ASSERT_EQ(0, pthread_join(thread, NULL));
	EXPECT_EQ(8, handler.handled);
	EXPECT_LE(before + 8, uffd_served());
	EXPECT_STREQ("0-7", written(track));
	close(handler.monitor);
}

TEST_F(monitors, beside_userfaultfd_DENY_is_refused_all_the_same)
{
	int deny = area_protect(&self->area, WPFILE_DENY);

	ASSERT_LE(0, deny);
	ASSERT_LE(0, uffd_wp(&self->area));
	EXPECT_EQ(SIGSEGV, try_store(self->area.map, 'u', NULL));
	EXPECT_STREQ("same", compare(self->area.fd, self->area.before,
				     self->area.size));
	ASSERT_EQ(0, wp_unprotect(deny, 0, WPFILE_TO_END));
	EXPECT_EQ(0, try_store(self->area.map, 'u', NULL));
	EXPECT_LT(0, uffd_served());
	close(deny);
}

/* --- that change hands --- */

static long receive_and_answer(void *argument, long socket)
{
	int monitor = receive_fd(socket), ret;
	struct wpfile_event event;

	(void)argument;
	if (monitor < 0)
		return monitor;
	ret = event_within(monitor, &event, PATIENCE);
	if (!ret)
		ret = wp_resolve(monitor, event.id, WPFILE_ALLOW);
	return ret ?: (long)event.tgid;
}

TEST_F(monitors, in_a_message_work_for_the_receiver)
{
	int monitor = area_protect(&self->area, WPFILE_SYNC), sockets[2];
	struct worker receiver;

	ASSERT_LE(0, monitor);
	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_DGRAM, 0, sockets));
	ASSERT_EQ(0, send_fd(sockets[0], monitor));
	close(monitor);
	ASSERT_EQ(0, worker_start(&receiver));
	worker_begin(&self->writer, store, &self->area, 3);
	EXPECT_EQ(self->writer.pid, worker_call(&receiver, receive_and_answer,
						NULL, sockets[1]));
	EXPECT_EQ(0, worker_end(&self->writer));
	worker_stop(&receiver);
	EXPECT_EQ(0, wp_wait_count(self->area.fd, WPFILE_SYNC, 0, 20));
}

static long answer_one(void *argument, long monitor)
{
	struct wpfile_event event;
	int ret = event_within(monitor, &event, PATIENCE);

	(void)argument;
	return ret ?: wp_resolve(monitor, event.id, WPFILE_ALLOW);
}

TEST_F(monitors, that_are_inherited_work_for_the_child)
{
	int monitor = area_protect(&self->area, WPFILE_SYNC);
	struct worker child;

	ASSERT_LE(0, monitor);
	ASSERT_EQ(0, worker_start(&child));
	close(monitor);
	EXPECT_EQ(1, wp_count(self->area.fd, WPFILE_SYNC));
	worker_begin(&self->writer, store, &self->area, 3);
	EXPECT_EQ(0, worker_call(&child, answer_one, NULL, monitor));
	EXPECT_EQ(0, worker_end(&self->writer));
	worker_begin(&self->writer, store, &self->area, 4);
	kill(child.pid, SIGKILL); /* with the last descriptor */
	EXPECT_EQ(0, worker_end(&self->writer));
	worker_stop(&child);
	EXPECT_EQ(0, wp_wait_count(self->area.fd, WPFILE_SYNC, 0, 20));
}

/* A writer in a socket that nobody reads is let go with the socket. */
TEST_F(monitors, in_a_socket_that_goes_let_their_writers_go)
{
	int monitor = area_protect(&self->area, WPFILE_SYNC), sockets[2];

	ASSERT_LE(0, monitor);
	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0,
				sockets));
	ASSERT_EQ(0, send_fd(sockets[0], monitor));
	worker_begin(&self->writer, store, &self->area, 3);
	EXPECT_STREQ("STORE WAITING 3+1", event_seen(monitor));
	close(monitor);
	EXPECT_EQ(0, poll(&(struct pollfd){ .fd = self->writer.fd,
					    .events = POLLIN }, 1, 200));
	close(sockets[0]);
	close(sockets[1]);
	EXPECT_EQ(0, worker_end(&self->writer));
	EXPECT_EQ(0, wp_wait_count(self->area.fd, WPFILE_SYNC, 0, 20));
}

/* --- several readers --- */

#define READERS 4
#define WRITERS 4
#define EVENTS 1000

/* Shared: the ids of what each has read. */
struct readers {
	volatile bool stop;
	volatile unsigned int read[READERS], bad[READERS];
	__u64 ids[READERS][EVENTS * WRITERS];
};

static void note_event(struct readers *readers, int reader,
		       const struct wpfile_event *event)
{
	unsigned int nr = readers->read[reader];

	if (nr == EVENTS * WRITERS) {
		readers->bad[reader]++;
		return;
	}
	readers->ids[reader][nr] = event->id;
	readers->read[reader] = nr + 1;
}

static pid_t start_reader(struct readers *readers, int monitor, int reader,
			  bool answers)
{
	struct wpfile_event events[3];
	pid_t pid = fork();
	ssize_t done;
	int i;

	if (pid)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	while (!readers->stop) {
		done = read(monitor, events, sizeof(events));
		if (done < 0 && errno == EAGAIN)
			poll(&(struct pollfd){ .fd = monitor,
					       .events = POLLIN }, 1, 20);
		for (i = 0; i < done / (ssize_t)sizeof(*events); i++) {
			note_event(readers, reader, &events[i]);
			if (answers && wp_resolve(monitor, events[i].id,
						 WPFILE_ALLOW))
				readers->bad[reader]++;
		}
	}
	_exit(0);
}

static long store_all(void *argument, long nr)
{
	struct area *area = argument;
	long i, count = 0;

	for (i = 0; i < nr; i++)
		count += !!try_store(area->map + i % PAGES * PAGE, 'd', NULL);
	return count;
}

static long store_one_page_each(void *argument, long first)
{
	struct area *area = argument;
	long i;

	for (i = first; i < EVENTS; i += WRITERS)
		if (try_store(area->map + i * PAGE, 'w', NULL))
			return -EFAULT;
	return 0;
}

static unsigned int events_read(const struct readers *readers)
{
	unsigned int i, read = 0;

	for (i = 0; i < READERS; i++)
		read += readers->read[i];
	return read;
}

static int by_value(const void *a, const void *b)
{
	__u64 one = *(const __u64 *)a, two = *(const __u64 *)b;

	return one < two ? -1 : one > two;
}

/* How many ids were read more than once, or are 0. */
static int repeated_ids(const struct readers *readers)
{
	static __u64 ids[READERS * EVENTS * WRITERS];
	unsigned int i, nr = 0;
	int repeated = 0;

	for (i = 0; i < READERS; nr += readers->read[i++])
		memcpy(ids + nr, readers->ids[i],
		       readers->read[i] * sizeof(*ids));
	qsort(ids, nr, sizeof(*ids), by_value);
	for (i = 0; i < nr; i++)
		repeated += ids[i] == (i ? ids[i - 1] : 0);
	return repeated;
}

static void expect_each_once(struct __test_metadata *const _metadata,
			     struct readers *readers, unsigned int wanted)
{
	uint64_t end = now_ns() + PATIENCE * 1000000ULL;
	unsigned int i, busy = 0;

	while (events_read(readers) < wanted && now_ns() < end)
		sleep_ms(10);
	sleep_ms(100); /* for those that come twice */
	readers->stop = true;
	for (i = 0; i < READERS; i++) {
		wait(NULL);
		busy += readers->read[i] > 0;
	}
	for (i = 0; i < READERS; i++)
		EXPECT_EQ(0, readers->bad[i]);
	EXPECT_EQ(wanted, events_read(readers));
	EXPECT_EQ(0, repeated_ids(readers));
	EXPECT_LT(1, busy)
		TH_LOG("one reader got all: nothing is shown");
}

static struct readers *readers_new(void)
{
	void *readers = mmap(NULL, sizeof(struct readers),
			     PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
			     -1, 0);

	return readers == MAP_FAILED ? NULL : readers;
}

TEST_F(monitors, with_several_readers_give_each_denied_event_once)
{
	struct readers *readers = readers_new();
	struct worker writers[WRITERS];
	int monitor, i;

	ASSERT_NE(NULL, readers);
	monitor = wp_monitor_with(self->area.fd, (struct wpfile_monitor){
							 .mode = WPFILE_DENY,
							 .flags = WPFILE_DENIED_EVENTS,
							 .queue_limit = 8192 });
	ASSERT_LE(0, monitor);
	ASSERT_EQ(0, wp_protect(monitor, 0, WPFILE_TO_END));
	ASSERT_EQ(0, fcntl(monitor, F_SETFL, O_NONBLOCK));
	for (i = 0; i < WRITERS; i++)
		ASSERT_EQ(0, worker_start(&writers[i]));
	for (i = 0; i < READERS; i++)
		ASSERT_LT(0, start_reader(readers, monitor, i, false));
	for (i = 0; i < WRITERS; i++)
		worker_begin(&writers[i], store_all, &self->area, EVENTS);
	for (i = 0; i < WRITERS; i++)
		EXPECT_EQ(EVENTS, worker_end(&writers[i]));
	expect_each_once(_metadata, readers, EVENTS * WRITERS);
	for (i = 0; i < WRITERS; i++)
		worker_stop(&writers[i]);
	close(monitor);
}

TEST_F(monitors, with_several_readers_give_each_waiting_event_once)
{
	struct readers *readers = readers_new();
	struct worker writers[WRITERS];
	struct area area;
	int monitor, i;

	ASSERT_NE(NULL, readers);
	ASSERT_EQ(0, area_make_filled(&area, MEMFD, EVENTS * PAGE));
	for (i = 0; i < WRITERS; i++)
		ASSERT_EQ(0, worker_start(&writers[i]));
	monitor = area_protect(&area, WPFILE_SYNC);
	ASSERT_LE(0, monitor);
	ASSERT_EQ(0, fcntl(monitor, F_SETFL, O_NONBLOCK));
	for (i = 0; i < READERS; i++)
		ASSERT_LT(0, start_reader(readers, monitor, i, true));
	for (i = 0; i < WRITERS; i++)
		worker_begin(&writers[i], store_one_page_each, &area, i);
	for (i = 0; i < WRITERS; i++)
		EXPECT_EQ(0, worker_end(&writers[i]));
	expect_each_once(_metadata, readers, EVENTS);
	for (i = 0; i < WRITERS; i++)
		worker_stop(&writers[i]);
	close(monitor);
	area_free(&area);
}

/* --- kill -9 --- */

/* Shared by all; what a writer has done so far. */
struct crowd {
	volatile bool stop;
	volatile unsigned long stored, refused, held;
};

static pid_t start_crowd_writer(struct area *area, struct crowd *crowd,
				unsigned int seed)
{
	pid_t pid = fork();
	size_t page;

	if (pid)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	while (!crowd->stop) {
		page = random_next(&seed) % PAGES;
		if (random_next(&seed) % 2 ? store(area, page) :
					     write_page(area, page))
			__atomic_add_fetch(&crowd->refused, 1, 0);
		else
			__atomic_add_fetch(&crowd->stored, 1, 0);
	}
	_exit(0);
}

/* Answers some, leaves others, protects everything again. */
static void hold(struct area *area, struct crowd *crowd, unsigned int seed)
{
	int sync = area_protect(area, WPFILE_SYNC);
	int deny = wp_monitor(area->fd, WPFILE_DENY);
	int capture = area_protect(area, WPFILE_CAPTURE);
	struct wpfile_event event;

	area_protect(area, WPFILE_TRACK);
	area_snapshot(area);
	if (seed % 2)
		seed += !fork();
	for (;;) {
		wp_protect(deny, random_next(&seed) % PAGES * PAGE, PAGE);
		if (!event_within(sync, &event, 2)) {
			__atomic_add_fetch(&crowd->held, 1, 0);
			if (random_next(&seed) % 4)
				wp_resolve(sync, event.id,
					  random_next(&seed) % 2);
		}
		if (random_next(&seed) % 4 == 0)
			wp_protect(sync, 0, WPFILE_TO_END);
		if (random_next(&seed) % 4 == 0)
			wp_protect(capture, 0, WPFILE_TO_END);
		if (random_next(&seed) % 4 == 0)
			wp_unprotect(deny, 0, WPFILE_TO_END);
	}
}

/* Half of the holders are two processes with the same monitors. */
static pid_t start_holder(struct area *area, struct crowd *crowd,
			  unsigned int seed)
{
	pid_t pid = fork();

	if (pid)
		return pid;
	setpgid(0, 0);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	hold(area, crowd, seed);
	_exit(0);
}

static bool has_no_monitors(int fd)
{
	__u32 mode;

	for (mode = 0; mode < WPFILE_NR_MODES; mode++)
		if (wp_wait_count(fd, mode, 0, PATIENCE / 1000))
			return false;
	return true;
}

static bool crowd_goes_on(struct crowd *crowd)
{
	unsigned long before = crowd->stored;
	uint64_t end = now_ns() + PATIENCE * 1000000ULL;

	while (crowd->stored < before + 20 && now_ns() < end)
		sleep_ms(1);
	return crowd->stored >= before + 20;
}

static void kill_holder(pid_t holder, bool child_stays)
{
	kill(holder, SIGKILL);
	if (child_stays) /* for a moment */
		sleep_ms(2);
	kill(-holder, SIGKILL);
	waitpid(holder, NULL, 0);
}

/* Milliseconds after which a holder has had a writer wait; 0 if never. */
static unsigned int time_to_hold(struct area *area, struct crowd *crowd)
{
	uint64_t start = now_ns(), end = start + PATIENCE * 1000000ULL;
	unsigned long before = crowd->held;
	pid_t holder = start_holder(area, crowd, 7);

	setpgid(holder, holder);
	while (crowd->held < before + 3 && now_ns() < end)
		sleep_ms(1);
	end = now_ns();
	kill_holder(holder, false);
	return crowd->held < before + 3 ? 0 : (end - start) / 1000000 + 1;
}

static int rounds_to_run(int normal)
{
	const char *text = getenv("WPFILE_ROUNDS");

	return text && atoi(text) > 0 ? atoi(text) : normal;
}

TEST_F_TIMEOUT(monitors, of_killed_holders_leave_nobody_stuck_and_no_bit,
	       36000)
{
	struct area *area = &self->area;
	struct crowd *crowd = mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
				   MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	unsigned int seed = 20241, page, slow;
	int round, rounds = rounds_to_run(200), i;
	pid_t writers[3], holder;

	ASSERT_NE(MAP_FAILED, crowd);
	for (i = 0; i < 3; i++)
		writers[i] = start_crowd_writer(area, crowd, 77 + i);
	slow = time_to_hold(area, crowd);
	ASSERT_LT(0, slow);
	for (round = 0; round < rounds; round++) {
		holder = start_holder(area, crowd, random_next(&seed));
		setpgid(holder, holder);
		sleep_ms(random_next(&seed) % (2 * slow));
		if (round % 4 == 0) { /* a writer, perhaps one that waits */
			i = random_next(&seed) % 3;
			kill(writers[i], SIGKILL);
			ASSERT_EQ(writers[i], waitpid(writers[i], NULL, 0));
			writers[i] = start_crowd_writer(area, crowd, round + 1);
		}
		kill_holder(holder, round % 3 == 0);
		ASSERT_TRUE(has_no_monitors(area->fd))
			TH_LOG("round %d", round);
		for (page = 0; page < PAGES; page++)
			ASSERT_EQ(0, store(area, page))
				TH_LOG("round %d, page %u", round, page);
		if (round % 16 == 0)
			ASSERT_TRUE(crowd_goes_on(crowd))
				TH_LOG("round %d", round);
	}
	ASSERT_TRUE(crowd_goes_on(crowd));
	TH_LOG("%d rounds of up to %u ms: %lu stored, %lu refused, %lu held",
	       rounds, 2 * slow, crowd->stored, crowd->refused, crowd->held);
	EXPECT_LT(0, crowd->refused);
	EXPECT_LT(0, crowd->held);
	crowd->stop = true;
	for (i = 0; i < 3; i++)
		ASSERT_EQ(writers[i], waitpid(writers[i], NULL, 0));
}

TEST_HARNESS_MAIN
