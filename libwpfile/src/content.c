// SPDX-License-Identifier: LGPL-2.1-or-later
/* The content that a monitor knows, and how its handler changes the file. */
#include <unistd.h>

#include "monitor.h"
#include "sys.h"

ssize_t wpfile_pread(struct wpfile_mon *mon, void *buffer, size_t size,
		     uint64_t offset)
{
	if (offset > INT64_MAX)
		return -EINVAL;
	return sys_retry(pread(mon->fd, buffer, size, offset));
}

ssize_t wpfile_pwrite(struct wpfile_mon *mon, const void *buffer, size_t size,
		      uint64_t offset)
{
	if (offset > INT64_MAX)
		return -EINVAL;
	return sys_retry(pwrite(mon->fd, buffer, size, offset));
}
