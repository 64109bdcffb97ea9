// SPDX-License-Identifier: GPL-2.0-only
/* Torture: starts everything, and says how it goes.  See README.md. */
#include "torture.h"
#include "kselftest.h"
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define PATIENCE 120 /* seconds that the slowest may need */

struct control *control;
struct area files[FILES];
unsigned int seed;
const char *const file_names[FILES] = { "memfd", "huge tmpfs", "SysV",
					"shared anonymous" };
static const enum kind kinds[FILES] = { MEMFD, TMPFS_HUGE, SYSV, ANON };

static int seconds = 60;
bool chosen[MAX_DISTURBERS];
static int nr_children;

/* --- for all processes --- */

unsigned int pick(unsigned int below)
{
	return random_next(&seed) % below;
}

void count(enum count which, uint64_t nr)
{
	__atomic_add_fetch(&control->counts[which], nr, __ATOMIC_RELAXED);
}

bool stopping(void)
{
	return __atomic_load_n(&control->stop, __ATOMIC_RELAXED);
}

/* What takes long must leave others some time, but not for ever. */
void rest(uint64_t ms)
{
	uint64_t end = now_ns() + (ms < 5000 ? ms : 5000) * 1000000;

	while (!stopping() && now_ns() < end)
		sleep_ms(ms < 20 ? ms : 20);
}

static void stop_all(void)
{
	__atomic_store_n(&control->stop, true, __ATOMIC_RELAXED);
}

void trouble(enum trouble what, const char *format, ...)
{
	va_list arguments;

	if (!__atomic_fetch_add(&control->troubles[what], 1,
				__ATOMIC_RELAXED)) {
		va_start(arguments, format);
		vsnprintf(control->trouble[what],
			  sizeof(control->trouble[what]), format, arguments);
		va_end(arguments);
	}
	stop_all();
}

bool is_legal(int error)
{
	return error == ENOMEM || error == EIO || error == EFAULT;
}

void failed(const char *what, int error)
{
	if (error < 0)
		error = -error;
	if (control->faults && is_legal(error))
		count(FAILURES, 1);
	else
		trouble(FAILED, "%s: %s", what,
			strerrorname_np(error) ?: "not all of it");
}

/* How fast cuts are is not the question here, and four CPUs may share less than one. */
static void allow_long_cuts(void)
{
	if (file_write("/proc/sys/vm/wpfile/max_cut_ms", "3600000"))
		ksft_exit_fail_msg("vm.wpfile.max_cut_ms: %m\n");
}

/*
 * In Linux 6.12 the timer of a CPU's fair server may be started again while its function
 * waits for the lock of the run queue, which then warns (dl_server_stop(),
 * dl_server_timer(), hrtimer_forward()).  No task here needs that server.
 */
static void stop_fair_servers(void)
{
	char path[80];
	long cpu;

	for (cpu = 0; cpu < sysconf(_SC_NPROCESSORS_ONLN); cpu++) {
		snprintf(path, sizeof(path),
			 "/sys/kernel/debug/sched/fair_server/cpu%ld/runtime",
			 cpu);
		if (file_write(path, "0") && access(path, F_OK) == 0)
			ksft_exit_fail_msg("%s: %m\n", path);
	}
}

/* --- the children --- */

static void handle(int signal)
{
	(void)signal;
	count(SIGNALS, 1);
}

/* A signal that does not kill interrupts no ioctl: nothing needs restarting. */
static void handle_signals(int flags)
{
	struct sigaction action = { .sa_handler = handle, .sa_flags = flags };

	sigaction(SIGUSR1, &action, NULL);
}

static void start(void (*be)(int), int which, int signal_flags)
{
	pid_t pid = fork();

	if (pid < 0)
		ksft_exit_fail_msg("fork: %m\n");
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		seed = (control->seed + nr_children) * 2654435761U | 1;
		handle_signals(signal_flags);
		be(which);
		_exit(0);
	}
	control->pids[nr_children++] = pid;
}

