// SPDX-License-Identifier: GPL-2.0-only
/* /proc, /sys, cgroups, NUMA nodes: what the tests ask and tell the kernel. */
#include "common.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#define MPOL_MF_MOVE_ALL (1 << 2)

int file_write(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	ssize_t done;
	int error;

	if (fd < 0)
		return -errno;
	done = write(fd, text, strlen(text));
	error = errno;
	close(fd);
	return done < 0 ? -error : 0;
}

int file_read(const char *path, char *text, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	size_t used = 0;
	ssize_t done;

	if (fd < 0)
		return -errno;
	while ((done = read(fd, text + used, size - 1 - used)) > 0)
		used += done;
	close(fd);
	text[used] = 0;
	return done < 0 ? -EIO : 0;
}

/* The number behind @key at the beginning of a line; without @key, the first. */
long file_number(const char *path, const char *key)
{
	FILE *file = fopen(path, "re");
	size_t length = key ? strlen(key) : 0;
	char line[512];
	long number = -1;

	if (!file)
		return -1;
	while (number < 0 && fgets(line, sizeof(line), file))
		if (!key || !strncmp(line, key, length))
			number = strtol(line + length, NULL, 10);
	fclose(file);
	return number;
}

long fdinfo_number(int fd, const char *key)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	return file_number(path, key);
}

/* Of the mapping that begins at @map, or that contains it. */
long smaps_kib(const void *map, const char *key)
{
	FILE *file = fopen("/proc/self/smaps", "re");
	unsigned long start, end, wanted = (unsigned long)map;
	bool inside = false;
	char line[512], flag[8];
	long number = -1;

	if (!file)
		return -1;
	while (number < 0 && fgets(line, sizeof(line), file)) {
		if (sscanf(line, "%lx-%lx %7s", &start, &end, flag) == 3)
			inside = start <= wanted && wanted < end;
		else if (inside && !strncmp(line, key, strlen(key)))
			number = strtol(line + strlen(key), NULL, 10);
	}
	fclose(file);
	return number;
}

uint64_t pagemap(const void *page)
{
	int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	uint64_t entry = 0;

	if (fd < 0)
		return 0;
	if (pread(fd, &entry, sizeof(entry),
		  (off_t)((uintptr_t)page / PAGE * sizeof(entry))) < 0)
		entry = 0;
	close(fd);
	return entry;
}

bool is_mapped(const void *page)
{
	return pagemap(page) & PM_PRESENT;
}

unsigned long frame_of(const void *page)
{
	return is_mapped(page) ? pagemap(page) & ((1ULL << 55) - 1) : 0;
}

int open_fds(void)
{
	DIR *dir = opendir("/proc/self/fd");
	int count = -3; /* itself, "." and ".." */

	if (!dir)
		return -errno;
	while (readdir(dir))
		count++;
	closedir(dir);
	return count;
}

long minor_faults(void)
{
	struct rusage usage;

	getrusage(RUSAGE_THREAD, &usage);
	return usage.ru_minflt;
}

void sleep_ms(unsigned int ms)
{
	struct timespec time = { ms / 1000, ms % 1000 * 1000000L };

	nanosleep(&time, NULL);
}

uint64_t now_ns(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec * 1000000000ULL + time.tv_nsec;
}

bool can_be_preempted(void)
{
	struct utsname uts;

	return !uname(&uts) && strstr(uts.version, " PREEMPT") &&
	       sysconf(_SC_NPROCESSORS_ONLN) == 1;
}

int nr_nodes(void)
{
	char path[80];
	int node = 0;

	do {
		snprintf(path, sizeof(path),
			 "/sys/devices/system/node/node%d/meminfo", node);
	} while (!access(path, F_OK) && ++node);
	return node;
}

int try_to_move(const void *page, int node)
{
	int status = -EAGAIN;

	if (syscall(SYS_move_pages, 0, 1UL, &page, &node, &status,
		    MPOL_MF_MOVE_ALL) < 0)
		return -errno;
	if (status == node)
		return 0;
	return status < 0 ? status : -EAGAIN;
}

int move_to_node(const void *page, int node)
{
	int ret = -EAGAIN, tries;

	for (tries = 0; tries < 50 && ret; tries++) {
		ret = try_to_move(page, node);
		if (ret)
			sleep_ms(10);
	}
	return ret;
}

int seconds_to_run(int normal)
{
	const char *text = getenv("WPFILE_SECONDS");

	return text && atoi(text) > 0 ? atoi(text) : normal;
}

unsigned int random_next(unsigned int *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 17;
	*state ^= *state << 5;
	return *state;
}

static int cgroup_limit(const char *path, const char *file, long bytes)
{
	char name[256], text[32];

	snprintf(name, sizeof(name), "%s/%s", path, file);
	snprintf(text, sizeof(text), "%ld", bytes);
	return file_write(name, bytes < 0 ? "max" : text);
}

int cgroup_make(char *path, size_t size, long memory_max, long swap_max)
{
	static unsigned int last;
	int ret;

	file_write("/sys/fs/cgroup/cgroup.subtree_control", "+memory");
	snprintf(path, size, "/sys/fs/cgroup/wpfile-%d-%u", getpid(), ++last);
	if (mkdir(path, 0755))
		return -errno;
	ret = cgroup_limit(path, "memory.max", memory_max);
	if (!ret)
		ret = cgroup_limit(path, "memory.swap.max", swap_max);
	return ret;
}

int cgroup_enter(const char *path)
{
	char name[256];

	snprintf(name, sizeof(name), "%s/cgroup.procs", path);
	return file_write(name, "0");
}

void cgroup_remove(const char *path)
{
	cgroup_enter("/sys/fs/cgroup");
	rmdir(path);
}
