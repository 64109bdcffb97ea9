// SPDX-License-Identifier: GPL-2.0-or-later
/* What is due when a watch is tended. */
#include <stdlib.h>
#include <urcu/uatomic.h>

#include "tend.h"

void watch_lift(struct watch *watch, struct span span)
{
	if (watch->has_left && watch->left.first < span.first)
		span.first = watch->left.first;
	if (watch->has_left && watch->left.last > span.last)
		span.last = watch->left.last;
	watch->left = span;
	watch->has_left = true;
}

/* While those who were there before a restart may come again, all is theirs. */
bool watch_may_lift(const struct watch *watch)
{
	return watch->has_left && !watch->grace;
}

static struct tending *tending_new(struct watch *watch)
{
	size_t nr = watch->nr;
	size_t room = (4 * nr + 1) * sizeof(struct span);
	struct tending *tending;

	tending = calloc(1, sizeof(*tending) + room + nr * sizeof(struct result));
	if (!tending)
		return NULL;
	tending->watch = watch;
	tending->again.spans = tending->room;
	tending->fresh.spans = tending->room + nr;
	tending->lift.spans = tending->room + 2 * nr;
	tending->results = (struct result *)(tending->room + 4 * nr + 1);
	return tending;
}

static void add(struct job *job, struct span span)
{
	job->spans[job->nr++] = span;
}

/* No offset is behind that of the last byte that a file may have. */
static void plan_lift(struct tending *tending)
{
	struct watch *watch = tending->watch;
	struct span *others = tending->lift.spans + watch->nr + 1;
	struct span whole = watch->left;
	struct subscriber *subscriber;
	size_t nr = 0;

	watch->has_left = false;
	cds_list_for_each_entry(subscriber, &watch->subscribers, siblings)
		others[nr++] = subscriber->span;
	nr = span_rest(whole, others, nr, tending->lift.spans);
	if (nr && tending->lift.spans[nr - 1].first > INT64_MAX)
		nr--;
	tending->lift.nr = nr;
}

static void plan_again(struct tending *tending)
{
	struct watch *watch = tending->watch;
	struct subscriber *subscriber;

	watch->again_due = false;
	tending->is_again = true;
	/* What is written from here on says so again.  Partner: hand_out(). */
	if (!uatomic_xchg(&watch->written, 0))
		return;
	cds_list_for_each_entry(subscriber, &watch->subscribers, siblings)
		if (subscriber->again_ms && !subscriber->fresh)
			add(&tending->again, subscriber->span);
}

static void plan_fresh(struct tending *tending)
{
	struct watch *watch = tending->watch;
	struct subscriber *subscriber;

	cds_list_for_each_entry(subscriber, &watch->subscribers, siblings) {
		if (!subscriber->fresh)
			continue;
		subscriber->tended = true;
		subscriber->place = tending->fresh.nr;
		add(&tending->fresh, subscriber->span);
	}
	cds_list_for_each_entry(subscriber, &watch->leaving, siblings)
		subscriber->tended = true;
}

struct tending *tending_plan(struct watch *watch)
{
	struct tending *tending = tending_new(watch);

	if (!tending)
		return NULL;
	if (watch_may_lift(watch))
		plan_lift(tending);
	if (watch->again_due)
		plan_again(tending);
	plan_fresh(tending);
	return tending;
}
