// SPDX-License-Identifier: GPL-2.0-only
/*
 * Stores after core mm had reason to make the entry anew, or writable: the
 * filters.  That each was the one that held is proven by taking it out (sites.c
 * names them, tests/hooks does it).
 */
#include "matrix.h"

/* clang-format off */
ROW(store_after_read);
ROW(store_after_dontneed);
ROW(store_after_populate_read);
ROW(store_after_mprotect_read);
ROW(store_after_mprotect_none);
ROW(store_after_mprotect_of_page);
ROW(store_after_soft_dirty);
ROW(store_after_mremap);
ROW(store_after_mremap_askew);
ROW_BUT_HUGE(store_after_copying_fork,
	     "fork() copies no huge entry of a file");

ROW(store_after_numa_hint);
ROW(store_after_move_pages);
ROW(store_after_hot_remove);
ROW_BUT_HUGE(store_after_compaction,
	     "compaction leaves pages of 2 MiB where they are");
ROW(store_after_soft_offline);

ROW_BUT_HUGE_ON(store_after_collapse, store_after_collapse, large,
		"it is huge already");
ROW_BUT_HUGE_ON(store_after_khugepaged, store_after_khugepaged, large,
		"it is huge already");
CELLS_ON(store_after_split, store_after_split, memfd, huge);
NO_CELLS(store_after_split, present, "there is no huge page to split");
NO_CELLS(store_after_split, hole, "there is no huge page to split");
NO_CELLS(store_after_split, swapped, "there is no huge page to split");
ROW_BUT_HOLE(store_after_pageout, "a hole has nothing to swap out");

ROW(store_after_uffd_wp);
ROW(store_under_uffd_wp);
ROW(store_under_uffd_wp_async);
ROW_BUT_HOLE(store_after_uffd_continue,
	     "UFFDIO_CONTINUE maps only what is there");
ROW_BUT_HOLE(store_under_uffd_minor,
	     "UFFDIO_CONTINUE maps only what is there");
ROW_OF_HOLES(store_after_uffd_zeropage, "UFFDIO_ZEROPAGE fills only holes");
/* clang-format on */

/* Zeros in a hole are what was there. */
TEST(uffd_zeropage_is_no_write)
{
	struct area area;
	int uffd = uffd_open(0), monitor;

	SKIP_UNLESS(uffd >= 0, "no userfaultfd");
	ASSERT_EQ(0, make_holes(&area, MEMFD, 8 * PAGE));
	monitor = area_protect(&area, WPFILE_TRACK);
	ASSERT_LE(0, monitor);
	ASSERT_EQ(0, uffd_register(uffd, area.map, area.size, 1));
	ASSERT_EQ(0, uffd_zeropage(uffd, area.map + 3 * PAGE));
	EXPECT_STREQ("", written(monitor));
	close(monitor);
	close(uffd);
	area_free(&area);
}

/* EEXIST: there is a page, and it stays as it is. */
TEST(uffd_copy_to_a_page_that_is_there_is_no_write)
{
	struct area area;
	int monitor;

	ASSERT_EQ(0, area_make_filled(&area, MEMFD, 8 * PAGE));
	monitor = area_protect(&area, WPFILE_TRACK);
	ASSERT_LE(0, monitor);
	ASSERT_EQ(-EEXIST, way_uffd_copy(&area, 3));
	EXPECT_STREQ("", written(monitor));
	close(monitor);
	area_free(&area);
}

MATRIX_MAIN
