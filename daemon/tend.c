// SPDX-License-Identifier: GPL-2.0-or-later
/* How watches are tended: what plan.c has found, in a chore, and what came of it. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/sysmacros.h>
#include <unistd.h>
#include <urcu/uatomic.h>

#include "client.h"
#include "clock.h"
#include "log.h"
#include "tend.h"
#include "watch.h"

#define RETRY_USEC	500000ULL
#define BATCH		256	/* ranges of a call: it holds up writers once */

/* --- the chore --- */

static int protect(int monitor, const struct wpfile_range *ranges, unsigned int nr)
{
	struct wpfile_protect args = {
		.size = sizeof(args),
		.ranges = (uintptr_t)ranges,
		.nr_ranges = nr,
	};

	return ioctl(monitor, WPFILE_IOC_PROTECT, &args) < 0 ? -errno : 0;
}

static int unprotect(int monitor, const struct wpfile_range *ranges,
		     unsigned int nr)
{
	struct wpfile_unprotect args = {
		.size = sizeof(args),
		.ranges = (uintptr_t)ranges,
		.nr_ranges = nr,
	};

	return ioctl(monitor, WPFILE_IOC_UNPROTECT, &args) < 0 ? -errno : 0;
}

static void run_job(struct tending *tending, struct job *job,
		    int (*call)(int monitor, const struct wpfile_range *ranges,
				unsigned int nr))
{
	struct wpfile_range ranges[BATCH];
	unsigned int i, nr = 0;

	for (i = 0; i < job->nr && !job->err; i++) {
		ranges[nr++] = span_range(job->spans[i]);
		if (nr < BATCH && i + 1 < job->nr)
			continue;
		job->err = call(tending->watch->monitor, ranges, nr);
		nr = 0;
	}
}

static void run_tending(struct chore *chore)
{
	struct tending *tending = caa_container_of(chore, struct tending, chore);
	struct wpfile_range range;
	unsigned int i;

	run_job(tending, &tending->lift, unprotect);
	run_job(tending, &tending->again, protect);
	for (i = 0; i < tending->fresh.nr; i++) {
		range = span_range(tending->fresh.spans[i]);
		tending->results[i].time_ns = now_ns();
		tending->results[i].err = protect(tending->watch->monitor, &range,
						  1);
	}
}

/* --- what came of it --- */

/* It may be lost at each write, again and again: not more than once a second. */
static void log_loss(struct watch *watch)
{
	uint64_t now = now_ns();

	if (watch->logged_ns && now - watch->logged_ns < NSEC_PER_SEC)
		return;
	watch->logged_ns = now;
	log_say(LOG_ERR, "watch %lu has lost what was protected of file=%u:%u:%lu: "
		"%u who have subscribed are told", watch->id,
		major(watch->dev), minor(watch->dev), watch->ino, watch->nr);
}

void watches_log_losses(struct watches *watches)
{
	uint64_t losses = uatomic_read(&watches->losses);
	struct watch *watch = NULL;

	if (watches->losses_logged == losses)
		return;
	watches->losses_logged = losses;
	/* What comes later is counted later.  Partner: note_loss(). */
	cmm_smp_rmb();
	while ((watch = watch_next(watches, watch)))
		if (uatomic_xchg(&watch->lost, 0))
			log_loss(watch);
}

static void end_fresh(struct tending *tending)
{
	struct watch *watch = tending->watch;
	struct subscriber *subscriber, *next;
	struct client *client;
	struct result result;

	cds_list_for_each_entry_safe(subscriber, next, &watch->subscribers,
				     siblings) {
		if (!subscriber->tended)
			continue;
		client = subscriber->client;
		result = tending->results[subscriber->place];
		subscriber->tended = false;
		subscriber->fresh = false;
		subscriber->queue.since_ns = result.time_ns;
		if (result.err)
			subscriber_drop(subscriber);
		else
			subscriber_schedule(subscriber);
		client_finish(client, result.err);
	}
	watches_tell(watch->watches);
}

