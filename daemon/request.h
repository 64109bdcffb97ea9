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
	const void *body;
	int file;		/* lent, -1: none came with it */
	struct audit audit;
	const struct rule *rule;	/* that decides, NULL: none */
	bool refused;		/* by us, not by the kernel */
	void *ret_body;		/* room for WIRE_MAX with the header */
	size_t ret_size;
	int ret_fd;		/* owned, -1: none */
};

#define MAX_BODY	(WIRE_MAX - sizeof(struct wire_header))

/* Answers, and closes what came.  Negative: the client is to be dropped. */
int request_run(struct client *client, struct incoming *incoming);

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
