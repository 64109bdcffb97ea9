// SPDX-License-Identifier: LGPL-2.1-or-later
/* Events of wpfiled: while answers are waited for, too many, and to several threads. */
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "daemon.h"
#include "kept.h"

static struct wpfile_target *target;

static int setup(void **state)
{
	int fd = memfd_create("unit", MFD_CLOEXEC);

	*state = daemon_connect();
	if (wpfile_target_dup_fd(fd, &target) ||
	    wpfile_target_use_broker(target, *state))
		return -1;
	close(fd);
	return 0;
}

static int teardown(void **state)
{
	wpfile_target_free(target);
	wpfile_broker_free(*state);
	if (daemon_socket >= 0)
		close(daemon_socket);
	return 0;
}

static struct wpfile_event events[WPFILE_BROKER_EVENTS / sizeof(struct wpfile_event)];

/* How many; 0: none in time. */
static int read_events(struct wpfile_broker *broker, uint64_t *ret_id)
{
	ssize_t got = wpfile_broker_read(broker, events, sizeof(events), 0, ret_id);

	if (got == -EAGAIN)
		return 0;
	assert_true(got > 0);
	return got / sizeof(events[0]);
}

static bool is_ready(const struct wpfile_broker *broker)
{
	struct pollfd fd = { .fd = wpfile_broker_fd(broker), .events = POLLIN };

	return poll(&fd, 1, 0) == 1;
}

static void query(uint32_t serial)
{
	struct wpfile_query query = { .size = sizeof(query) };

	daemon_answer(WIRE_QUERY, serial, &query);
	assert_int_equal(wpfile_query(target, &query), 0);
}

static void a_subscription_is_asked_for_with_its_file(void **state)
{
	const struct wpfile_subscription args = { .length = WPFILE_TO_END,
						  .again_ms = 5, .cookie = 6 };
	const struct wire_id answer = { .id = 88 };
	struct question question;
	uint64_t id;

	daemon_answer(WIRE_SUBSCRIBE, 2, &answer);
	daemon_answer(WIRE_UNSUBSCRIBE, 3, NULL);
	assert_int_equal(wpfile_subscribe(target, &args, &id), 0);
	assert_int_equal(id, 88);
	assert_int_equal(wpfile_unsubscribe(*state, id), 0);
	daemon_read(&question);
	assert_int_equal(question.header.type, WIRE_SUBSCRIBE);
	assert_memory_equal(question.body, &args, sizeof(args));
	close(question.fd);
	daemon_read(&question);
	assert_int_equal(question.header.type, WIRE_UNSUBSCRIBE);
	assert_int_equal(question.body[0], 88);
}

static void events_are_read_a_message_at_a_time(void **state)
{
	uint64_t id;

	assert_false(is_ready(*state));
	assert_int_equal(read_events(*state, &id), 0);
	daemon_events(5, 100, 2, WPFILE_EVENT_STORE);
	daemon_events(6, 200, 256, WPFILE_EVENT_STORE);
	assert_true(is_ready(*state));
	assert_int_equal(read_events(*state, &id), 2);
	assert_int_equal(id, 5);
	assert_int_equal(events[1].id, 101);
	assert_int_equal(read_events(*state, &id), 256);
	assert_int_equal(id, 6);
	assert_int_equal(events[255].id, 455);
	assert_false(is_ready(*state));
}

static void a_buffer_that_is_too_small_is_refused(void **state)
{
	uint64_t id;

	daemon_events(5, 100, 1, WPFILE_EVENT_STORE);
	assert_int_equal(wpfile_broker_read(*state, events, sizeof(events) - 1, 0,
					    &id), -EINVAL);
	assert_int_equal(read_events(*state, &id), 1);
}

static void events_before_an_answer_are_kept_in_order(void **state)
{
	unsigned int i;
	uint64_t id;

	for (i = 0; i < 10; i++)
		daemon_events(i, 100 + i, 1, WPFILE_EVENT_STORE);
	query(2);
	daemon_events(10, 110, 1, WPFILE_EVENT_STORE);
	for (i = 0; i < 11; i++) {
		assert_true(is_ready(*state));
		assert_int_equal(read_events(*state, &id), 1);
		assert_int_equal(id, i);
		assert_int_equal(events[0].id, 100 + i);
	}
	assert_false(is_ready(*state));
}

