/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A message with the descriptors that go with it, on a socket that never waits. */
#ifndef WPFILED_PACKET_H
#define WPFILED_PACKET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MAX_REQUEST	256	/* bytes; the longest of wire.h has 80 */
#define MAX_PASSED	2	/* descriptors; that is one too many for any request */

/* What has come. */
struct incoming {
	uint64_t data[MAX_REQUEST / sizeof(uint64_t)];
	size_t size;
	unsigned int nr_fds;
	int fds[MAX_PASSED];	/* owned */
	bool lost_fds;		/* there were no numbers for them */
	bool unread;		/* has more than that: it is still in the socket */
};

/*
 * -EAGAIN; -EPIPE at the end.  What is too long comes as MAX_REQUEST bytes.  Drops
 * nothing, and so waits for nobody; that is up to incoming_drop(), also on failure.
 */
int packet_receive(int socket, struct incoming *ret_incoming);
/* Drops it; that may wait as long as somebody else likes, */
void incoming_drop(int socket, struct incoming *incoming);
/* but not if it is light. */
bool incoming_is_light(const struct incoming *incoming);

/* @fd: -1, or lent.  -EAGAIN: not now. */
int packet_send(int socket, const void *data, size_t size, int fd);

struct packet;

/* A copy to be sent later; NULL without memory, with @fd_take closed. */
struct packet *packet_new(const void *data, size_t size, int fd_take);
int packet_send_again(int socket, const struct packet *packet);
void packet_free(struct packet *packet);	/* NULL is allowed */

#endif /* WPFILED_PACKET_H */
