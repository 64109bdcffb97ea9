/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef WPFILE_TESTS_VM_H
#define WPFILE_TESTS_VM_H

#include "../unit.h"

#define PAGES 8

extern size_t page;		/* bytes */

/* A file of pages, each filled with its number, and its target. */
struct file {
	int fd;
	char *map;
	struct wpfile_target *target;
};

void file_open(struct file *file);
void file_close(struct file *file);

struct wpfile_mon *mon_open(const struct file *file, unsigned int mode,
			    uint64_t cookie);

/* Ends the program as one that is skipped, if this kernel has no wpfile. */
void need_kernel(void);

#endif /* WPFILE_TESTS_VM_H */