/* @all: or those whose time it is. */
static void end_leaving(struct cds_list_head *leaving, bool all)
{
	struct subscriber *subscriber, *next;
	struct client *client;

	cds_list_for_each_entry_safe(subscriber, next, leaving, siblings) {
		if (!all && !subscriber->tended)
			continue;
		client = subscriber->client;
		subscriber_drop(subscriber);
		client_finish(client, 0);
	}
}

static void retry(struct watch *watch)
{
	sd_event_source_set_time_relative(watch->retry, RETRY_USEC);
	sd_event_source_set_enabled(watch->retry, SD_EVENT_ONESHOT);
}

/*
 * What nobody else wants protected is to be written freely again.  Writers would be
 * refused for somebody who has gone: it is tried until there is memory for it.
 */
static void check_lift(struct watch *watch, int err)
{
	if (!err)
		return;
	log_say(LOG_WARNING, "watch %lu holds what nobody asks for any more, and "
		"it cannot be lifted: %s", watch->id, strerrorname_np(-err));
	if (err == -ENOMEM || err == -EINTR)
		retry(watch);
}

static void check_again(struct watch *watch, int err)
{
	if (!err)
		return;
	/* Next time. */
	uatomic_set(&watch->written, 1);
	log_say(LOG_WARNING, "watch %lu cannot be protected again: %s", watch->id,
		strerrorname_np(-err));
}

static void on_tended(struct chore *chore)
{
	struct tending *tending = caa_container_of(chore, struct tending, chore);
	struct watch *watch = tending->watch;

	end_fresh(tending);
	end_leaving(&watch->leaving, false);
	check_lift(watch, tending->lift.err);
	check_again(watch, tending->again.err);
	watch->tending = NULL;
	if (tending->is_again)
		watch_rearm(watch);
	free(tending);
	watch_tend(watch);
}

/* --- one after the other --- */

static int on_retry(sd_event_source *source, uint64_t usec, void *data)
{
	struct watch *watch = data;

	(void)source;
	(void)usec;
	/* Whoever it was that could not be seen to. */
	watch_lift(watch, span_of(0, WPFILE_TO_END));
	watch_tend(watch);
	return 0;
}

/* What it needs later does not fail for lack of memory then. */
int watch_init_tending(struct watch *watch)
{
	int err;

	CDS_INIT_LIST_HEAD(&watch->leaving);
	err = sd_event_add_time_relative(watch->watches->event, &watch->retry,
					 CLOCK_MONOTONIC, RETRY_USEC, 0, on_retry,
					 watch);
	if (err >= 0)
		err = sd_event_source_set_enabled(watch->retry, SD_EVENT_OFF);
	return err < 0 ? err : 0;
}

static bool is_due(struct watch *watch)
{
	const struct subscriber *subscriber;

	if (watch_may_lift(watch) || watch->again_due ||
	    !cds_list_empty(&watch->leaving))
		return true;
	cds_list_for_each_entry(subscriber, &watch->subscribers, siblings)
		if (subscriber->fresh)
			return true;
	return false;
}

static void begin(struct watch *watch)
{
	struct tending *tending = tending_plan(watch);

	if (!tending) {
		retry(watch);
		return;
	}
	tending->chore.run = run_tending;
	tending->chore.done = on_tended;
	watch->tending = tending;
	if (tending->lift.nr || tending->again.nr || tending->fresh.nr)
		chore_start(watch->watches->chores, &tending->chore);
	else
		on_tended(&tending->chore);
}

/* Who asks to leave is told when it has ended. */
static void end(struct watch *watch)
{
	CDS_LIST_HEAD(leaving);

	cds_list_splice(&watch->leaving, &leaving);
	watch_end(watch);
	end_leaving(&leaving, true);
}

void watch_tend(struct watch *watch)
{
	if (watch->tending)
		return;
	if (!watch->nr && !watch->grace)
		end(watch);
	else if (is_due(watch))
		begin(watch);
}
