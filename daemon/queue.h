/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a subscriber has not been told yet: a bounded queue from the pump to the main
 * loop.
 *
 * When it is full, events are counted, not kept: by one OVERFLOW, queued where the
 * first of them would have been, for which there is always room.  Until it has been
 * taken, all that comes is counted by it, so that it stands where they were lost.
 *
 *	pump					main loop
 *	lost 0 -> 1: queues the OVERFLOW	takes the OVERFLOW out
 *	lost > 0: counts			lost -> 0: that many
 *
 * So it is in the queue at most once, and its memory is part of the queue.  The same goes
 * for FAILED, that nothing is protected any more: it always has a place of its own.
 */
#ifndef WPFILED_QUEUE_H
#define WPFILED_QUEUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <urcu/wfcqueue.h>

#include "wpfile.h"

struct queue_node {
	struct cds_wfcq_node node;
	struct wpfile_event event;
};

struct queue {
	struct cds_wfcq_head head;	/* of the main loop */
	struct cds_wfcq_tail tail;	/* of the pump */
	unsigned long limit;		/* not counting OVERFLOW and FAILED */
	unsigned long nr;		/* atomic */
	unsigned long lost;		/* atomic: since the OVERFLOW was taken */
	struct queue_node overflow;	/* in the queue if lost > 0 */
	unsigned long failed;		/* atomic */
	uint64_t failed_ns;		/* atomic: when last */
	uint64_t since_ns;		/* FAILED of before is not told; of the main loop */
	struct queue_node failure;	/* in the queue if failed */
	uint64_t dropped;		/* that were told of; of the main loop */
};

void queue_init(struct queue *queue, unsigned long limit);
void queue_destroy(struct queue *queue);	/* nobody else uses it any more */

/* Of the pump.  False if it was lost. */
bool queue_push(struct queue *queue, const struct wpfile_event *event);

/* Of the pump.  One that has not been taken yet stands for this, too. */
void queue_fail(struct queue *queue, const struct wpfile_event *event);

/* Of the main loop: up to @max events.  How many. */
size_t queue_take(struct queue *queue, struct wpfile_event *ret_events,
		  size_t max);

/* Of the main loop: events lost in all. */
uint64_t queue_dropped(const struct queue *queue);

#endif /* WPFILED_QUEUE_H */
