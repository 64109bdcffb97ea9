// SPDX-License-Identifier: GPL-2.0-only
/*
 * A store after core mm had reason to make entries anew.  Each way reads the
 * pages first, so that there are entries, lets the event happen, proves that it
 * did, and stores; the page is protected all the while.
 */
#include "ways.h"
#include <errno.h>
#include <linux/userfaultfd.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ 22
#endif
#define MADV_SOFT_OFFLINE 101
#define WP_ASYNC (1 << 15) /* UFFD_FEATURE_WP_ASYNC; Debian 12's header is older */

#define THP "/sys/kernel/mm/transparent_hugepage/"
#define BLOCKS "/sys/devices/system/memory/"

static char *at(struct area *area, size_t page)
{
	return area->map + page * PAGE;
}

static int store_if(bool happened, struct area *area, size_t page,
		    const char *reason)
{
	return happened ? way_store(area, page) : way_skip(reason);
}

static int store_if_mapped(struct area *area, size_t page)
{
	return store_if(is_mapped(at(area, page)), area, page,
			"the entry is gone");
}

/* --- entries made by reading --- */

int way_store_after_read(struct area *area, size_t page)
{
	area_load(area);
	return store_if_mapped(area, page);
}

int way_store_after_dontneed(struct area *area, size_t page)
{
	area_load(area);
	if (madvise(area->map, area->size, MADV_DONTNEED))
		return -errno;
	if (is_mapped(at(area, page)))
		return way_skip("the entry is still there");
	area_load(area);
	return store_if_mapped(area, page);
}

int way_store_after_populate_read(struct area *area, size_t page)
{
	if (madvise(area->map, area->size, MADV_DONTNEED) ||
	    madvise(area->map, area->size, MADV_POPULATE_READ))
		return -errno;
	return store_if_mapped(area, page);
}

/* --- entries that are changed, moved, copied --- */

static int store_after_mprotect(struct area *area, size_t page, char *from,
				size_t size, int prot)
{
	area_load(area);
	if (mprotect(from, size, prot))
		return -errno;
	if (prot != PROT_NONE)
		area_load(area);
	if (mprotect(from, size, PROT_READ | PROT_WRITE))
		return -errno;
	return store_if_mapped(area, page);
}

int way_store_after_mprotect_read(struct area *area, size_t page)
{
	return store_after_mprotect(area, page, area->map, area->size,
				    PROT_READ);
}

int way_store_after_mprotect_none(struct area *area, size_t page)
{
	return store_after_mprotect(area, page, area->map, area->size,
				    PROT_NONE);
}

/* Which splits a huge entry. */
int way_store_after_mprotect_of_page(struct area *area, size_t page)
{
	return store_after_mprotect(area, page, at(area, page), PAGE,
				    PROT_READ);
}

int way_store_after_soft_dirty(struct area *area, size_t page)
{
	area_load(area);
	if (file_write("/proc/self/clear_refs", "4"))
		return way_skip("no soft-dirty");
	if (pagemap(at(area, page)) & PM_SOFT_DIRTY)
		return way_skip("the entry is soft-dirty still");
	return store_if_mapped(area, page);
}

int way_store_after_mremap(struct area *area, size_t page)
{
	int ret;

	area_load(area);
	ret = area_move(area, 0);
	return ret ?: store_if_mapped(area, page);
}

/* To a place where no huge entry can be: it is split. */
int way_store_after_mremap_askew(struct area *area, size_t page)
{
	int ret;

	area_load(area);
	ret = area_move(area, 3);
	return ret ?: way_store(area, page);
}

int way_store_after_copying_fork(struct area *area, size_t page)
{
	int ret = uffd_register_for_fork(area->map, area->size);
	pid_t pid;

	if (ret)
		return way_skip("no fork events of userfaultfd");
	area_load(area);
	pid = fork();
	if (!pid)
		_exit(store_if_mapped(area, page));
	ret = way_reap(pid);
	return ret == WAY_SKIPPED ? way_skip("fork() did not copy the entry") :
				    ret;
}

int way_store_after_numa_hint(struct area *area, size_t page)
{
	area_load(area);
	return store_if(!numa_hint(area, page), area, page,
			"no NUMA hinting fault");
}

/* --- pages that are moved --- */

static int store_if_moved(struct area *area, size_t page, unsigned long from)
{
	unsigned long frame = frame_of(at(area, page));

	return store_if(frame && from && frame != from, area, page,
			"the page did not move");
}

