// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The monitor of another process, taken by its descriptor.  What is there now must
 * be what was looked at: numbers of processes and descriptors are used again.
 */
#include <errno.h>
#include <sys/pidfd.h>
#include <unistd.h>

#include "holders.h"

static int take_fd(pid_t pid, int fd)
{
	int process, copy;

	process = pidfd_open(pid, 0);
	if (process < 0)
		return -errno;
	copy = pidfd_getfd(process, fd, 0);
	if (copy < 0)
		copy = errno == EBADF ? -ENOENT : -errno;
	close(process);
	return copy;
}

/* A holder of inode 0 has not been looked at, and gets what there is. */
static int check(struct holder *holder, const struct wpfile_mon_info *info)
{
	const struct wpfile_mon_info *old = &holder->info;

	if (old->inode && (old->inode != info->inode || old->mode != info->mode ||
			   old->dev_major != info->dev_major ||
			   old->dev_minor != info->dev_minor))
		return -ESTALE;
	holder->info = *info;
	return 0;
}

static int take(struct holder *holder, struct wpfile_mon **ret_mon)
{
	struct wpfile_mon_info info;
	struct wpfile_mon *mon;
	int fd, ret;

	fd = take_fd(holder->pid, holder->fd);
	if (fd < 0)
		return fd;
	ret = wpfile_mon_dup_fd(fd, &mon);
	close(fd);
	if (ret)
		return ret;
	ret = wpfile_mon_info(mon, &info) ? -EBADMSG : check(holder, &info);
	if (ret) {
		wpfile_mon_free(mon);
		return ret;
	}
	*ret_mon = mon;
	return 0;
}

/* A snapshot looks like a monitor, but has nothing to lift. */
int holder_unprotect(struct holder *holder, const struct wpfile_range *ranges,
		     size_t nr)
{
	static const struct wpfile_range whole_file = { .length = WPFILE_TO_END };
	struct wpfile_mon *mon;
	int ret;

	ret = take(holder, &mon);
	if (!ret) {
		ret = wpfile_unprotect(mon, nr ? ranges : &whole_file,
				       nr ? nr : 1);
		wpfile_mon_free(mon);
	}
	ret = ret == -ENOTTY ? -EBADMSG : ret;
	audit(holder, ret);
	return ret;
}
