// SPDX-License-Identifier: GPL-2.0-only
/*
 * munmap() of a huge page that another thread is writing, which has the entry in
 * its TLB until the flush at the end: zap_huge_pmd() has to flush itself.
 *
 *	CPU 0			CPU 1			CPU 2
 *
 *				store, store, ...
 *	munmap()
 *	  zap_huge_pmd()				sees that nobody
 *	  free_pgtables():				  maps the page
 *	    VMA by VMA out of				PROTECT, or writes
 *	    the mapping's tree				  the page to swap
 *	  tlb_finish_mmu()
 *				SIGSEGV
 *
 * What makes the time long is that munmap() takes many VMAs of another file with
 * it, behind the huge page, and has to wait for that file's i_mmap_rwsem again
 * and again: somebody punches holes into a part of it that he has mapped as often.
 * (Into the part that munmap() unmaps would be wrong: that would flush.)
 */
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../upstream/helper.h"
#include "harness.h"

#define NR_VMAS		1000UL		/* of munmap() */
#define NR_PUNCHED	4000UL		/* of who holds it up */
#define ROUNDS		10

/* What the processes tell each other. */
struct control {
	volatile uint64_t begun, ended;		/* munmap() */
	volatile uint64_t stores;
	volatile uint64_t stopped;		/* by SIGSEGV */
};

static struct control *control;
static int other;	/* the other file */
static __thread sigjmp_buf after_signal;

static long nr_cpus(void)
{
	return sysconf(_SC_NPROCESSORS_ONLN);
}

static bool run_on(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	return !sched_setaffinity(0, sizeof(set), &set);
}

static void leave(int sig)
{
	siglongjmp(after_signal, sig);
}

static void *store_until_unmapped(void *map)
{
	volatile uint64_t *word = map;

	run_on(1);
	if (!sigsetjmp(after_signal, 1))
		for (;;) {
			*word = control->stores + 1;
			control->stores++;
		}
	control->stopped = now_ns();
	return NULL;
}

/* The file, huge and dirty; behind it room for the pages of another. */
static char *map_huge(struct area *area)
{
	char *map = map_file(area->fd, 2 * HUGE + NR_VMAS * PAGE, PROT_NONE);
	char *at = (char *)(((uintptr_t)map + HUGE - 1) & ~(HUGE - 1));

	if (!map || mprotect(at, HUGE, PROT_READ | PROT_WRITE))
		return NULL;
	memset(at, 1, PAGE);
	return at;
}

/* Pages of the other file, each a VMA: none can be merged with the next. */
static char *map_many(char *at, size_t nr, off_t offset)
{
	size_t i;

	at = mmap(at, nr * PAGE, PROT_READ, MAP_SHARED | (at ? MAP_FIXED : 0),
		  other, offset);
	for (i = 0; at != MAP_FAILED && i < nr; i += 2)
		if (mprotect(at + i * PAGE, PAGE, PROT_NONE))
			return NULL;
	return at == MAP_FAILED ? NULL : at;
}

static pid_t start_punching(void)
{
	pid_t pid = fork();

	if (pid)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	run_on(nr_cpus() - 1);
	if (!map_many(NULL, NR_PUNCHED, NR_VMAS * PAGE))
		_exit(1);
	while (!fallocate(other, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
			  NR_VMAS * PAGE, NR_PUNCHED * PAGE))
		;
	_exit(1);
}

#define NOT_HUGE	2

/* Returns an exit status. */
static int unmap_while_written(struct area *area)
{
	char *map = map_huge(area);
	pthread_t thread;

	if (!map)
		return 1;
	if (!map_is_huge(map, HUGE))
		return NOT_HUGE;
	signal(SIGSEGV, leave);
	if (!map_many(map + HUGE, NR_VMAS, 0) || !run_on(0) ||
	    pthread_create(&thread, NULL, store_until_unmapped, map))
		return 1;
	while (!control->stores)
		;
	control->begun = now_ns();
	munmap(map, HUGE + NR_VMAS * PAGE);
	control->ended = now_ns();
	pthread_join(thread, NULL);
	return 0;
}

/* How many processes and places map the page. */
static uint64_t mapcount(int kpagecount, unsigned long frame)
{
	uint64_t count = 0;

	if (pread(kpagecount, &count, sizeof(count), frame * sizeof(count)) !=
	    sizeof(count))
		return 0;
	return count;
}

static void wait_ns(uint64_t ns)
{
	uint64_t end = now_ns() + ns;

	while (now_ns() < end)
		;
}

/* clang-format off */
FIXTURE(unmap) {
	struct area area;
	char cgroup[128];
	int kpagecount;
	unsigned long frame;
	pid_t puncher;
	pid_t pid;
	int status;
	uint64_t zapped;	/* when the page was seen to be unmapped */
	uint64_t stored;	/* how long the thread stored after that, ns */
};
/* clang-format on */

