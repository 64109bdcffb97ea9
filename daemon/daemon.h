/* SPDX-License-Identifier: GPL-2.0-or-later */
/* All that the daemon has.  Of the main loop, but for what watch.h says. */
#ifndef WPFILED_DAEMON_H
#define WPFILED_DAEMON_H

#include <systemd/sd-event.h>
#include <urcu/list.h>

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
	int spare;		/* given up to get rid of a client when there are no more */
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

/* reload.c: a bad policy leaves the old one. */
void reload_policy(struct daemon *daemon);

/* watchdog.c: tells systemd that loop and pump are alive, if it asks. */
int watchdog_start(struct daemon *daemon);

#endif /* WPFILED_DAEMON_H */
