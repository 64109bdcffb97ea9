/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef WPFILE_BROKER_H
#define WPFILE_BROKER_H

#include <pthread.h>

#include "kept.h"
#include "wire.h"

struct wpfile_broker {
	/* These do not change. */
	int socket;
	int ready;		/* epoll: of the socket, and of @kept */
	/* Held during a call, from the request to its answer. */
	pthread_mutex_t lock;
	/* Under the lock: */
	bool gone;		/* nothing will come any more */
	uint32_t serial;	/* of the last request */
	struct wpfile_kept kept;	/* events that came before an answer */
	uint64_t message[WIRE_MAX / sizeof(uint64_t)];
};

/* One question, and room for the body of the answer, which is cut to it. */
struct wpfile_call {
	enum wire_type type;
	const void *body;	/* as the table says, or NULL if it has none */
	int fd;			/* goes along, or -1 */
	void *answer;
	size_t room;
	size_t ret_size;	/* of the answer */
	int ret_fd;		/* came with the answer: the caller's, or -1 */
};

int wpfile_broker_call(struct wpfile_broker *broker, struct wpfile_call *call);

/*
 * The next message in @broker->message, already checked.  -EPIPE if there will be
 * none, -EMFILE if its descriptor found no place.  The lock is held.
 */
int wpfile_broker_receive(struct wpfile_broker *broker, int flags, int *ret_fd);

/* Ends it, for whoever waits, too.  The lock is held.  Returns -EPIPE. */
int wpfile_broker_hang_up(struct wpfile_broker *broker);

#endif /* WPFILE_BROKER_H */
