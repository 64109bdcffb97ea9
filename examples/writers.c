// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * "tail -f" of writers: who writes to which page of a file, as it happens.
 *
 *	writers [-i SECONDS] PID MAPPING	"/dev/zero", "memfd:pool", an address
 *	writers [-i SECONDS] PATH
 *
 * A SYNC monitor holds each writer until this program has looked at him, which
 * is why his name is right, even if his next instruction is exit(); and lets him
 * go before the line is printed, so that a slow terminal slows nobody down.  A
 * page is told of once in SECONDS (1).
 */
#include <err.h>
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <wpfile.h>

static volatile sig_atomic_t stop;

static void on_signal(int signal)
{
	stop = signal;
}

/* A process may call itself what it likes: no escape sequences, and one word. */
static void make_printable(char *name)
{
	for (; *name; name++)
		if (*name <= ' ' || *name > '~')
			*name = '?';
}

static void read_name(pid_t pid, char *name, size_t size)
{
	char path[64];
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/comm", (int)pid);
	snprintf(name, size, "?");
	file = fopen(path, "re");
	if (!file)
		return;
	if (fgets(name, size, file))
		name[strcspn(name, "\n")] = '\0';
	fclose(file);
	make_printable(name);
}

/* Nobody outside the monitor's domain is held up, or told by name. */
static void print_writer(const struct wpfile_event *event, const char *name)
{
	printf("%" PRIu64 ".%06" PRIu64 " 0x%010" PRIx64 " %" PRIu64 " %s %s",
	       (uint64_t)event->time_ns / 1000000000,
	       (uint64_t)event->time_ns / 1000 % 1000000,
	       (uint64_t)event->offset, (uint64_t)event->bytes,
	       wpfile_event_name(event->type),
	       wpfile_outcome_name(event->outcome));
	if (event->tid)
		printf(" %s pid %u tid %u uid %u\n", name, event->tgid,
		       event->tid, event->uid);
	else
		printf(" somebody\n");
}

static int on_event(struct wpfile_mon *mon, const struct wpfile_event *event,
		    void *data)
{
	char name[64] = "?";
	int ret = 0;

	if (event->tid)
		read_name(event->tgid, name, sizeof(name));
	if (event->outcome == WPFILE_WAITING)
		ret = wpfile_resolve(mon, event->id, WPFILE_ALLOW);
	/* Killed, or waited too long: nobody is left to be answered. */
	if (ret && ret != -ENOENT)
		return ret;
	if (event->type == WPFILE_EVENT_FAILED)
		return event->bytes == WPFILE_TO_END ? -ENOMEM : 0;
	++*(uint64_t *)data;
	if (event->type == WPFILE_EVENT_OVERFLOW)
		printf("some writes were not told: there were too many\n");
	else
		print_writer(event, name);
	fflush(stdout);
	return 0;
}

static uint64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Hands over events for so long. */
static int watch(struct wpfile_loop *loop, int interval_ms)
{
	uint64_t now, end = now_ms() + interval_ms;
	int ret = 0;

	while (ret >= 0 && !stop && (now = now_ms()) < end) {
		ret = wpfile_loop_run(loop, end - now);
		if (ret == -EINTR)
			ret = 0;
	}
	return ret < 0 ? ret : 0;
}

static int tail(struct wpfile_mon *mon, int interval_ms, uint64_t *nr)
{
	struct wpfile_loop *loop;
	int ret;

	ret = wpfile_loop_new(&loop);
	if (ret)
		return ret;
	ret = wpfile_loop_add(loop, mon, on_event, nr);
	if (!ret)
		ret = wpfile_protect_all(mon, NULL);
	if (!ret)
		fprintf(stderr, "watching\n");
	while (!ret && !stop) {
		ret = watch(loop, interval_ms);
		if (!ret)
			ret = wpfile_protect_all(mon, NULL);
	}
	wpfile_loop_remove(loop, mon);
	wpfile_loop_free(loop);
	return ret;
}

static struct wpfile_target *open_target(int argc, char **argv)
{
	struct wpfile_target *target;
	char *end;
	long pid;
	int ret;

	if (argc == 1) {
		ret = wpfile_target_open_path(argv[0], &target);
	} else {
		pid = strtol(argv[0], &end, 10);
		if (*end || pid <= 0 || pid > INT32_MAX)
			errx(2, "%s is not a process id", argv[0]);
		ret = wpfile_target_open_pid_map(pid, argv[1], &target);
	}
	if (ret)
		errx(1, "%s: %s; shared mappings are the lines with 's' in /proc/PID/maps, and those of others need root",
		     argv[argc - 1], strerror(-ret));
	return target;
}

/*
 * Nothing is kept of what is overwritten but for writers who cannot be held up;
 * a megabyte of that will do, for nobody reads it.
 */
static struct wpfile_mon *open_monitor(const struct wpfile_target *target)
{
	struct wpfile_monitor args = {
		.size = sizeof(args),
		.mode = WPFILE_SYNC,
		.wait_limit_ms = 1000,
		.capture_limit = 1 << 20,
	};
	struct wpfile_mon *mon;
	int ret = wpfile_mon_open(target, &args, &mon);

	if (ret == -EPERM || ret == -EACCES)
		errx(1, "only who owns the file, and may read and write it, may hold its writers up; try as root");
	if (ret == -ENOTTY)
		errx(1, "that is no shared memory, or this kernel has no wpfile: 'wpfilectl check' tells");
	if (ret)
		errx(1, "cannot watch: %s; see WPFILE_IOC_MONITOR in ioctl_wpfile(2)",
		     strerror(-ret));
	return mon;
}

static int usage(void)
{
	fprintf(stderr, "usage: writers [-i SECONDS] PID MAPPING\n"
			"       writers [-i SECONDS] PATH\n");
	return 2;
}

int main(int argc, char **argv)
{
	struct sigaction action = { .sa_handler = on_signal };
	struct wpfile_target *target;
	struct wpfile_mon *mon;
	double seconds = 1;
	uint64_t nr = 0;
	int ret, option;

	while ((option = getopt(argc, argv, "i:")) == 'i')
		seconds = atof(optarg);
	if (option != -1 || !(seconds >= 0.01 && seconds <= 3600) ||
	    (argc - optind != 1 && argc - optind != 2))
		return usage();
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	target = open_target(argc - optind, argv + optind);
	mon = open_monitor(target);
	ret = tail(mon, seconds * 1000, &nr);
	wpfile_mon_free(mon);
	wpfile_target_free(target);
	if (ret)
		errx(1, "stopped: %s", strerror(-ret));
	fprintf(stderr, "%" PRIu64 " events\n", nr);
	return 0;
}
