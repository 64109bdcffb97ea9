// SPDX-License-Identifier: LGPL-2.1-or-later
/* What the kernel can do. */
#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "sys.h"
#include "wpfile.h"

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 0x0008U
#endif

static int query_take_fd(int fd, struct wpfile_query *query)
{
	int ret;

	if (fd < 0)
		return fd;
	ret = sys(ioctl(fd, WPFILE_IOC_QUERY, query));
	sys(close(fd));
	return ret;
}

/* Without MFD_NOEXEC_SEAL vm.memfd_noexec may refuse; old kernels have none. */
static int any_memfd(void)
{
	int fd = sys(memfd_create("wpfile-query",
				  MFD_CLOEXEC | MFD_NOEXEC_SEAL));

	if (fd == -EINVAL)
		fd = sys(memfd_create("wpfile-query", MFD_CLOEXEC));
	return fd;
}

static void forget_monitors(struct wpfile_query *query)
{
	int mode;

	for (mode = 0; mode < WPFILE_NR_MODES; mode++)
		query->ret_monitors[mode] = 0;
}

/* The device may be missing in a container: any shmem file will do. */
int wpfile_query_system(struct wpfile_query *query)
{
	int ret;

	ret = query_take_fd(sys(open("/dev/wpfile", O_RDONLY | O_CLOEXEC)),
			    query);
	if (!ret || ret == -EINVAL || ret == -E2BIG || ret == -EFAULT)
		return ret;
	ret = query_take_fd(any_memfd(), query);
	if (ret == -ENOTTY)
		return -ENOSYS;
	if (!ret)
		forget_monitors(query);
	return ret;
}
