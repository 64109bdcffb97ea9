// SPDX-License-Identifier: LGPL-2.1-or-later
/* Each rule of the messages, and what breaks it. */
#include <string.h>

#include "unit.h"
#include "wire.h"

static union {
	struct wire_header header;
	uint64_t words[WIRE_MAX / 8 + 1];
} message;

static void *body(void)
{
	return &message.header + 1;
}

static size_t begin(unsigned int type, uint32_t serial, size_t size)
{
	memset(&message, 0, sizeof(message));
	message.header.size = sizeof(message.header) + size;
	message.header.type = type;
	message.header.serial = serial;
	return message.header.size;
}

/* A sound request with @size bytes of body. */
static size_t request(unsigned int type)
{
	size_t size = begin(type, 1, wire_table[type].request);
	uint32_t *first = body();

	if (type == WIRE_QUERY || type == WIRE_MONITOR || type == WIRE_SNAPSHOT)
		*first = wire_table[type].request;
	if (type == WIRE_HELLO)
		*first = 1;
	return size;
}

/* A sound answer, with two of what may follow. */
static size_t reply(unsigned int type)
{
	struct wpfile_event *events = body() + sizeof(struct wire_events);
	uint32_t tail = 2 * wire_table[type].tail, *first = body();
	size_t size;

	if (type == WIRE_EVENTS)
		tail = 2 * sizeof(*events);
	size = begin(type, type != WIRE_EVENTS, wire_table[type].reply + tail);
	if (type == WIRE_QUERY || type == WIRE_SNAPSHOT)
		*first = wire_table[type].reply;
	if (type == WIRE_HELLO)
		*first = 1;
	if (type == WIRE_LIST)
		((struct wire_list *)body())->nr = 2;
	if (type == WIRE_METRICS)
		memcpy(body(), "ab", 2);
	if (type == WIRE_EVENTS)
		events[0].length = events[1].length = sizeof(*events);
	return size;
}

static int check_request(unsigned int type)
{
	return wire_check_request(&message, message.header.size,
				  wire_table[type].fds_in);
}

static int check_reply(unsigned int type)
{
	return wire_check_reply(&message, message.header.size,
				wire_table[type].fds_out);
}

static void each_sound_message_is_accepted(void **state)
{
	unsigned int type;

	(void)state;
	for (type = 1; type < WIRE_NR_TYPES; type++) {
		if (type != WIRE_EVENTS) {
			request(type);
			assert_int_equal(check_request(type), 0);
		}
		reply(type);
		assert_int_equal(check_reply(type), 0);
		assert_true(message.header.size <= WIRE_MAX);
	}
}

static void a_message_of_another_length_is_refused(void **state)
{
	unsigned int type;
	size_t size, i;

	(void)state;
	for (type = 1; type < WIRE_NR_TYPES; type++) {
		size = type == WIRE_EVENTS ? 0 : request(type);
		for (i = 0; i < size + 8; i++) {
			unsigned int fds = wire_table[type].fds_in;

			if (!size || i == size)
				continue;
			/* The packet alone, and with the header in agreement. */
			assert_int_equal(wire_check_request(&message, i, fds),
					 -EBADMSG);
			message.header.size = i;
			assert_int_equal(wire_check_request(&message, i, fds),
					 -EBADMSG);
			message.header.size = size;
		}
		reply(type);
		for (i = 0; i < sizeof(message.header) + wire_table[type].reply; i++) {
			message.header.size = i;
			assert_int_equal(wire_check_reply(&message, i,
							  wire_table[type].fds_out),
					 -EBADMSG);
		}
	}
}

static void headers_that_break_the_rules_are_refused(void **state)
{
	unsigned int type;

	(void)state;
	for (type = 1; type < WIRE_EVENTS; type++) {
		request(type);
		message.header.reserved = 1;
		assert_int_equal(check_request(type), -EBADMSG);
		request(type);
		message.header.serial = 0;
		assert_int_equal(check_request(type), -EBADMSG);
		request(type);
		message.header.result = -1;
		assert_int_equal(check_request(type), -EBADMSG);
		reply(type);
		message.header.serial = 0;
		assert_int_equal(check_reply(type), -EBADMSG);
	}
	begin(0, 1, 0);
	assert_int_equal(wire_check_request(&message, 16, 0), -EBADMSG);
	assert_int_equal(wire_check_reply(&message, 16, 0), -EBADMSG);
	begin(WIRE_NR_TYPES, 1, 0);
	assert_int_equal(wire_check_request(&message, 16, 0), -EBADMSG);
	assert_int_equal(wire_check_reply(&message, 16, 0), -EBADMSG);
	/* Nobody asks for events. */
	begin(WIRE_EVENTS, 1, 0);
	assert_int_equal(wire_check_request(&message, 16, 0), -EBADMSG);
	reply(WIRE_EVENTS);
	message.header.serial = 1;
	assert_int_equal(check_reply(WIRE_EVENTS), -EBADMSG);
}

static void the_number_of_descriptors_is_that_of_the_table(void **state)
{
	unsigned int type, fds;

	(void)state;
	for (type = 1; type < WIRE_NR_TYPES; type++)
		for (fds = 0; fds < 3; fds++) {
			bool sound = fds == wire_table[type].fds_in;
			size_t size;

			if (type != WIRE_EVENTS) {
				size = request(type);
				assert_int_equal(wire_check_request(&message, size, fds),
						 sound ? 0 : -EBADMSG);
			}
			size = reply(type);
			sound = fds == wire_table[type].fds_out;
			assert_int_equal(wire_check_reply(&message, size, fds),
					 sound ? 0 : -EBADMSG);
		}
}

