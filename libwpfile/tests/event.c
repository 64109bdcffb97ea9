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

static struct wpfile_resolve answered;

static int kernel_resolve(int fd, unsigned long request, void *arg)
{
	(void)fd;
	assert_int_equal(request, WPFILE_IOC_RESOLVE);
	memcpy(&answered, arg, sizeof(answered));
	return answered.id == 7 ? 0 : -ENOENT;
}

static void an_answer_names_event_and_verdict(void **state)
{
	struct wpfile_mon *mon;

	(void)state;
	assert_int_equal(wpfile_mon_dup_fd(0, &mon), 0);
	fake_ioctl = kernel_resolve;
	assert_int_equal(wpfile_resolve(mon, 7, WPFILE_FAIL), 0);
	assert_int_equal(answered.size, sizeof(answered));
	assert_int_equal(answered.verdict, WPFILE_FAIL);
	assert_int_equal(wpfile_resolve(mon, 8, WPFILE_ALLOW), -ENOENT);
	assert_int_equal(answered.verdict, WPFILE_ALLOW);
	fake_ioctl = NULL;
	wpfile_mon_free(mon);
}

static void every_number_has_a_name(void **state)
{
	(void)state;
	assert_string_equal(wpfile_mode_name(WPFILE_TRACK), "track");
	assert_string_equal(wpfile_mode_name(WPFILE_DENY), "deny");
	assert_string_equal(wpfile_mode_name(WPFILE_NR_MODES), "?");
	assert_string_equal(wpfile_event_name(0), "?");
	assert_string_equal(wpfile_event_name(WPFILE_EVENT_FAILED), "failed");
	assert_string_equal(wpfile_event_name(WPFILE_EVENT_PIN), "pin");
	assert_string_equal(wpfile_event_name(WPFILE_EVENT_PIN + 1), "?");
	assert_string_equal(wpfile_outcome_name(WPFILE_DENIED), "denied");
	assert_string_equal(wpfile_outcome_name(UINT32_MAX), "?");
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(events_of_any_length_are_walked_over),
	cmocka_unit_test(malformed_events_are_refused),
	cmocka_unit_test(an_answer_names_event_and_verdict),
	cmocka_unit_test(every_number_has_a_name),
};

SUITE(event_suite, tests);
