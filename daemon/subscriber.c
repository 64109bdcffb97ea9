// SPDX-License-Identifier: GPL-2.0-or-later
/* Subscribers: how they come to a watch, and how they leave it. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <urcu/uatomic.h>

#include "store.h"
#include "user.h"
#include "watch.h"

#define PAGE_BYTES	4096	/* the least that a capture can be limited to */

/* --- the watch --- */

/* Through the client's own descriptor: the kernel asks what that may do. */
static int open_monitor(int file, unsigned int mode, uint32_t wait_limit_ms)
{
	struct wpfile_query query = { .size = sizeof(query) };
	struct wpfile_monitor args = {
		.size = sizeof(args),
		.mode = mode,
		.capture_limit = PAGE_BYTES,
	};
	int fd;

	if (ioctl(file, WPFILE_IOC_QUERY, &query) < 0)
		return -errno;
	if (mode == WPFILE_DENY)
		args.flags = WPFILE_DENIED_EVENTS;
	else
		args.wait_limit_ms = wait_limit_ms < query.ret_max_wait_ms ?
				     wait_limit_ms : query.ret_max_wait_ms;
	fd = ioctl(file, WPFILE_IOC_MONITOR, &args);
	return fd < 0 ? -errno : fd;
}

static int watch_new_file(struct watches *watches, unsigned int mode,
			  int monitor_take, int file, struct watch **ret_watch)
{
	int copy = fcntl(file, F_DUPFD_CLOEXEC, 0);
	int err;

	if (copy < 0) {
		err = -errno;
		close(monitor_take);
		return err;
	}
	err = watch_add(watches, watches->last_id + 1, mode, monitor_take, copy,
			ret_watch);
	if (!err)
		store_keep((*ret_watch)->id, mode, monitor_take, copy);
	return err;
}

/*
 * The watch of the file.  Should it be there, the client has just shown by a monitor
 * of his own that he might have made it.
 */
static int get_watch(struct watches *watches, int file, unsigned int mode,
		     uint32_t wait_limit_ms, struct watch **ret_watch)
{
	struct watch *watch;
	struct stat stat;
	int monitor;

	if (fstat(file, &stat) < 0)
		return -errno;
	monitor = open_monitor(file, mode, wait_limit_ms);
	if (monitor < 0)
		return monitor;
	watch = watch_of(watches, &stat, mode);
	if (!watch)
		return watch_new_file(watches, mode, monitor, file, ret_watch);
	close(monitor);
	*ret_watch = watch;
	return 0;
}

/* --- subscribers --- */

static struct subscriber *subscriber_new(struct watches *watches,
					 struct client *client,
					 const struct wish *wish)
{
	struct subscriber *subscriber = calloc(1, sizeof(*subscriber));

	if (!subscriber)
		return NULL;
	subscriber->id = ++watches->last_id;
	subscriber->client = client;
	subscriber->span = span_of(wish->args->offset, wish->args->length);
	subscriber->again_ms = wish->args->again_ms;
	subscriber->cookie = wish->args->cookie;
	subscriber->user = wish->user;
	subscriber->fresh = true;
	subscriber->sees_all = wish->sees_all;
	subscriber->drop_slow = wish->drop_slow;
	CDS_INIT_LIST_HEAD(&subscriber->of_client);
	queue_init(&subscriber->queue, wish->queue_limit);
	return subscriber;
}

static void subscriber_free(struct subscriber *subscriber)
{
	queue_destroy(&subscriber->queue);
	free(subscriber);
}

static void put_in(struct watch *watch, struct subscriber *subscriber)
{
	subscriber->watch = watch;
	watch->nr++;
	watch->watches->nr_subscribers++;
	user_subscribe(subscriber->user);
	if (watch->payer)
		user_unsubscribe(watch->payer);
	watch->payer = NULL;
	cds_list_add_tail_rcu(&subscriber->siblings, &watch->subscribers);
}

/* A watch that cannot end yet is on the account of who was there last. */
static void take_off_account(struct subscriber *subscriber)
{
	struct watch *watch = subscriber->watch;

	if (!watch->nr && watch->tending)
		watch->payer = subscriber->user;
	else
		user_unsubscribe(subscriber->user);
}

/* Out of the list, and out of the pump's hands. */
static void take_out(struct subscriber *subscriber)
{
	struct watch *watch = subscriber->watch;

	watch->nr--;
	watch->watches->nr_subscribers--;
	cds_list_del_rcu(&subscriber->siblings);
	/* The pump may be handing out.  Partner: take_turn(). */
	synchronize_rcu();
	watch->dropped += queue_dropped(&subscriber->queue);
	watch->watches->events_dropped += queue_dropped(&subscriber->queue);
	take_off_account(subscriber);
	watch_lift(watch, subscriber->span);
	watch_set_again(watch);
}

int watch_subscribe(struct watches *watches, struct client *client, int file,
		    const struct wish *wish, struct subscriber **ret_subscriber)
{
	unsigned int mode = wish->args->flags & WPFILE_SUBSCRIBE_DENY ?
			    WPFILE_DENY : WPFILE_SYNC;
	struct subscriber *subscriber;
	struct watch *watch;
	int err;

	err = span_check(wish->args->offset, wish->args->length);
	if (!err)
		err = get_watch(watches, file, mode, wish->wait_limit_ms, &watch);
	if (err)
		return err;
	if (!watch->nr) {
		watch->uid = wish->user->uid;
		watch->pid = wish->pid;
	}
	subscriber = subscriber_new(watches, client, wish);
	if (!subscriber) {
		watch_tend(watch);
		return -ENOMEM;
	}
	/* In the list before it is protected: no event is to be missed. */
	put_in(watch, subscriber);
	err = watch_set_again(watch);
	if (err) {
		watch_unsubscribe(subscriber);
		return err;
	}
	watch_tend(watch);
	*ret_subscriber = subscriber;
	return 0;
}

void subscriber_drop(struct subscriber *subscriber)
{
	if (subscriber->leaving)
		cds_list_del(&subscriber->siblings);
	else
		take_out(subscriber);
	cds_list_del_init(&subscriber->of_client);
	subscriber->watch = NULL;
	subscriber->ended = true;
	if (!uatomic_read(&subscriber->scheduled))
		subscriber_free(subscriber);
}

void watch_unsubscribe(struct subscriber *subscriber)
{
	struct watch *watch = subscriber->watch;

	subscriber_drop(subscriber);
	watch_tend(watch);
}

void watch_leave(struct subscriber *subscriber)
{
	struct watch *watch = subscriber->watch;

	take_out(subscriber);
	subscriber->leaving = true;
	subscriber->tended = false;
	cds_list_add_tail(&subscriber->siblings, &watch->leaving);
	watch_tend(watch);
}

static struct subscriber *take_ready(struct watches *watches)
{
	struct cds_wfcq_node *node;

	node = __cds_wfcq_dequeue_blocking(&watches->ready_head,
					   &watches->ready_tail);
	return node ? caa_container_of(node, struct subscriber, ready) : NULL;
}

struct subscriber *subscriber_next(struct watches *watches)
{
	struct subscriber *subscriber;

	while ((subscriber = take_ready(watches))) {
		if (!subscriber->ended)
			break;
		subscriber_free(subscriber);
	}
	if (subscriber) {
		/* Before what is then taken.  Partner: subscriber_schedule(). */
		uatomic_set(&subscriber->scheduled, 0);
		cmm_smp_mb();
	}
	return subscriber;
}
