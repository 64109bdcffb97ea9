/* SPDX-License-Identifier: GPL-2.0-only */
/* Error exits: the operations (operations.c) and who walks them (exits.c). */
#ifndef WPFILE_TORTURE_EXITS_H
#define WPFILE_TORTURE_EXITS_H

#include "torture.h"
#include <setjmp.h>

/*
 * Three chunks of a pageset: the first has been cut out for all monitors, the
 * second for none, the third for those that know the end of the file.
 */
#define SCENE_PAGES 1200
#define MIDDLE 700
#define LAST (SCENE_PAGES - 1)

#define NR_FULL 10
extern const int full_pages[NR_FULL];	/* the others are holes */

struct scene {
	struct area area;
	struct area other;	/* that never had a monitor */
	int track, capture, snapshot;
	struct pages reported;
	bool cut_again;
	int uffd;
	int new_fd;		/* what the operation made */
};

extern sigjmp_buf after_fault;	/* where a SIGBUS leads */

enum {
	MAY_FAIL = 1,	/* with ENOMEM, EIO or EFAULT */
	WORKS = 2,	/* whatever fails */
	NEEDS = 4,	/* memory: at least one failure is an error */
	LOSES = 8,	/* at least one makes captures FAIL */
	TELLS_ALL = 16,	/* at least one makes TRACK report every page */
	IN_MEMORY = 32,	/* asks for none, unless something was swapped out */
};

struct operation {
	const char *name;
	int (*act)(struct scene *scene);	/* -errno */
	int expected;
	enum kind kind;
	const char *(*before)(struct scene *scene); /* what is missing */
};

extern const struct operation operations[];
extern const size_t nr_operations;

void store_to(struct scene *scene, size_t page);

#endif
