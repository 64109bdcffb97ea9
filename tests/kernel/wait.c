// SPDX-License-Identifier: GPL-2.0-only
/* Monitors of mode SYNC, those who wait for them, and one who answers. */
#include "wait.h"
#include "watch.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define MAX_WAIT "/proc/sys/vm/wpfile/max_wait_ms"

/* --- monitors --- */

int sync_monitor(const struct area *area, struct wpfile_monitor request)
{
	request.mode = WPFILE_SYNC;
	return wp_monitor_with(area->fd, request);
}

/* Should a writer wait for ever, the test fails, and the machine goes on. */
int sync_protect(const struct area *area)
{
	struct wpfile_monitor request = { .wait_limit_ms = 3 * SOON * 1000 };
	int ret = file_write(MAX_WAIT, "60000");

	return ret ?: wp_protect_or_close(sync_monitor(area, request));
}

int sync_allow(int monitor, const struct wpfile_event *event)
{
	return wp_resolve(monitor, event->id, WPFILE_ALLOW);
}

int sync_fail(int monitor, const struct wpfile_event *event)
{
	return wp_resolve(monitor, event->id, WPFILE_FAIL);
}

/* --- events --- */

bool event_is_there(int monitor, int ms)
{
	struct pollfd poll_fd = { .fd = monitor, .events = POLLIN };

	return poll(&poll_fd, 1, ms) == 1;
}

int event_next(int monitor, struct wpfile_event *event)
{
	int ret = event_within(monitor, event, SOON * 1000);

	return !ret && event->length != sizeof(*event) ? -EBADMSG : ret;
}

int event_expect(int monitor, struct wpfile_event *event, __u32 outcome,
		 size_t page)
{
	int ret = event_next(monitor, event);

	if (ret)
		return ret;
	return event->outcome == outcome && event->id &&
			       event->offset == page * PAGE ?
		       0 :
		       -EBADMSG;
}

/* --- writers --- */

long sleeps_in(pid_t tid)
{
	char path[64], text[256];
	int ret;

	snprintf(path, sizeof(path), "/proc/%d/syscall", tid);
	ret = file_read(path, text, sizeof(text));
	if (ret)
		return ret;
	return strncmp(text, "running", 7) ? strtol(text, NULL, 10) : RUNS;
}

bool comes_to_sleep_in(pid_t tid, long call)
{
	uint64_t end = now_ns() + SOON * 1000000000ULL;

	while (sleeps_in(tid) != call && now_ns() < end)
		sleep_ms(5);
	return sleeps_in(tid) == call;
}

bool worker_has_ended(struct worker *worker, int ms)
{
	struct pollfd poll_fd = { .fd = worker->fd, .events = POLLIN };

	return poll(&poll_fd, 1, ms) == 1;
}

long worker_result(struct worker *worker)
{
	return worker_has_ended(worker, SOON * 1000) ? worker_end(worker) :
						       -ETIMEDOUT;
}

static void allow_next(int monitor)
{
	struct wpfile_event event;

	if (read(monitor, &event, sizeof(event)) == sizeof(event) &&
	    event.outcome == WPFILE_WAITING)
		sync_allow(monitor, &event);
}

long worker_result_allowing(struct worker *worker, int monitor)
{
	struct pollfd poll_fds[2] = {
		{ .fd = worker->fd, .events = POLLIN },
		{ .fd = monitor, .events = POLLIN },
	};
	uint64_t end = now_ns() + SOON * 1000000000ULL;

	while (poll(poll_fds, 2, MOMENT) >= 0 && now_ns() < end) {
		if (poll_fds[0].revents)
			return worker_end(worker);
		if (poll_fds[1].revents & POLLIN)
			allow_next(monitor);
	}
	return -ETIMEDOUT;
}

static __thread sigjmp_buf after_fault;
static __thread siginfo_t fault;

static void note_fault(int sig, siginfo_t *info, void *context)
{
	(void)sig;
	(void)context;
	fault = *info;
	siglongjmp(after_fault, 1);
}

