// SPDX-License-Identifier: GPL-2.0-only
/*
 * Limits of the system: sysctl vm.wpfile, and monitors by user, which are counted
 * as user.max_wpfile_monitors of his user namespace.
 */
#include <linux/cred.h>
#include <linux/sysctl.h>
#include <linux/user_namespace.h>

#include "wpfile.h"

/* No task waits longer: less than what a user takes for a hung machine. */
static unsigned int max_wait_ms = 10000;
static unsigned int max_queued_events = 16384;
static unsigned int max_cut_ms = 10000;

static unsigned int most_wait_ms = 3600 * 1000;
static unsigned int most_queued_events = 1 << 20;

/* What a monitor asks for, 0 for as much as it may have. */
u32 wpfile_wait_limit(u32 ms)
{
	u32 max = READ_ONCE(max_wait_ms);

	return ms ? min(ms, max) : max;
}

u32 wpfile_queue_limit(u32 events)
{
	u32 max = READ_ONCE(max_queued_events);

	return events ? min(events, max) : max;
}

/* NULL if the user has as many monitors as he may have. */
struct ucounts *wpfile_charge_user(void)
{
	return inc_ucount(current_user_ns(), current_euid(),
			  UCOUNT_WPFILE_MONITORS);
}

void wpfile_uncharge_user(struct ucounts *ucounts)
{
	dec_ucount(ucounts, UCOUNT_WPFILE_MONITORS);
}

/* How long a cut may hold up writers. */
u32 wpfile_cut_limit(void)
{
	return READ_ONCE(max_cut_ms);
}

static struct ctl_table wpfile_table[] = {
	{
		.procname	= "max_wait_ms",
		.data		= &max_wait_ms,
		.maxlen		= sizeof(max_wait_ms),
		.mode		= 0644,
		.proc_handler	= proc_douintvec_minmax,
		.extra1		= SYSCTL_ONE,
		.extra2		= &most_wait_ms,
	},
	{
		.procname	= "max_cut_ms",
		.data		= &max_cut_ms,
		.maxlen		= sizeof(max_cut_ms),
		.mode		= 0644,
		.proc_handler	= proc_douintvec_minmax,
		.extra1		= SYSCTL_ONE,
		.extra2		= &most_wait_ms,
	},
	{
		.procname	= "max_queued_events",
		.data		= &max_queued_events,
		.maxlen		= sizeof(max_queued_events),
		.mode		= 0644,
		.proc_handler	= proc_douintvec_minmax,
		.extra1		= SYSCTL_ONE,
		.extra2		= &most_queued_events,
	},
};

static int __init wpfile_limits_init(void)
{
	register_sysctl_init("vm/wpfile", wpfile_table);
	return 0;
}
subsys_initcall(wpfile_limits_init);
