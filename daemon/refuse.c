// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Connections that are refused.  Each may be full of what cannot be closed at once, and
 * counts for nobody: so there are a few at a time, and nobody is let in while there is
 * no room for one more.
 */
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "daemon.h"
#include "log.h"

#define MAX_REFUSALS	64

struct refusal {
	struct chore chore;
	struct daemon *daemon;	/* NULL: free */
	int socket;
};

static struct refusal refusals[MAX_REFUSALS];
static unsigned int nr_refusals;

static int take_spare(void)
{
	return open("/dev/null", O_RDONLY | O_CLOEXEC);
}

static struct refusal *refusal_of(struct chore *chore)
{
	return caa_container_of(chore, struct refusal, chore);
}

static void run_refusal(struct chore *chore)
{
	close(refusal_of(chore)->socket);
}

static void on_refused(struct chore *chore)
{
	struct refusal *refusal = refusal_of(chore);
	struct daemon *daemon = refusal->daemon;

	refusal->daemon = NULL;
	nr_refusals--;
	if (daemon->spare < 0)
		daemon->spare = take_spare();
	sd_event_source_set_enabled(daemon->listening, SD_EVENT_ON);
}

/* Until one of those that are refused has gone, nobody is let in. */
static void wait_for_refusals(struct daemon *daemon)
{
	if (nr_refusals)
		sd_event_source_set_enabled(daemon->listening, SD_EVENT_OFF);
}

/* There is a free one, or nobody would have been let in. */
static void refuse_socket(struct daemon *daemon, int socket_take)
{
	struct refusal *refusal = refusals;

	while (refusal->daemon)
		refusal++;
	*refusal = (struct refusal){
		.chore = { .run = run_refusal, .done = on_refused },
		.daemon = daemon,
		.socket = socket_take,
	};
	shutdown(socket_take, SHUT_RDWR);
	daemon->metrics.connections_refused++;
	chore_start(&daemon->chores, &refusal->chore);
	if (++nr_refusals == MAX_REFUSALS)
		wait_for_refusals(daemon);
}

void refuse(struct daemon *daemon, int socket_take, const struct peer *peer,
	    int err)
{
	const struct audit audit = {
		.pid = peer->pid,
		.uid = peer->uid,
		.gid = peer->gid,
		.type = "connect",
		.err = err,
	};

	refuse_socket(daemon, socket_take);
	log_audit(&audit);
}

/* His connection has the spare one until it is closed. */
void turn_away(struct daemon *daemon)
{
	int fd;

	if (daemon->spare < 0)
		daemon->spare = take_spare();
	if (daemon->spare < 0) {
		wait_for_refusals(daemon);
		return;
	}
	close(daemon->spare);
	daemon->spare = -1;
	fd = accept4(daemon->listener, NULL, NULL, SOCK_CLOEXEC);
	if (fd < 0) {
		daemon->spare = take_spare();
		return;
	}
	refuse_socket(daemon, fd);
	log_say(LOG_ERR, "a client is turned away: no more descriptors; raise "
		"LimitNOFILE= (ulimit -n), or lower connections in the policy");
}

void refusals_init(struct daemon *daemon)
{
	daemon->spare = take_spare();
}
