// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A monitor whose events are answered, counted and printed.
 *
 * A writer waits from his event to our answer, and for nothing else: the answer
 * comes before the printing, and printing never blocks (printer.c).  If we are
 * stopped ourselves he waits for WAIT_LIMIT_MS, if we die not at all.
 */
#include <errno.h>
#include <signal.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "session.h"

#define WAIT_LIMIT_MS 1000

static const struct wpfile_range whole_file = { .length = WPFILE_TO_END };

/* Nothing beyond the end is protected: somebody has mistaken himself. */
static int check_ranges(const struct session *session)
{
	const struct args *args = session->args;
	struct stat st;
	size_t i;

	if (fstat(wpfile_target_fd(session->subject.target), &st))
		return fail_errno(errno, "%s", session->name);
	for (i = 0; i < args->nr_ranges; i++)
		if (args->ranges[i].offset >= (uint64_t)st.st_size)
			return fail_hint(CTL_FAILED, "name a range within it",
					 "%s: offset 0x%llx is beyond the end of the file, which has %lld bytes",
					 session->name,
					 (unsigned long long)args->ranges[i].offset,
					 (long long)st.st_size);
	return CTL_OK;
}

/*
 * The printer first, which keeps what is open then; the process before the file:
 * its id could be another's by the time we have that.
 */
int session_open(struct session *session, const struct args *args,
		 const char *name, bool print)
{
	int ret = 0;

	session->args = args;
	session->name = name;
	session->events.json = args->json;
	session->events.quiet = !print;
	session->start_ns = clock_ns(CLOCK_MONOTONIC);
	wait_init(&session->wait);
	if (print) {
		ret = printer_start(&session->events.printer);
		if (ret)
			return ret;
		session->wait.fds[WAIT_PRINTER].fd = session->events.printer.fd;
	}
	if (args->pid >= 0)
		ret = wait_add_process(&session->wait, WAIT_PROCESS, args->pid);
	if (ret)
		return fail_errno(ret, "%s", name);
	ret = subject_open(args, &session->subject);
	return ret ? ret : check_ranges(session);
}

void session_name(const struct session *session,
		  const struct wpfile_event *event, char command[COMMAND_SIZE])
{
	*command = '\0';
	if (event->tid && !session->events.quiet)
		read_command(event->tid, command);
}

bool session_tell(struct session *session, const struct wpfile_event *event,
		  bool answered, const char *command)
{
	events_tell(&session->events, event, answered, command);
	if (events_nr(&session->events) == session->args->count)
		session->enough = true;
	return session->enough;
}

/* Silence would be taken for peace.  The content of single pages is of no interest. */
void session_note_failure(struct session *session,
			  const struct wpfile_event *event)
{
	if (event->bytes != WPFILE_TO_END || session->lost)
		return;
	if (session->args->again_ns) {
		fprintf(stderr, "%s: nothing is protected until it is again: what is written meanwhile is missing\n",
			session->name);
		return;
	}
	session->lost = true;
	fail_hint(CTL_FAILED, session->args->daemon ?
		  "start it again; the log of wpfiled may say more" :
		  "start it again, with more memory (memory.max)",
		  "%s: nothing is protected any more", session->name);
}

/* How many it dropped, the monitor tells in fdinfo. */
static void note_overflow(struct session *session)
{
	struct wpfile_mon_info info;

	if (wpfile_mon_info(session->mon, &info) ||
	    info.overflows <= session->overflows)
		return;
	events_lose(&session->events, info.overflows - session->overflows);
	session->overflows = info.overflows;
}

/*
 * Who waits is there to be named; once he has his answer he may be gone.  -ENOENT:
 * he has passed, or was killed.
 */
static int on_event(struct wpfile_mon *mon, const struct wpfile_event *event,
		    void *data)
{
	struct session *session = data;
	char command[COMMAND_SIZE];
	int ret = -ENOENT;

	if (event->type == WPFILE_EVENT_OVERFLOW)
		note_overflow(session);
	if (event->type == WPFILE_EVENT_FAILED)
		session_note_failure(session, event);
	if (event->type == WPFILE_EVENT_OVERFLOW ||
	    event->type == WPFILE_EVENT_FAILED)
		return 0;
	session_name(session, event, command);
	if (event->outcome == WPFILE_WAITING)
		ret = wpfile_resolve(mon, event->id, WPFILE_ALLOW);
	/* Without memory he passes when his time is over. */
	if (ret && ret != -ENOENT && ret != -ENOMEM)
		return ret;
	return session_tell(session, event, !ret, command) ? -ECANCELED : 0;
}

