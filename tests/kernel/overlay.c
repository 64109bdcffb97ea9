// SPDX-License-Identifier: GPL-2.0-only
/* A file of tmpfs with overlayfs on top of it. */
#include "common.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

static int mount_in(const char *top)
{
	static const char *const dirs[] = { "lower", "upper", "work",
					    "merged" };
	char options[256], path[64];
	size_t i;

	if (mount("tmpfs", top, "tmpfs", 0, NULL))
		return -errno;
	for (i = 0; i < sizeof(dirs) / sizeof(dirs[0]); i++) {
		snprintf(path, sizeof(path), "%s/%s", top, dirs[i]);
		if (mkdir(path, 0755))
			return -errno;
	}
	snprintf(options, sizeof(options),
		 "lowerdir=%s/lower,upperdir=%s/upper,workdir=%s/work", top,
		 top, top);
	return mount("overlay", path, "overlay", 0, options) ? -errno : 0;
}

int overlay_mount(struct overlay *overlay)
{
	*overlay = (struct overlay){ .top = "/tmp/wpfile-XXXXXX" };
	if (!mkdtemp(overlay->top))
		return -errno;
	return mount_in(overlay->top);
}

int overlay_open(const struct overlay *overlay, const char *layer)
{
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "%s/%s/file", overlay->top, layer);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	return fd < 0 ? -errno : fd;
}

void overlay_unmount(const struct overlay *overlay)
{
	char path[64];

	snprintf(path, sizeof(path), "%s/merged", overlay->top);
	umount(path);
	umount(overlay->top);
	rmdir(overlay->top);
}
