// SPDX-License-Identifier: LGPL-2.1-or-later
/* The protection of pages: set, and lifted. */
#include <sys/ioctl.h>

#include "monitor.h"
#include "sys.h"

int wpfile_protect(struct wpfile_mon *mon, const struct wpfile_range *ranges,
		   size_t nr, unsigned int flags,
		   struct wpfile_protect *ret_args)
{
	struct wpfile_protect args = {
		.size = sizeof(args),
		.flags = flags,
		.ranges = (uintptr_t)ranges,
		.nr_ranges = nr,
	};
	int ret;

	if (nr > UINT32_MAX)
		return -EINVAL;
	ret = sys(ioctl(mon->fd, WPFILE_IOC_PROTECT, &args));
	if (!ret && ret_args)
		*ret_args = args;
	return ret;
}

int wpfile_protect_all(struct wpfile_mon *mon, struct wpfile_protect *ret_args)
{
	const struct wpfile_range all = { .length = WPFILE_TO_END };

	return wpfile_protect(mon, &all, 1, 0, ret_args);
}

int wpfile_unprotect(struct wpfile_mon *mon, const struct wpfile_range *ranges,
		     size_t nr)
{
	struct wpfile_unprotect args = {
		.size = sizeof(args),
		.ranges = (uintptr_t)ranges,
		.nr_ranges = nr,
	};

	if (nr > UINT32_MAX)
		return -EINVAL;
	return sys(ioctl(mon->fd, WPFILE_IOC_UNPROTECT, &args));
}
