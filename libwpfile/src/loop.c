// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The loop: an epoll instance that watches monitors.
 *
 * A callback may remove any watch, also one whose turn is still to come.  Watches
 * are therefore freed at the end of a run; until then one that is removed has no
 * monitor.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/queue.h>
#include <unistd.h>

#include "backlog.h"
#include "sys.h"

#define BATCH 16

struct wpfile_watch {
	LIST_ENTRY(wpfile_watch) list;
	struct wpfile_loop *loop;
	struct wpfile_mon *mon;		/* NULL when removed */
	wpfile_event_fn fn;
	void *data;
};

struct wpfile_loop {
	int epoll;
	int wake;		/* in epoll; readable while there is a backlog */
	bool has_backlog;	/* of some watch, perhaps */
	bool running;
	LIST_HEAD(, wpfile_watch) watches;
};

int wpfile_loop_new(struct wpfile_loop **ret_loop)
{
	struct epoll_event event = { .events = EPOLLIN };
	struct wpfile_loop *loop;
	int ret;

	loop = sys_alloc(calloc(1, sizeof(*loop)));
	if (!loop)
		return -ENOMEM;
	loop->wake = -1;
	ret = loop->epoll = sys(epoll_create1(EPOLL_CLOEXEC));
	if (ret >= 0)
		ret = loop->wake = sys(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
	if (ret >= 0)
		ret = sys(epoll_ctl(loop->epoll, EPOLL_CTL_ADD, loop->wake,
				    &event));
	if (ret < 0) {
		wpfile_loop_free(loop);
		return ret;
	}
	*ret_loop = loop;
	return 0;
}

static void set_backlog(struct wpfile_loop *loop, bool has_backlog)
{
	uint64_t count = 1;

	if (loop->has_backlog == has_backlog)
		return;
	loop->has_backlog = has_backlog;
	if (has_backlog)
		sys_retry(write(loop->wake, &count, sizeof(count)));
	else
		sys_retry(read(loop->wake, &count, sizeof(count)));
}

/* Frees the watches that were removed. */
static void bury(struct wpfile_loop *loop)
{
	struct wpfile_watch *watch = LIST_FIRST(&loop->watches), *next;

	for (; watch; watch = next) {
		next = LIST_NEXT(watch, list);
		if (watch->mon)
			continue;
		LIST_REMOVE(watch, list);
		free(watch);
	}
}

/* After fork() the interest list is the parent's, too: leave it alone. */
void wpfile_loop_free(struct wpfile_loop *loop)
{
	struct wpfile_watch *watch;

	if (!loop)
		return;
	LIST_FOREACH(watch, &loop->watches, list) {
		if (watch->mon)
			watch->mon->watch = NULL;
		watch->mon = NULL;
	}
	bury(loop);
	sys(close(loop->wake));
	sys(close(loop->epoll));
	free(loop);
}

int wpfile_loop_fd(const struct wpfile_loop *loop)
{
	return loop->epoll;
}

static int start_watch(struct wpfile_watch *watch)
{
	struct epoll_event event = { .events = EPOLLIN, .data.ptr = watch };
	int fd = watch->mon->fd, flags, ret;

	flags = sys(fcntl(fd, F_GETFL));
	if (flags < 0)
		return flags;
	ret = sys(fcntl(fd, F_SETFL, flags | O_NONBLOCK));
	if (!ret)
		ret = wpfile_backlog_new(watch->mon);
	if (!ret)
		ret = sys(epoll_ctl(watch->loop->epoll, EPOLL_CTL_ADD, fd,
				    &event));
	return ret;
}

int wpfile_loop_add(struct wpfile_loop *loop, struct wpfile_mon *mon,
		    wpfile_event_fn fn, void *data)
{
	struct wpfile_watch *watch;
	int ret;

	if (mon->watch)
		return -EEXIST;
	watch = sys_alloc(calloc(1, sizeof(*watch)));
	if (!watch)
		return -ENOMEM;
	watch->loop = loop;
	watch->mon = mon;
	watch->fn = fn;
	watch->data = data;
	ret = start_watch(watch);
	if (ret) {
		free(watch);
		return ret;
	}
	LIST_INSERT_HEAD(&loop->watches, watch, list);
	mon->watch = watch;
	if (!wpfile_backlog_empty(mon))
		set_backlog(loop, true);
	return 0;
}

int wpfile_loop_remove(struct wpfile_loop *loop, struct wpfile_mon *mon)
{
	struct wpfile_watch *watch = mon->watch;

	if (!watch || watch->loop != loop)
		return -ENOENT;
	sys(epoll_ctl(loop->epoll, EPOLL_CTL_DEL, mon->fd, NULL));
	mon->watch = NULL;
	watch->mon = NULL;
	if (!loop->running)
		bury(loop);
	return 0;
}

/* 0, or what stopped it; what is left then comes in the next run. */
static int hand_over(struct wpfile_watch *watch, int *nr)
{
	const struct wpfile_event *event;
	int ret = 0;

	while (!ret && watch->mon) {
		ret = wpfile_backlog_next(watch->mon, &event);
		if (ret <= 0)
			break;
		++*nr;
		ret = watch->fn(watch->mon, event, watch->data);
	}
	if (ret)
		set_backlog(watch->loop, true);
	return ret;
}

static int hand_over_backlogs(struct wpfile_loop *loop, int *nr)
{
	struct wpfile_watch *watch;
	int ret = 0;

	if (!loop->has_backlog)
		return 0;
	set_backlog(loop, false);
	LIST_FOREACH(watch, &loop->watches, list) {
		ret = hand_over(watch, nr);
		if (ret)
			break;
	}
	return ret;
}

static int serve(struct wpfile_watch *watch, int *nr)
{
	int ret = wpfile_backlog_fill(watch->mon);

	if (ret == -EAGAIN || ret == -EINTR)
		return 0;	/* another thread was faster; or comes again */
	return ret ? ret : hand_over(watch, nr);
}

static int run(struct wpfile_loop *loop, int timeout_ms)
{
	struct epoll_event ready[BATCH];
	int i, nr_ready, nr = 0, ret;

	ret = hand_over_backlogs(loop, &nr);
	if (ret)
		return ret;
	nr_ready = sys(epoll_wait(loop->epoll, ready, BATCH, nr ? 0 : timeout_ms));
	if (nr_ready < 0)
		return nr && nr_ready == -EINTR ? nr : nr_ready;
	for (i = 0; i < nr_ready; i++) {
		struct wpfile_watch *watch = ready[i].data.ptr;

		/* Removed meanwhile; or our own wake, for the next run. */
		if (!watch || !watch->mon)
			continue;
		ret = serve(watch, &nr);
		if (ret)
			return ret;
	}
	return nr;
}

int wpfile_loop_run(struct wpfile_loop *loop, int timeout_ms)
{
	int ret;

	if (loop->running)
		return -EBUSY;
	loop->running = true;
	ret = run(loop, timeout_ms);
	loop->running = false;
	bury(loop);
	return ret;
}
