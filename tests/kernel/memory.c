// SPDX-License-Identifier: GPL-2.0-only
/* What is done to memory behind the back of those who use it. */
#include "common.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25
#endif

int reclaim_memory(const char *amount)
{
	char line[256] = "", path[300];
	int ret = file_read("/proc/self/cgroup", line, sizeof(line));

	if (ret)
		return ret;
	line[strcspn(line, "\n")] = 0;
	snprintf(path, sizeof(path), "/sys/fs/cgroup%s/memory.reclaim",
		 strchr(line, '/') ?: "");
	return file_write(path, amount);
}

bool has_swap(void)
{
	return file_number("/proc/meminfo", "SwapTotal:") > 0;
}

int drain_batches(void)
{
	static const char path[] = "/proc/sys/vm/drop_caches";

	/* From 4 on, it logs nothing. */
	return file_write(path, "4") ?: file_write(path, "1");
}

int compact_memory(void)
{
	return file_write("/proc/sys/vm/compact_memory", "1");
}

int collapse_memory(void *map, size_t size)
{
	return madvise(map, size, MADV_COLLAPSE) ? -errno : 0;
}

int split_memory(const void *map, size_t size)
{
	unsigned long start = (unsigned long)map;
	char range[96];

	snprintf(range, sizeof(range), "%d,0x%lx,0x%lx", getpid(), start,
		 start + size);
	return file_write("/sys/kernel/debug/split_huge_pages", range);
}
