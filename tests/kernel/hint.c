// SPDX-License-Identifier: GPL-2.0-only
/* NUMA hinting: the kernel takes entries away, to see who uses the pages. */
#include "common.h"
#include <errno.h>
#include <sys/syscall.h>
#include <unistd.h>

#define MPOL_BIND 2
#define MPOL_F_NUMA_BALANCING (1 << 13)
#define BALANCING "/proc/sys/kernel/numa_balancing"
#define SCANNING "/sys/kernel/debug/sched/numa_balancing/"

/* Let the kernel take the entries of @area away, often. */
static int begin_hinting(struct area *area)
{
	unsigned long nodes = 1;
	char *page;

	/* On the node of the policy, or they would be migrated instead. */
	for (page = area->map; page < area->map + area->size; page += PAGE)
		if (nr_nodes() > 1 && move_to_node(page, 0))
			return -EBUSY;
	if (file_write(SCANNING "scan_delay_ms", "1") ||
	    file_write(SCANNING "scan_period_min_ms", "10") ||
	    file_write(SCANNING "scan_period_max_ms", "20") ||
	    file_write(BALANCING, "1"))
		return -ENOENT;
	if (syscall(SYS_mbind, area->map, area->size,
		    MPOL_BIND | MPOL_F_NUMA_BALANCING, &nodes, 64UL, 0))
		return -errno;
	return 0;
}

static void end_hinting(void)
{
	file_write(BALANCING, "0");
	file_write(SCANNING "scan_period_max_ms", "60000");
	file_write(SCANNING "scan_period_min_ms", "1000");
	file_write(SCANNING "scan_delay_ms", "1000");
}

/* Reads until the read is a hinting fault, which makes the entry again. */
static int read_until_hint(const char *page)
{
	uint64_t end = now_ns() + 20 * 1000000000ULL, next;
	long hints, faults;

	while (now_ns() < end) {
		for (next = now_ns() + 10000000; now_ns() < next;)
			; /* the kernel looks at tasks that run */
		hints = file_number("/proc/vmstat", "numa_hint_faults ");
		faults = minor_faults();
		*(volatile const char *)page;
		if (minor_faults() > faults &&
		    file_number("/proc/vmstat", "numa_hint_faults ") > hints)
			return 0;
	}
	return -ETIMEDOUT;
}

int numa_hint(struct area *area, size_t index)
{
	int ret = begin_hinting(area);

	if (!ret)
		ret = read_until_hint(area->map + index * PAGE);
	end_hinting();
	return ret;
}
