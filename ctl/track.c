// SPDX-License-Identifier: GPL-2.0-or-later
/* wpfilectl track: which ranges were written since the last look. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/pidfd.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "ctl.h"

#define NSEC_PER_SEC 1000000000ULL

enum { TIMER, SIGNALS, PROCESS, NR_FDS };

struct track {
	const struct args *args;
	const char *name;
	struct wpfile_mon *mon;
	struct pollfd fds[NR_FDS];
	struct timespec start;
	struct timespec now;	/* of this look, CLOCK_REALTIME */
	char clock[16];		/* the same, for people */
	uint64_t looks;
	uint64_t ranges;
	uint64_t bytes;
};

static int print_range_json(struct track *track, const struct wpfile_range *range)
{
	json_int_t ns = track->now.tv_sec * NSEC_PER_SEC + track->now.tv_nsec;

	return print_json(stdout, json_pack("{s:I, s:I, s:I}", "time_ns", ns,
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

static void set_clock(struct track *track)
{
	struct tm tm;
	size_t len;

	clock_gettime(CLOCK_REALTIME, &track->now);
	localtime_r(&track->now.tv_sec, &tm);
	len = strftime(track->clock, sizeof(track->clock), "%H:%M:%S", &tm);
	snprintf(track->clock + len, sizeof(track->clock) - len, ".%03u",
		 (unsigned int)(track->now.tv_nsec / 1000000) % 1000);
}

static int look(struct track *track)
{
	int ret;

	set_clock(track);
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

static int open_signals(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGHUP);
	sigprocmask(SIG_BLOCK, &set, NULL);
	return signalfd(-1, &set, SFD_CLOEXEC);
}

static int open_timer(uint64_t ns)
{
	struct itimerspec spec = {
		.it_interval = { ns / NSEC_PER_SEC, ns % NSEC_PER_SEC },
	};
	int fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);

	spec.it_value = spec.it_interval;
	if (fd >= 0 && timerfd_settime(fd, 0, &spec, NULL)) {
		close(fd);
		return -1;
	}
	return fd;
}

static int protect_all(struct track *track, struct wpfile_target *target)
{
	struct wpfile_monitor args = {
		.size = sizeof(args),
		.mode = WPFILE_TRACK,
	};
	struct wpfile_protect protect = {};
	int ret;

	ret = wpfile_mon_open(target, &args, &track->mon);
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
	struct wpfile_target *target;
	int ret;

	if (track->args->pid >= 0) {
		track->fds[PROCESS].fd = pidfd_open(track->args->pid, 0);
		if (track->fds[PROCESS].fd < 0)
			return fail_errno(errno, "%s", track->name);
	}
	ret = target_open(track->args, &target);
	if (ret)
		return ret;
	track->fds[SIGNALS].fd = open_signals();
	ret = protect_all(track, target);
	wpfile_target_free(target);
	if (ret)
		return ret;
	track->fds[TIMER].fd = open_timer(track->args->interval_ns);
	if (track->fds[TIMER].fd < 0 || track->fds[SIGNALS].fd < 0)
		return fail_errno(errno, "cannot make a timer");
	clock_gettime(CLOCK_MONOTONIC, &track->start);
	return CTL_OK;
}

/* One more look when it ends, so that nothing is left out. */
static int follow(struct track *track)
{
	bool end = false;
	uint64_t late;
	int ret = CTL_OK;

	while (!ret && !end) {
		if (poll(track->fds, NR_FDS, -1) < 0) {
			if (errno == EINTR)
				continue;
			return fail_errno(errno, "cannot wait");
		}
		if (track->fds[TIMER].revents)
			read(track->fds[TIMER].fd, &late, sizeof(late));
		end = track->fds[SIGNALS].revents || track->fds[PROCESS].revents;
		ret = look(track);
		if (track->looks == track->args->count)
			end = true;
	}
	return ret;
}

static void print_summary(const struct track *track)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	fprintf(stderr, "%llu looks, %llu ranges, %llu bytes written in %.1f s\n",
		(unsigned long long)track->looks,
		(unsigned long long)track->ranges,
		(unsigned long long)track->bytes,
		now.tv_sec - track->start.tv_sec +
			(now.tv_nsec - track->start.tv_nsec) / 1e9);
}

int verb_track(const struct args *args)
{
	char name[256];
	struct track track = {
		.args = args,
		.name = target_name(args, name, sizeof(name)),
	};
	int ret, i;

	for (i = 0; i < NR_FDS; i++)
		track.fds[i] = (struct pollfd){ .fd = -1, .events = POLLIN };
	ret = target_check(args);
	if (!ret)
		ret = start(&track);
	if (!ret) {
		ret = follow(&track);
		print_summary(&track);
	}
	wpfile_mon_free(track.mon);
	for (i = 0; i < NR_FDS; i++)
		if (track.fds[i].fd >= 0)
			close(track.fds[i].fd);
	return ret;
}
