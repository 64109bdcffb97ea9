/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A connection.  What comes with a request is dropped by a chore, if that could wait
 * for somebody; so is done what waits for whoever writes a file.  Until it has been, no
 * other request of his is read.
 *
 * What the kernel does not take at once of an answer, or of events, is
 * kept, one message of it; until it has gone no request is read, and no event is taken
 * out of a queue.  So a client that does not read costs that much, and if it is an
 * answer that he does not read, he is dropped after a while.
 *
 * A client is dropped from the loop, not where it turns out that he has to be: he is
 * doomed there.  His socket is closed by a chore, and he counts until that is done.
 */
#ifndef WPFILED_CLIENT_H
#define WPFILED_CLIENT_H

#include <stdbool.h>
#include <stddef.h>

#include "chore.h"
#include "daemon.h"
#include "packet.h"
#include "peer.h"

struct request;

struct client {
	struct cds_list_head list;
	struct daemon *daemon;
	struct peer peer;
	struct user *user;
	int socket;			/* owned */
	bool greeted;			/* HELLO was the first message */
	bool doomed;
	bool left;			/* only the chore knows him still */
	bool busy;			/* with @chore, whose @socket and @incoming are */
	struct chore chore;
	struct request *waiting;	/* to be answered later, or NULL */
	struct incoming incoming;	/* the last request, until it is dropped */
	struct packet *out;		/* what could not be sent yet, or NULL */
	struct cds_list_head subscribers;
	sd_event_source *io;
	sd_event_source *patience;	/* with an answer in @out */
};

/* Takes over @socket, if it does not fail, and @peer in any case. */
int client_add(struct daemon *daemon, int socket, struct peer *peer_steal);
/* It goes when he goes. */
void client_has(struct client *client, struct subscriber *subscriber);
void client_doom(struct client *client);
void clients_destroy(struct daemon *daemon);
int clients_init(struct daemon *daemon);

/* A chore of his, who has none; @done is to set busy = false. */
struct client *client_of(struct chore *chore);
void client_start(struct client *client, void (*run)(struct chore *chore),
		  void (*done)(struct chore *chore));
/* The request that waits has that result. */
void client_finish(struct client *client, int result);

/* To be dropped with what has come. */
void client_keep(struct client *client, int fd_take);
/* An answer; @fd_take: -1, or what goes with it, which is kept. */
int client_answer(struct client *client, const void *data, size_t size,
		  int fd_take);

/* Events for the socket, as out, busy and waiting say. */
void client_listen(struct client *client);
/* What was put off can go. */
int client_go_on(struct client *client);

/* To all that have been scheduled. */
int clients_tell(sd_event_source *source, int fd, uint32_t revents, void *daemon);

#endif /* WPFILED_CLIENT_H */
