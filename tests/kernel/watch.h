/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Monitors that wait or refuse: their events, and writes that may not succeed.
 * Like common.h, it knows nothing of the harness.
 */
#ifndef WPFILE_TESTS_WATCH_H
#define WPFILE_TESTS_WATCH_H

#include "common.h"

/* --- watch.c: events --- */

int deny_monitor(int fd, __u32 flags);

/* The next event, within @ms: 0, -ETIME if there was none, or -errno. */
int event_within(int monitor, struct wpfile_event *event, int ms);
/* How many there are now, read and thrown away. */
int events_drain(int monitor);
/* "STORE DENIED 5+1": type, outcome, page and pages. */
const char *event_text(const struct wpfile_event *event);
/* The text of the next one within a second, or "none". */
const char *event_seen(int monitor);

/* --- tries.c: writes that may be refused --- */

struct fault {
	int signal;	/* 0 if it succeeded */
	int code;
	void *address;
};

/* Stores @byte: 0, or the signal that came instead. */
int try_store(void *at, char byte, struct fault *fault);
/* The kernel stores it for the caller, in read() of a pipe: 0, or -errno. */
int try_kernel_store(void *at, char byte);
/* pwrite() of one byte: 0, or -errno. */
int try_write(int fd, char byte, off_t offset);

/* --- passing.c: file descriptors in messages, and anew --- */

int send_fd(int socket, int fd);
int receive_fd(int socket);
int reopen(int fd, int flags);	/* through /proc */

#endif
