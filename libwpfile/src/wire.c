// SPDX-License-Identifier: LGPL-2.1-or-later
/* The messages between libwpfile and wpfiled: their table, and the decoder. */
#include <errno.h>
#include <string.h>

#include "wire.h"

#define NONE UINT32_MAX

const struct wire_row wire_table[WIRE_NR_TYPES] = {
	[0] = { .name = "?", .request = NONE, .reply = NONE },
	[WIRE_HELLO] = {
		.name = "hello",
		.request = sizeof(struct wire_hello),
		.reply = sizeof(struct wire_hello),
	},
	[WIRE_QUERY] = {
		.name = "query",
		.request = sizeof(struct wpfile_query),
		.reply = sizeof(struct wpfile_query),
		.fds_in = 1,
	},
	[WIRE_MONITOR] = {
		.name = "monitor",
		.request = sizeof(struct wpfile_monitor),
		.fds_in = 1,
		.fds_out = 1,
	},
	[WIRE_SNAPSHOT] = {
		.name = "snapshot",
		.request = sizeof(struct wpfile_snapshot),
		.reply = sizeof(struct wpfile_snapshot),
		.fds_in = 1,
		.fds_out = 1,
	},
	[WIRE_SUBSCRIBE] = {
		.name = "subscribe",
		.request = sizeof(struct wpfile_subscription),
		.reply = sizeof(struct wire_id),
		.fds_in = 1,
	},
	[WIRE_UNSUBSCRIBE] = {
		.name = "unsubscribe",
		.request = sizeof(struct wire_id),
	},
	[WIRE_LIST] = {
		.name = "list",
		.request = sizeof(struct wire_id),
		.reply = sizeof(struct wire_list),
		.tail = sizeof(struct wpfile_holding),
	},
	[WIRE_RELEASE] = {
		.name = "release",
		.request = sizeof(struct wire_id),
	},
	[WIRE_METRICS] = {
		.name = "metrics",
		.tail = 1,
	},
	[WIRE_EVENTS] = {
		.name = "events",
		.request = NONE,
		.reply = sizeof(struct wire_events),
		.tail = sizeof(uint64_t),
	},
};

/* The row of a message whose header is sound, or NULL. */
static const struct wire_row *row_of(const struct wire_header *header,
				     size_t size)
{
	if (size < sizeof(*header) || size > WIRE_MAX || header->size != size ||
	    header->reserved || header->type >= WIRE_NR_TYPES)
		return NULL;
	return &wire_table[header->type];
}

/*
 * What the kernel is to read of a structure must not lie beyond it, and an
 * address would be one of the daemon's.
 */
static bool is_for_kernel(const void *body, size_t size)
{
	/* All requests on a file begin like that. */
	const struct wpfile_consent *begin = body;

	return begin->size == size && !(begin->flags & WPFILE_AT_ADDRESS) &&
	       !begin->address;
}

static bool is_hello(const struct wire_hello *hello)
{
	return hello->version && !hello->reserved;
}

static bool is_request(unsigned int type, const void *body, size_t size)
{
	switch (type) {
	case WIRE_HELLO:
		return is_hello(body);
	case WIRE_QUERY:
		return is_for_kernel(body, size) &&
		       !((const struct wpfile_query *)body)->reserved;
	case WIRE_MONITOR:
		return is_for_kernel(body, size) &&
		       !((const struct wpfile_monitor *)body)->reserved;
	case WIRE_SNAPSHOT:
		return is_for_kernel(body, size);
	case WIRE_SUBSCRIBE:
		return !((const struct wpfile_subscription *)body)->reserved;
	}
	return true;
}

static bool is_list(const struct wire_list *list, size_t size)
{
	return !list->reserved &&
	       list->nr == (size - sizeof(*list)) / sizeof(struct wpfile_holding);
}

/* One at least, all whole, and not more than a reader has room for. */
static bool are_events(const struct wire_events *events, size_t size)
{
	const struct wpfile_event *event;
	size_t pos = 0;
	int ret;

	size -= sizeof(*events);
	if (!size || size > WPFILE_BROKER_EVENTS)
		return false;
	do
		ret = wpfile_event_next(events + 1, size, &pos, &event);
	while (ret > 0);
	return !ret;
}

static bool is_reply(unsigned int type, const void *body, size_t size)
{
	switch (type) {
	case WIRE_HELLO:
		return is_hello(body);
	case WIRE_QUERY:
	case WIRE_SNAPSHOT:
		return is_for_kernel(body, size);
	case WIRE_LIST:
		return is_list(body, size);
	case WIRE_METRICS:
		return !memchr(body, '\0', size);
	case WIRE_EVENTS:
		return are_events(body, size);
	}
	return true;
}

int wire_check_request(const void *data, size_t size, unsigned int fds)
{
	const struct wire_header *header = data;
	const struct wire_row *row = row_of(header, size);

	if (!row || row->request == NONE || !header->serial || header->result)
		return -EBADMSG;
	size -= sizeof(*header);
	if (size != row->request || fds != row->fds_in)
		return -EBADMSG;
	return is_request(header->type, header + 1, size) ? 0 : -EBADMSG;
}

static bool has_reply_size(const struct wire_row *row, size_t size)
{
	if (!row->tail)
		return size == row->reply;
	return size >= row->reply && (size - row->reply) % row->tail == 0;
}

int wire_check_reply(const void *data, size_t size, unsigned int fds)
{
	const struct wire_header *header = data;
	const struct wire_row *row = row_of(header, size);

	if (!row || row->reply == NONE ||
	    (header->serial == 0) != (header->type == WIRE_EVENTS))
		return -EBADMSG;
	size -= sizeof(*header);
	if (header->result)
		return header->result > 0 || header->result < -4095 || size ||
		       fds || !header->serial ? -EBADMSG : 0;
	if (!has_reply_size(row, size) || fds != row->fds_out)
		return -EBADMSG;
	return is_reply(header->type, header + 1, size) ? 0 : -EBADMSG;
}
