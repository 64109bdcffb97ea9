// SPDX-License-Identifier: GPL-2.0-only
/*
 * The first monitor of a file, made while somebody fills a page of it.  He has
 * found the file without monitors, and asks nobody any more: the monitor waits
 * for him, before it protects anything.
 *
 *	filler (CPU 1)		holder (CPU 1, real time)	main (CPU 0)
 *
 *	UFFDIO_COPY:
 *	  no monitor is there
 *				wakes up, keeps the CPU
 *								MONITOR: waits
 *								PROTECT
 *	  page into the file
 *								SCAN: is it told?
 *
 * A monitor that does not wait protects a hole, and nobody is told of the page.
 * One that waits does so until the holder gives up.  (It waits for RCU, too: that
 * it has waited does not prove that it was for the fill.)
 *
 * Needs a kernel that preempts, or nobody is stopped there; and fault injection:
 * the first allocation of a node for the page, which must not sleep, fails, so
 * that the filler makes one with interrupts on.  Without that too little of the
 * time is between the look and the page for it to be met.
 */
#include "harness.h"
#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/userfaultfd.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/utsname.h>
#include <sys/wait.h>

#define FAILSLAB "/sys/kernel/debug/failslab/"
#define THE_PAGE 1	/* the first needs no node */
#define ROUNDS 400
#define WANTED 3	/* in so many, at least, the monitor waits */
#define HOLD_MS 300
#define MEASURED 20	/* rounds without a monitor */

/* Shared by all; what is counted is the round. */
struct race {
	_Atomic int go, begun, ended;		/* of the filler */
	_Atomic int held, released, left;	/* of the holder */
	int result;				/* of the filler, if ended */
	uint64_t took_ns;
};

static void wait_for(const _Atomic int *counter, int round)
{
	while (*counter < round)
		;
}

static int run_on(int cpu)
{
	cpu_set_t cpus;

	CPU_ZERO(&cpus);
	CPU_SET(cpu, &cpus);
	return sched_setaffinity(0, sizeof(cpus), &cpus) ? -errno : 0;
}

static bool preempts_with_two_cpus(void)
{
	struct utsname uts;

	return !uname(&uts) && strstr(uts.version, " PREEMPT ") &&
	       sysconf(_SC_NPROCESSORS_ONLN) > 1;
}

/* --- the filler --- */

/* Slab allocations of those who ask for it, that must not sleep. */
static int make_allocations_fail(void)
{
	return file_write(FAILSLAB "task-filter", "Y") ?:
	       file_write(FAILSLAB "ignore-gfp-wait", "Y") ?:
	       file_write(FAILSLAB "verbose", "0") ?:
	       file_write(FAILSLAB "times", "-1") ?:
	       file_write(FAILSLAB "probability", "100");
}

static int fill_for_ever(struct race *race, struct area *area)
{
	int uffd = uffd_open(0), round;
	char from[PAGE], *page;
	uint64_t start;

	memset(from, 'f', PAGE);
	if (uffd < 0 || run_on(1) || area_map(area) ||
	    uffd_register(uffd, area->map, area->size,
			  UFFDIO_REGISTER_MODE_MISSING) ||
	    file_write("/proc/self/make-it-fail", "1"))
		return 1;
	page = area->map + THE_PAGE * PAGE;
	for (round = 1;; round++) {
		wait_for(&race->go, round);
		race->begun = round;
		start = now_ns();
		race->result = uffd_copy(uffd, page, from);
		race->took_ns = now_ns() - start;
		race->ended = round;
	}
}

/* --- the holder --- */

static int hold_for_ever(struct race *race, int wake)
{
	const struct sched_param param = { .sched_priority = 50 };
	uint64_t end;
	char byte;
	int round;

	if (run_on(1) || sched_setscheduler(0, SCHED_FIFO, &param))
		return 1;
	while (read(wake, &byte, 1) == 1) {
		round = race->go;
		race->held = round;
		end = now_ns() + HOLD_MS * 1000000ULL;
		while (race->released < round && now_ns() < end)
			;
		race->left = round;
	}
	return 1;
}

/* --- both, and a file --- */

/* clang-format off */
FIXTURE(arming) {
	struct area area;
	struct race *race;
	pid_t filler, holder;
	int wake;		/* the holder */
	int round;
	unsigned int random;
	uint64_t longest_ns;	/* of a fill */
};
/* clang-format on */

static pid_t fork_to_die_with_us(void)
{
	pid_t pid = fork();

	if (!pid)
		prctl(PR_SET_PDEATHSIG, SIGKILL);
	return pid;
}

static bool is_empty(struct area *area)
{
	return lseek(area->fd, 0, SEEK_DATA) < 0;
}

