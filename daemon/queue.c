// SPDX-License-Identifier: GPL-2.0-or-later
#include <stdlib.h>
#include <urcu/uatomic.h>

#include "clock.h"
#include "queue.h"

void queue_init(struct queue *queue, unsigned long limit)
{
	*queue = (struct queue){ .limit = limit };
	cds_wfcq_init(&queue->head, &queue->tail);
}

static struct queue_node *take_node(struct queue *queue)
{
	struct cds_wfcq_node *node;

	node = __cds_wfcq_dequeue_blocking(&queue->head, &queue->tail);
	return node ? caa_container_of(node, struct queue_node, node) : NULL;
}

void queue_destroy(struct queue *queue)
{
	struct queue_node *node;

	while ((node = take_node(queue)))
		if (node != &queue->overflow && node != &queue->failure)
			free(node);
	cds_wfcq_destroy(&queue->head, &queue->tail);
}

static void put_node(struct queue *queue, struct queue_node *node)
{
	cds_wfcq_node_init(&node->node);
	cds_wfcq_enqueue(&queue->head, &queue->tail, &node->node);
}

static bool lose(struct queue *queue)
{
	/* It was 0: the main loop has done with the OVERFLOW.  See take_event(). */
	if (uatomic_add_return(&queue->lost, 1) == 1)
		put_node(queue, &queue->overflow);
	return false;
}

bool queue_push(struct queue *queue, const struct wpfile_event *event)
{
	struct queue_node *node;

	if (uatomic_read(&queue->lost) ||
	    uatomic_read(&queue->nr) >= queue->limit)
		return lose(queue);
	node = malloc(sizeof(*node));
	if (!node)
		return lose(queue);
	node->event = *event;
	uatomic_inc(&queue->nr);
	put_node(queue, node);
	return true;
}

void queue_fail(struct queue *queue, const struct wpfile_event *event)
{
	uatomic_set(&queue->failed_ns, event->time_ns);
	/* It was 0: the main loop has done with it.  Partner: failure_of(). */
	if (uatomic_xchg(&queue->failed, 1))
		return;
	queue->failure.event = *event;
	put_node(queue, &queue->failure);
}

static struct wpfile_event overflow_of(struct queue *queue)
{
	/* From here on the pump may queue it again. */
	unsigned long lost = uatomic_xchg(&queue->lost, 0);

	queue->dropped += lost;
	return (struct wpfile_event){
		.length = sizeof(struct wpfile_event),
		.type = WPFILE_EVENT_OVERFLOW,
		.bytes = lost,
		.time_ns = now_ns(),
	};
}

static struct wpfile_event failure_of(struct queue *queue)
{
	struct wpfile_event event = queue->failure.event;

	uatomic_xchg(&queue->failed, 0);
	event.time_ns = uatomic_read(&queue->failed_ns);
	return event;
}

static bool take_event(struct queue *queue, struct wpfile_event *ret_event)
{
	struct queue_node *node;

	while ((node = take_node(queue)) == &queue->failure) {
		*ret_event = failure_of(queue);
		if (ret_event->time_ns >= queue->since_ns)
			return true;
	}
	if (!node)
		return false;
	if (node == &queue->overflow) {
		*ret_event = overflow_of(queue);
		return true;
	}
	*ret_event = node->event;
	free(node);
	uatomic_dec(&queue->nr);
	return true;
}

size_t queue_take(struct queue *queue, struct wpfile_event *ret_events,
		  size_t max)
{
	size_t nr = 0;

	while (nr < max && take_event(queue, &ret_events[nr]))
		nr++;
	return nr;
}

uint64_t queue_dropped(const struct queue *queue)
{
	return queue->dropped + uatomic_read(&queue->lost);
}