static void kept_events_outlive_the_daemon(void **state)
{
	uint64_t id;

	daemon_events(1, 100, 1, WPFILE_EVENT_STORE);
	query(2);
	daemon_events(1, 101, 1, WPFILE_EVENT_STORE);
	daemon_hang_up();
	assert_int_equal(read_events(*state, &id), 1);
	assert_int_equal(read_events(*state, &id), 1);
	assert_int_equal(events[0].id, 101);
	assert_int_equal(wpfile_broker_read(*state, events, sizeof(events), -1, &id),
			 -EPIPE);
	assert_true(is_ready(*state));
}

static void a_question_too_late_does_not_hide_events(void **state)
{
	uint64_t id;

	daemon_events(1, 100, 1, WPFILE_EVENT_STORE);
	daemon_hang_up();
	assert_int_equal(wpfile_unsubscribe(*state, 1), -EPIPE);
	assert_int_equal(read_events(*state, &id), 1);
	assert_int_equal(events[0].id, 100);
}

/* Sends them in portions that fit into the socket, each before an answer. */
static uint32_t send_while_asking(uint64_t id, unsigned int nr, uint32_t serial)
{
	unsigned int i;

	for (i = 0; i < nr; i++) {
		daemon_events(id, i, 2, WPFILE_EVENT_STORE);
		if (i % 32 == 31 || i == nr - 1)
			query(serial++);
	}
	return serial;
}

static void what_is_not_read_is_told_by_an_overflow(void **state)
{
	unsigned int i;
	uint32_t serial;
	uint64_t id;

	serial = send_while_asking(1, KEPT_MAX, 2);
	serial = send_while_asking(1, 10, serial);	/* 20 events */
	serial = send_while_asking(2, 3, serial);	/* 6 of another */
	daemon_events(1, 0, 1, WPFILE_EVENT_OVERFLOW);	/* 5, by the daemon */
	query(serial);
	for (i = 0; i < KEPT_MAX; i++) {
		assert_int_equal(read_events(*state, &id), 2);
		assert_int_equal(events[0].id, i);
	}
	assert_int_equal(read_events(*state, &id), 1);
	assert_int_equal(id, 1);
	assert_int_equal(events[0].type, WPFILE_EVENT_OVERFLOW);
	assert_int_equal(events[0].bytes, 25);
	assert_int_equal(read_events(*state, &id), 1);
	assert_int_equal(id, 2);
	assert_int_equal(events[0].bytes, 6);
	assert_false(is_ready(*state));
}

/* Silence behind it would be taken for peace. */
static void a_failure_is_kept_beside_an_overflow(void **state)
{
	uint32_t serial;
	uint64_t id;

	serial = send_while_asking(1, KEPT_MAX + 1, 2);
	daemon_events(1, 0, 1, WPFILE_EVENT_FAILED);
	serial = send_while_asking(1, 1, serial);
	query(serial);
	while (read_events(*state, &id) == 2)
		;
	assert_int_equal(events[0].type, WPFILE_EVENT_OVERFLOW);
	assert_int_equal(events[0].bytes, 2);
	assert_int_equal(read_events(*state, &id), 1);
	assert_int_equal(id, 1);
	assert_int_equal(events[0].type, WPFILE_EVENT_FAILED);
	assert_int_equal(read_events(*state, &id), 1);
	assert_int_equal(events[0].type, WPFILE_EVENT_OVERFLOW);
	assert_int_equal(events[0].bytes, 2);
	assert_false(is_ready(*state));
}

/* Events of 64 bytes; an overflow stands where it happened. */
static void after_an_overflow_events_are_kept_again(void **state)
{
	uint32_t serial;
	uint64_t id;

	serial = send_while_asking(1, KEPT_MAX + 1, 2);
	assert_int_equal(read_events(*state, &id), 2);
	assert_int_equal(read_events(*state, &id), 2);
	send_while_asking(1, 2, serial);
	while (read_events(*state, &id) == 2)
		;
	assert_int_equal(events[0].type, WPFILE_EVENT_OVERFLOW);
	assert_int_equal(read_events(*state, &id), 2);
	assert_int_equal(events[0].type, WPFILE_EVENT_STORE);
}

static void the_list_of_overflows_is_bounded(void **state)
{
	struct wpfile_kept kept;
	unsigned int i;

	(void)state;
	assert_int_equal(wpfile_kept_init(&kept), 0);
	events[0].length = sizeof(events[0]);
	for (i = 0; i < 2 * KEPT_MAX; i++)
		assert_int_equal(wpfile_kept_add(&kept, i, events, 64), 0);
	assert_int_equal(wpfile_kept_add(&kept, i, events, 64), -ENOBUFS);
	assert_int_equal(wpfile_kept_add(&kept, i - 1, events, 64), 0);
	assert_int_equal(kept.nr, 2 * KEPT_MAX);
	wpfile_kept_clear(&kept);
}

