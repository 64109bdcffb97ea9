// SPDX-License-Identifier: LGPL-2.1-or-later
/* What is not protected: one look, or all of it. */
#include <sys/ioctl.h>

#include "monitor.h"
#include "sys.h"

#define BATCH 256

int wpfile_scan(struct wpfile_mon *mon, struct wpfile_scan *args)
{
	return sys(ioctl(mon->fd, WPFILE_IOC_SCAN, args));
}

/* What @fn did not see must be reported again. */
static int undo_rest(struct wpfile_mon *mon, const struct wpfile_scan *args,
		     const struct wpfile_range *rest, size_t nr, int reason)
{
	int ret;

	if (!nr || !(args->flags & WPFILE_SCAN_PROTECT))
		return reason;
	ret = wpfile_unprotect(mon, rest, nr);
	return ret ? ret : reason;
}

static int hand_over(struct wpfile_mon *mon, const struct wpfile_scan *args,
		     const struct wpfile_range *ranges, wpfile_range_fn fn,
		     void *data)
{
	uint32_t i, nr = args->ret_nr_ranges;
	int ret;

	for (i = 0; i < nr; i++) {
		ret = fn(&ranges[i], data);
		if (ret)
			return undo_rest(mon, args, &ranges[i + 1], nr - i - 1,
					 ret);
	}
	return 0;
}

int wpfile_scan_each(struct wpfile_mon *mon, uint64_t offset, uint64_t length,
		     unsigned int flags, wpfile_range_fn fn, void *data)
{
	uint64_t end = length == WPFILE_TO_END ? WPFILE_TO_END : offset + length;
	struct wpfile_range ranges[BATCH];
	struct wpfile_scan args = {
		.size = sizeof(args),
		.flags = flags,
		.ranges = (uintptr_t)ranges,
		.nr_ranges = BATCH,
	};
	int ret;

	args.offset = offset;
	args.length = length;
	do {
		ret = wpfile_scan(mon, &args);
		if (!ret)
			ret = hand_over(mon, &args, ranges, fn, data);
		if (ret)
			return ret;
		args.offset = args.ret_next;
		if (end != WPFILE_TO_END)
			args.length = end - args.ret_next;
	} while (args.offset < end);
	return 0;
}