int way_store_after_move_pages(struct area *area, size_t page)
{
	unsigned long from;
	int node;

	if (nr_nodes() < 2)
		return way_skip("one NUMA node only");
	area_load(area);
	from = frame_of(at(area, page));
	for (node = 0; node < 2 && frame_of(at(area, page)) == from; node++)
		move_to_node(at(area, page), node);
	return store_if_moved(area, page, from);
}

static char *ballast(size_t size)
{
	return mmap(NULL, size, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
}

static char *lowest_of(char *map, size_t size)
{
	unsigned long frame, lowest = -1UL;
	char *page, *found = map;

	for (page = map; page < map + size; page += PAGE) {
		frame = frame_of(page);
		if (frame && frame < lowest) {
			lowest = frame;
			found = page;
		}
	}
	return found;
}

/* From now on; the node that its memory comes from. */
static unsigned int run_on(unsigned int cpu)
{
	unsigned int node = 0;
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu % sysconf(_SC_NPROCESSORS_ONLN), &set);
	sched_setaffinity(0, sizeof(set), &set);
	getcpu(NULL, &node);
	return node;
}

/*
 * Compaction moves pages upwards: below free memory the page is moved.  It takes
 * the frame that was freed last, the lowest of many that are freed afterwards.
 */
static unsigned long sink(struct area *area, size_t page, unsigned int node)
{
	size_t size = 4 * HUGE;
	char *above = ballast(size);

	if (nr_nodes() > 1) {
		move_to_node(at(area, page), !node);
		madvise(lowest_of(above, size), PAGE, MADV_DONTNEED);
		move_to_node(at(area, page), node);
	}
	munmap(above, size);
	return frame_of(at(area, page));
}

int way_store_after_compaction(struct area *area, size_t page)
{
	unsigned int tries = 0;
	unsigned long from;

	area_load(area);
	do {
		from = sink(area, page, run_on(++tries));
		compact_memory();
	} while (tries < 8 && frame_of(at(area, page)) == from);
	return store_if_moved(area, page, from);
}

/* While somebody else has a reference, a page stays where it is. */
static int soft_offline(void *page)
{
	int tries;

	for (tries = 0; tries < 100; tries++) {
		drain_batches();
		if (!madvise(page, PAGE, MADV_SOFT_OFFLINE))
			return 0;
		if (errno != EBUSY && errno != EIO)
			break;
		sleep_ms(20);
	}
	return -errno;
}

int way_store_after_soft_offline(struct area *area, size_t page)
{
	unsigned long from;
	int ret;

	area_load(area);
	from = frame_of(at(area, page));
	ret = soft_offline(at(area, page));
	if (ret == -EINVAL)
		return way_skip("no soft offlining");
	area_load(area);
	return ret ?: store_if_moved(area, page, from);
}

/* Takes the memory out of which @frame is a part, and puts it back. */
static int remove_memory(unsigned long frame)
{
	char text[32], path[80];
	unsigned long block;
	int ret = file_read(BLOCKS "block_size_bytes", text, sizeof(text));

	if (ret)
		return ret;
	block = frame * PAGE / strtoul(text, NULL, 16);
	snprintf(path, sizeof(path), BLOCKS "memory%lu/state", block);
	ret = file_write(path, "offline");
	if (!ret)
		ret = file_write(path, "online_movable");
	return ret;
}

/* A block with memory of the kernel's own cannot be taken out: try elsewhere. */
static int remove_memory_of(struct area *area, size_t page, unsigned long *from)
{
	unsigned int tries, node;
	size_t size;
	char *taken;
	int ret;

	for (tries = 0;; tries++) {
		*from = frame_of(at(area, page));
		ret = remove_memory(*from);
		if (!ret || tries == 8 || nr_nodes() < 2)
			return ret;
		node = run_on(tries);
		size = (tries / 2 * 32 + 1) * HUGE;
		move_to_node(at(area, page), !node);
		taken = ballast(size);
		move_to_node(at(area, page), node);
		munmap(taken, size);
	}
}

int way_store_after_hot_remove(struct area *area, size_t page)
{
	unsigned long from;

	area_load(area);
	if (remove_memory_of(area, page, &from))
		return way_skip("no memory block of it can be taken out: "
				"movablecore=514M makes some");
	area_load(area);
	return store_if_moved(area, page, from);
}

/* --- huge pages made and split, pages swapped out --- */

static bool is_huge_if_read(struct area *area)
{
	area_load(area);
	return area_is_huge(area);
}

