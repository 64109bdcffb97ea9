/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Writers that wait, and those they wait for: WPFILE_SYNC monitors, their
 * events and answers.  As in common.h, nothing here decides or knows the
 * harness, and what can fail returns -errno.
 */
#ifndef WPFILE_TESTS_WAIT_H
#define WPFILE_TESTS_WAIT_H

#include "common.h"
#include <pthread.h>

#define SOON 20		/* seconds: for what must happen, however slow */
#define MOMENT 100	/* ms: for what must not happen */

/* --- monitors --- */

/* A monitor of mode SYNC, with what else is in @request; nothing protected. */
int sync_monitor(const struct area *area, struct wpfile_monitor request);
/* One that protects all of the file, and lets nobody pass before SOON. */
int sync_protect(const struct area *area);
int sync_allow(int monitor, const struct wpfile_event *event);
int sync_fail(int monitor, const struct wpfile_event *event);

/* --- events --- */

/* The next one, within SOON; -ETIME. */
int event_next(int monitor, struct wpfile_event *event);
/* The same, that must be of @outcome, for @page; else -EBADMSG. */
int event_expect(int monitor, struct wpfile_event *event, __u32 outcome,
		 size_t page);
bool event_is_there(int monitor, int ms);

/* --- writers --- */

#define IN_NO_CALL (-1L)	/* in a fault, when it sleeps */
#define RUNS (-2L)

/* The system call that the task @tid sleeps in; IN_NO_CALL; RUNS; -errno. */
long sleeps_in(pid_t tid);
/* It comes to sleep there, within SOON. */
bool comes_to_sleep_in(pid_t tid, long call);
/* Of a worker that has begun something. */
bool worker_has_ended(struct worker *worker, int ms);
/* What it returned, within SOON; -ETIMEDOUT. */
long worker_result(struct worker *worker);
/* The same; whoever waits for an event of the monitor is allowed to go on. */
long worker_result_allowing(struct worker *worker, int monitor);

/* Stores, and how it went: 0; 1 after SIGSEGV, SEGV_ACCERR there; -EPROTO. */
long store_or_fault(volatile char *to);

/* --- a handler: copies every page before it changes, in a thread --- */

struct handler {
	int monitor;
	int stop;		/* an eventfd */
	pthread_t thread;
	char *copy;		/* what it kept of the file */
	size_t size;
	struct pages asked;	/* for those somebody has waited */
	struct pages passed;
	unsigned int types;	/* of the events, bits */
	unsigned int nr_waiting;
	int error;		/* the first -errno */
};

int handler_start(struct handler *handler, int monitor, size_t size);
/* When no writer is left; handler->error. */
int handler_stop(struct handler *handler);
/*
 * "same", if what the handler copied, and what the monitor knows of the other
 * pages, is @expected.
 */
const char *handler_compare(struct handler *handler, const char *expected);
void handler_free(struct handler *handler);

#endif
