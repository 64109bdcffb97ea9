// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "chore.h"

#define TICK_USEC	100000ULL
#define ACCURACY_USEC	10000ULL
#define IDLE_SEC	5
#define NR_USUAL	4	/* workers, if none is stuck */
#define STACK_BYTES	(128 << 10)
#define INTERRUPT	SIGUSR1

/* On the stack of its thread, and in the list as long as that lives. */
struct worker {
	struct cds_list_head list;
	pthread_t thread;
	struct chore *chore;	/* that it is in, or NULL */
	bool stuck;		/* in the same at the last tick */
};

/* --- the worker --- */

static void on_interrupt(int number)
{
	(void)number;
}

/* Without SA_RESTART: who waits is to end. */
static int admit_interrupts(void)
{
	const struct sigaction action = { .sa_handler = on_interrupt };

	return sigaction(INTERRUPT, &action, NULL) < 0 ? -errno : 0;
}

static void block_signals(void)
{
	sigset_t signals;

	sigfillset(&signals);
	sigdelset(&signals, INTERRUPT);
	pthread_sigmask(SIG_SETMASK, &signals, NULL);
}

/* False: nothing has come for long, and there are others. */
static bool wait_for_work(struct chores *chores)
{
	struct timespec end;
	int err = 0;

	clock_gettime(CLOCK_MONOTONIC, &end);
	end.tv_sec += IDLE_SEC;
	chores->nr_idle++;
	while (!err && cds_list_empty(&chores->queue))
		err = pthread_cond_clockwait(&chores->work, &chores->lock,
					     CLOCK_MONOTONIC, &end);
	chores->nr_idle--;
	return !cds_list_empty(&chores->queue) || chores->nr_workers == 1;
}

static void take(struct chores *chores, struct worker *worker)
{
	worker->chore = cds_list_first_entry(&chores->queue, struct chore, list);
	worker->stuck = false;
	cds_list_del(&worker->chore->list);
	chores->taken++;
}

static void give_back(struct chores *chores, struct worker *worker)
{
	const uint64_t one = 1;

	if (cds_list_empty(&chores->done))
		(void)!write(chores->tell, &one, sizeof(one));
	cds_list_add_tail(&worker->chore->list, &chores->done);
	worker->chore = NULL;
}

static void *worker_run(void *data)
{
	struct chores *chores = data;
	struct worker worker = { .thread = pthread_self() };

	pthread_setname_np(worker.thread, "wpfiled-chore");
	block_signals();
	pthread_mutex_lock(&chores->lock);
	chores->nr_idle--;
	cds_list_add(&worker.list, &chores->workers);
	while (wait_for_work(chores)) {
		if (cds_list_empty(&chores->queue))
			continue;
		take(chores, &worker);
		pthread_mutex_unlock(&chores->lock);
		worker.chore->run(worker.chore);
		pthread_mutex_lock(&chores->lock);
		give_back(chores, &worker);
	}
	cds_list_del(&worker.list);
	chores->nr_workers--;
	pthread_mutex_unlock(&chores->lock);
	return NULL;
}

/* Under the lock.  It is idle until it runs. */
static int add_worker(struct chores *chores)
{
	pthread_attr_t attr;
	pthread_t thread;
	int err;

	pthread_attr_init(&attr);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	pthread_attr_setstacksize(&attr, STACK_BYTES);
	err = pthread_create(&thread, &attr, worker_run, chores);
	pthread_attr_destroy(&attr);
	if (err)
		return -err;
	chores->nr_workers++;
	chores->nr_idle++;
	return 0;
}

/* --- the main loop --- */

/* Who is in the list has not ended: it leaves it under the lock. */
static void interrupt_the_stuck(struct chores *chores)
{
	struct worker *worker;

	cds_list_for_each_entry(worker, &chores->workers, list) {
		if (worker->stuck)
			pthread_kill(worker->thread, INTERRUPT);
		worker->stuck = worker->chore;
	}
}

/* If there can be no more threads, the rest waits for those that there are. */
static void relieve(struct chores *chores)
{
	while (chores->taken + chores->nr_idle < chores->mark)
		if (add_worker(chores))
			break;
	chores->mark = chores->started;
}

static int on_tick(sd_event_source *source, uint64_t usec, void *data)
{
	struct chores *chores = data;

	(void)usec;
	if (!chores->nr)
		return 0;
	pthread_mutex_lock(&chores->lock);
	interrupt_the_stuck(chores);
	relieve(chores);
	pthread_mutex_unlock(&chores->lock);
	sd_event_source_set_time_relative(source, TICK_USEC);
	return sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
}

/* A tick that was set stays set: chores that do not wait cost no timer each. */
static void start_ticking(struct chores *chores)
{
	int enabled;

	if (sd_event_source_get_enabled(chores->tick, &enabled) > 0)
		return;
	sd_event_source_set_time_relative(chores->tick, TICK_USEC);
	sd_event_source_set_enabled(chores->tick, SD_EVENT_ONESHOT);
}

void chore_start(struct chores *chores, struct chore *chore)
{
	chores->nr++;
	pthread_mutex_lock(&chores->lock);
	start_ticking(chores);
	cds_list_add_tail(&chore->list, &chores->queue);
	chores->started++;
	if (chores->started - chores->taken > chores->nr_idle &&
	    chores->nr_workers && chores->nr_workers < NR_USUAL)
		add_worker(chores);
	pthread_cond_signal(&chores->work);
	pthread_mutex_unlock(&chores->lock);
}

static int on_done(sd_event_source *source, int fd, uint32_t revents, void *data)
{
	struct chores *chores = data;
	struct chore *chore, *next;
	CDS_LIST_HEAD(done);
	uint64_t count;

	(void)source;
	(void)revents;
	(void)!read(fd, &count, sizeof(count));
	pthread_mutex_lock(&chores->lock);
	cds_list_splice(&chores->done, &done);
	CDS_INIT_LIST_HEAD(&chores->done);
	pthread_mutex_unlock(&chores->lock);
	/* It may be started again by that, or freed. */
	cds_list_for_each_entry_safe(chore, next, &done, list) {
		chores->nr--;
		chore->done(chore);
	}
	return 0;
}

int chores_init(struct chores *chores, sd_event *event)
{
	int err;

	*chores = (struct chores){ .lock = PTHREAD_MUTEX_INITIALIZER,
				   .work = PTHREAD_COND_INITIALIZER };
	CDS_INIT_LIST_HEAD(&chores->queue);
	CDS_INIT_LIST_HEAD(&chores->done);
	CDS_INIT_LIST_HEAD(&chores->workers);
	chores->tell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (chores->tell < 0)
		return -errno;
	err = admit_interrupts();
	if (!err)
		err = sd_event_add_io(event, NULL, chores->tell, EPOLLIN, on_done,
				      chores);
	if (err >= 0)
		err = sd_event_add_time_relative(event, &chores->tick,
						 CLOCK_MONOTONIC, 0,
						 ACCURACY_USEC, on_tick, chores);
	return err < 0 ? err : 0;
}

int chores_begin(struct chores *chores)
{
	int err;

	pthread_mutex_lock(&chores->lock);
	err = add_worker(chores);
	pthread_mutex_unlock(&chores->lock);
	return err;
}