static void a_failure_has_neither_body_nor_descriptor(void **state)
{
	size_t size = begin(WIRE_SNAPSHOT, 7, 0);

	(void)state;
	message.header.result = -EACCES;
	assert_int_equal(wire_check_reply(&message, size, 0), 0);
	assert_int_equal(wire_check_reply(&message, size, 1), -EBADMSG);
	message.header.result = 1;
	assert_int_equal(wire_check_reply(&message, size, 0), -EBADMSG);
	message.header.result = INT32_MIN;
	assert_int_equal(wire_check_reply(&message, size, 0), -EBADMSG);
	size = reply(WIRE_QUERY);
	message.header.result = -EACCES;
	assert_int_equal(wire_check_reply(&message, size, 0), -EBADMSG);
	size = begin(WIRE_EVENTS, 0, 0);
	message.header.result = -EACCES;
	assert_int_equal(wire_check_reply(&message, size, 0), -EBADMSG);
}

/* The daemon hands these to the kernel as they are. */
static void what_the_kernel_would_misread_is_refused(void **state)
{
	static const unsigned int types[] = {
		WIRE_QUERY, WIRE_MONITOR, WIRE_SNAPSHOT
	};
	struct wpfile_consent *args = body();
	unsigned int i;

	(void)state;
	for (i = 0; i < 3; i++) {
		request(types[i]);
		args->size += 8;
		assert_int_equal(check_request(types[i]), -EBADMSG);
		request(types[i]);
		args->size = UINT32_MAX;
		assert_int_equal(check_request(types[i]), -EBADMSG);
		request(types[i]);
		args->flags = WPFILE_AT_ADDRESS;
		assert_int_equal(check_request(types[i]), -EBADMSG);
		request(types[i]);
		args->address = 4096;
		assert_int_equal(check_request(types[i]), -EBADMSG);
	}
}

static void reserved_fields_are_zero(void **state)
{
	(void)state;
	request(WIRE_HELLO);
	((struct wire_hello *)body())->reserved = 1;
	assert_int_equal(check_request(WIRE_HELLO), -EBADMSG);
	request(WIRE_QUERY);
	((struct wpfile_query *)body())->reserved = 1;
	assert_int_equal(check_request(WIRE_QUERY), -EBADMSG);
	request(WIRE_MONITOR);
	((struct wpfile_monitor *)body())->reserved = 1;
	assert_int_equal(check_request(WIRE_MONITOR), -EBADMSG);
	request(WIRE_SUBSCRIBE);
	((struct wpfile_subscription *)body())->reserved = 1;
	assert_int_equal(check_request(WIRE_SUBSCRIBE), -EBADMSG);
	reply(WIRE_LIST);
	((struct wire_list *)body())->reserved = 1;
	assert_int_equal(check_reply(WIRE_LIST), -EBADMSG);
}

static void what_follows_is_what_is_announced(void **state)
{
	struct wire_list *list = body();
	size_t size;

	(void)state;
	reply(WIRE_LIST);
	list->nr = 3;
	assert_int_equal(check_reply(WIRE_LIST), -EBADMSG);
	list->nr = 1;
	assert_int_equal(check_reply(WIRE_LIST), -EBADMSG);
	/* 56 times this number, and two, in 32 bits. */
	list->nr = 2 + (1U << 29);
	assert_int_equal(check_reply(WIRE_LIST), -EBADMSG);
	size = begin(WIRE_LIST, 1, sizeof(*list));
	assert_int_equal(wire_check_reply(&message, size, 0), 0);
	size = reply(WIRE_METRICS);
	((char *)body())[1] = '\0';
	assert_int_equal(wire_check_reply(&message, size, 0), -EBADMSG);
	size = begin(WIRE_METRICS, 1, 0);
	assert_int_equal(wire_check_reply(&message, size, 0), 0);
}

static void fill_with_events(unsigned int nr)
{
	struct wpfile_event *events = body() + sizeof(struct wire_events);
	unsigned int i;

	begin(WIRE_EVENTS, 0, sizeof(struct wire_events) + nr * sizeof(*events));
	for (i = 0; i < nr; i++)
		events[i].length = sizeof(*events);
}

static void events_are_whole_and_fit_into_a_readers_buffer(void **state)
{
	struct wpfile_event *events = body() + sizeof(struct wire_events);
	unsigned int most = WPFILE_BROKER_EVENTS / sizeof(*events);

	(void)state;
	fill_with_events(0);
	assert_int_equal(check_reply(WIRE_EVENTS), -EBADMSG);
	fill_with_events(most);
	assert_int_equal(check_reply(WIRE_EVENTS), 0);
	fill_with_events(most + 1);
	assert_int_equal(check_reply(WIRE_EVENTS), -EBADMSG);
	fill_with_events(3);
	events[2].length += 8;
	assert_int_equal(check_reply(WIRE_EVENTS), -EBADMSG);
	events[2].length = 0;
	assert_int_equal(check_reply(WIRE_EVENTS), -EBADMSG);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(each_sound_message_is_accepted),
	cmocka_unit_test(a_message_of_another_length_is_refused),
	cmocka_unit_test(headers_that_break_the_rules_are_refused),
	cmocka_unit_test(the_number_of_descriptors_is_that_of_the_table),
	cmocka_unit_test(a_failure_has_neither_body_nor_descriptor),
	cmocka_unit_test(what_the_kernel_would_misread_is_refused),
	cmocka_unit_test(reserved_fields_are_zero),
	cmocka_unit_test(what_follows_is_what_is_announced),
	cmocka_unit_test(events_are_whole_and_fit_into_a_readers_buffer),
};

SUITE(wire_suite, tests);
