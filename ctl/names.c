// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Names of threads and files.  A monitor does not know what its file is called: ask
 * those who have it open or mapped.
 */
#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "holders.h"

void read_command(pid_t tid, char command[COMMAND_SIZE])
{
	char path[64];
	ssize_t size;
	int fd;

	*command = '\0';
	snprintf(path, sizeof(path), "/proc/%d/comm", (int)tid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return;
	size = read(fd, command, COMMAND_SIZE - 1);
	close(fd);
	if (size > 0)
		command[command[size - 1] == '\n' ? size - 1 : size] = '\0';
}

static bool all_named(const struct holders *holders)
{
	size_t i;

	for (i = 0; i < holders->nr; i++)
		if (!holders->list[i].file)
			return false;
	return true;
}

static struct holder *next_unnamed(const struct holders *holders, size_t *i,
				   uint32_t dev_major, uint32_t dev_minor,
				   uint64_t inode)
{
	while (*i < holders->nr) {
		struct holder *holder = &holders->list[(*i)++];
		const struct wpfile_mon_info *info = &holder->info;

		if (!holder->file && info->inode == inode &&
		    info->dev_major == dev_major && info->dev_minor == dev_minor)
			return holder;
	}
	return NULL;
}

static int name_by_map(const struct wpfile_map *map, void *data)
{
	struct holder *holder;
	size_t i = 0;

	while ((holder = next_unnamed(data, &i, map->dev_major, map->dev_minor,
				      map->inode)))
		holder->file = strdup(map->name);
	return 0;
}

/* Another file system may be slow or gone: it is not asked for anything new. */
static void name_by_fd(int dir, const char *fd, struct holders *holders)
{
	struct holder *holder;
	char name[4096];
	struct statx st;
	ssize_t size;
	size_t i = 0;

	if (statx(dir, fd, AT_STATX_DONT_SYNC, STATX_INO, &st))
		return;
	while ((holder = next_unnamed(holders, &i, st.stx_dev_major,
				      st.stx_dev_minor, st.stx_ino))) {
		size = readlinkat(dir, fd, name, sizeof(name) - 1);
		if (size > 0)
			holder->file = strndup(name, size);
	}
}

static void name_by_fds(const char *pid, struct holders *holders)
{
	struct dirent *entry;
	char path[280];
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%s/fd", pid);
	dir = opendir(path);
	if (!dir)
		return;
	while ((entry = readdir(dir)))
		if (isdigit((unsigned char)*entry->d_name))
			name_by_fd(dirfd(dir), entry->d_name, holders);
	closedir(dir);
}

void holders_name(struct holders *holders)
{
	DIR *proc = opendir("/proc");
	struct dirent *entry;

	if (!proc)
		return;
	while (!all_named(holders) && (entry = readdir(proc))) {
		if (!isdigit((unsigned char)*entry->d_name))
			continue;
		name_by_fds(entry->d_name, holders);
		wpfile_each_map(atoi(entry->d_name), NULL, name_by_map, holders);
	}
	closedir(proc);
}