int way_store_after_collapse(struct area *area, size_t page)
{
	area_load(area);
	if (collapse_memory(area->map, area->size))
		return way_skip("cannot collapse");
	return store_if(is_huge_if_read(area), area, page,
			"collapsed, but not mapped so");
}

static void khugepaged(const char *sleep_ms, const char *scan,
		       const char *shmem)
{
	file_write(THP "khugepaged/pages_to_scan", scan);
	file_write(THP "khugepaged/max_ptes_swap", "512");
	file_write(THP "khugepaged/scan_sleep_millisecs", sleep_ms);
	file_write(THP "shmem_enabled", shmem);
}

int way_store_after_khugepaged(struct area *area, size_t page)
{
	uint64_t end = now_ns() + 30 * 1000000000ULL;
	bool huge;

	khugepaged("10", "65536", "advise");
	if (madvise(area->map, area->size, MADV_HUGEPAGE))
		return -errno;
	while (!(huge = is_huge_if_read(area)) && now_ns() < end)
		sleep_ms(20);
	khugepaged("10000", "4096", "never");
	return store_if(huge, area, page, "khugepaged did not come");
}

int way_store_after_split(struct area *area, size_t page)
{
	area_load(area);
	split_memory(area->map, area->size);
	area_load(area);
	return store_if(!area_is_huge(area), area, page, "was not split");
}

int way_store_after_pageout(struct area *area, size_t page)
{
	if (!has_swap())
		return way_skip("no swap");
	area_load(area);
	return area_page_out(area) ?: way_store(area, page);
}

/* --- userfaultfd on the same mapping --- */

/* Entries with uffd-wp, or -errno; never closed, so that it stays. */
static int uffd_wp(struct area *area, __u64 features)
{
	int uffd = uffd_open(features), ret;

	if (uffd < 0)
		return uffd;
	area_load(area);
	ret = uffd_register(uffd, area->map, area->size,
			    UFFDIO_REGISTER_MODE_WP) ?:
		      uffd_writeprotect(uffd, area->map, area->size, true);
	return ret ?: uffd;
}

/* Lifting the one must not lift the other. */
int way_store_after_uffd_wp(struct area *area, size_t page)
{
	int uffd = uffd_wp(area, 0), ret;

	if (uffd < 0)
		return uffd;
	if (!(pagemap(at(area, page)) & PM_UFFD_WP))
		return way_skip("no uffd-wp");
	ret = uffd_writeprotect(uffd, area->map, area->size, false);
	return ret ?: way_store(area, page);
}

/* The store waits for both, one after the other. */
int way_store_under_uffd_wp(struct area *area, size_t page)
{
	int uffd = uffd_wp(area, 0), ret;

	if (uffd < 0)
		return uffd;
	ret = uffd_serve(uffd) ?: way_store(area, page);
	return ret || uffd_served() ? ret : -EIO;
}

/* Lifted by the write fault itself. */
int way_store_under_uffd_wp_async(struct area *area, size_t page)
{
	int uffd = uffd_wp(area, WP_ASYNC);

	if (uffd < 0)
		return uffd;
	return store_if(pagemap(at(area, page)) & PM_UFFD_WP, area, page,
			"no uffd-wp");
}

/* Faults of @mode are answered from now on. */
static int serve(struct area *area, __u64 mode)
{
	int uffd = uffd_open(0);

	if (uffd < 0)
		return uffd;
	if (madvise(area->map, area->size, MADV_DONTNEED))
		return -errno;
	return uffd_register(uffd, area->map, area->size, mode) ?:
		       uffd_serve(uffd);
}

static int store_after_served_read(struct area *area, size_t page, __u64 mode)
{
	unsigned int before = uffd_served();
	int ret = serve(area, mode);

	if (ret)
		return ret;
	*(volatile char *)at(area, page);
	if (uffd_served() == before)
		return -EIO;
	return store_if_mapped(area, page);
}

int way_store_after_uffd_continue(struct area *area, size_t page)
{
	return store_after_served_read(area, page, UFFDIO_REGISTER_MODE_MINOR);
}

int way_store_after_uffd_zeropage(struct area *area, size_t page)
{
	return store_after_served_read(area, page,
				       UFFDIO_REGISTER_MODE_MISSING);
}

/* The fault that is answered is the store's own. */
int way_store_under_uffd_minor(struct area *area, size_t page)
{
	int ret = serve(area, UFFDIO_REGISTER_MODE_MINOR);

	if (ret)
		return ret;
	ret = way_store(area, page);
	return ret || uffd_served() ? ret : -EIO;
}
