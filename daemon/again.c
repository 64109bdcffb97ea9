// SPDX-License-Identifier: GPL-2.0-or-later
/* Protection again after a time: when it is due. */
#include <time.h>

#include "watch.h"

#define USEC_PER_MSEC	1000ULL
#define MIN_AGAIN_MS	10	/* a timer that does nothing else is no use */
#define ACCURACY	1000ULL	/* usec */

/* 0: never. */
static uint32_t shortest_ms(const struct watch *watch)
{
	const struct subscriber *subscriber;
	uint32_t ms = 0;

	cds_list_for_each_entry(subscriber, &watch->subscribers, siblings)
		if (subscriber->again_ms && (!ms || subscriber->again_ms < ms))
			ms = subscriber->again_ms;
	return ms && ms < MIN_AGAIN_MS ? MIN_AGAIN_MS : ms;
}

static int rearm(struct watch *watch)
{
	sd_event_source_set_time_relative(watch->again, USEC_PER_MSEC *
					  shortest_ms(watch));
	return sd_event_source_set_enabled(watch->again, SD_EVENT_ONESHOT);
}

static int on_again(sd_event_source *source, uint64_t usec, void *data)
{
	struct watch *watch = data;

	(void)source;
	(void)usec;
	watch->again_due = true;
	watch_tend(watch);
	return 0;
}

void watch_rearm(struct watch *watch)
{
	int enabled = SD_EVENT_OFF;

	if (!watch->again)
		return;
	/* It may be another one, of who has come meanwhile. */
	sd_event_source_get_enabled(watch->again, &enabled);
	if (enabled == SD_EVENT_OFF)
		rearm(watch);
}

/* Never later than it was to be: who comes and goes must not put it off for others. */
static int bring_forward(struct watch *watch)
{
	uint64_t now, then;
	int err;

	err = sd_event_now(watch->watches->event, CLOCK_MONOTONIC, &now);
	if (err >= 0)
		err = sd_event_source_get_time(watch->again, &then);
	if (err < 0)
		return err;
	return now + USEC_PER_MSEC * shortest_ms(watch) < then ? rearm(watch) : 0;
}

int watch_set_again(struct watch *watch)
{
	uint32_t ms = shortest_ms(watch);
	int err = 0;

	if (!ms) {
		watch->again = sd_event_source_disable_unref(watch->again);
		return 0;
	}
	if (!watch->again)
		err = sd_event_add_time_relative(watch->watches->event,
						 &watch->again, CLOCK_MONOTONIC,
						 USEC_PER_MSEC * ms, ACCURACY, on_again,
						 watch);
	return err < 0 ? err : bring_forward(watch);
}