static void be_auditor_(int which)
{
	(void)which;
	be_auditor();
}

static void be_walker(int which)
{
	(void)which;
	walk_exits();
}

/* In the order that any_victim() in disturb_process.c knows. */
static void start_all(void)
{
	size_t i;

	for (i = 0; i < (size_t)control->nr_writers; i++)
		start(be_writer, i, SA_RESTART);
	for (i = 0; i < FILES; i++)
		start(be_cutter, i, 0);
	start(be_auditor_, 0, 0);
	for (i = 0; i < nr_disturbers; i++)
		if (chosen[i])
			start(be_disturber, i, SA_RESTART);
	if (control->faults)
		start(be_walker, 0, SA_RESTART);
}

/* True if there was one; all must end by themselves, and not before the end. */
static bool reap(int options)
{
	int status;
	pid_t pid = waitpid(-1, &status, options);

	if (pid <= 0)
		return false;
	if (status || !stopping())
		trouble(FAILED, "process %d ended with %#x", pid, status);
	return true;
}

/* --- how it goes --- */

static unsigned long long counted(enum count which)
{
	return __atomic_load_n(&control->counts[which], __ATOMIC_RELAXED);
}

static void say_progress(int passed)
{
	static unsigned long long cuts_before;
	static int said;
	int since = passed > said ? passed - said : 1;
	char text[600] = "";
	size_t i, used = 0;

	for (i = 0; i < nr_disturbers; i++)
		if (chosen[i])
			used += snprintf(text + used, sizeof(text) - used,
					 " %s %llu", disturbers[i].name,
					 (unsigned long long)control->did[i]);
	ksft_print_msg(
		"%d s: %llu cuts (%llu/min), %llu edges, %llu pages; %llu audits, %llu scans; %u inversions, %u wrong bytes, %u changed, %u lost; %llu legal failures, %llu exits; moves %llu, signals %llu,%s\n",
		passed, counted(CUTS),
		(counted(CUTS) - cuts_before) * 60 / since, counted(EDGES),
		counted(PAGES_SEEN), counted(AUDITS), counted(SCANS),
		control->troubles[INVERSION], control->troubles[WRONG_BYTE],
		control->troubles[CHANGED], control->troubles[LOST_WRITE],
		counted(FAILURES), (unsigned long long)exits_taken(),
		counted(MOVES), counted(SIGNALS), text);
	cuts_before = counted(CUTS);
	said = passed;
}

/* What this run is for has happened at least once. */
static bool has_seen_enough(void)
{
	size_t i;

	if (!has_teeth())
		return false;
	if (control->by_reading)
		return true;
	for (i = 0; i < nr_disturbers; i++)
		if (chosen[i] && !did_something(i))
			return false;
	return counted(CUTS) > 10 && counted(AUDITS) > FILES &&
	       (!control->faults || exits_taken() > ENOUGH_EXITS);
}

static void watch(void)
{
	uint64_t begin = now_ns();
	int passed = 0, next = 10;

	while (!stopping()) {
		sleep_ms(200);
		while (reap(WNOHANG))
			;
		passed = (now_ns() - begin) / 1000000000;
		if (passed >= next) {
			say_progress(passed);
			next = passed + 10;
		}
		if (passed >= seconds + PATIENCE ||
		    (has_seen_enough() &&
		     (passed >= seconds || control->by_reading)))
			stop_all();
	}
	while (reap(0))
		;
	say_progress(passed);
}

/* --- the beginning --- */