static void begin_fill(struct __test_metadata *const _metadata,
		       FIXTURE_DATA(arming) *self)
{
	ASSERT_EQ(0, fallocate(self->area.fd,
			       FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
			       THE_PAGE * PAGE, PAGE));
	ASSERT_TRUE(is_empty(&self->area));
	self->race->go = ++self->round;
	wait_for(&self->race->begun, self->round);
}

static void end_fill(struct __test_metadata *const _metadata,
		     FIXTURE_DATA(arming) *self)
{
	wait_for(&self->race->ended, self->round);
	ASSERT_EQ(0, self->race->result);
	ASSERT_FALSE(is_empty(&self->area));
}

static void measure(struct __test_metadata *const _metadata,
		    FIXTURE_DATA(arming) *self)
{
	uint64_t sum = 0;
	int i;

	for (i = 0; i < MEASURED; i++) {
		begin_fill(_metadata, self);
		end_fill(_metadata, self);
		sum += self->race->took_ns;
	}
	self->longest_ns = sum / MEASURED * 3 / 2;
}

static void start_holder(struct __test_metadata *const _metadata,
			 FIXTURE_DATA(arming) *self)
{
	int fds[2];

	ASSERT_EQ(0, pipe2(fds, O_CLOEXEC));
	self->holder = fork_to_die_with_us();
	ASSERT_LE(0, self->holder);
	if (!self->holder)
		_exit(hold_for_ever(self->race, fds[0]));
	close(fds[0]);
	self->wake = fds[1];
}

FIXTURE_SETUP(arming)
{
	SKIP_UNLESS(preempts_with_two_cpus(), "needs two CPUs and CONFIG_PREEMPT");
	SKIP_UNLESS(!make_allocations_fail(), "needs CONFIG_FAILSLAB");
	ASSERT_EQ(0, area_make(&self->area, MEMFD, (THE_PAGE + 1) * PAGE));
	self->race = mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
			  MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, self->race);
	self->random = 1;
	self->filler = fork_to_die_with_us();
	ASSERT_LE(0, self->filler);
	if (!self->filler)
		_exit(fill_for_ever(self->race, &self->area));
	start_holder(_metadata, self);
	ASSERT_EQ(0, run_on(0));
}

FIXTURE_TEARDOWN(arming)
{
	kill(self->holder, SIGKILL);
	kill(self->filler, SIGKILL);
	waitpid(self->holder, NULL, 0);
	waitpid(self->filler, NULL, 0);
	file_write(FAILSLAB "probability", "0");
	area_free(&self->area);
}

/* Somewhere in the fill. */
static void stop_filler(struct __test_metadata *const _metadata,
			FIXTURE_DATA(arming) *self)
{
	uint64_t end = now_ns() + random_next(&self->random) % self->longest_ns;

	while (now_ns() < end)
		;
	ASSERT_EQ(1, write(self->wake, "", 1));
	wait_for(&self->race->held, self->round);
}

/* True if the monitor had to wait. */
static bool protect_in_fill(struct __test_metadata *const _metadata,
			    FIXTURE_DATA(arming) *self)
{
	int monitor = wp_monitor(self->area.fd, WPFILE_TRACK);
	bool was_hole, waited;
	const char *told;

	ASSERT_LE(0, monitor);
	ASSERT_EQ(0, wp_protect(monitor, 0, WPFILE_TO_END));
	was_hole = is_empty(&self->area);
	waited = self->race->left == self->round;
	self->race->released = self->round;
	end_fill(_metadata, self);
	/* His gate has no memory either: then every page counts as written. */
	told = unprotected(monitor);
	if (was_hole && strcmp(told, "0-1"))
		EXPECT_STREQ("1", told);
	close(monitor);
	return waited;
}

static bool run_round(struct __test_metadata *const _metadata,
		      FIXTURE_DATA(arming) *self)
{
	bool waited = false;

	begin_fill(_metadata, self);
	stop_filler(_metadata, self);
	if (self->race->ended < self->round)
		waited = protect_in_fill(_metadata, self);
	self->race->released = self->round;
	wait_for(&self->race->left, self->round);
	return waited;
}

TEST_F(arming, fill_that_has_begun_is_told_or_waited_for)
{
	int waited = 0, i;

	measure(_metadata, self);
	for (i = 0; i < ROUNDS && __test_passed(_metadata); i++)
		waited += run_round(_metadata, self);
	TH_LOG("a fill took %llu us; of %d rounds the monitor waited in %d",
	       (unsigned long long)self->longest_ns * 2 / 3000, i, waited);
	SKIP_UNLESS(waited >= WANTED || !__test_passed(_metadata),
		    "the monitor did not come in the middle");
}

TEST_HARNESS_MAIN
