/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Watches: monitors that the daemon itself reads, and those who have subscribed.
 *
 * All who subscribe to a file share one monitor for each kind (told of writes:
 * SYNC; refused: DENY).  The pump, a thread, reads the events of all of them,
 * answers those that somebody waits for, and puts them into the queues of the
 * subscribers (queue.h), from which the main loop sends them.  So a writer waits
 * for one thread that never waits for anybody.
 *
 * The main loop alone makes, changes and ends watches and subscribers.  What they want
 * protected it has a chore tell the kernel, one at a time for each watch (tend.h), which
 * may take as long as somebody who writes the file likes.  Until it has done so, who has
 * come waits (fresh), and so does who asks to leave (leaving); and a watch that nobody
 * is left of stays, in the hands of the pump: so no writer waits for it meanwhile.
 *
 * The pump finds watches by their number in a table (cds_lfht), and subscribers in the
 * list of the watch, under rcu_read_lock(); what leaves them is freed after
 * synchronize_rcu().  A subscriber with something to send is in the list of those
 * (ready), at most once (scheduled); one that ends while it is there is freed when it
 * comes out.
 */
#ifndef WPFILED_WATCH_H
#define WPFILED_WATCH_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <systemd/sd-event.h>
#include <urcu.h>
#include <urcu/rculfhash.h>
#include <urcu/rculist.h>

#include "chore.h"
#include "queue.h"
#include "span.h"

struct client;
struct tending;
struct user;
struct watches;

struct watch {
	struct cds_lfht_node node;	/* in the table, by id */
	struct watches *watches;
	struct chore chore;		/* closes the file */
	uint64_t id;			/* never used again */
	unsigned int mode;		/* WPFILE_SYNC or WPFILE_DENY */
	int monitor;			/* owned */
	int file;			/* owned; for its owner, and the fd store */
	dev_t dev;
	ino_t ino;
	uid_t uid;			/* of who subscribed first */
	pid_t pid;
	struct cds_list_head subscribers;	/* RCU */
	unsigned int nr;
	struct cds_list_head leaving;	/* subscribers who wait until they have left */
	struct user *payer;		/* if there is nobody, and a tending; or NULL */
	struct tending *tending;	/* by a chore, or NULL */
	struct span left;		/* if has_left: nobody's, where nobody else is */
	bool has_left;
	bool again_due;
	unsigned int written;		/* atomic: since it was last protected */
	unsigned int lost;		/* atomic: all that was, since the log was told */
	uint64_t logged_ns;		/* when that was logged */
	uint64_t overflows;		/* of the monitor, told already; of the pump */
	uint64_t dropped;		/* for subscribers that are gone */
	sd_event_source *again;		/* protects again; NULL: never */
	sd_event_source *retry;		/* tends what could not be */
	sd_event_source *grace;		/* ends it, if nobody comes; or NULL */
};

struct subscriber {
	struct cds_list_head siblings;	/* of the watch, RCU */
	struct cds_list_head of_client;
	struct cds_wfcq_node ready;	/* in watches->ready if scheduled */
	unsigned int scheduled;		/* atomic */
	bool ended;			/* to be freed when it is not scheduled */
	bool fresh;			/* has not been protected yet */
	bool leaving;			/* is in that list of the watch */
	bool tended;			/* by the tending that is being done, */
	unsigned int place;		/* there, of those that are fresh */
	uint64_t id;
	struct watch *watch;
	struct client *client;
	struct span span;
	uint32_t again_ms;
	uint64_t cookie;
	struct user *user;		/* that pays for it */
	bool sees_all;			/* tid and uid of other users' writers */
	bool drop_slow;
	struct queue queue;
};

struct watches {
	sd_event *event;
	struct chores *chores;
	struct cds_lfht *table;
	uint64_t last_id;		/* of watches and subscribers */
	int epoll;			/* of the pump: monitors, and wake */
	int wake;			/* eventfd, to the pump */
	int tell;			/* eventfd, to the main loop */
	bool stop;			/* atomic */
	unsigned long beats;		/* atomic: how often the pump was woken */
	pthread_t pump;
	bool has_pump;
	struct cds_wfcq_head ready_head;
	struct cds_wfcq_tail ready_tail;
	uint64_t events_in;		/* atomic */
	uint64_t losses;		/* atomic: of all that was protected of a file */
	uint64_t losses_logged;
	uint64_t events_out;
	uint64_t events_dropped;	/* for subscribers that are gone */
	unsigned int nr_watches;
	unsigned int nr_subscribers;
};

int watches_init(struct watches *watches, sd_event *event,
		 struct chores *chores);
int watches_start(struct watches *watches);	/* the pump */
void watches_destroy(struct watches *watches);

/* Under rcu_read_lock(), or in the main loop. */
struct watch *watch_find(struct watches *watches, uint64_t id);

/* Main loop: one after the other, NULL at first and at the end. */
struct watch *watch_next(struct watches *watches, const struct watch *watch);

/* Main loop: of that file and mode, or NULL. */
struct watch *watch_of(struct watches *watches, const struct stat *stat,
		       unsigned int mode);

/* A watch of a monitor and a file, both taken over also on failure. */
int watch_add(struct watches *watches, uint64_t id, unsigned int mode,
	      int monitor_take, int file_take, struct watch **ret_watch);
/* If nobody has subscribed after that time, it ends. */
int watch_wait(struct watch *watch, uint64_t usec);
void watch_end(struct watch *watch);		/* nobody has it, nor tends it */

/* What somebody wants to be told of. */
struct wish {
	const struct wpfile_subscription *args;
	uint32_t wait_limit_ms;
	uint32_t queue_limit;
	struct user *user;
	pid_t pid;
	bool sees_all;
	bool drop_slow;
};

/*
 * @file: of the client, who keeps it.  client_finish() follows when it is protected, or
 * cannot be: then the subscriber is no more.
 */
int watch_subscribe(struct watches *watches, struct client *client, int file,
		    const struct wish *wish, struct subscriber **ret_subscriber);
/* client_finish() follows when he has left, which may be at once. */
void watch_leave(struct subscriber *subscriber);
/* At any time: nothing follows. */
void watch_unsubscribe(struct subscriber *subscriber);
/* The same, but for what comes of it for the watch. */
void subscriber_drop(struct subscriber *subscriber);

/* again.c: the timer that protects anew, after the subscribers have changed. */
int watch_set_again(struct watch *watch);
/* It has been. */
void watch_rearm(struct watch *watch);

/* tend.c: does what is due, if that is not being done: a watch without anybody ends. */
void watch_tend(struct watch *watch);
int watch_init_tending(struct watch *watch);
/* plan.c: where nobody is, it is to be lifted. */
void watch_lift(struct watch *watch, struct span span);
bool watch_may_lift(const struct watch *watch);

/* pump.c */
void *pump_run(void *watches);
void pump_wake(struct watches *watches);	/* a beat */
/* Events that the monitor has dropped since it was asked last. */
uint64_t pump_count_lost(struct watch *watch);

/* To be sent from; by any thread.  The main loop has to be told then. */
void subscriber_schedule(struct subscriber *subscriber);
void watches_tell(struct watches *watches);
/* Main loop: those that have lost all since they were logged. */
void watches_log_losses(struct watches *watches);
/* Main loop: the next that was scheduled, NULL: none. */
struct subscriber *subscriber_next(struct watches *watches);

#endif /* WPFILED_WATCH_H */
