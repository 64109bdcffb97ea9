/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Chores: what may wait in the kernel for as long as somebody else likes, and is done
 * by a thread.  Closing what a client has passed: a socket that lingers waits for its
 * peer, a file for its server, a large one frees its pages.  And what takes the inode lock
 * of a file, which waits for who is in a write() to it, and he for user space.
 *
 *	main loop			worker
 *	chore_start()	-> queue ->	run()
 *	done()		<- done <-
 *
 * A few workers do what does not wait.  What has waited in the queue from one tick to
 * the next gets a worker of its own: so those that are stuck hold up nobody, and there
 * are as many of them as whoever starts chores allows.  A worker that is in the same
 * chore at two ticks gets a signal at each from then on, which ends what can be
 * interrupted.
 */
#ifndef WPFILED_CHORE_H
#define WPFILED_CHORE_H

#include <pthread.h>
#include <stdint.h>
#include <systemd/sd-event.h>
#include <urcu/list.h>

/* Embedded in what it is about; not to be touched between start and done(). */
struct chore {
	struct cds_list_head list;
	void (*run)(struct chore *chore);	/* in a worker */
	void (*done)(struct chore *chore);	/* in the main loop */
};

struct chores {
	sd_event_source *tick;
	int tell;			/* eventfd, to the main loop */
	unsigned int nr;		/* started and not done; of the main loop */
	pthread_mutex_t lock;		/* of all that follows */
	pthread_cond_t work;
	struct cds_list_head queue;
	struct cds_list_head done;
	struct cds_list_head workers;
	unsigned int nr_workers;
	unsigned int nr_idle;
	uint64_t started;
	uint64_t taken;			/* out of the queue */
	uint64_t mark;			/* started, at the last tick */
};

/* @chores is for ever: nobody waits for a chore that is stuck. */
int chores_init(struct chores *chores, sd_event *event);
/* The first worker, which never ends; until then chores are queued. */
int chores_begin(struct chores *chores);
/* Of the main loop. */
void chore_start(struct chores *chores, struct chore *chore);

#endif /* WPFILED_CHORE_H */
