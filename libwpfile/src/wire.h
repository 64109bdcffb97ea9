/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What libwpfile and wpfiled say to each other, over SOCK_SEQPACKET: one message
 * a packet, in the byte order of the machine, a header and a body of fixed size.
 *
 * The client asks, the daemon answers each request once, in order, with the same
 * type and serial, and a body only if the result is 0.  WIRE_EVENTS comes unasked.
 * Descriptors travel beside the message that the table says they belong to.
 * A peer that breaks these rules is disconnected.
 *
 *   type	request			answer
 *   HELLO	wire_hello		wire_hello
 *   QUERY	wpfile_query, file	wpfile_query
 *   MONITOR	wpfile_monitor, file	monitor
 *   SNAPSHOT	wpfile_snapshot, file	wpfile_snapshot, snapshot
 *   SUBSCRIBE	wpfile_subscription, file	wire_id
 *   UNSUBSCRIBE	wire_id		-
 *   LIST	wire_id			wire_list, wpfile_holding ...
 *   RELEASE	wire_id			-
 *   METRICS	-			text, without a zero byte
 *   EVENTS				wire_events, wpfile_event ...
 *
 * The kernel's structures have size as here, no WPFILE_AT_ADDRESS and no address.
 * Ids of a list ascend.
 *
 * The decoder is a pure function, and shared: what one end does not accept, the
 * other cannot send.
 */
#ifndef WPFILE_WIRE_H
#define WPFILE_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "wpfile.h"

#define WIRE_SOCKET	"/run/wpfile/wpfiled.sock"
#define WIRE_VERSION	1
#define WIRE_MAX	65536	/* bytes of a message */

enum wire_type {
	WIRE_HELLO = 1,		/* first on each connection */
	WIRE_QUERY,
	WIRE_MONITOR,
	WIRE_SNAPSHOT,
	WIRE_SUBSCRIBE,
	WIRE_UNSUBSCRIBE,
	WIRE_LIST,
	WIRE_RELEASE,
	WIRE_METRICS,
	WIRE_EVENTS,
	WIRE_NR_TYPES
};

struct wire_header {
	uint32_t size;		/* of the whole message */
	uint16_t type;
	uint16_t reserved;	/* 0 */
	uint32_t serial;	/* of the request; 0: WIRE_EVENTS */
	int32_t result;		/* 0 or -errno; 0 in requests */
};

struct wire_hello {
	uint32_t version;	/* the highest known; answer: the one to use */
	uint32_t reserved;	/* 0 */
};

struct wire_id {
	uint64_t id;		/* LIST: those above it, 0 to begin with */
};

/* Behind it come @nr structures of the kind. */
struct wire_list {
	uint64_t next;		/* go on there; 0: that was all */
	uint32_t nr;
	uint32_t reserved;	/* 0 */
};

/*
 * Behind it come events, one behind the other, as read() of a monitor has them: one at
 * least, WPFILE_BROKER_EVENTS bytes at most.
 */
struct wire_events {
	uint64_t id;		/* of the subscription */
};

/* A row for each type.  Sizes are those of bodies, without header. */
struct wire_row {
	const char *name;
	uint32_t request;	/* exactly; UINT32_MAX: there is none */
	uint32_t reply;		/* exactly, or at least if @tail is not 0 */
	uint32_t tail;		/* what follows comes in multiples of this */
	uint8_t fds_in;		/* with the request, exactly */
	uint8_t fds_out;	/* with a reply whose result is 0, exactly */
};

extern const struct wire_row wire_table[WIRE_NR_TYPES];

/*
 * Is it a request, or an answer to one, with so many descriptors?  @data is aligned
 * for uint64_t.  0, or -EBADMSG; sizes are then those of the table and within @size,
 * and reserved fields are 0.
 */
int wire_check_request(const void *data, size_t size, unsigned int fds);
int wire_check_reply(const void *data, size_t size, unsigned int fds);

#endif /* WPFILE_WIRE_H */
