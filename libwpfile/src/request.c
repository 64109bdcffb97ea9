// SPDX-License-Identifier: LGPL-2.1-or-later
/* What is asked about a file, of the kernel or of the broker. */
#include <string.h>
#include <sys/ioctl.h>

#include "broker.h"
#include "sys.h"
#include "target.h"

/* What a broker is asked; all begin like the first. */
union args {
	struct wpfile_consent begin;
	struct wpfile_query query;
	struct wpfile_monitor monitor;
	struct wpfile_snapshot snapshot;
};

/* As the kernel takes it: a longer structure of a newer program will do. */
static int copy_args(union args *copy, size_t known, const void *args)
{
	const char *bytes = args;
	uint32_t size = ((const struct wpfile_consent *)args)->size;
	size_t i;

	if (size < known)
		return -EINVAL;
	for (i = known; i < size; i++)
		if (bytes[i])
			return -E2BIG;
	memcpy(copy, args, known);
	copy->begin.size = known;
	return 0;
}

static int ask_broker(const struct wpfile_target *target, enum wire_type type,
		      void *args)
{
	union args copy;
	struct wpfile_call call = {
		.type = type,
		.body = &copy,
		.fd = target->fd,
		.answer = &copy,
		.room = sizeof(copy),
	};
	int ret;

	ret = copy_args(&copy, wire_table[type].request, args);
	if (!ret)
		ret = wpfile_broker_call(target->broker, &call);
	if (ret)
		return ret;
	if (call.ret_size) {
		copy.begin.size = ((struct wpfile_consent *)args)->size;
		memcpy(args, &copy, call.ret_size);
	}
	return call.ret_fd < 0 ? 0 : call.ret_fd;
}

/* Of requests that a broker makes for others.  Consent is the caller's own. */
static const struct {
	unsigned long request;
	enum wire_type type;
} brokered[] = {
	{ WPFILE_IOC_QUERY, WIRE_QUERY },
	{ WPFILE_IOC_MONITOR, WIRE_MONITOR },
	{ WPFILE_IOC_SNAPSHOT, WIRE_SNAPSHOT },
};

int wpfile_target_request(const struct wpfile_target *target,
			  unsigned long request, void *args)
{
	/* All of them begin like that. */
	struct wpfile_consent *begin = args;
	size_t i;

	/* They may have been used for another target before. */
	begin->flags &= ~WPFILE_AT_ADDRESS;
	begin->flags |= target->flags;
	begin->address = target->address;
	for (i = 0; target->broker && i < sizeof(brokered) / sizeof(brokered[0]); i++)
		if (brokered[i].request == request)
			return ask_broker(target, brokered[i].type, args);
	return sys(ioctl(target->fd, request, args));
}

int wpfile_query(const struct wpfile_target *target, struct wpfile_query *query)
{
	return wpfile_target_request(target, WPFILE_IOC_QUERY, query);
}

int wpfile_snapshot(const struct wpfile_target *target,
		    struct wpfile_snapshot *args)
{
	return wpfile_target_request(target, WPFILE_IOC_SNAPSHOT, args);
}

int wpfile_join(const struct wpfile_target *target)
{
	struct wpfile_consent args = { .size = sizeof(args) };

	return wpfile_target_request(target, WPFILE_IOC_JOIN, &args);
}

int wpfile_forbid(const struct wpfile_target *target)
{
	struct wpfile_consent args = { .size = sizeof(args) };

	return wpfile_target_request(target, WPFILE_IOC_FORBID, &args);
}
