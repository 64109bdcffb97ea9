// SPDX-License-Identifier: GPL-2.0-or-later
/* A bounded queue: nothing is lost without being told of. */
#include <pthread.h>

#include "queue.h"
#include "unit.h"

#define NR_EVENTS 200000

static struct wpfile_event event_of(uint64_t offset)
{
	return (struct wpfile_event){
		.length = sizeof(struct wpfile_event),
		.type = WPFILE_EVENT_STORE,
		.offset = offset,
	};
}

static void push(struct queue *queue, uint64_t offset)
{
	const struct wpfile_event event = event_of(offset);

	queue_push(queue, &event);
}

static void what_was_lost_is_told_where_it_was(void **state)
{
	struct wpfile_event events[8];
	struct queue queue;
	uint64_t i;

	(void)state;
	queue_init(&queue, 2);
	for (i = 0; i < 5; i++)
		push(&queue, i);
	assert_int_equal(queue_dropped(&queue), 3);
	assert_int_equal(queue_take(&queue, events, 1), 1);
	assert_int_equal(events[0].offset, 0);
	/* There is room, but not before the OVERFLOW has been told. */
	push(&queue, 5);
	assert_int_equal(queue_take(&queue, events, 8), 2);
	assert_int_equal(events[0].offset, 1);
	assert_int_equal(events[1].type, WPFILE_EVENT_OVERFLOW);
	assert_int_equal(events[1].bytes, 4);
	push(&queue, 6);
	assert_int_equal(queue_take(&queue, events, 8), 1);
	assert_int_equal(events[0].offset, 6);
	assert_int_equal(queue_dropped(&queue), 4);
	assert_int_equal(queue_take(&queue, events, 8), 0);
	queue_destroy(&queue);
}

/* Which an OVERFLOW would not say. */
static void a_failure_has_a_place_of_its_own(void **state)
{
	const struct wpfile_event failure = {
		.type = WPFILE_EVENT_FAILED,
		.bytes = WPFILE_TO_END,
	};
	struct wpfile_event events[8];
	struct queue queue;
	uint64_t i;

	(void)state;
	queue_init(&queue, 2);
	for (i = 0; i < 2; i++) {
		push(&queue, 0);
		queue_fail(&queue, &failure);
		push(&queue, 1);
		push(&queue, 2);
		queue_fail(&queue, &failure);
		assert_int_equal(queue_take(&queue, events, 8), 4);
		assert_int_equal(events[0].offset, 0);
		assert_int_equal(events[1].type, WPFILE_EVENT_FAILED);
		assert_int_equal(events[1].bytes, WPFILE_TO_END);
		assert_int_equal(events[2].offset, 1);
		assert_int_equal(events[3].type, WPFILE_EVENT_OVERFLOW);
	}
	queue_fail(&queue, &failure);
	assert_int_equal(queue_dropped(&queue), 2);
	queue_destroy(&queue);
}

/* Of what was lost before somebody came he is not told, but if it was lost again. */
static void a_failure_of_before_is_nobodys(void **state)
{
	struct wpfile_event failure = { .type = WPFILE_EVENT_FAILED }, events[8];
	struct queue queue;

	(void)state;
	queue_init(&queue, 2);
	queue.since_ns = 5;
	failure.time_ns = 4;
	queue_fail(&queue, &failure);
	push(&queue, 7);
	assert_int_equal(queue_take(&queue, events, 8), 1);
	assert_int_equal(events[0].offset, 7);
	queue_fail(&queue, &failure);
	failure.time_ns = 6;
	queue_fail(&queue, &failure);
	assert_int_equal(queue_take(&queue, events, 8), 1);
	assert_int_equal(events[0].type, WPFILE_EVENT_FAILED);
	assert_int_equal(events[0].time_ns, 6);
	queue_destroy(&queue);
}

static void a_queue_that_is_full_can_be_destroyed(void **state)
{
	struct queue queue;
	uint64_t i;

	(void)state;
	queue_init(&queue, 3);
	for (i = 0; i < 9; i++)
		push(&queue, i);
	queue_destroy(&queue);
}

static void *pump(void *data)
{
	uint64_t i;

	for (i = 0; i < NR_EVENTS; i++)
		push(data, i);
	return NULL;
}

/* One thread puts, one takes: what comes, and what is told to be lost, is all. */
static void nothing_is_lost_between_two_threads(void **state)
{
	struct wpfile_event events[16];
	uint64_t next = 0, overflows = 0;
	struct queue queue;
	pthread_t thread;
	size_t i, nr;

	(void)state;
	queue_init(&queue, 4);
	assert_int_equal(pthread_create(&thread, NULL, pump, &queue), 0);
	while (next < NR_EVENTS) {
		nr = queue_take(&queue, events, 16);
		for (i = 0; i < nr; i++) {
			if (events[i].type == WPFILE_EVENT_OVERFLOW) {
				next += events[i].bytes;
				overflows++;
				continue;
			}
			assert_int_equal(events[i].offset, next);
			next++;
		}
	}
	pthread_join(thread, NULL);
	assert_int_equal(next, NR_EVENTS);
	assert_true(overflows);
	assert_int_equal(queue_take(&queue, events, 16), 0);
	queue_destroy(&queue);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(what_was_lost_is_told_where_it_was),
	cmocka_unit_test(a_failure_has_a_place_of_its_own),
	cmocka_unit_test(a_failure_of_before_is_nobodys),
	cmocka_unit_test(a_queue_that_is_full_can_be_destroyed),
	cmocka_unit_test(nothing_is_lost_between_two_threads),
};

SUITE(queue_suite, tests);
