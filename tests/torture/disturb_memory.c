// SPDX-License-Identifier: GPL-2.0-only
/* Disturbers that move the memory of the files. */
#include "torture.h"
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/swap.h>

const char *no_swap(void)
{
	return has_swap() ? NULL : "no swap";
}

const char *no_nodes(void)
{
	return nr_nodes() > 1 ? NULL : "one NUMA node only";
}

unsigned int reclaim(void)
{
	static const char *const amounts[] = { "64K", "256K", "1M", "4M" };

	return !reclaim_memory(amounts[pick(4)]);
}

/* Now and then all at once; else what reading brings back. */
unsigned int swap_in(void)
{
	char text[512] = "", *device, *end;
	unsigned int ret = 0;

	if (pick(50)) {
		sleep_ms(50);
		return 0;
	}
	file_read("/proc/swaps", text, sizeof(text));
	device = strchr(text, '\n');
	end = device ? strpbrk(++device, " \t") : NULL;
	if (!end)
		return 0;
	*end = 0;
	ret = !swapoff(device);
	if (ret && swapon(device, 0))
		trouble(FAILED, "swapon %s: %m", device);
	return ret;
}

unsigned int compact(void)
{
	return !compact_memory();
}

static char *any_page(void)
{
	char *page = files[pick(FILES)].map + pick(TAIL) * PAGE;

	*(volatile char *)page;
	return page;
}

unsigned int migrate(void)
{
	unsigned int moved = 0, i;

	for (i = 0; i < 16; i++)
		moved += !try_to_move(any_page(), pick(2));
	return moved;
}

unsigned int collapse(void)
{
	return !collapse_memory(files[pick(FILES)].map, HUGE);
}

unsigned int split(void)
{
	return !split_memory(files[pick(FILES)].map, HUGE);
}
