// SPDX-License-Identifier: GPL-2.0-only
/*
 * Injected faults: allocations that fail, of tasks that ask for it.
 *
 * What the kernel writes on its way to user space, a signal's frame or the CPU's
 * number for rseq, may need a page, too, and without it the task is killed by
 * SIGSEGV.  That says nothing of ours: so no signal is taken, and no rseq known,
 * while faults are on.
 */
#include "torture.h"
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/rseq.h>
#include <sys/syscall.h>
#include <unistd.h>

#define DEBUGFS "/sys/kernel/debug/"

static const struct setting {
	const char *path, *value;
} settings[] = {
	/* Of a task that says so, one allocation in a hundred. */
	{ DEBUGFS "failslab/probability", "1" },
	{ DEBUGFS "failslab/times", "-1" },
	{ DEBUGFS "failslab/task-filter", "Y" },
	{ DEBUGFS "failslab/verbose", "0" },
	{ DEBUGFS "failslab/ignore-gfp-wait", "N" },
	{ DEBUGFS "fail_page_alloc/probability", "1" },
	{ DEBUGFS "fail_page_alloc/times", "-1" },
	{ DEBUGFS "fail_page_alloc/task-filter", "Y" },
	{ DEBUGFS "fail_page_alloc/verbose", "0" },
	{ DEBUGFS "fail_page_alloc/ignore-gfp-wait", "N" },
	{ DEBUGFS "fail_page_alloc/ignore-gfp-highmem", "N" },
	{ DEBUGFS "fail_page_alloc/min-order", "0" },
};

static const char *set(const struct setting *settings, size_t nr)
{
	size_t i;

	for (i = 0; i < nr; i++)
		if (file_write(settings[i].path, settings[i].value))
			return settings[i].path;
	return NULL;
}

/* glibc has registered it; children inherit that it is not. */
static bool forget_rseq(void)
{
	char *area = (char *)__builtin_thread_pointer() + __rseq_offset;

	return !__rseq_size || !syscall(SYS_rseq, area, sizeof(struct rseq),
					RSEQ_FLAG_UNREGISTER, RSEQ_SIG);
}

const char *faults_prepare(void)
{
	if (!forget_rseq())
		return "rseq";
	return set(settings, ARRAY_SIZE(settings));
}

/*
 * With faults on, all of @nr from the one that fault_at() says.  Pages do not
 * count if @objects_only: caches ask for some now and then, so that the numbers
 * differ from run to run.  For a walker that is alone: settings are everybody's.
 */
void faults_in_a_row(unsigned int nr, bool objects_only)
{
	char times[16];
	const struct setting row[] = {
		{ DEBUGFS "failslab/probability", "100" },
		{ DEBUGFS "failslab/times", times },
		{ DEBUGFS "fail_page_alloc/probability", "100" },
		{ DEBUGFS "fail_page_alloc/times", times },
		{ DEBUGFS "fail_page_alloc/min-order", objects_only ? "20" : "0" },
	};

	snprintf(times, sizeof(times), "%u", nr);
	if (set(row, ARRAY_SIZE(row)))
		trouble(FAILED, "fault injection takes no settings");
}

/* Kept open: with faults on, open() may fail.  A child has its own. */
static int open_once(const char *path, int *fd, pid_t *owner)
{
	if (*owner != getpid()) {
		*owner = getpid();
		*fd = open(path, O_RDWR | O_CLOEXEC);
	}
	return *fd;
}

static void switch_faults(const char *text)
{
	static pid_t owner;
	static int fd;

	if (control->faults)
		pwrite(open_once("/proc/self/make-it-fail", &fd, &owner), text,
		       1, 0);
}

static void take_signals(int how)
{
	sigset_t signals;

	sigemptyset(&signals);
	sigaddset(&signals, SIGUSR1);
	sigprocmask(how, &signals, NULL);
}

void faults_on(void)
{
	if (control->faults)
		take_signals(SIG_BLOCK);
	switch_faults("1");
}

void faults_off(void)
{
	switch_faults("0");
	if (control->faults)
		take_signals(SIG_UNBLOCK);
}

static int nth_fd(void)
{
	static pid_t owner;
	static int fd;

	return open_once("/proc/self/fail-nth", &fd, &owner);
}

void fault_at(unsigned int nth)
{
	char text[16];
	int length = snprintf(text, sizeof(text), "%u", nth);

	pwrite(nth_fd(), text, length, 0);
}

bool fault_taken(void)
{
	char text[16] = "";

	pread(nth_fd(), text, sizeof(text) - 1, 0);
	pwrite(nth_fd(), "0", 1, 0);
	return atoi(text) == 0;
}
