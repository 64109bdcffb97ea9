// SPDX-License-Identifier: LGPL-2.1-or-later
/* Which file: everything that ends in an open descriptor. */
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sys.h"
#include "target.h"

#define DEVICE "/dev/wpfile"

/* Owns @fd from here on, failing or not. */
static int target_take_fd(int fd, struct wpfile_target **ret_target)
{
	struct wpfile_target *target;

	target = sys_alloc(calloc(1, sizeof(*target)));
	if (!target) {
		sys(close(fd));
		return -ENOMEM;
	}
	target->fd = fd;
	*ret_target = target;
	return 0;
}

static int open_rdwr_or_rdonly(const char *path)
{
	int fd = sys_retry(open(path, O_RDWR | O_CLOEXEC));

	if (fd == -EACCES || fd == -EPERM || fd == -EROFS || fd == -ETXTBSY)
		fd = sys_retry(open(path, O_RDONLY | O_CLOEXEC));
	return fd;
}

static int check_regular(int fd, uint64_t inode)
{
	struct stat st;
	int ret;

	ret = sys(fstat(fd, &st));
	if (ret)
		return ret;
	if (inode && st.st_ino != inode)
		return -ESTALE;
	return S_ISREG(st.st_mode) ? 0 : -ENOTTY;
}

/*
 * Opening a device or a pipe can do things: look first, through a descriptor
 * that cannot be exchanged for another file in between.  @inode is what the
 * file must be, if not 0.
 */
static int open_regular(const char *path, uint64_t inode,
			struct wpfile_target **ret_target)
{
	char self[64];
	int look, fd;

	look = sys_retry(open(path, O_PATH | O_CLOEXEC));
	if (look < 0)
		return look;
	fd = check_regular(look, inode);
	if (!fd) {
		/* Threads may have descriptors of their own: unshare(CLONE_FILES). */
		snprintf(self, sizeof(self), "/proc/thread-self/fd/%d", look);
		fd = open_rdwr_or_rdonly(self);
	}
	sys(close(look));
	return fd < 0 ? fd : target_take_fd(fd, ret_target);
}

int wpfile_target_dup_fd(int fd, struct wpfile_target **ret_target)
{
	int copy = sys(fcntl(fd, F_DUPFD_CLOEXEC, 0));

	return copy < 0 ? copy : target_take_fd(copy, ret_target);
}

int wpfile_target_open_path(const char *path, struct wpfile_target **ret_target)
{
	return open_regular(path, 0, ret_target);
}

static bool process_exists(pid_t pid)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d", (int)pid);
	return !sys(access(path, F_OK));
}

int wpfile_target_open_pid_fd(pid_t pid, int fd,
			      struct wpfile_target **ret_target)
{
	char path[64];
	int ret;

	snprintf(path, sizeof(path), "/proc/%d/fd/%d", (int)pid, fd);
	ret = open_regular(path, 0, ret_target);
	if (ret == -ENOENT && !process_exists(pid))
		return -ESRCH;
	return ret;
}

struct found {
	struct wpfile_map map;
	bool any;
};

static int note_first(const struct wpfile_map *map, void *data)
{
	struct found *found = data;

	if (!found->any) {
		found->map = *map;
		found->any = true;
		return 0;
	}
	if (found->map.inode == map->inode &&
	    found->map.dev_major == map->dev_major &&
	    found->map.dev_minor == map->dev_minor)
		return 0;
	return -ENOTUNIQ;
}

static int open_map_once(pid_t pid, const char *name,
			 struct wpfile_target **ret_target)
{
	struct found found = { .any = false };
	char path[96];
	int ret;

	ret = wpfile_each_map(pid, name, note_first, &found);
	if (ret)
		return ret;
	if (!found.any)
		return -ENOENT;
	snprintf(path, sizeof(path), "/proc/%d/map_files/%llx-%llx", (int)pid,
		 (unsigned long long)found.map.start,
		 (unsigned long long)found.map.end);
	ret = open_regular(path, found.map.inode, ret_target);
	return ret == -ENOENT ? -ESTALE : ret;
}

int wpfile_target_open_pid_map(pid_t pid, const char *name,
			       struct wpfile_target **ret_target)
{
	int ret, tries = 5;

	/* mmap(), munmap() and mremap() of the process race with the look-up. */
	do
		ret = open_map_once(pid, name, ret_target);
	while (ret == -ESTALE && --tries);
	return ret;
}

int wpfile_target_at_address(const void *address,
			     struct wpfile_target **ret_target)
{
	struct wpfile_target *target;
	int fd, ret;

	fd = open_rdwr_or_rdonly(DEVICE);
	if (fd < 0)
		return fd;
	ret = target_take_fd(fd, &target);
	if (ret)
		return ret;
	target->flags = WPFILE_AT_ADDRESS;
	target->address = (uintptr_t)address;
	*ret_target = target;
	return 0;
}

int wpfile_target_use_broker(struct wpfile_target *target,
			     struct wpfile_broker *broker)
{
	if (target->flags & WPFILE_AT_ADDRESS)
		return -EINVAL;
	target->broker = broker;
	return 0;
}

int wpfile_target_fd(const struct wpfile_target *target)
{
	return target->flags & WPFILE_AT_ADDRESS ? -EINVAL : target->fd;
}

void wpfile_target_free(struct wpfile_target *target)
{
	if (!target)
		return;
	sys(close(target->fd));
	free(target);
}
