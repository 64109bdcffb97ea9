// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * wire_check_request(), wire_check_reply(): accepted is what the table at the top
 * of wire.h says, no more and no less; nothing shorter is accepted, nor with
 * another number of descriptors.
 *
 * The first byte of the input is the number of descriptors, and whether the size in
 * the header is to be made right, which mutations would seldom hit; the rest is the
 * message.
 */
#include <errno.h>

#include "fuzz.h"
#include "wire.h"

#define MAX_FDS		3
#define MEND_SIZE	0x80

/* The table again, by hand: bytes of bodies, -1: there is none. */
static const struct {
	int request, fds_in, reply, tail, fds_out;
} expected[] = {
	[WIRE_HELLO]		= { 8, 0, 8, 0, 0 },
	[WIRE_QUERY]		= { 64, 1, 64, 0, 0 },
	[WIRE_MONITOR]		= { 48, 1, 0, 0, 1 },
	[WIRE_SNAPSHOT]		= { 48, 1, 48, 0, 1 },
	[WIRE_SUBSCRIBE]	= { 40, 1, 8, 0, 0 },
	[WIRE_UNSUBSCRIBE]	= { 8, 0, 0, 0, 0 },
	[WIRE_LIST]		= { 8, 0, 16, 56, 0 },
	[WIRE_RELEASE]		= { 8, 0, 0, 0, 0 },
	[WIRE_METRICS]		= { 0, 0, 0, 1, 0 },
	[WIRE_EVENTS]		= { -1, 0, 8, 8, 0 },
};

#define NR_TYPES (sizeof(expected) / sizeof(*expected))

static bool is_header(const struct wire_header *header, size_t size)
{
	return size >= sizeof(*header) && size <= 65536 &&
	       header->size == size && !header->reserved &&
	       header->type >= 1 && header->type < NR_TYPES;
}

static uint32_t word(const void *body, size_t index)
{
	return ((const uint32_t *)body)[index];
}

/* size, flags without WPFILE_AT_ADDRESS, and address 0 */
static bool is_kernels(const void *body, size_t size)
{
	return word(body, 0) == size && !(word(body, 1) & 1) &&
	       !word(body, 2) && !word(body, 3);
}

static bool is_request_body(unsigned int type, const void *body, size_t size)
{
	switch (type) {
	case WIRE_HELLO:
		return word(body, 0) && !word(body, 1);
	case WIRE_QUERY:
		return is_kernels(body, size) && !word(body, 15);
	case WIRE_MONITOR:
		return is_kernels(body, size) && !word(body, 9);
	case WIRE_SNAPSHOT:
		return is_kernels(body, size);
	case WIRE_SUBSCRIBE:
		return !word(body, 7);
	}
	return true;
}

static bool is_request(const struct wire_header *header, size_t size, int fds)
{
	size_t body = size - sizeof(*header);

	return is_header(header, size) && header->serial && !header->result &&
	       expected[header->type].request == (int)body &&
	       expected[header->type].fds_in == fds &&
	       is_request_body(header->type, header + 1, body);
}

static bool are_events(const char *body, size_t size)
{
	size_t pos = 8;

	while (pos < size) {
		uint32_t length = word(body + pos, 0);

		if (size - pos < 64 || length < 64 || length % 8 ||
		    length > size - pos)
			return false;
		pos += length;
	}
	return size > 8 && size - 8 <= 16384;
}

static bool is_reply_body(unsigned int type, const void *body, size_t size)
{
	switch (type) {
	case WIRE_HELLO:
		return word(body, 0) && !word(body, 1);
	case WIRE_QUERY:
	case WIRE_SNAPSHOT:
		return is_kernels(body, size);
	case WIRE_LIST:
		return 16 + 56ULL * word(body, 2) == size && !word(body, 3);
	case WIRE_METRICS:
		return strnlen(body, size) == size;
	case WIRE_EVENTS:
		return are_events(body, size);
	}
	return true;
}

static bool is_reply(const struct wire_header *header, size_t size, int fds)
{
	size_t body = size - sizeof(*header), more;

	if (!is_header(header, size) ||
	    (header->type == WIRE_EVENTS) != !header->serial)
		return false;
	if (header->result)
		return header->result < 0 && header->result >= -4095 &&
		       !body && !fds && header->serial;
	if (body < (size_t)expected[header->type].reply)
		return false;
	more = body - expected[header->type].reply;
	if (expected[header->type].tail)
		more %= expected[header->type].tail;
	return !more && expected[header->type].fds_out == fds &&
	       is_reply_body(header->type, header + 1, body);
}

typedef int check_fn(const void *data, size_t size, unsigned int fds);

static void check_neighbours(check_fn *check, const void *message, size_t size,
			     unsigned int fds)
{
	size_t shorter;

	property(check(message, size, fds + 1));
	property(!fds || check(message, size, fds - 1));
	for (shorter = 0; shorter < size; shorter += 1 + size / 64) {
		void *cut = fuzz_dup(message, shorter);

		property(check(cut, shorter, fds));
		free(cut);
	}
}

static void check(check_fn *fn, const void *message, size_t size,
		  unsigned int fds, bool good)
{
	int ret = fn(message, size, fds);

	property(ret == 0 || ret == -EBADMSG);
	property((ret == 0) == good);
	if (good)
		check_neighbours(fn, message, size, fds);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct wire_header *message;
	unsigned int fds;

	if (!size)
		return 0;
	fds = *data % (MAX_FDS + 1);
	size--;
	message = fuzz_dup(data + 1, size);
	if (*data & MEND_SIZE && size >= sizeof(message->size))
		message->size = size;
	check(wire_check_request, message, size, fds,
	      is_request(message, size, fds));
	check(wire_check_reply, message, size, fds, is_reply(message, size, fds));
	free(message);
	return 0;
}
