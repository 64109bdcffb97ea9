// SPDX-License-Identifier: GPL-2.0-only
/* Events of monitors. */
#include "watch.h"
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

int deny_monitor(int fd, __u32 flags)
{
	return wp_monitor_with(fd, (struct wpfile_monitor){
					   .mode = WPFILE_DENY,
					   .flags = flags });
}

int event_within(int monitor, struct wpfile_event *event, int ms)
{
	struct pollfd poll_fd = { .fd = monitor, .events = POLLIN };
	ssize_t done;
	int ret;

	do
		ret = poll(&poll_fd, 1, ms);
	while (ret < 0 && errno == EINTR);
	if (ret <= 0)
		return ret ? -errno : -ETIME;
	done = read(monitor, event, sizeof(*event));
	if (done < 0)
		return -errno;
	return done == sizeof(*event) ? 0 : -EIO;
}

int events_drain(int monitor)
{
	struct wpfile_event event;
	int count = 0;

	while (!event_within(monitor, &event, 0))
		count++;
	return count;
}

const char *event_text(const struct wpfile_event *event)
{
	static const char *const types[] = {
		[WPFILE_EVENT_FAILED] = "FAILED",
		[WPFILE_EVENT_OVERFLOW] = "OVERFLOW",
		[WPFILE_EVENT_STORE] = "STORE",
		[WPFILE_EVENT_WRITE] = "WRITE",
		[WPFILE_EVENT_DISCARD] = "DISCARD",
		[WPFILE_EVENT_FILL] = "FILL",
		[WPFILE_EVENT_PIN] = "PIN",
	};
	static const char *const outcomes[] = {
		[WPFILE_PASSED] = "PASSED",
		[WPFILE_WAITING] = "WAITING",
		[WPFILE_DENIED] = "DENIED",
	};
	const char *type = NULL, *outcome = NULL;
	static char text[96], pages[24];

	if (event->type < sizeof(types) / sizeof(*types))
		type = types[event->type];
	if (event->outcome < sizeof(outcomes) / sizeof(*outcomes))
		outcome = outcomes[event->outcome];
	if (event->bytes == WPFILE_TO_END)
		strcpy(pages, "all");
	else
		snprintf(pages, sizeof(pages), "%llu", event->bytes / PAGE);
	snprintf(text, sizeof(text), "%s %s %llu+%s", type ?: "?",
		 outcome ?: "?", event->offset / PAGE, pages);
	return text;
}

const char *event_seen(int monitor)
{
	struct wpfile_event event;

	return event_within(monitor, &event, 1000) ? "none" : event_text(&event);
}
