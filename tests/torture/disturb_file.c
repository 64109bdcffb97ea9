// SPDX-License-Identifier: GPL-2.0-only
/* Disturbers of the tails of the files, which nobody checks. */
#include "torture.h"
#include <fcntl.h>
#include <linux/falloc.h>
#include <unistd.h>

#define TAIL_SIZE ((FILE_PAGES - TAIL) * PAGE)

static int any_file(void)
{
	return files[pick(FILES)].fd;
}

static off_t in_tail(void)
{
	return TAIL * PAGE + pick(TAIL_SIZE);
}

unsigned int truncate_tail(void)
{
	int fd = any_file();

	return !ftruncate(fd, in_tail()) + !ftruncate(fd, FILE_PAGES * PAGE);
}

unsigned int punch_tail(void)
{
	return !fallocate(any_file(),
			  FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, in_tail(),
			  1 + pick(64 * PAGE));
}

/* By allocating, or by writing; both may make the file longer. */
unsigned int fill_tail(void)
{
	static char bytes[16 * PAGE];
	int fd = any_file();

	if (pick(2))
		return !fallocate(fd, 0, in_tail() / PAGE * PAGE, 16 * PAGE);
	bytes[pick(sizeof(bytes))]++;
	return pwrite(fd, bytes, sizeof(bytes), in_tail()) > 0;
}