FIXTURE_SETUP(unmap)
{
	SKIP_UNLESS(nr_cpus() >= 3, "needs three CPUs");
	control = mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
		       MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, control);
	/* So that it can be reclaimed alone. */
	ASSERT_EQ(0, cgroup_make(self->cgroup, sizeof(self->cgroup),
				 -1, -1));
	ASSERT_EQ(0, cgroup_enter(self->cgroup));
	ASSERT_EQ(0, area_make(&self->area, TMPFS_HUGE, HUGE));
	ASSERT_EQ(0, area_fill(&self->area, 1));
	ASSERT_EQ(0, area_map(&self->area));
	area_load(&self->area);
	self->frame = frame_of(self->area.map);
	SKIP_UNLESS(self->frame, "cannot learn the frame");
	area_unmap(&self->area);
	other = memfd_create("many", 0);
	ASSERT_EQ(0, ftruncate(other, (NR_VMAS + NR_PUNCHED) * PAGE));
	self->puncher = start_punching();
	self->kpagecount = open("/proc/kpagecount", O_RDONLY);
	SKIP_UNLESS(self->kpagecount >= 0, "no /proc/kpagecount");
	/* Nobody else runs where the thread stores: that would flush. */
	ASSERT_TRUE(run_on(2));
}

FIXTURE_TEARDOWN(unmap)
{
	kill(self->puncher, SIGKILL);
	area_free(&self->area);
}

/* Returns when @maps places map the page, one fewer than before. */
static void begin_unmap(FIXTURE_DATA(unmap) *self, uint64_t maps)
{
	memset(control, 0, sizeof(*control));
	self->pid = fork();
	if (!self->pid)
		_exit(unmap_while_written(&self->area));
	while (!control->begun && !waitpid(self->pid, &self->status, WNOHANG))
		;
	while (!control->ended &&
	       mapcount(self->kpagecount, self->frame) > maps)
		;
	self->zapped = now_ns();
}

static void end_unmap(FIXTURE_DATA(unmap) *self)
{
	waitpid(self->pid, &self->status, 0);
	self->stored = control->stopped > self->zapped ?
		       control->stopped - self->zapped : 0;
}

/* Protects, and looks whether the page changes without that being reported. */
static bool write_is_missed(volatile uint64_t *word, int monitor)
{
	uint64_t before;

	if (wp_protect(monitor, 0, HUGE))
		return false;
	before = *word;
	wait_ns(1000000);
	return *word != before && !strcmp(unprotected(monitor), "");
}

TEST_F(unmap, zap_huge_pmd__stores_after_protect)
{
	int monitor = wp_monitor(self->area.fd, WPFILE_TRACK);
	unsigned int protects = 0, missed = 0, round;
	volatile uint64_t *word;
	uint64_t longest = 0;

	SKIP_UNLESS(monitor >= 0, "no monitors in this kernel");
	word = (void *)map_file(self->area.fd, HUGE, PROT_READ);
	ASSERT_NE(NULL, word);
	EXPECT_LT(0, *word);
	for (round = 0; round < ROUNDS; round++) {
		wp_unprotect(monitor, 0, HUGE);
		begin_unmap(self, 1);
		/* Not before the VMA is gone: that flushes, and all is well. */
		wait_ns(longest * round / ROUNDS);
		for (; round && !control->ended; protects++)
			missed += write_is_missed(word, monitor);
		end_unmap(self);
		if (self->stored > longest)
			longest = self->stored;
		SKIP_UNLESS(self->status != NOT_HUGE << 8, "not mapped huge");
		ASSERT_EQ(0, self->status);
		TH_LOG("stored for %lu us after the zap, %u PROTECTs, %u writes missed",
		       self->stored / 1000, protects, missed);
	}
	ASSERT_LT(ROUNDS, protects);
	ASSERT_EQ(0, missed);
}

/* Bytes that are in memory as well as in swap. */
static long swapcached(FIXTURE_DATA(unmap) *self)
{
	char path[160];

	snprintf(path, sizeof(path), "%s/memory.stat", self->cgroup);
	return file_number(path, "swapcached");
}

/* On the kernel of tests/upstream/run only. */
TEST_F(unmap, zap_huge_pmd__stores_after_write_out)
{
	int helper = open("/sys/kernel/debug/upstream", O_RDWR);
	unsigned int written_out = 0, lost = 0, round, tries;
	uint64_t found, stored;

	SKIP_UNLESS(helper >= 0, "needs the kernel of tests/upstream/run");
	for (round = 0; round < ROUNDS; round++) {
		begin_unmap(self, 0);
		if (!ioctl(helper, HELPER_WRITE_OUT, self->area.fd))
			written_out++;
		else
			TH_LOG("not written out: %m");
		end_unmap(self);
		SKIP_UNLESS(self->status != NOT_HUGE << 8, "not mapped huge");
		ASSERT_EQ(0, self->status);
		stored = control->stores;
		for (tries = 0; tries < 50 && swapcached(self); tries++)
			reclaim_memory("64M");
		TH_LOG("%ld bytes left in the swap cache, %u tries",
		       swapcached(self), tries);
		ASSERT_EQ(sizeof(found), pread(self->area.fd, &found,
					       sizeof(found), 0));
		lost += found < stored;
		TH_LOG("stored for %lu us after the zap, up to %lu; found %lu",
		       self->stored / 1000, stored, found);
		if (written_out)
			break;
	}
	SKIP_UNLESS(written_out, "never came in time to write it out");
	ASSERT_EQ(0, lost);
}

TEST_HARNESS_MAIN
