// SPDX-License-Identifier: GPL-2.0-only
/* All that is done to the files and their users meanwhile. */
#include "torture.h"

const struct disturber disturbers[] = {
	/* memory */
	{ "reclaim", reclaim, "pswpout ", no_swap },
	{ "swapin", swap_in, "pswpin ", no_swap },
	{ "compact", compact, "compact_migrate_scanned ", NULL },
	{ "migrate", migrate, "pgmigrate_success ", no_nodes },
	{ "collapse", collapse, "thp_collapse_alloc ", NULL },
	{ "split", split, "thp_split_page ", NULL },
	/* the tails of the files */
	{ "truncate", truncate_tail, NULL, NULL },
	{ "punch", punch_tail, NULL, NULL },
	{ "fill", fill_tail, NULL, NULL },
	/* processes */
	{ "map", map_and_unmap, NULL, NULL },
	{ "fork", fork_mapper, NULL, NULL },
	{ "signal", send_signals, NULL, NULL },
	{ "stop", stop_and_continue, NULL, NULL },
	/* monitors of others */
	{ "monitor", use_monitors, NULL, NULL },
	{ "kill", kill_holders, NULL, NULL },
};

const size_t nr_disturbers = ARRAY_SIZE(disturbers);

_Static_assert(ARRAY_SIZE(disturbers) <= MAX_DISTURBERS,
	       "struct control has too few");

void be_disturber(int which)
{
	uint64_t begin;

	while (!stopping()) {
		begin = now_ns();
		__atomic_add_fetch(&control->did[which],
				   disturbers[which].act(), __ATOMIC_RELAXED);
		rest(1 + pick(20) + (now_ns() - begin) / 1000000 * 4);
	}
}
