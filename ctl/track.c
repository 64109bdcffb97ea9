// SPDX-License-Identifier: GPL-2.0-or-later
/* wpfilectl track: which ranges were written since the last look. */
#include <errno.h>
#include <time.h>

#include "session.h"

struct track {
	const struct args *args;
	const char *name;
	struct subject subject;
	struct wpfile_mon *mon;
	struct wait wait;
	uint64_t start_ns;
	uint64_t now_ns;	/* of this look, CLOCK_REALTIME */
	char clock[16];		/* the same, for people */
	uint64_t looks;
	uint64_t ranges;
	uint64_t bytes;
};

static int print_range_json(struct track *track, const struct wpfile_range *range)
{
	return print_json(stdout, json_pack("{s:I, s:I, s:I}", "time_ns",
					    (json_int_t)track->now_ns,
					    "offset", (json_int_t)range->offset,
					    "length",
					    (json_int_t)range->length));
}

static int print_range(const struct wpfile_range *range, void *data)
{
	struct track *track = data;

	track->ranges++;
	track->bytes += range->length;
	if (track->args->json)
		return print_range_json(track, range);
	printf("%s 0x%010llx %llu\n", track->clock,
	       (unsigned long long)range->offset,
	       (unsigned long long)range->length);
	return 0;
}

static int look(struct track *track)
{
	int ret;

	track->now_ns = clock_ns(CLOCK_REALTIME);
	format_clock(track->now_ns, track->clock, sizeof(track->clock));
	track->looks++;
	ret = wpfile_scan_each(track->mon, 0, WPFILE_TO_END,
			       WPFILE_SCAN_PROTECT, print_range, track);
	if (ret < 0)
		return fail_errno(ret, "%s", track->name);
	if (ret)
		return ret;
	if (fflush(stdout))
		return fail_errno(errno, "stdout");
	return CTL_OK;
}

static int protect_all(struct track *track)
{
	struct wpfile_monitor args = {
		.size = sizeof(args),
		.mode = WPFILE_TRACK,
	};
	struct wpfile_protect protect = {};
	int ret;

	ret = wpfile_mon_open(track->subject.target, &args, &track->mon);
	if (!ret)
		ret = wpfile_protect_all(track->mon, &protect);
	if (ret)
		return fail_errno(ret, "%s", track->name);
	if (protect.ret_pinned_pages)
		fprintf(stderr,
			"%llu pages are pinned for I/O or by a device, and count as written in every look\n",
			(unsigned long long)protect.ret_pinned_pages);
	return CTL_OK;
}

/* The process first: its id could be another's by the time we have the file. */
static int start(struct track *track)
{
	int ret = 0;

	if (track->args->pid >= 0)
		ret = wait_add_process(&track->wait, WAIT_PROCESS,
				       track->args->pid);
	if (ret)
		return fail_errno(ret, "%s", track->name);
	ret = subject_open(track->args, &track->subject);
	if (ret)
		return ret;
	ret = wait_add_signals(&track->wait, false);
	if (!ret)
		ret = wait_add_timer(&track->wait, track->args->interval_ns);
	if (ret)
		return fail_errno(ret, "cannot make a timer");
	return protect_all(track);
}

/* One more look when it ends, so that nothing is left out. */
static int follow(struct track *track)
{
	struct wait *wait = &track->wait;
	bool end;
	int ret;

	do {
		ret = wait_next(wait);
		if (ret)
			return ret;
		if (wait_fired(wait, WAIT_TIMER))
			wait_clear_timer(wait);
		end = wait_fired(wait, WAIT_PROCESS);
		if (wait_fired(wait, WAIT_SIGNALS) && wait_signal(wait))
			end = true;
		ret = look(track);
	} while (!ret && !end && track->looks != track->args->count);
	return ret;
}

static void print_summary(const struct track *track)
{
	fprintf(stderr, "%llu looks, %llu ranges, %llu bytes written in %.1f s\n",
		(unsigned long long)track->looks,
		(unsigned long long)track->ranges,
		(unsigned long long)track->bytes,
		(clock_ns(CLOCK_MONOTONIC) - track->start_ns) / 1e9);
}

int verb_track(const struct args *args)
{
	char name[256];
	struct track track = {
		.args = args,
		.name = target_name(args, name, sizeof(name)),
		.start_ns = clock_ns(CLOCK_MONOTONIC),
	};
	int ret;

	ret = target_check(args);
	if (ret)
		return ret;
	wait_init(&track.wait);
	ret = start(&track);
	if (!ret) {
		ret = follow(&track);
		print_summary(&track);
	}
	wpfile_mon_free(track.mon);
	subject_close(&track.subject);
	wait_close(&track.wait);
	return ret;
}
