// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Events that a loop has read, and not handed over yet.  They belong to the monitor:
 * somebody may wait for an answer to them, whatever becomes of the loop.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "backlog.h"
#include "sys.h"

#define ROOM (64 * sizeof(struct wpfile_event))

/* The lock is for other threads, who take events by wpfile_read_events(). */
struct wpfile_backlog {
	size_t pos;
	size_t size;
	uint64_t events[ROOM / sizeof(uint64_t)];
};

int wpfile_backlog_new(struct wpfile_mon *mon)
{
	struct wpfile_backlog *backlog;

	if (mon->backlog)
		return 0;
	backlog = sys_alloc(calloc(1, sizeof(*backlog)));
	if (!backlog)
		return -ENOMEM;
	/* Partner: wpfile_backlog_take(). */
	__atomic_store_n(&mon->backlog, backlog, __ATOMIC_RELEASE);
	return 0;
}

static bool is_empty(const struct wpfile_backlog *backlog)
{
	return backlog->pos == backlog->size;
}

bool wpfile_backlog_empty(struct wpfile_mon *mon)
{
	bool empty;

	pthread_mutex_lock(&mon->lock);
	empty = is_empty(mon->backlog);
	pthread_mutex_unlock(&mon->lock);
	return empty;
}

/* Without the lock: nobody looks at the events of an empty one. */
int wpfile_backlog_fill(struct wpfile_mon *mon)
{
	struct wpfile_backlog *backlog = mon->backlog;
	int64_t got;

	if (!wpfile_backlog_empty(mon))
		return 0;
	got = sys(read(mon->fd, backlog->events, sizeof(backlog->events)));
	if (got < 0)
		return got;
	pthread_mutex_lock(&mon->lock);
	backlog->pos = 0;
	backlog->size = got;
	pthread_mutex_unlock(&mon->lock);
	return 0;
}

/* What cannot be understood is dropped. */
static int next(struct wpfile_backlog *backlog,
		const struct wpfile_event **ret_event)
{
	int ret = wpfile_event_next(backlog->events, backlog->size,
				    &backlog->pos, ret_event);

	if (ret < 0)
		backlog->pos = backlog->size;
	return ret;
}

int wpfile_backlog_next(struct wpfile_mon *mon,
			const struct wpfile_event **ret_event)
{
	int ret;

	pthread_mutex_lock(&mon->lock);
	ret = next(mon->backlog, ret_event);
	pthread_mutex_unlock(&mon->lock);
	return ret;
}

static ssize_t take(struct wpfile_backlog *backlog, char *buffer, size_t size)
{
	const struct wpfile_event *event;
	size_t begin = backlog->pos, end = begin;
	int ret;

	while ((ret = next(backlog, &event)) > 0) {
		if (backlog->pos - begin > size)
			break;
		end = backlog->pos;
	}
	if (ret < 0)
		return ret;
	backlog->pos = end;
	if (end == begin)
		return -EINVAL;
	memcpy(buffer, (char *)backlog->events + begin, end - begin);
	return end - begin;
}

ssize_t wpfile_backlog_take(struct wpfile_mon *mon, void *buffer, size_t size)
{
	struct wpfile_backlog *backlog;
	ssize_t got = 0;

	/* Never in a loop: no lock, which might be another thread's at a fork(). */
	backlog = __atomic_load_n(&mon->backlog, __ATOMIC_ACQUIRE);
	if (!backlog)
		return 0;
	pthread_mutex_lock(&mon->lock);
	if (!is_empty(backlog))
		got = take(backlog, buffer, size);
	pthread_mutex_unlock(&mon->lock);
	return got;
}
