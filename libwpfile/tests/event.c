// SPDX-License-Identifier: LGPL-2.1-or-later
#include <string.h>
#include <unistd.h>

#include "unit.h"

#define EVENT sizeof(struct wpfile_event)

static void events_of_any_length_are_walked_over(void **state)
{
	struct {
		struct wpfile_event first;
		struct wpfile_event longer;
		uint64_t tail;
		struct wpfile_event last;
	} buffer = {
		.first = { .length = EVENT, .type = 1, .offset = 4096 },
		.longer = { .length = EVENT + 8, .type = 77 },
		.last = { .length = EVENT, .type = 1, .offset = 8192 },
	};
	const struct wpfile_event *event;
	size_t pos = 0;

	(void)state;
	assert_int_equal(wpfile_event_next(&buffer, sizeof(buffer), &pos, &event), 1);
	assert_ptr_equal(event, &buffer.first);
	assert_int_equal(wpfile_event_next(&buffer, sizeof(buffer), &pos, &event), 1);
	assert_int_equal(event->type, 77);
	assert_int_equal(wpfile_event_next(&buffer, sizeof(buffer), &pos, &event), 1);
	assert_int_equal(event->offset, 8192);
	assert_int_equal(wpfile_event_next(&buffer, sizeof(buffer), &pos, &event), 0);
}

static void malformed_events_are_refused(void **state)
{
	static const uint32_t lengths[] = { 0, 4, EVENT - 1, EVENT + 1,
					  2 * EVENT + 8, UINT32_MAX };
	struct wpfile_event buffer[2];
	const struct wpfile_event *event;
	size_t i, pos;

	(void)state;
	for (i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		memset(buffer, 0, sizeof(buffer));
		buffer[0].length = lengths[i];
		pos = 0;
		assert_int_equal(wpfile_event_next(buffer, sizeof(buffer), &pos,
						   &event), -EBADMSG);
		assert_int_equal(pos, 0);
	}
	pos = EVENT;
	buffer[1].length = EVENT;
	assert_int_equal(wpfile_event_next(buffer, 2 * EVENT - 1, &pos, &event), -EBADMSG);
	pos = 2 * EVENT + 1;
	assert_int_equal(wpfile_event_next(buffer, 2 * EVENT, &pos, &event), -EBADMSG);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(events_of_any_length_are_walked_over),
	cmocka_unit_test(malformed_events_are_refused),
};

SUITE(event_suite, tests);
