// SPDX-License-Identifier: GPL-2.0-only
/* Loop devices: files as disks. */
#include "common.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/loop.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <unistd.h>

int loop_attach(int file, int flags)
{
	int control = open("/dev/loop-control", O_RDWR | O_CLOEXEC), loop;
	char path[32];
	int ret;

	if (control < 0)
		return -errno;
	sprintf(path, "/dev/loop%d", ioctl(control, LOOP_CTL_GET_FREE));
	close(control);
	loop = open(path, O_RDWR | O_CLOEXEC | flags);
	if (loop < 0)
		return -errno;
	if (!ioctl(loop, LOOP_SET_FD, file))
		return loop;
	ret = -errno;
	close(loop);
	return ret;
}

void loop_detach(int loop)
{
	ioctl(loop, LOOP_CLR_FD, 0);
	close(loop);
}
