// SPDX-License-Identifier: GPL-2.0-only
/*
 * munmap() of a huge page that another thread is writing, which has the entry in
 * its TLB.  Whoever takes the page table lock of an entry that was taken away must
 * be able to rely on nobody writing by it any more: the walker does.
 *
 *	CPU 0			CPU 1			CPU 2
 *
 *				store, store, ...
 *	munmap()
 *	  zap_huge_pmd()
 *	  zap_pte_range()				sees that the page
 *	    of the page behind it			  behind is not mapped:
 *	  many VMAs more				  the lock was dropped
 *							reads, reads again:
 *	  tlb_finish_mmu()				  nothing has changed
 *				SIGSEGV
 *
 * Nothing of wpfile is at work here; it can be run on a stock kernel, too.
 */
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "harness.h"

#define NR_VMAS		20000UL
#define ROUNDS		10
#define NOT_HUGE	2

/* What the processes tell each other. */
struct control {
	volatile bool begun, ended;	/* munmap() */
	volatile unsigned long stores;
};

static struct control *control;
static int other;	/* the file of the page behind, and of many VMAs */
static __thread sigjmp_buf after_signal;

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
			++*word;
			control->stores++;
		}
	return NULL;
}

/* The file, huge and dirty; behind it room for the pages of the other. */
static char *map_huge(struct area *area)
{
	char *map = map_file(area->fd, 2 * HUGE + NR_VMAS * PAGE, PROT_NONE);
	char *at = (char *)(((uintptr_t)map + HUGE - 1) & ~(HUGE - 1));

	if (!map || mprotect(at, HUGE, PROT_READ | PROT_WRITE))
		return NULL;
	memset(at, 1, PAGE);
	return at;
}

/* Each page a VMA; the first is read, and so mapped by a clean entry. */
static int map_many(char *at)
{
	size_t i;

	if (mmap(at, NR_VMAS * PAGE, PROT_READ, MAP_SHARED | MAP_FIXED, other,
		 0) != at ||
	    madvise(at, NR_VMAS * PAGE, MADV_RANDOM))
		return -1;
	for (i = 1; i < NR_VMAS; i += 2)
		if (mprotect(at + i * PAGE, PAGE, PROT_NONE))
			return -1;
	return *(volatile char *)at;
}

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
	if (map_many(map + HUGE) || !run_on(0) ||
	    pthread_create(&thread, NULL, store_until_unmapped, map))
		return 1;
	while (!control->stores)
		;
	control->begun = true;
	munmap(map, HUGE + NR_VMAS * PAGE);
	control->ended = true;
	pthread_join(thread, NULL);
	return 0;
}

/* How many places map the page. */
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
	volatile uint64_t *word;
	int kpagecount;
	unsigned long frame;	/* of the page behind */
};
/* clang-format on */

FIXTURE_SETUP(unmap)
{
	char *behind;

	SKIP_UNLESS(sysconf(_SC_NPROCESSORS_ONLN) >= 3, "needs three CPUs");
	control = mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
		       MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, control);
	ASSERT_EQ(0, area_make(&self->area, TMPFS_HUGE, HUGE));
	ASSERT_EQ(0, area_fill(&self->area, 1));
	self->word = (void *)map_file(self->area.fd, HUGE, PROT_READ);
	ASSERT_NE(NULL, self->word);
	EXPECT_LT(0, *self->word);
	other = memfd_create("many", 0);
	ASSERT_EQ(0, ftruncate(other, NR_VMAS * PAGE));
	behind = map_file(other, PAGE, PROT_READ);
	ASSERT_NE(NULL, behind);
	ASSERT_EQ(0, *(volatile char *)behind);
	self->frame = frame_of(behind);
	SKIP_UNLESS(self->frame, "cannot learn the frame");
	self->kpagecount = open("/proc/kpagecount", O_RDONLY);
	SKIP_UNLESS(self->kpagecount >= 0, "no /proc/kpagecount");
	SKIP_UNLESS(mapcount(self->kpagecount, self->frame) == 1,
		    "cannot learn who maps the page");
	ASSERT_TRUE(run_on(2));
}

FIXTURE_TEARDOWN(unmap)
{
	area_free(&self->area);
}

/* How far the word changes after the lock was dropped; -1 if it was too late. */
static long stored_late(FIXTURE_DATA(unmap) *self, int *status)
{
	uint64_t first, last;
	bool late;
	pid_t pid;

	memset(control, 0, sizeof(*control));
	pid = fork();
	if (!pid)
		_exit(unmap_while_written(&self->area));
	while (!control->begun && !waitpid(pid, status, WNOHANG))
		;
	while (!control->ended && mapcount(self->kpagecount, self->frame) > 1)
		;
	first = *self->word;
	late = control->ended;
	wait_ns(1000000);
	last = *self->word;
	waitpid(pid, status, 0);
	return late ? -1 : (long)(last - first);
}

TEST_F(unmap, zap_huge_pmd__stores_after_its_lock_was_dropped)
{
	unsigned int round, in_time = 0;
	int status;
	long stored;

	for (round = 0; round < ROUNDS; round++) {
		stored = stored_late(self, &status);
		SKIP_UNLESS(status != NOT_HUGE << 8, "not mapped huge");
		ASSERT_EQ(0, status);
		if (stored < 0)
			continue;
		in_time++;
		ASSERT_EQ(0, stored) TH_LOG("in round %u", round);
	}
	SKIP_UNLESS(in_time, "never came in time to look");
}

TEST_HARNESS_MAIN