static void the_list_of_failures_is_bounded(void **state)
{
	struct wpfile_event failure = {
		.length = sizeof(failure),
		.type = WPFILE_EVENT_FAILED,
	};
	struct wpfile_kept kept;
	unsigned int i;

	(void)state;
	assert_int_equal(wpfile_kept_init(&kept), 0);
	for (i = 0; i < 2 * KEPT_MAX; i++)
		assert_int_equal(wpfile_kept_add(&kept, 1, &failure,
						 sizeof(failure)), 0);
	assert_int_equal(wpfile_kept_add(&kept, 1, &failure, sizeof(failure)),
			 -ENOBUFS);
	assert_int_equal(kept.nr, 2 * KEPT_MAX);
	wpfile_kept_clear(&kept);
}

static void what_nobody_asked_for_ends_it(void **state)
{
	struct wpfile_query answer = { .size = sizeof(answer) };
	uint64_t id;

	daemon_answer(WIRE_QUERY, 2, &answer);
	assert_int_equal(wpfile_broker_read(*state, events, sizeof(events), -1, &id),
			 -EPIPE);
	assert_int_equal(wpfile_query(target, &answer), -EPIPE);
}

static void the_time_to_wait_is_kept(void **state)
{
	uint64_t id;

	assert_int_equal(wpfile_broker_read(*state, events, sizeof(events), 20, &id),
			 -EAGAIN);
}

/*
 * Threads: a daemon that tells an event with each answer, askers, and a reader.  Where
 * that is slow, an overflow says how many.
 */
#define ASKERS 4
#define QUESTIONS 200

static void *play_daemon(void *data)
{
	struct wpfile_query answer = { .size = sizeof(answer) };
	struct {
		struct wire_header header;
		uint64_t body[32];
	} question;
	uint64_t nr = 0;

	(void)data;
	while (recv(daemon_socket, &question, sizeof(question), 0) > 0) {
		daemon_events(1, nr++, 1, WPFILE_EVENT_STORE);
		daemon_answer(WIRE_QUERY, question.header.serial, &answer);
	}
	return NULL;
}

static void *ask(void *data)
{
	struct wpfile_query query = { .size = sizeof(query) };
	uintptr_t failed = 0;
	int i;

	(void)data;
	for (i = 0; i < QUESTIONS; i++)
		failed |= wpfile_query(target, &query) != 0;
	return (void *)failed;
}

static void *read_all(void *broker)
{
	uint64_t id, nr = 0;
	ssize_t got;

	while (nr < ASKERS * QUESTIONS) {
		got = wpfile_broker_read(broker, events, sizeof(events), 20000, &id);
		if (got != sizeof(events[0]))
			break;
		if (events[0].type == WPFILE_EVENT_OVERFLOW)
			nr += events[0].bytes;
		else if (events[0].id == nr)
			nr++;
		else
			break;
	}
	return (void *)(uintptr_t)nr;
}

static void threads_share_a_connection(void **state)
{
	pthread_t daemon, reader, askers[ASKERS];
	void *result;
	int i;

	assert_int_equal(pthread_create(&daemon, NULL, play_daemon, NULL), 0);
	assert_int_equal(pthread_create(&reader, NULL, read_all, *state), 0);
	for (i = 0; i < ASKERS; i++)
		assert_int_equal(pthread_create(&askers[i], NULL, ask, NULL), 0);
	for (i = 0; i < ASKERS; i++) {
		pthread_join(askers[i], &result);
		assert_null(result);
	}
	pthread_join(reader, &result);
	assert_int_equal((uintptr_t)result, ASKERS * QUESTIONS);
	shutdown(daemon_socket, SHUT_RDWR);
	pthread_join(daemon, NULL);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

static const struct CMUnitTest tests[] = {
	TEST(a_subscription_is_asked_for_with_its_file),
	TEST(events_are_read_a_message_at_a_time),
	TEST(a_buffer_that_is_too_small_is_refused),
	TEST(events_before_an_answer_are_kept_in_order),
	TEST(kept_events_outlive_the_daemon),
	TEST(a_question_too_late_does_not_hide_events),
	TEST(what_is_not_read_is_told_by_an_overflow),
	TEST(a_failure_is_kept_beside_an_overflow),
	TEST(after_an_overflow_events_are_kept_again),
	cmocka_unit_test(the_list_of_overflows_is_bounded),
	cmocka_unit_test(the_list_of_failures_is_bounded),
	TEST(what_nobody_asked_for_ends_it),
	TEST(the_time_to_wait_is_kept),
	TEST(threads_share_a_connection),
};

SUITE(subscription_suite, tests);
