// SPDX-License-Identifier: GPL-2.0-only
/*
 * wp_shared_mapping_range() is to make all shared mappings of a range read-only.
 * Does it, where one that it skips comes first?
 *
 * Mappings of the same range stand in the file's interval tree in the order in
 * which they were made.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "helper.h"

#define SIZE	(16 * 4096)

static int helper, number, failed;

static void ok(bool good, const char *name)
{
	printf("%sok %d - %s\n", good ? "" : "not ", ++number, name);
	failed |= !good;
}

static long faults(void)
{
	struct rusage usage;

	getrusage(RUSAGE_THREAD, &usage);
	return usage.ru_minflt;
}

/* A store that comes through without a fault: the entry is writable. */
static bool is_writable(char *map)
{
	long before = faults();

	*(volatile char *)map = 1;
	return faults() == before;
}

/* A mapping that the walk has to skip: private, or of a file opened read-only. */
static char *map_skipped(int fd, bool private)
{
	char path[32];
	char *map;

	if (private)
		return mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd,
			    0);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	fd = open(path, O_RDONLY);
	map = mmap(NULL, SIZE, PROT_READ, MAP_SHARED, fd, 0);
	close(fd);
	return map;
}

static void check(const char *name, bool private, bool skipped_first)
{
	int fd = memfd_create("file", 0);
	char *skipped = NULL, *shared;
	long protected;

	if (ftruncate(fd, SIZE))
		perror("ftruncate");
	if (skipped_first)
		skipped = map_skipped(fd, private);
	shared = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (!skipped_first)
		skipped = map_skipped(fd, private);
	memset(shared, 1, SIZE);
	if (!is_writable(shared))
		printf("# not writable from the start\n");
	protected = ioctl(helper, HELPER_WRITE_PROTECT, fd);
	printf("# %s: %ld of %d entries were made read-only\n", name, protected,
	       SIZE / 4096);
	ok(protected == SIZE / 4096 && !is_writable(shared), name);
	munmap(shared, SIZE);
	munmap(skipped, SIZE);
	close(fd);
}

int main(void)
{
	helper = open("/sys/kernel/debug/upstream", O_RDWR);
	if (helper < 0) {
		printf("1..0 # SKIP needs the kernel of tests/upstream/run\n");
		return 4;
	}
	check("shared_then_private", true, false);
	check("private_then_shared", true, true);
	check("shared_then_opened_read_only", false, false);
	check("opened_read_only_then_shared", false, true);
	printf("1..%d\n", number);
	return failed;
}
