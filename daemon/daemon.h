/* SPDX-License-Identifier: GPL-2.0-or-later */
/* All that the daemon has.  Of the main loop, but for what watch.h says. */
#ifndef WPFILED_DAEMON_H
#define WPFILED_DAEMON_H

#include <systemd/sd-event.h>
#include <urcu/list.h>

#include "chore.h"
#include "metrics.h"
#include "policy.h"
#include "user.h"
#include "watch.h"

struct daemon {
	sd_event *event;
	const char *config;	/* path */
	struct policy *policy;
	int ledger;
	int listener;
	const char *socket;	/* path, if we have made it; or NULL */
	sd_event_source *listening;
	int spare;		/* given up to get rid of a client when there are no more */
	struct chores chores;
	struct users users;
	struct watches watches;
	struct metrics metrics;
	struct cds_list_head clients;
	unsigned int nr_clients;
	sd_event_source *sweep;	/* drops the clients that are doomed */
};

/* listen.c: -EADDRINUSE: somebody answers there. */
int listen_at(const char *path, const char *group);
int listen_start(struct daemon *daemon);

/* refuse.c: he is told by the end of the connection. */
void refusals_init(struct daemon *daemon);
void refuse(struct daemon *daemon, int socket_take, const struct peer *peer,
	    int err);
/* There is no descriptor for who comes next. */
void turn_away(struct daemon *daemon);

/* reload.c: a bad policy leaves the old one. */
void reload_policy(struct daemon *daemon);

/* watchdog.c: tells systemd that loop and pump are alive, if it asks. */
int watchdog_start(struct daemon *daemon);

#endif /* WPFILED_DAEMON_H */
