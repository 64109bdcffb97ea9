/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A connection.  What the kernel does not take at once of an answer, or of events, is
 * kept, one message of it; until it has gone no request is read, and no event is taken
 * out of a queue.  So a client that does not read costs that much, and if it is an
 * answer that he does not read, he is dropped after a while.
 *
 * A client is dropped from the loop, not where it turns out that he has to be: he is
 * doomed there.
 */
#ifndef WPFILED_CLIENT_H
#define WPFILED_CLIENT_H

#include <stdbool.h>
#include <stddef.h>

#include "daemon.h"
#include "peer.h"

struct packet;

struct client {
	struct cds_list_head list;
	struct daemon *daemon;
	struct peer peer;
	struct user *user;
	int socket;			/* owned */
	bool greeted;			/* HELLO was the first message */
	bool doomed;
	struct packet *out;		/* what could not be sent yet, or NULL */
	struct cds_list_head subscribers;
	sd_event_source *io;
	sd_event_source *patience;	/* with an answer in @out */
};

/* Takes over @socket, and @peer; also on failure. */
int client_add(struct daemon *daemon, int socket_take, struct peer *peer_steal);
/* It counts for its user from here on, until that. */
void client_has(struct client *client, struct subscriber *subscriber);
void client_unsubscribe(struct subscriber *subscriber);
void client_doom(struct client *client);
void clients_destroy(struct daemon *daemon);
int clients_init(struct daemon *daemon);

/* An answer; @fd_take: -1, or what goes with it, closed also on failure. */
int client_answer(struct client *client, const void *data, size_t size,
		  int fd_take);

/* To all that have been scheduled. */
int clients_tell(sd_event_source *source, int fd, uint32_t revents, void *daemon);

#endif /* WPFILED_CLIENT_H */
