// SPDX-License-Identifier: GPL-2.0-or-later
/* wpfilectl unprotect: ranges of one monitor, whose process goes on having it. */
#include <errno.h>

#include "holders.h"

int verb_unprotect(const struct args *args)
{
	struct holder holder = { .pid = args->pid, .fd = args->fd };
	int ret;

	if (args->pid < 0 || args->fd < 0)
		return fail_usage("no monitor: use --pid with --fd; wpfilectl list shows them");
	read_command(holder.pid, holder.command);
	ret = holder_unprotect(&holder, args->ranges, args->nr_ranges);
	if (ret == -ENOENT)
		return fail_hint(CTL_NOT_FOUND, "wpfilectl list shows monitors",
				 "process %d, descriptor %d: no such descriptor",
				 args->pid, args->fd);
	return ret ? fail_errno(ret, "process %d, descriptor %d", args->pid,
				args->fd) : CTL_OK;
}
