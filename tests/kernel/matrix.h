/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The matrix {way to write} x {state of the page} x {when it was mapped} x
 * {mode}: a variant is a cell of the first three, the tests are the modes.
 *
 *	make the file	PRESENT: in memory, 4K	HOLE: never written
 *			SWAPPED: on the disk	HUGE: one entry for 2 MiB
 *	[map, touch]	"before"
 *	PROTECT or SNAPSHOT
 *	[map]		"after"
 *	write		the way
 *	the pages whose content differs now are reported, no others, once;
 *	the snapshot has the content of before
 */
#ifndef WPFILE_TESTS_MATRIX_H
#define WPFILE_TESTS_MATRIX_H

#include "harness.h"
#include "ways.h"

enum state { STATE_present, STATE_hole, STATE_swapped, STATE_huge };
enum when { WHEN_before, WHEN_after };

/* clang-format off */
FIXTURE(cell) {
	struct area area;
	size_t page;
};

FIXTURE_VARIANT(cell) {
	way_fn way;
	enum state state;
	enum when mapped;
};

#define CELL(_way, _state, _when)                                              \
	FIXTURE_VARIANT_ADD(cell, _way##_##_state##_##_when) {                 \
		.way = way_##_way,                                             \
		.state = STATE_##_state,                                       \
		.mapped = WHEN_##_when,                                        \
	}
/* clang-format on */

/* All pages in memory, in huge pages if the kind has them; mapped, writable. */
static int make_filled(struct area *area, enum kind kind, size_t size)
{
	int ret = area_make(area, kind, size) ?: area_fill(area, 1) ?:
						 area_map(area);

	if (!ret)
		area_touch(area);
	return ret;
}

/* Data in the first page and in the last; the page table exists. */
static int make_holes(struct area *area, size_t size)
{
	int ret = area_make(area, MEMFD, size) ?: area_fill_page(area, 0, 1) ?:
		  area_fill_page(area, size / PAGE - 1, 1) ?: area_map(area);

	if (!ret)
		*(volatile char *)area->map = area->before[0];
	return ret;
}

static int make_state(struct area *area, enum state state)
{
	switch (state) {
	case STATE_present:
		return make_filled(area, MEMFD, 8 * PAGE);
	case STATE_hole:
		return make_holes(area, 8 * PAGE);
	case STATE_swapped:
		return make_filled(area, MEMFD, 8 * PAGE);
	case STATE_huge:
		return make_filled(area, TMPFS_HUGE, 2 * HUGE);
	}
	return -EINVAL;
}

FIXTURE_SETUP(cell)
{
	struct area *area = &self->area;

	self->page = variant->state == STATE_huge ? HUGE_PAGES + 3 : 3;
	ASSERT_EQ(0, make_state(area, variant->state));
	if (variant->state == STATE_swapped)
		SKIP_UNLESS(!area_page_out(area), "cannot swap: no swap?");
	if (variant->state == STATE_huge)
		SKIP_UNLESS(area_is_huge(area), "got no huge mapping");
	if (variant->state == STATE_hole)
		ASSERT_EQ((off_t)(7 * PAGE),
			  lseek(area->fd, PAGE, SEEK_DATA));
	if (variant->mapped == WHEN_after)
		area_unmap(area);
}

FIXTURE_TEARDOWN(cell)
{
	area_free(&self->area);
}

/* The write, proven to have changed the page; the pages that differ. */
static void act(struct __test_metadata *const _metadata,
		FIXTURE_DATA(cell) *self, const FIXTURE_VARIANT(cell) *variant,
		struct pages *changed)
{
	int ret;

	if (variant->mapped == WHEN_after)
		ASSERT_EQ(0, area_map(&self->area));
	ret = variant->way(&self->area, self->page);
	ASSERT_EQ(0, ret)
		TH_LOG("the way failed: %s", strerror(-ret));
	changed_pages(&self->area, changed);
	ASSERT_TRUE(changed->has[self->page]);
}

TEST_F(cell, is_reported)
{
	int monitor = area_protect(&self->area, WPFILE_TRACK);
	volatile char *byte;
	struct pages changed, seen;

	ASSERT_LE(0, monitor);
	act(_metadata, self, variant, &changed);
	ASSERT_EQ(0, scan_pages(monitor, WPFILE_SCAN_PROTECT, &seen));
	EXPECT_TRUE(pages_cover(&seen, &changed));
	if (variant->state == STATE_huge) /* one entry, one report */
		pages_round(&changed, HUGE_PAGES);
	EXPECT_TRUE(pages_cover(&changed, &seen))
		TH_LOG("changed: %s", pages_text(&changed));
	if (_metadata->exit_code)
		TH_LOG("reported: %s", pages_text(&seen));
	EXPECT_STREQ("", written(monitor));

	/* It is protected again, whatever the way has left behind. */
	byte = self->area.map + self->page * PAGE + 1;
	*byte = *byte + 1;
	ASSERT_EQ(0, scan_pages(monitor, 0, &seen));
	EXPECT_TRUE(seen.has[self->page]);
}

TEST_F(cell, is_not_in_the_snapshot)
{
	int snapshot = area_snapshot(&self->area);
	volatile char *byte;
	struct pages changed;

	ASSERT_LE(0, snapshot);
	act(_metadata, self, variant, &changed);
	EXPECT_STREQ("same", compare(snapshot, self->area.before,
				     self->area.size));
	byte = self->area.map + self->page * PAGE + 1;
	*byte = *byte + 1;
	EXPECT_STREQ("same", compare(snapshot, self->area.before,
				     self->area.size));
}

#endif
