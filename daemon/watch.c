// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include <urcu/uatomic.h>

#include "store.h"
#include "user.h"
#include "watch.h"

#define NR_BUCKETS	1024	/* a power of two; more watches make lists */

int watches_init(struct watches *watches, sd_event *event, struct chores *chores)
{
	struct epoll_event wake = { .events = EPOLLIN };

	*watches = (struct watches){ .event = event, .chores = chores };
	watches->table = cds_lfht_new(NR_BUCKETS, NR_BUCKETS, 0, 0, NULL);
	watches->epoll = epoll_create1(EPOLL_CLOEXEC);
	watches->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	watches->tell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	cds_wfcq_init(&watches->ready_head, &watches->ready_tail);
	if (!watches->table)
		return -ENOMEM;
	if (watches->epoll < 0 || watches->wake < 0 || watches->tell < 0 ||
	    epoll_ctl(watches->epoll, EPOLL_CTL_ADD, watches->wake, &wake) < 0)
		return -errno;
	return 0;
}

int watches_start(struct watches *watches)
{
	int err = pthread_create(&watches->pump, NULL, pump_run, watches);

	watches->has_pump = !err;
	return -err;
}

/* --- the table --- */

static int has_id(struct cds_lfht_node *node, const void *key)
{
	return caa_container_of(node, struct watch, node)->id ==
	       *(const uint64_t *)key;
}

static struct watch *watch_at(struct cds_lfht_iter *iter)
{
	struct cds_lfht_node *node = cds_lfht_iter_get_node(iter);

	return node ? caa_container_of(node, struct watch, node) : NULL;
}

/* Numbers are given in turn: they are their own hash. */
struct watch *watch_find(struct watches *watches, uint64_t id)
{
	struct cds_lfht_iter iter;

	cds_lfht_lookup(watches->table, id, has_id, &id, &iter);
	return watch_at(&iter);
}

/* Nobody else takes any out: no lock is needed for that. */
struct watch *watch_next(struct watches *watches, const struct watch *watch)
{
	struct cds_lfht_iter iter;
	struct watch *next;

	rcu_read_lock();
	if (watch) {
		cds_lfht_lookup(watches->table, watch->id, has_id, &watch->id,
				&iter);
		cds_lfht_next(watches->table, &iter);
	} else {
		cds_lfht_first(watches->table, &iter);
	}
	next = watch_at(&iter);
	rcu_read_unlock();
	return next;
}

struct watch *watch_of(struct watches *watches, const struct stat *stat,
		       unsigned int mode)
{
	struct watch *watch = NULL;

	while ((watch = watch_next(watches, watch)))
		if (watch->dev == stat->st_dev && watch->ino == stat->st_ino &&
		    watch->mode == mode)
			return watch;
	return NULL;
}

static void leave_table(struct watch *watch)
{
	struct watches *watches = watch->watches;

	rcu_read_lock();
	if (!cds_lfht_del(watches->table, &watch->node))
		watches->nr_watches--;
	rcu_read_unlock();
}

/* --- watches --- */

static int join_pump(struct watch *watch)
{
	struct epoll_event event = { .events = EPOLLIN, .data.u64 = watch->id };
	struct watches *watches = watch->watches;

	if (fcntl(watch->monitor, F_SETFL, O_NONBLOCK) < 0)
		return -errno;
	rcu_read_lock();
	cds_lfht_add(watches->table, watch->id, &watch->node);
	rcu_read_unlock();
	watches->nr_watches++;
	/* In the table before: the pump looks for it there. */
	return epoll_ctl(watches->epoll, EPOLL_CTL_ADD, watch->monitor,
			 &event) < 0 ? -errno : 0;
}

static struct watch *watch_new(struct watches *watches, int file)
{
	struct watch *watch = calloc(1, sizeof(*watch));
	struct stat stat;

	if (!watch || fstat(file, &stat) < 0) {
		free(watch);
		return NULL;
	}
	cds_lfht_node_init(&watch->node);
	CDS_INIT_LIST_HEAD(&watch->subscribers);
	watch->watches = watches;
	watch->dev = stat.st_dev;
	watch->ino = stat.st_ino;
	return watch;
}

int watch_add(struct watches *watches, uint64_t id, unsigned int mode,
	      int monitor_take, int file_take, struct watch **ret_watch)
{
	struct watch *watch = watch_new(watches, file_take);
	int err;

	if (!watch) {
		close(monitor_take);
		close(file_take);
		return -ENOMEM;
	}
	if (id > watches->last_id)
		watches->last_id = id;
	watch->id = id;
	watch->mode = mode;
	watch->monitor = monitor_take;
	watch->file = file_take;
	/* What was lost before us, nobody has missed here. */
	pump_count_lost(watch);
	err = watch_init_tending(watch);
	if (!err)
		err = join_pump(watch);
	if (err) {
		watch_end(watch);
		return err;
	}
	*ret_watch = watch;
	return 0;
}

/* What nobody has come for goes. */
static int on_grace(sd_event_source *source, uint64_t usec, void *data)
{
	struct watch *watch = data;

	(void)source;
	(void)usec;
	watch->grace = sd_event_source_disable_unref(watch->grace);
	watch_lift(watch, span_of(0, WPFILE_TO_END));
	watch_tend(watch);
	return 0;
}

int watch_wait(struct watch *watch, uint64_t usec)
{
	return sd_event_add_time_relative(watch->watches->event, &watch->grace,
					  CLOCK_MONOTONIC, usec, 0, on_grace,
					  watch);
}

static void close_file(struct chore *chore)
{
	close(caa_container_of(chore, struct watch, chore)->file);
}

static void watch_free(struct chore *chore)
{
	free(caa_container_of(chore, struct watch, chore));
}

/*
 * The monitor's writers go on at once, unless the service manager still has its copy,
 * of which the pump knows nothing any more.  The file may be the last, and large.
 */
void watch_end(struct watch *watch)
{
	struct watches *watches = watch->watches;

	sd_event_source_disable_unref(watch->again);
	sd_event_source_disable_unref(watch->retry);
	sd_event_source_disable_unref(watch->grace);
	if (watch->payer)
		user_unsubscribe(watch->payer);
	leave_table(watch);
	/* The pump may be reading it.  Partner: take_turn(). */
	synchronize_rcu();
	epoll_ctl(watches->epoll, EPOLL_CTL_DEL, watch->monitor, NULL);
	store_forget(watch->id, watch->mode);
	close(watch->monitor);
	watch->chore.run = close_file;
	watch->chore.done = watch_free;
	chore_start(watches->chores, &watch->chore);
}

/* --- the end --- */

void watches_destroy(struct watches *watches)
{
	struct watch *watch;

	if (watches->has_pump) {
		uatomic_set(&watches->stop, true);
		pump_wake(watches);
		pthread_join(watches->pump, NULL);
	}
	/* What is being tended goes with the process. */
	while ((watch = watch_next(watches, NULL)))
		if (watch->tending)
			leave_table(watch);
		else
			watch_end(watch);
	cds_lfht_destroy(watches->table, NULL);
	close(watches->epoll);
	close(watches->wake);
	close(watches->tell);
}
