// SPDX-License-Identifier: GPL-2.0-only
/*
 * A write fault that was let through by its gate, and finds when it comes to
 * the page table lock that another monitor has protected the page meanwhile.
 *
 *	writer (SCHED_IDLE)		main
 *
 *	store, fault, gate: captures
 *	  for 12 monitors		wakes up, preempts
 *					SNAPSHOT: waits for the gate
 *	gate done
 *					cut, T
 *					reads the snapshot
 *	page table lock: must not
 *	  make the entry writable
 *	store
 *					reads the snapshot again: the same?
 *
 * Needs one CPU and a kernel that preempts: on any other the writer wins.
 */
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "harness.h"

#define NR_MONITORS	12
#define ROUNDS		60

static pid_t start_writer(volatile uint64_t *counter)
{
	const struct sched_param none = { 0 };
	pid_t pid = fork();

	if (pid)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	sched_setscheduler(0, SCHED_IDLE, &none);
	for (;;)
		(*counter)++;
}

static uint64_t counter_in(int snapshot)
{
	uint64_t value = 0;

	return pread(snapshot, &value, sizeof(value), 0) == sizeof(value) ?
	       value : 0;
}

FIXTURE(reuse)
{
	struct area area;
	int monitors[NR_MONITORS];
	pid_t writer;
};

FIXTURE_SETUP(reuse)
{
	int i;

	SKIP_UNLESS(can_be_preempted(), "needs one CPU and CONFIG_PREEMPT");
	ASSERT_EQ(0, area_make(&self->area, MEMFD, PAGE));
	ASSERT_EQ(0, area_map(&self->area));
	area_touch(&self->area);
	*(uint64_t *)self->area.map = 1;
	for (i = 0; i < NR_MONITORS; i++) {
		self->monitors[i] = area_monitor(&self->area, WPFILE_CAPTURE);
		ASSERT_LE(0, self->monitors[i]);
	}
	self->writer = start_writer((uint64_t *)self->area.map);
	ASSERT_LT(0, self->writer);
}

FIXTURE_TEARDOWN(reuse)
{
	kill(self->writer, SIGKILL);
	waitpid(self->writer, NULL, 0);
	area_free(&self->area);
}

TEST_F_TIMEOUT(reuse, wp_shared_gate__cut_between_gate_and_entry, 300)
{
	uint64_t first;
	int round, snapshot, i;

	for (round = 0; round < ROUNDS; round++) {
		for (i = 0; i < NR_MONITORS; i++)
			ASSERT_EQ(0, wp_protect(self->monitors[i], 0, PAGE));
		/* Into the middle of the gate, somewhere. */
		usleep(20 * (round % 50));
		snapshot = area_snapshot(&self->area);
		ASSERT_LE(0, snapshot);
		first = counter_in(snapshot);
		EXPECT_NE(0, first);
		sleep_ms(5);
		ASSERT_EQ(first, counter_in(snapshot)) {
			TH_LOG("round %d", round);
		}
		close(snapshot);
	}
}

TEST_HARNESS_MAIN