long store_or_fault(volatile char *to)
{
	struct sigaction action = { .sa_sigaction = note_fault,
				    .sa_flags = SA_SIGINFO };

	if (sigaction(SIGSEGV, &action, NULL) ||
	    sigaction(SIGBUS, &action, NULL))
		return -errno;
	if (!sigsetjmp(after_fault, 1)) {
		*to = 'F';
		return 0;
	}
	return fault.si_signo == SIGSEGV && fault.si_code == SEGV_ACCERR &&
			       fault.si_addr == (void *)to ?
		       1 :
		       -EPROTO;
}

/* --- a handler --- */

/* What the page was, while its writer waits. */
static void copy_before_write(struct handler *handler,
			      const struct wpfile_event *event)
{
	size_t page = event->offset / PAGE;
	ssize_t done;
	int ret;

	done = pread(handler->monitor, handler->copy + page * PAGE, PAGE,
		     page * PAGE);
	/* It may have passed, or been unprotected, and protected again. */
	ret = sync_allow(handler->monitor, event);
	if (ret == -ENOENT)
		return;
	if (!ret && done < 0)
		ret = -errno;
	if (ret && !handler->error)
		handler->error = ret;
	handler->asked.has[page] = 1;
	handler->nr_waiting++;
}

static void note(struct pages *pages, const struct wpfile_event *event)
{
	size_t page = event->offset / PAGE, end = MAX_PAGES;

	if (event->bytes != WPFILE_TO_END)
		end = (event->offset + event->bytes + PAGE - 1) / PAGE;
	for (; page < end && page < MAX_PAGES; page++)
		pages->has[page] = 1;
}

static int answer(struct handler *handler, const struct wpfile_event *event)
{
	if (event->offset >= handler->size)
		return -ERANGE;
	handler->types |= 1U << event->type;
	if (event->outcome == WPFILE_WAITING)
		copy_before_write(handler, event);
	else if (event->outcome == WPFILE_PASSED)
		note(&handler->passed, event);
	else
		return -EBADMSG;
	return 0;
}

static void *handle(void *argument)
{
	struct handler *handler = argument;
	struct pollfd poll_fds[2] = {
		{ .fd = handler->stop, .events = POLLIN },
		{ .fd = handler->monitor, .events = POLLIN },
	};
	struct wpfile_event event;
	int ret;

	while (poll(poll_fds, 2, -1) > 0) {
		if (!poll_fds[1].revents)
			break; /* stopped, and nothing is left */
		if (read(handler->monitor, &event, sizeof(event)) < 0)
			ret = -errno;
		else
			ret = answer(handler, &event);
		if (ret && !handler->error)
			handler->error = ret;
		if (ret)
			break;
	}
	return NULL;
}

int handler_start(struct handler *handler, int monitor, size_t size)
{
	*handler = (struct handler){ .monitor = monitor, .size = size };
	handler->copy = calloc(1, size + PAGE);
	handler->stop = eventfd(0, EFD_CLOEXEC);
	if (!handler->copy || handler->stop < 0)
		return -errno;
	return -pthread_create(&handler->thread, NULL, handle, handler);
}

int handler_stop(struct handler *handler)
{
	if (eventfd_write(handler->stop, 1))
		return -errno;
	return -pthread_join(handler->thread, NULL) ?: handler->error;
}

const char *handler_compare(struct handler *handler, const char *expected)
{
	static char text[200];
	const char *verdict;
	char page[PAGE];
	size_t offset, length;
	ssize_t done;

	for (offset = 0; offset < handler->size; offset += PAGE) {
		length = handler->size - offset;
		if (length > PAGE)
			length = PAGE;
		done = pread(handler->monitor, page, length, offset);
		if (done < 0 && errno == ENODATA &&
		    handler->asked.has[offset / PAGE])
			memcpy(page, handler->copy + offset, length);
		else if (done != (ssize_t)length)
			return snprintf(text, sizeof(text),
					"page %zu: pread gave %zd, %s",
					offset / PAGE, done, strerror(errno)),
			       text;
		verdict = compare_memory(page, expected + offset, length);
		if (strcmp(verdict, "same"))
			return snprintf(text, sizeof(text), "of page %zu: %s",
					offset / PAGE, verdict),
			       text;
	}
	return "same";
}

void handler_free(struct handler *handler)
{
	close(handler->stop);
	free(handler->copy);
}
