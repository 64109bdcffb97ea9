// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * systemd restarts a daemon that does not say WATCHDOG=1 in time.  It is said by the
 * main loop, if the pump has moved since the last time: a pump that hangs would hold
 * up writers.
 */
#include <errno.h>
#include <stdlib.h>
#include <systemd/sd-daemon.h>
#include <time.h>
#include <urcu/uatomic.h>

#include "daemon.h"
#include "log.h"

struct watchdog {
	struct watches *watches;
	uint64_t interval;	/* usec */
	unsigned long beats;	/* of the pump, the last time */
};

static int on_tick(sd_event_source *source, uint64_t usec, void *data)
{
	struct watchdog *watchdog = data;
	unsigned long beats = uatomic_read(&watchdog->watches->beats);

	(void)usec;
	if (beats != watchdog->beats)
		sd_notify(0, "WATCHDOG=1");
	else
		log_say(LOG_ERR, "the pump does not move");
	watchdog->beats = beats;
	pump_wake(watchdog->watches);
	sd_event_source_set_time_relative(source, watchdog->interval);
	return sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
}

static void watchdog_free(void *data)
{
	free(data);
}

int watchdog_start(struct daemon *daemon)
{
	struct watchdog *watchdog;
	sd_event_source *source;
	uint64_t usec;
	int err;

	err = sd_watchdog_enabled(0, &usec);
	if (err <= 0)
		return err;
	watchdog = malloc(sizeof(*watchdog));
	if (!watchdog)
		return -ENOMEM;
	*watchdog = (struct watchdog){ &daemon->watches, usec / 4, 0 };
	pump_wake(&daemon->watches);
	err = sd_event_add_time_relative(daemon->event, &source, CLOCK_MONOTONIC,
					 watchdog->interval, 0, on_tick, watchdog);
	if (err < 0) {
		free(watchdog);
		return err;
	}
	sd_event_source_set_destroy_callback(source, watchdog_free);
	sd_event_source_set_floating(source, true);
	sd_event_source_unref(source);
	return 0;
}
