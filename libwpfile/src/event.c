// SPDX-License-Identifier: LGPL-2.1-or-later
/* Events: read from a monitor, walked over, and answered. */
#include <sys/ioctl.h>
#include <unistd.h>

#include "backlog.h"
#include "sys.h"

ssize_t wpfile_read_events(struct wpfile_mon *mon, void *buffer, size_t size)
{
	ssize_t got = wpfile_backlog_take(mon, buffer, size);

	return got ? got : sys(read(mon->fd, buffer, size));
}

int wpfile_event_next(const void *buffer, size_t size, size_t *pos,
		      const struct wpfile_event **ret_event)
{
	const struct wpfile_event *event;

	if (*pos == size)
		return 0;
	if (*pos > size || *pos % sizeof(uint64_t) ||
	    size - *pos < sizeof(*event))
		return -EBADMSG;
	event = (const struct wpfile_event *)((const char *)buffer + *pos);
	if (event->length < sizeof(*event) || event->length > size - *pos ||
	    event->length % sizeof(uint64_t))
		return -EBADMSG;
	*pos += event->length;
	*ret_event = event;
	return 1;
}

int wpfile_resolve(struct wpfile_mon *mon, uint64_t id, unsigned int verdict)
{
	struct wpfile_resolve args = {
		.size = sizeof(args),
		.verdict = verdict,
		.id = id,
	};

	return sys(ioctl(mon->fd, WPFILE_IOC_RESOLVE, &args));
}
