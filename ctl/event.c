// SPDX-License-Identifier: GPL-2.0-or-later
/* Events as lines, for people and as JSON. */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "session.h"

#define LINE_SIZE 512

uint64_t events_nr(const struct events *events)
{
	return events->allowed + events->passed + events->denied;
}

static const char *outcome_of(const struct wpfile_event *event, bool answered)
{
	return answered ? "allowed" : wpfile_outcome_name(event->outcome);
}

/* The kernel's time is CLOCK_MONOTONIC, which means nothing to people. */
static uint64_t realtime_of(uint64_t monotonic_ns)
{
	return clock_ns(CLOCK_REALTIME) - clock_ns(CLOCK_MONOTONIC) +
	       monotonic_ns;
}

static void put_line(struct events *events, const char *line)
{
	if (!printer_line(&events->printer, line, strlen(line)))
		events->unprinted++;
}

static void put_json(struct events *events, json_t *json)
{
	char line[LINE_SIZE];
	size_t size;

	size = json ? json_dumpb(json, line, sizeof(line) - 1, JSON_COMPACT) : 0;
	json_decref(json);
	if (!size || size >= sizeof(line) - 1) {
		events->unprinted++;
		return;
	}
	memcpy(line + size, "\n", 2);
	put_line(events, line);
}

/* Who writes outside of the domain of the monitor is not named. */
static json_t *known(bool is_known, uint64_t number)
{
	return is_known ? json_integer(number) : json_null();
}

static void put_event_json(struct events *events,
			   const struct wpfile_event *event, bool answered,
			   const char *command)
{
	put_json(events,
		 json_pack("{s:I, s:I, s:I, s:s, s:s, s:o, s:o, s:o, s:o}",
			   "time_ns", (json_int_t)realtime_of(event->time_ns),
			   "offset", (json_int_t)event->offset,
			   "length", (json_int_t)event->bytes,
			   "type", wpfile_event_name(event->type),
			   "outcome", outcome_of(event, answered),
			   "pid", known(event->tid, event->tgid),
			   "tid", known(event->tid, event->tid),
			   "uid", known(event->tid, event->uid),
			   "command", json_text(command)));
}

static void put_event_text(struct events *events,
			   const struct wpfile_event *event, bool answered,
			   const char *command)
{
	char line[LINE_SIZE], clock[16], who[64] = "-", name[32];

	format_clock(realtime_of(event->time_ns), clock, sizeof(clock));
	snprintf(name, sizeof(name), "%s", *command ? command : "?");
	make_printable(name);
	if (event->tid)
		snprintf(who, sizeof(who), "pid %u tid %u uid %u %s", event->tgid,
			 event->tid, event->uid, name);
	snprintf(line, sizeof(line), "%s 0x%010llx %llu %s %s %s\n", clock,
		 (unsigned long long)event->offset,
		 (unsigned long long)event->bytes,
		 wpfile_event_name(event->type), outcome_of(event, answered), who);
	put_line(events, line);
}

static void put_lost(struct events *events, uint64_t nr)
{
	uint64_t now = clock_ns(CLOCK_REALTIME);
	char line[LINE_SIZE], clock[16];

	if (events->json) {
		put_json(events, json_pack("{s:I, s:s, s:I}", "time_ns",
					   (json_int_t)now, "type", "overflow",
					   "events", (json_int_t)nr));
		return;
	}
	format_clock(now, clock, sizeof(clock));
	snprintf(line, sizeof(line), "%s %llu events are missing here\n", clock,
		 (unsigned long long)nr);
	put_line(events, line);
}

/* Those for which there was no room come before what there is room for now. */
static bool catch_up(struct events *events)
{
	uint64_t missing = events->unprinted;

	if (!missing)
		return true;
	put_lost(events, missing);
	if (events->unprinted > missing) {
		events->unprinted = missing;
		return false;
	}
	events->unprinted = 0;
	events->lost += missing;
	return true;
}

static void count(struct events *events, const struct wpfile_event *event,
		  bool answered)
{
	if (answered)
		events->allowed++;
	else if (event->outcome == WPFILE_DENIED)
		events->denied++;
	else
		events->passed++;
}

void events_tell(struct events *events, const struct wpfile_event *event,
		 bool answered, const char *command)
{
	count(events, event, answered);
	if (events->quiet)
		return;
	if (!catch_up(events))
		events->unprinted++;
	else if (events->json)
		put_event_json(events, event, answered, command);
	else
		put_event_text(events, event, answered, command);
}

void events_lose(struct events *events, uint64_t nr)
{
	if (events->quiet) {
		events->lost += nr;
		return;
	}
	events->unprinted += nr;
	catch_up(events);
}

/* Nobody waits for us any more: now stdout may block. */
int events_end(struct events *events)
{
	if (!events->printer.pid)
		return CTL_OK;
	fcntl(events->printer.fd, F_SETFL, 0);
	catch_up(events);
	return printer_end(&events->printer);
}
