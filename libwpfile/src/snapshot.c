// SPDX-License-Identifier: LGPL-2.1-or-later
/* The file as it stands now. */
#include <sys/ioctl.h>

#include "sys.h"
#include "target.h"

int wpfile_snapshot(const struct wpfile_target *target,
		    struct wpfile_snapshot *args)
{
	args->flags |= target->flags;
	args->address = target->address;
	return sys(ioctl(target->fd, WPFILE_IOC_SNAPSHOT, args));
}
