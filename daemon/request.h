/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a client may ask for: a row for each type of message. */
#ifndef WPFILED_REQUEST_H
#define WPFILED_REQUEST_H

#include "client.h"
#include "log.h"
#include "packet.h"
#include "wire.h"

/* A request, and its answer as it grows. */
struct request {
	struct client *client;
	struct wire_header question;
	const void *body;
	int file;		/* lent, -1: none came with it */
	struct audit audit;
	const struct rule *rule;	/* that decides, NULL: none */
	bool refused;		/* by us, not by the kernel */
	bool is_over;		/* if it has waited: there is a result */
	int result;
	uint64_t reserved;	/* bytes, of his quota */
	void *ret_body;		/* room for WIRE_MAX with the header, in front of it */
	size_t ret_size;
	int ret_fd;		/* owned, -1: none */
};

#define MAX_BODY	(WIRE_MAX - sizeof(struct wire_header))

/* Answers, unless it waits.  Negative: the client is to be dropped. */
int request_run(struct client *client, const struct incoming *incoming);

/*
 * What takes as long as somebody else likes.  The request goes on as that of the
 * client (client->waiting), with room for a small answer; who has done it says so by
 * client_finish().
 */
#define REQUEST_WAITS	1
int request_wait(struct request *request, struct request **ret_waiting);
/* The answer to client->waiting.  Negative: the client is to be dropped. */
int request_end(struct client *client);
/* He has gone before it: says so, to us. */
void request_abandon(struct request *request);
/* By any thread, since it may close what would have been the answer; NULL is allowed. */
void request_free(struct request *request);

/* Marks it as refused by us.  Returns @err. */
int request_refuse(struct request *request, int err);

/* grant.c */
int request_file(struct request *request, struct owner *ret_owner);
int request_monitor(struct request *request);
int request_snapshot(struct request *request);
int request_subscribe(struct request *request);

/* list.c */
int request_list(struct request *request);
int request_release(struct request *request);

#endif /* WPFILED_REQUEST_H */
