// SPDX-License-Identifier: LGPL-2.1-or-later
/* Events that came while an answer was waited for. */
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "kept.h"
#include "sys.h"
#include "wpfile.h"

struct wpfile_kept_message {
	STAILQ_ENTRY(wpfile_kept_message) list;
	uint64_t id;		/* of the subscription */
	bool overflow;		/* the only event is one that we made */
	size_t size;
	struct wpfile_event events[];
};

int wpfile_kept_init(struct wpfile_kept *kept)
{
	kept->nr = 0;
	STAILQ_INIT(&kept->list);
	kept->wake = sys(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
	return kept->wake < 0 ? kept->wake : 0;
}

static struct wpfile_kept_message *take_first(struct wpfile_kept *kept)
{
	struct wpfile_kept_message *first = STAILQ_FIRST(&kept->list);

	if (first) {
		STAILQ_REMOVE_HEAD(&kept->list, list);
		kept->nr--;
	}
	return first;
}

void wpfile_kept_clear(struct wpfile_kept *kept)
{
	struct wpfile_kept_message *message;

	while ((message = take_first(kept)))
		free(message);
	if (kept->wake >= 0)
		sys(close(kept->wake));
}

static int append(struct wpfile_kept *kept, uint64_t id, const void *events,
		  size_t size, bool overflow)
{
	struct wpfile_kept_message *message;
	const uint64_t count = 1;

	message = sys_alloc(malloc(sizeof(*message) + size));
	if (!message)
		return -ENOMEM;
	message->id = id;
	message->overflow = overflow;
	message->size = size;
	memcpy(message->events, events, size);
	STAILQ_INSERT_TAIL(&kept->list, message, list);
	if (!kept->nr++)
		sys_retry(write(kept->wake, &count, sizeof(count)));
	return 0;
}

static uint64_t now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec * UINT64_C(1000000000) + time.tv_nsec;
}

/* What came of @id last, if that is an overflow of ours. */
static struct wpfile_event *last_overflow(struct wpfile_kept *kept, uint64_t id)
{
	struct wpfile_kept_message *message, *last = NULL;

	STAILQ_FOREACH(message, &kept->list, list)
		if (message->id == id)
			last = message;
	return last && last->overflow ? last->events : NULL;
}

static int add_overflow(struct wpfile_kept *kept, uint64_t id, uint64_t nr)
{
	struct wpfile_event *last = last_overflow(kept, id);
	const struct wpfile_event overflow = {
		.length = sizeof(overflow),
		.type = WPFILE_EVENT_OVERFLOW,
		.bytes = nr,
		.time_ns = now(),
	};

	if (last) {
		last->bytes += nr;
		return 0;
	}
	if (kept->nr >= 2 * KEPT_MAX)
		return -ENOBUFS;
	return append(kept, id, &overflow, sizeof(overflow), true);
}

static int add_failure(struct wpfile_kept *kept, uint64_t id,
		       const struct wpfile_event *event)
{
	if (kept->nr >= 2 * KEPT_MAX)
		return -ENOBUFS;
	return append(kept, id, event, sizeof(*event), false);
}

/* Of events for which there is no room. */
static int add_count(struct wpfile_kept *kept, uint64_t id, const void *events,
		     size_t size)
{
	const struct wpfile_event *event, *failure = NULL;
	uint64_t nr = 0;
	size_t pos = 0;
	int ret = 0;

	while (wpfile_event_next(events, size, &pos, &event) > 0)
		if (event->type == WPFILE_EVENT_FAILED)
			failure = event;
		else
			nr += event->type == WPFILE_EVENT_OVERFLOW ?
				      event->bytes : 1;
	if (nr)
		ret = add_overflow(kept, id, nr);
	return ret || !failure ? ret : add_failure(kept, id, failure);
}

int wpfile_kept_add(struct wpfile_kept *kept, uint64_t id, const void *events,
		    size_t size)
{
	if (kept->nr < KEPT_MAX)
		return append(kept, id, events, size, false);
	return add_count(kept, id, events, size);
}

size_t wpfile_kept_take(struct wpfile_kept *kept, void *buffer, uint64_t *ret_id)
{
	struct wpfile_kept_message *first = take_first(kept);
	uint64_t count;
	size_t size;

	if (!first)
		return 0;
	if (!kept->nr)
		sys_retry(read(kept->wake, &count, sizeof(count)));
	size = first->size;
	memcpy(buffer, first->events, size);
	*ret_id = first->id;
	free(first);
	return size;
}
