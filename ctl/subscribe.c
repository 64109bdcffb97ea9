// SPDX-License-Identifier: GPL-2.0-or-later
/* Events that wpfiled reads, answers and hands on. */
#include <errno.h>

#include "session.h"

#define MESSAGES 64		/* in one go; then signals have their turn */

/* True if that was enough. */
static bool tell(struct session *session, const struct wpfile_event *event)
{
	char command[COMMAND_SIZE];

	if (event->type == WPFILE_EVENT_OVERFLOW)
		events_lose(&session->events, event->bytes);
	if (event->type == WPFILE_EVENT_FAILED)
		session_note_failure(session, event);
	if (event->type == WPFILE_EVENT_OVERFLOW ||
	    event->type == WPFILE_EVENT_FAILED)
		return false;
	session_name(session, event, command);
	return session_tell(session, event, event->outcome == WPFILE_WAITING,
			    command);
}

static int hand_on(struct session *session, const void *buffer, size_t size)
{
	const struct wpfile_event *event;
	size_t pos = 0;
	int ret;

	do
		ret = wpfile_event_next(buffer, size, &pos, &event);
	while (ret > 0 && !tell(session, event));
	return ret < 0 ? ret : 0;
}

static int fail_read(const struct session *session, int err)
{
	if (err == -EPIPE)
		return fail_hint(CTL_FAILED, "start it again, then this",
				 "%s: wpfiled has gone", session->name);
	return fail_errno(err, "%s: cannot read events", session->name);
}

static int read_broker(struct session *session)
{
	uint64_t buffer[WPFILE_BROKER_EVENTS / sizeof(uint64_t)], id;
	ssize_t ret = 0;
	int i;

	for (i = 0; i < MESSAGES && ret >= 0 && !session->enough; i++) {
		ret = wpfile_broker_read(session->subject.broker, buffer,
					 sizeof(buffer), 0, &id);
		if (ret > 0)
			ret = hand_on(session, buffer, ret);
	}
	return ret >= 0 || ret == -EAGAIN ? CTL_OK : fail_read(session, ret);
}

static int subscribe(struct session *session, const struct wpfile_range *range)
{
	const struct args *args = session->args;
	struct wpfile_subscription wanted = {
		.offset = range->offset,
		.length = range->length,
		.flags = args->deny ? WPFILE_SUBSCRIBE_DENY : 0,
		.again_ms = args->again_ns / NSEC_PER_MSEC,
	};
	uint64_t id;

	return wpfile_subscribe(session->subject.target, &wanted, &id);
}

int session_subscribe(struct session *session)
{
	static const struct wpfile_range whole_file = { .length = WPFILE_TO_END };
	const struct args *args = session->args;
	size_t i;
	int ret;

	ret = wait_add_signals(&session->wait, false);
	if (!ret && !args->nr_ranges)
		ret = subscribe(session, &whole_file);
	for (i = 0; i < args->nr_ranges && !ret; i++)
		ret = subscribe(session, &args->ranges[i]);
	if (ret)
		return fail_errno(ret, "%s", session->name);
	session->read = read_broker;
	session->wait.fds[WAIT_SOURCE].fd =
		wpfile_broker_fd(session->subject.broker);
	return CTL_OK;
}