static void usage(void)
{
	size_t i;

	fprintf(stderr,
		"usage: torture [--seconds N] [--processes N] [--seed N] [--only NAME]... [--faults | --exits | --control]\n"
		"  --seconds N    at least (60), and until everything has happened once\n"
		"  --processes N  that write (64, at most)\n"
		"  --only NAME    of these disturbers, or none:");
	for (i = 0; i < nr_disturbers; i++)
		fprintf(stderr, " %s", disturbers[i].name);
	fprintf(stderr,
		"\n"
		"  --faults       allocations fail; the kernel needs CONFIG_FAULT_INJECTION\n"
		"  --exits        nothing but: takes each error exit once, the same\n"
		"  --control      reads the files plainly: is that found to be no cut?\n");
	exit(KSFT_FAIL);
}

static void choose(const char *name)
{
	size_t i;

	for (i = 0; i < nr_disturbers; i++)
		if (!strcmp(name, disturbers[i].name)) {
			chosen[i] = true;
			return;
		}
	if (strcmp(name, "none"))
		usage();
}

static int number(const char *text, int least, int most)
{
	char *end;
	long number = strtol(text, &end, 10);

	if (end == text || *end || number < least || number > most)
		usage();
	return number;
}

static void parse(int argc, char **argv)
{
	static const struct option options[] = {
		{ "seconds", required_argument, NULL, 't' },
		{ "processes", required_argument, NULL, 'p' },
		{ "seed", required_argument, NULL, 's' },
		{ "only", required_argument, NULL, 'o' },
		{ "faults", no_argument, NULL, 'f' },
		{ "exits", no_argument, NULL, 'e' },
		{ "control", no_argument, NULL, 'c' },
		{},
	};
	bool only = false;
	size_t i;
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (c) {
		case 't':
			seconds = number(optarg, 1, 1000000);
			break;
		case 'p':
			control->nr_writers = number(optarg, 2, MAX_WRITERS);
			break;
		case 's':
			control->seed = number(optarg, 1, 1 << 30);
			break;
		case 'o':
			choose(optarg);
			only = true;
			break;
		case 'f':
			control->faults = true;
			break;
		case 'e':
			control->exits_only = true;
			control->faults = true;
			break;
		case 'c':
			control->by_reading = true;
			break;
		default:
			usage();
		}
	}
	if (optind < argc)
		usage();
	for (i = 0; i < nr_disturbers; i++)
		chosen[i] = (chosen[i] || !only) &&
			    !(disturbers[i].missing && disturbers[i].missing());
}

static void make_files(void)
{
	int i, ret;

	for (i = 0; i < FILES; i++) {
		ret = area_make(&files[i], kinds[i], FILE_PAGES * PAGE) ?:
			      area_map(&files[i]);
		if (ret)
			ksft_exit_fail_msg("%s: %s\n", file_names[i],
					   strerror(-ret));
		if (wp_count(files[i].fd, WPFILE_TRACK) < 0)
			ksft_exit_skip("this kernel has no wpfile\n");
	}
	/* The others begin as holes. */
	area_touch(&files[1]);
	if (!area_is_huge(&files[1]))
		ksft_print_msg("%s: got no huge mapping\n", file_names[1]);
}

int main(int argc, char **argv)
{
	const char *missing;
	char cgroup[128];

	control = mmap(NULL, sizeof(*control), PROT_READ | PROT_WRITE,
		       MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	control->nr_writers = MAX_WRITERS;
	control->seed = time(NULL) % 1000000 + 1;
	parse(argc, argv);
	setvbuf(stdout, NULL, _IOLBF, 0);
	ksft_print_header();
	ksft_print_msg("seed %u, %d writers\n", control->seed,
		       control->nr_writers);
	missing = control->faults ? faults_prepare() : NULL;
	if (missing)
		ksft_exit_skip("this kernel has no %s\n", missing);
	if (cgroup_make(cgroup, sizeof(cgroup), -1, -1) || cgroup_enter(cgroup))
		ksft_exit_fail_msg("no memory cgroup\n");
	allow_long_cuts();
	stop_fair_servers();
	if (control->exits_only)
		report_exits();
	note_beginning();
	make_files();
	start_all();
	watch();
	cgroup_remove(cgroup);
	report();
}
