// SPDX-License-Identifier: GPL-2.0-or-later
/* Which monitors are asked for. */
#include <errno.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "holders.h"

/* Only to know which file it is: the daemon has no part in that. */
static int filter_by_file(const struct args *args, struct filter *filter)
{
	struct args direct = *args;
	struct subject subject;
	char name[256];
	struct stat st;
	int ret;

	direct.daemon = false;
	ret = subject_open(&direct, &subject);
	if (ret)
		return ret;
	if (fstat(wpfile_target_fd(subject.target), &st))
		ret = fail_errno(errno, "%s",
				 target_name(args, name, sizeof(name)));
	subject_close(&subject);
	filter->by_file = true;
	filter->dev_major = major(st.st_dev);
	filter->dev_minor = minor(st.st_dev);
	filter->inode = st.st_ino;
	return ret;
}

int filter_make(const struct args *args, struct filter *ret_filter)
{
	struct filter filter = {};
	int ret = CTL_OK;

	if (args->path || args->fd >= 0 || args->map) {
		ret = target_check(args);
		if (!ret)
			ret = filter_by_file(args, &filter);
	} else if (args->pid >= 0) {
		filter.pid = args->pid;
	}
	if (!ret)
		*ret_filter = filter;
	return ret;
}

bool filter_matches(const struct filter *filter, uint32_t dev_major,
		    uint32_t dev_minor, uint64_t inode)
{
	return !filter->by_file ||
	       (filter->inode == inode && filter->dev_major == dev_major &&
		filter->dev_minor == dev_minor);
}