static int run_loop(struct session *session)
{
	int ret = wpfile_loop_run(session->loop, 0);

	if (ret >= 0 || ret == -EINTR || session->enough)
		return CTL_OK;
	return fail_errno(ret, "%s: cannot read events", session->name);
}

static uint32_t wait_limit_ms(void)
{
	struct wpfile_query query = { .size = sizeof(query) };

	if (wpfile_query_system(&query))
		return 0;
	return query.ret_max_wait_ms < WAIT_LIMIT_MS ? query.ret_max_wait_ms :
						       WAIT_LIMIT_MS;
}

static int fail_monitor(const struct session *session, int err)
{
	if (err == -EPERM)
		return fail_hint(CTL_NOT_PERMITTED,
				 "it takes who owns the file and may write to it: run as root, or ask wpfiled, --daemon",
				 "%s: not permitted", session->name);
	return fail_errno(err, "%s", session->name);
}

int session_monitor(struct session *session, uint32_t mode)
{
	struct wpfile_monitor args = {
		.size = sizeof(args),
		.flags = mode == WPFILE_DENY ? WPFILE_DENIED_EVENTS : 0,
		.mode = mode,
		.wait_limit_ms = mode == WPFILE_SYNC ? wait_limit_ms() : 0,
		.capture_limit = session->args->limit,
	};
	int ret;

	ret = wait_add_signals(&session->wait, mode == WPFILE_SYNC);
	if (!ret)
		ret = wpfile_loop_new(&session->loop);
	if (!ret)
		ret = wpfile_mon_open(session->subject.target, &args,
				      &session->mon);
	if (!ret)
		ret = wpfile_loop_add(session->loop, session->mon, on_event,
				      session);
	if (ret)
		return fail_monitor(session, ret);
	session->wait.fds[WAIT_SOURCE].fd = wpfile_loop_fd(session->loop);
	ret = session_protect(session);
	if (!ret)
		session->read = run_loop;
	return ret;
}

int session_protect(struct session *session)
{
	const struct args *args = session->args;
	struct wpfile_protect protect = {};
	int ret;

	ret = wpfile_protect(session->mon,
			     args->nr_ranges ? args->ranges : &whole_file,
			     args->nr_ranges ? args->nr_ranges : 1, 0, &protect);
	if (ret)
		return fail_errno(ret, "%s", session->name);
	if (protect.ret_pinned_pages && !session->warned)
		fprintf(stderr,
			"%llu pages are pinned for I/O or by a device: what is stored to them that way is not seen\n",
			(unsigned long long)protect.ret_pinned_pages);
	session->warned = true;
	return CTL_OK;
}

/* Who is stopped answers nobody. */
static int suspend(struct session *session)
{
	int ret = wpfile_unprotect(session->mon, &whole_file, 1);

	if (ret)
		return fail_errno(ret, "%s", session->name);
	raise(SIGSTOP);
	return session_protect(session);
}

/* Waits for something to happen, and deals with events and signals. */
int session_next(struct session *session)
{
	int ret = wait_next(&session->wait);
	int number = 0;

	if (!ret && wait_fired(&session->wait, WAIT_SIGNALS))
		number = wait_signal(&session->wait);
	if (number == SIGTSTP)
		ret = suspend(session);
	else
		session->signal = number;
	return ret ? ret : session->read(session);
}

bool session_ended(const struct session *session)
{
	return session->enough || session->lost || session->signal ||
	       wait_fired(&session->wait, WAIT_PROCESS) ||
	       wait_fired(&session->wait, WAIT_PRINTER);
}

static void print_summary(const struct session *session)
{
	const struct events *events = &session->events;

	fprintf(stderr,
		"%llu writes allowed, %llu passed, %llu refused, %llu missed in %.1f s\n",
		(unsigned long long)events->allowed,
		(unsigned long long)events->passed,
		(unsigned long long)events->denied,
		(unsigned long long)(events->lost + events->unprinted),
		(clock_ns(CLOCK_MONOTONIC) - session->start_ns) / 1e9);
}

int session_close(struct session *session, int ret)
{
	int printed;

	if (session->loop && session->mon)
		wpfile_loop_remove(session->loop, session->mon);
	wpfile_mon_free(session->mon);
	wpfile_loop_free(session->loop);
	subject_close(&session->subject);
	wait_close(&session->wait);
	printed = events_end(&session->events);
	if (session->read)
		print_summary(session);
	if (!ret && session->lost)
		ret = CTL_FAILED;
	return ret ? ret : printed;
}
