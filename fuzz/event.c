// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * wpfile_event_next() on any bytes: each event lies within them, behind the one
 * before; the walk ends; and what was accepted is a stream by itself.
 */
#include "fuzz.h"
#include "wpfile.h"

#define SMALLEST sizeof(struct wpfile_event)

/* Returns how many bytes were events; @ret_end is what the last call said. */
static size_t walk(const void *stream, size_t size, int *ret_end)
{
	const struct wpfile_event *event = NULL, *before;
	size_t pos = 0, from = 0, nr = 0;

	for (;;) {
		before = event;
		*ret_end = wpfile_event_next(stream, size, &pos, &event);
		if (*ret_end != 1)
			break;
		property(++nr <= size / SMALLEST);
		property((const char *)event == (const char *)stream + from);
		property((uintptr_t)event % _Alignof(struct wpfile_event) == 0);
		property(event->length >= SMALLEST && event->length % 8 == 0);
		property(pos == from + event->length);
		property(pos <= size);
		free(fuzz_dup(event, event->length));
		from = pos;
	}
	property(*ret_end <= 0);
	property(pos == from);
	property(event == before);
	return pos;
}

/* Where the walk stopped there is no event, by the words of the header. */
static bool is_event(const char *at, size_t left)
{
	struct wpfile_event event;

	if (left < SMALLEST)
		return false;
	memcpy(&event, at, SMALLEST);
	return event.length >= SMALLEST && event.length <= left &&
	       event.length % 8 == 0;
}

/* A caller's position that is no boundary of events. */
static void check_position(const void *stream, size_t size, size_t pos)
{
	const struct wpfile_event *event;
	size_t moved = pos;
	int ret = wpfile_event_next(stream, size, &moved, &event);

	if (ret == 1) {
		property(moved > pos && moved <= size && pos % 8 == 0);
		free(fuzz_dup(event, event->length));
	} else {
		property(moved == pos);
		property((ret == 0) == (pos == size));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	void *stream = fuzz_dup(data, size), *accepted;
	size_t good, again, i;
	int end;

	good = walk(stream, size, &end);
	if (end == 0)
		property(good == size);
	else
		property(!is_event((char *)stream + good, size - good));

	accepted = fuzz_dup(stream, good);
	again = walk(accepted, good, &end);
	property(end == 0 && again == good);

	for (i = 0; i <= size + 8; i++)
		check_position(stream, size, i);
	free(accepted);
	free(stream);
	return 0;
}
