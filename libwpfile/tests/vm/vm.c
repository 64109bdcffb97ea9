// SPDX-License-Identifier: LGPL-2.1-or-later
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "vm.h"

size_t page;

void file_open(struct file *file)
{
	unsigned int i;

	file->fd = memfd_create("library", MFD_CLOEXEC);
	assert_int_equal(ftruncate(file->fd, PAGES * page), 0);
	file->map = mmap(NULL, PAGES * page, PROT_READ | PROT_WRITE, MAP_SHARED,
			 file->fd, 0);
	assert_ptr_not_equal(file->map, MAP_FAILED);
	for (i = 0; i < PAGES; i++)
		memset(file->map + i * page, i, page);
	assert_int_equal(wpfile_target_dup_fd(file->fd, &file->target), 0);
}

void file_close(struct file *file)
{
	wpfile_target_free(file->target);
	munmap(file->map, PAGES * page);
	close(file->fd);
}

struct wpfile_mon *mon_open(const struct file *file, unsigned int mode,
			    uint64_t cookie)
{
	struct wpfile_monitor args = { .size = sizeof(args), .mode = mode,
				       .cookie = cookie };
	struct wpfile_mon *mon;

	assert_int_equal(wpfile_mon_open(file->target, &args, &mon), 0);
	return mon;
}

void need_kernel(void)
{
	struct wpfile_query query = { .size = sizeof(query) };
	int ret = wpfile_query_system(&query);

	page = sysconf(_SC_PAGESIZE);
	if (!ret)
		return;
	printf("1..0 # SKIP no wpfile in this kernel: %s\n", strerror(-ret));
	exit(4);
}
