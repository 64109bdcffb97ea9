/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef WPFILE_PACKET_H
#define WPFILE_PACKET_H

#include <stdbool.h>
#include <stddef.h>

/* A message that has come, and what came beside it. */
struct wpfile_packet {
	size_t size;
	int fd;			/* -1: none; owned by who gets the packet */
	unsigned int fds;	/* how many came; only one of them is kept */
	bool cut;		/* there was no room for all of them */
};

/* Sends @size bytes, with @fd if that is not -1. */
int wpfile_packet_send(int socket, const void *data, size_t size, int fd);

/*
 * Waits for a message, if not MSG_DONTWAIT, of at most @room bytes.  -EPIPE at the end
 * of the connection, -EMSGSIZE if it is larger.
 */
int wpfile_packet_receive(int socket, void *data, size_t room, int flags,
			  struct wpfile_packet *ret_packet);

#endif /* WPFILE_PACKET_H */
