// SPDX-License-Identifier: LGPL-2.1-or-later
/* Monitors, where /proc shows them. */
#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "fdinfo.h"
#include "monitor.h"
#include "number.h"
#include "sys.h"

/* Ours is less than this; what is longer is of something else. */
#define FDINFO_MAX 4096

/* -ENOTTY also if there is something else. */
static int read_info(int dir, const char *path, struct wpfile_mon_info *ret_info)
{
	char text[FDINFO_MAX];
	size_t size = 0;
	int64_t got;
	int fd;

	fd = sys(openat(dir, path, O_RDONLY | O_CLOEXEC));
	if (fd < 0)
		return fd;
	do {
		got = sys_retry(read(fd, text + size, sizeof(text) - 1 - size));
		if (got > 0)
			size += got;
	} while (got > 0 && size < sizeof(text) - 1);
	sys(close(fd));
	if (got < 0)
		return got;
	text[size] = '\0';
	return wpfile_fdinfo_text(text, ret_info);
}

int wpfile_mon_info(const struct wpfile_mon *mon,
		    struct wpfile_mon_info *ret_info)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/thread-self/fdinfo/%d", mon->fd);
	return read_info(AT_FDCWD, path, ret_info);
}

/* The names of a directory that are numbers; moves on past others. */
static bool next_number(DIR *dir, int *ret)
{
	const struct dirent *entry;
	uint64_t number;
	const char *end;

	while ((entry = sys_alloc(readdir(dir)))) {
		end = wpfile_parse_number(entry->d_name, 10, &number);
		if (end && !*end && number <= INT_MAX) {
			*ret = number;
			return true;
		}
	}
	return false;
}

static int open_dir(const char *path, DIR **ret_dir)
{
	int fd = sys(open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC));

	if (fd < 0)
		return fd;
	*ret_dir = sys_alloc(fdopendir(fd));
	if (*ret_dir)
		return 0;
	sys(close(fd));
	return -ENOMEM;
}

static int each_of_process(pid_t pid, wpfile_mon_fn fn, void *data)
{
	struct wpfile_mon_info info;
	int ret, fd;
	char path[64];
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/fdinfo", (int)pid);
	ret = open_dir(path, &dir);
	if (ret)
		return ret == -ENOENT ? -ESRCH : ret;
	while (!ret && next_number(dir, &fd)) {
		snprintf(path, sizeof(path), "%d", fd);
		ret = read_info(dirfd(dir), path, &info);
		if (!ret)
			ret = fn(pid, fd, &info, data);
		else if (ret == -ENOTTY || ret == -ENOENT || ret == -ESRCH)
			ret = 0;	/* something else, or closed meanwhile */
	}
	sys(closedir(dir));
	return ret;
}

/* May not be looked at, or has ended meanwhile. */
static bool is_left_out(int error)
{
	return error == -EACCES || error == -EPERM || error == -ESRCH;
}

struct each {
	wpfile_mon_fn fn;
	void *data;
	int ret;
};

/* An error of the callback's must not be taken for one of ours. */
static int note_result(pid_t pid, int fd, const struct wpfile_mon_info *info,
		       void *data)
{
	struct each *each = data;

	each->ret = each->fn(pid, fd, info, each->data);
	return each->ret ? 1 : 0;
}

static int each_of_all(wpfile_mon_fn fn, void *data)
{
	struct each each = { .fn = fn, .data = data };
	int pid, ret;
	DIR *dir;

	ret = open_dir("/proc", &dir);
	if (ret)
		return ret;
	while (!ret && next_number(dir, &pid)) {
		ret = each_of_process(pid, note_result, &each);
		if (is_left_out(ret))
			ret = 0;
	}
	sys(closedir(dir));
	return each.ret ? each.ret : ret;
}

int wpfile_each_mon(pid_t pid, wpfile_mon_fn fn, void *data)
{
	return pid ? each_of_process(pid, fn, data) : each_of_all(fn, data);
}
