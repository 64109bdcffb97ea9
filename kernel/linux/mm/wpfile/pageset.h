/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _MM_WPFILE_PAGESET_H
#define _MM_WPFILE_PAGESET_H

#include <linux/bitmap.h>
#include <linux/fs.h>
#include <linux/maple_tree.h>
#include <linux/mutex.h>
#include <linux/pagemap.h>

/* The last page that a file can have. */
#define WPFILE_LAST_PAGE	((pgoff_t)(MAX_LFS_FILESIZE >> PAGE_SHIFT))

#define WPFILE_CHUNK_PAGES	512UL

/**
 * struct wpfile_chunk - the pages of one aligned run that are not all alike
 *
 * Lives as long as its pageset, so that bits may be cleared without a lock.
 */
struct wpfile_chunk {
	/** @protected: one bit a page; cleared by gates, set by their exclusion. */
	DECLARE_BITMAP(protected, WPFILE_CHUNK_PAGES);
	/** @captured: set before the page's @protected bit is cleared. */
	DECLARE_BITMAP(captured, WPFILE_CHUNK_PAGES);
};

/**
 * struct wpfile_pageset - one bit for each page of a file, sparse
 *
 * See the top of pageset.c.
 */
struct wpfile_pageset {
	/** @lock: protects the shape of @tree; bits inside chunks need no lock. */
	struct mutex lock;
	/** @tree: from page index to a uniform value or a chunk; read under RCU. */
	struct maple_tree tree;
	/** @lost: memory ran out, every page counts as unprotected. */
	bool lost;
};

void wpfile_pageset_init(struct wpfile_pageset *ps);
void wpfile_pageset_destroy(struct wpfile_pageset *ps);

bool wpfile_pageset_test(struct wpfile_pageset *ps, pgoff_t index);
bool wpfile_pageset_captured(struct wpfile_pageset *ps, pgoff_t index);
pgoff_t wpfile_pageset_next_set(struct wpfile_pageset *ps, pgoff_t first,
				pgoff_t last);
pgoff_t wpfile_pageset_find(struct wpfile_pageset *ps, pgoff_t first,
			    pgoff_t last, bool set);
bool wpfile_pageset_knows(struct wpfile_pageset *ps, pgoff_t first,
			  pgoff_t last);
unsigned long wpfile_pageset_count(struct wpfile_pageset *ps, pgoff_t first,
				   pgoff_t last);

int wpfile_pageset_reserve(struct wpfile_pageset *ps, pgoff_t first,
			   pgoff_t last, gfp_t gfp);
void wpfile_pageset_set(struct wpfile_pageset *ps, pgoff_t first, pgoff_t last);
void wpfile_pageset_clear(struct wpfile_pageset *ps, pgoff_t first,
			  pgoff_t last);
bool wpfile_pageset_reset(struct wpfile_pageset *ps);

int wpfile_pageset_prepare(struct wpfile_pageset *ps, pgoff_t index, gfp_t gfp);
void wpfile_pageset_clear_page(struct wpfile_pageset *ps, pgoff_t index);
bool wpfile_pageset_capture_page(struct wpfile_pageset *ps, pgoff_t index);
void wpfile_pageset_lose(struct wpfile_pageset *ps);

static inline bool wpfile_pageset_any(struct wpfile_pageset *ps, pgoff_t first,
				      pgoff_t last)
{
	return wpfile_pageset_next_set(ps, first, last) <= last;
}

#endif /* _MM_WPFILE_PAGESET_H */
