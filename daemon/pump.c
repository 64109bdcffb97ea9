// SPDX-License-Identifier: GPL-2.0-or-later
/* The pump: reads events, answers, hands out.  It waits for nobody. */
#include <errno.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <urcu/uatomic.h>

#include "monitor.h"
#include "user.h"
#include "watch.h"

#define BATCH 256	/* events of one monitor, before others have their turn */

static void wake(int eventfd)
{
	const uint64_t one = 1;

	/* Fails only if it is readable anyhow. */
	(void)!write(eventfd, &one, sizeof(one));
}

void watches_tell(struct watches *watches)
{
	wake(watches->tell);
}

void pump_wake(struct watches *watches)
{
	wake(watches->wake);
}

void subscriber_schedule(struct subscriber *subscriber)
{
	struct watches *watches = subscriber->watch->watches;

	/* What was queued before that.  Partner: subscriber_next(). */
	if (uatomic_xchg(&subscriber->scheduled, 1))
		return;
	cds_wfcq_node_init(&subscriber->ready);
	cds_wfcq_enqueue(&watches->ready_head, &watches->ready_tail,
			 &subscriber->ready);
}

/* Who waits goes on, and does not care for what we do next. */
static void answer(struct watch *watch, struct wpfile_event *event)
{
	struct wpfile_resolve resolve = {
		.size = sizeof(resolve),
		.verdict = WPFILE_ALLOW,
		.id = event->id,
	};

	if (event->outcome != WPFILE_WAITING)
		return;
	/* ENOENT: the time was over.  It has passed in any case. */
	ioctl(watch->monitor, WPFILE_IOC_RESOLVE, &resolve);
	event->outcome = WPFILE_PASSED;
}

uint64_t pump_count_lost(struct watch *watch)
{
	const struct wpfile_mon monitor = { .fd = watch->monitor };
	uint64_t before = watch->overflows;
	struct wpfile_mon_info info;

	if (wpfile_mon_info(&monitor, &info))
		return 0;
	watch->overflows = info.overflows;
	return info.overflows - before;
}

static bool is_for(const struct subscriber *subscriber,
		   const struct wpfile_event *event)
{
	if (event->type == WPFILE_EVENT_OVERFLOW ||
	    event->type == WPFILE_EVENT_FAILED)
		return true;
	return event->bytes &&
	       span_meets(subscriber->span, span_of(event->offset, event->bytes));
}

/* Who writes is told to himself, and to those whom policy lets see it. */
static struct wpfile_event as_seen_by(const struct subscriber *subscriber,
				      const struct wpfile_event *event)
{
	struct wpfile_event seen = *event;

	seen.cookie = subscriber->cookie;
	if (!subscriber->sees_all && subscriber->user->uid != event->uid) {
		seen.tid = 0;
		seen.tgid = 0;
		seen.uid = 0;
	}
	return seen;
}

/* The content of our monitors is of no interest: it is not kept. */
static bool is_of_interest(const struct wpfile_event *event)
{
	return event->type != WPFILE_EVENT_FAILED ||
	       event->bytes == WPFILE_TO_END;
}

/* As after a write (its outcome is 0, PASSED), what has again_ms is protected again. */
static void note_loss(struct watch *watch)
{
	uatomic_set(&watch->lost, 1);
	/* Partner: watches_log_losses(). */
	cmm_smp_wmb();
	uatomic_inc(&watch->watches->losses);
}

static void hand_out(struct watch *watch, const struct wpfile_event *event)
{
	struct subscriber *subscriber;
	struct wpfile_event seen;

	if (!is_of_interest(event))
		return;
	if (event->type == WPFILE_EVENT_FAILED)
		note_loss(watch);
	if (event->outcome == WPFILE_PASSED)
		uatomic_set(&watch->written, 1);
	cds_list_for_each_entry_rcu(subscriber, &watch->subscribers, siblings) {
		if (!is_for(subscriber, event))
			continue;
		seen = as_seen_by(subscriber, event);
		if (event->type == WPFILE_EVENT_FAILED)
			queue_fail(&subscriber->queue, &seen);
		else
			queue_push(&subscriber->queue, &seen);
		subscriber_schedule(subscriber);
	}
}

static void read_watch(struct watch *watch)
{
	struct wpfile_event events[BATCH];
	ssize_t i, nr;

	nr = read(watch->monitor, events, sizeof(events));
	if (nr <= 0)
		return;
	nr /= sizeof(events[0]);
	for (i = 0; i < nr; i++)
		answer(watch, &events[i]);
	for (i = 0; i < nr; i++) {
		if (events[i].type == WPFILE_EVENT_OVERFLOW)
			events[i].bytes = pump_count_lost(watch);
		hand_out(watch, &events[i]);
	}
	uatomic_add(&watch->watches->events_in, nr);
	watches_tell(watch->watches);
}

static void take_beat(struct watches *watches)
{
	uint64_t count;

	(void)!read(watches->wake, &count, sizeof(count));
	uatomic_inc(&watches->beats);
}

static void take_turn(struct watches *watches, uint64_t id)
{
	struct watch *watch;

	if (!id) {
		take_beat(watches);
		return;
	}
	rcu_read_lock();
	/* It may have ended since epoll told us. */
	watch = watch_find(watches, id);
	if (watch)
		read_watch(watch);
	rcu_read_unlock();
}

void *pump_run(void *data)
{
	struct watches *watches = data;
	struct epoll_event events[64];
	int i, nr;

	pthread_setname_np(pthread_self(), "wpfiled-pump");
	rcu_register_thread();
	while (!uatomic_read(&watches->stop)) {
		nr = epoll_wait(watches->epoll, events, 64, -1);
		for (i = 0; i < nr; i++)
			take_turn(watches, events[i].data.u64);
	}
	rcu_unregister_thread();
	return NULL;
}
