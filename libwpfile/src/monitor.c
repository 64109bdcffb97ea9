// SPDX-License-Identifier: LGPL-2.1-or-later
/* One bit for each page: making it, setting it, clearing it. */
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "monitor.h"
#include "sys.h"
#include "target.h"

/* Allocates first: a monitor that cannot be handed over is never made. */
int wpfile_mon_open(const struct wpfile_target *target,
		    struct wpfile_monitor *args, struct wpfile_mon **ret_mon)
{
	struct wpfile_mon *mon;
	int fd;

	mon = sys_alloc(calloc(1, sizeof(*mon)));
	if (!mon)
		return -ENOMEM;
	args->flags |= target->flags;
	args->address = target->address;
	fd = sys(ioctl(target->fd, WPFILE_IOC_MONITOR, args));
	if (fd < 0) {
		free(mon);
		return fd;
	}
	mon->fd = fd;
	*ret_mon = mon;
	return 0;
}

int wpfile_mon_fd(const struct wpfile_mon *mon)
{
	return mon->fd;
}

void wpfile_mon_free(struct wpfile_mon *mon)
{
	if (!mon)
		return;
	sys(close(mon->fd));
	free(mon);
}

int wpfile_protect(struct wpfile_mon *mon, const struct wpfile_range *ranges,
		   size_t nr, struct wpfile_protect *ret_args)
{
	struct wpfile_protect args = {
		.size = sizeof(args),
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

	return wpfile_protect(mon, &all, 1, ret_args);
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

ssize_t wpfile_read_captured(struct wpfile_mon *mon, void *buffer, size_t size,
			     uint64_t offset)
{
	if (offset > INT64_MAX)
		return -EINVAL;
	return sys_retry(pread(mon->fd, buffer, size, offset));
}
