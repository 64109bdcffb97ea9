/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What goes on until something ends it: track, watch, protect. */
#ifndef WPFILECTL_SESSION_H
#define WPFILECTL_SESSION_H

#include <poll.h>
#include <sys/types.h>

#include "ctl.h"

/* wait.c: what to wait for. */
enum {
	WAIT_TIMER,
	WAIT_SIGNALS,		/* that end us, or stop us */
	WAIT_PROCESS,		/* that has the file: its end */
	WAIT_COMMAND,		/* that we have started: its end */
	WAIT_SOURCE,		/* events */
	WAIT_PRINTER,		/* the printer: its end */
	NR_WAITS
};

/* All but source and printer are owned. */
struct wait {
	struct pollfd fds[NR_WAITS];
};

void wait_init(struct wait *wait);
void wait_close(struct wait *wait);
int wait_add_process(struct wait *wait, int which, pid_t pid); /* 0 or -errno */
int wait_add_signals(struct wait *wait, bool also_stop);
int wait_add_timer(struct wait *wait, uint64_t ns);
int wait_next(struct wait *wait);
bool wait_fired(const struct wait *wait, int which);
void wait_forget(struct wait *wait, int which);
void wait_clear_timer(struct wait *wait);
int wait_signal(struct wait *wait);	/* the number that came */

/*
 * printer.c: lines for stdout, which may block for as long as it likes: a process
 * of its own writes them.  Start it first: what is open then stays open.
 */
struct printer {
	int fd;
	pid_t pid;
};

int printer_start(struct printer *ret_printer);
bool printer_line(struct printer *printer, const char *line, size_t size);
int printer_end(struct printer *printer);

/* event.c: events as lines, and how many. */
struct events {
	struct printer printer;
	bool json;
	bool quiet;		/* count only */
	uint64_t allowed;
	uint64_t passed;
	uint64_t denied;
	uint64_t lost;		/* by the queue, or because stdout blocks */
	uint64_t unprinted;	/* since the last line */
};

int events_end(struct events *events);
uint64_t events_nr(const struct events *events);
/* @answered: it was waiting, and we have let it go on. */
void events_tell(struct events *events, const struct wpfile_event *event,
		 bool answered, const char *command);
void events_lose(struct events *events, uint64_t nr);

/* session.c: a monitor whose events are answered, counted and printed. */
struct session {
	const struct args *args;
	const char *name;
	struct subject subject;
	struct wait wait;
	struct events events;
	struct wpfile_mon *mon;	/* NULL: the daemon has it */
	struct wpfile_loop *loop;
	/* Reads the events that there are; NULL: not begun. */
	int (*read)(struct session *session);
	int signal;		/* that came, 0: none */
	uint64_t overflows;	/* of the monitor, told already */
	uint64_t start_ns;
	bool warned;
	bool enough;		/* --count is reached */
	bool lost;		/* nothing is protected any more, nor will be */
};

/*
 * Opens the file.  The caller zeroes @session, and closes it also when this fails.
 * Without @print events are only counted.
 */
int session_open(struct session *session, const struct args *args,
		 const char *name, bool print);
int session_monitor(struct session *session, uint32_t mode);
int session_protect(struct session *session);
int session_next(struct session *session);
/* The command of the writer, "" if it is not known, or nobody asks. */
void session_name(const struct session *session,
		  const struct wpfile_event *event, char command[COMMAND_SIZE]);
/* True if that was the last that was asked for. */
bool session_tell(struct session *session, const struct wpfile_event *event,
		  bool answered, const char *command);
void session_note_failure(struct session *session,
			  const struct wpfile_event *event);
bool session_ended(const struct session *session);
/*
 * Lets all writers go on, then waits for the printer; @ret or what went wrong, which it
 * did also if nothing was protected any more.
 */
int session_close(struct session *session, int ret);

/* subscribe.c: the same through the daemon. */
int session_subscribe(struct session *session);

#endif /* WPFILECTL_SESSION_H */
