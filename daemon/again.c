// SPDX-License-Identifier: GPL-2.0-or-later
/* Protection: what subscribers have asked for, and again after a time. */
#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <urcu/uatomic.h>

#include "log.h"
#include "watch.h"

#define USEC_PER_MSEC	1000ULL
#define MIN_AGAIN_MS	10	/* a timer that does nothing else is no use */
#define ACCURACY	1000ULL	/* usec */
#define BATCH		256	/* ranges of a PROTECT */

int watch_protect(struct watch *watch, const struct wpfile_range *ranges,
		  unsigned int nr)
{
	struct wpfile_protect args = {
		.size = sizeof(args),
		.ranges = (uintptr_t)ranges,
		.nr_ranges = nr,
	};

	return ioctl(watch->monitor, WPFILE_IOC_PROTECT, &args) < 0 ? -errno : 0;
}

static void try_to_protect(struct watch *watch, const struct wpfile_range *ranges,
			   unsigned int nr)
{
	int err = watch_protect(watch, ranges, nr);

	if (!err)
		return;
	/* Next time. */
	uatomic_set(&watch->written, 1);
	log_say(LOG_WARNING, "watch %lu cannot be protected again: %s",
		watch->id, strerrorname_np(-err));
}

/* A cut holds up writers: one for many subscribers. */
static void protect_again(struct watch *watch)
{
	struct wpfile_range ranges[BATCH];
	struct subscriber *subscriber;
	unsigned int nr = 0;

	cds_list_for_each_entry(subscriber, &watch->subscribers, siblings) {
		if (!subscriber->again_ms)
			continue;
		ranges[nr++] = span_range(subscriber->span);
		if (nr < BATCH)
			continue;
		try_to_protect(watch, ranges, nr);
		nr = 0;
	}
	if (nr)
		try_to_protect(watch, ranges, nr);
}

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
	/* What is written from here on says so again.  Partner: hand_out(). */
	if (uatomic_xchg(&watch->written, 0))
		protect_again(watch);
	return rearm(watch);
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
