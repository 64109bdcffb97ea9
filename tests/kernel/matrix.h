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
 *	the snapshot has the content of before; so has the handler of a SYNC
 *	monitor, whether the writer waits for it or passes
 *
 * Every combination is a CELL, or a NO_CELL (table.h).
 */
#ifndef WPFILE_TESTS_MATRIX_H
#define WPFILE_TESTS_MATRIX_H

#include "table.h"
#include "wait.h"
#include "ways.h"
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define SHMEM_ENABLED "/sys/kernel/mm/transparent_hugepage/shmem_enabled"

enum state { STATE_present, STATE_hole, STATE_swapped, STATE_huge };
enum when { WHEN_before, WHEN_after };

struct shape {
	enum kind kind;
	int seals;
	bool ragged;	/* it ends within the page that is written */
	bool large;	/* of several huge pages, whatever the state */
};

static const struct shape shape_memfd = { .kind = MEMFD };
static const struct shape shape_tmpfs = { .kind = TMPFS };
static const struct shape shape_sysv = { .kind = SYSV };
static const struct shape shape_anon = { .kind = ANON };
static const struct shape shape_sealed = {
	.kind = MEMFD,
	.seals = F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL,
};
static const struct shape shape_future_sealed = {
	.kind = MEMFD,
	.seals = F_SEAL_FUTURE_WRITE,
};
static const struct shape shape_ragged = { .kind = TMPFS, .ragged = true };
static const struct shape shape_large = { .kind = MEMFD, .large = true };

/* clang-format off */
FIXTURE(cell) {
	struct area area;
	size_t page;
	size_t size;	/* of the file, before the way */
};

FIXTURE_VARIANT(cell) {
	way_fn way;
	const struct shape *shape;
	enum state state;
	enum when mapped;
};

#define CELL_ON(_row, _way, _shape, _state, _when)                             \
	FIXTURE_VARIANT_ADD(cell, _row##_##_state##_##_when) {                 \
		.way = way_##_way,                                             \
		.shape = &shape_##_shape,                                      \
		.state = STATE_##_state,                                       \
		.mapped = WHEN_##_when,                                        \
	}
/* clang-format on */

/* Both times; then whole rows. */
#define CELLS_ON(_row, _way, _shape, _state)                                   \
	CELL_ON(_row, _way, _shape, _state, before);                           \
	CELL_ON(_row, _way, _shape, _state, after)

#define ROW_ON(_row, _way, _shape)                                             \
	ROW_BUT_HOLE_CELLS(_row, _way, _shape);                                \
	CELLS_ON(_row, _way, _shape, hole)

#define ROW_BUT_HOLE_CELLS(_row, _way, _shape)                                 \
	CELLS_ON(_row, _way, _shape, present);                                 \
	CELLS_ON(_row, _way, _shape, swapped);                                 \
	CELLS_ON(_row, _way, _shape, huge)

#define ROW_BUT_HOLE_ON(_row, _way, _shape, _why)                              \
	ROW_BUT_HOLE_CELLS(_row, _way, _shape);                                \
	NO_CELLS(_row, hole, _why)

#define ROW_BUT_HUGE_ON(_row, _way, _shape, _why)                              \
	CELLS_ON(_row, _way, _shape, present);                                 \
	CELLS_ON(_row, _way, _shape, hole);                                    \
	CELLS_ON(_row, _way, _shape, swapped);                                 \
	NO_CELLS(_row, huge, _why)

#define ROW(_way) ROW_ON(_way, _way, memfd)
#define ROW_BUT_HOLE(_way, _why) ROW_BUT_HOLE_ON(_way, _way, memfd, _why)
#define ROW_BUT_HUGE(_way, _why) ROW_BUT_HUGE_ON(_way, _way, memfd, _why)

#define ROW_OF_HOLES(_way, _why)                                               \
	CELLS_ON(_way, _way, memfd, hole);                                     \
	NO_CELLS(_way, present, _why);                                         \
	NO_CELLS(_way, swapped, _why);                                         \
	NO_CELLS(_way, huge, _why)

/* All pages in memory, in huge pages if they are wanted; mapped, writable. */
static int make_filled(struct area *area, enum kind kind, size_t size)
{
	int ret = area_make_filled(area, kind, size);

	if (!ret)
		area_touch(area);
	return ret;
}

static int make_huge(struct area *area, enum kind kind, size_t size)
{
	int ret;

	if (kind == TMPFS)
		return make_filled(area, TMPFS_HUGE, size);
	file_write(SHMEM_ENABLED, "always");
	ret = make_filled(area, kind, size);
	file_write(SHMEM_ENABLED, "never");
	return ret;
}

/* Data in the first page and in the last whole one; the page table exists. */
static int make_holes(struct area *area, enum kind kind, size_t size)
{
	int ret = area_make(area, kind, size) ?: area_fill_page(area, 0, 1) ?:
		  area_fill_page(area, size / PAGE - 1, 1) ?: area_map(area);

	if (!ret)
		*(volatile char *)area->map = area->before[0];
	return ret;
}

static int make_state(struct area *area, const struct shape *shape,
		      enum state state, size_t size)
{
	switch (state) {
	case STATE_present:
	case STATE_swapped:
		return make_filled(area, shape->kind, size);
	case STATE_hole:
		return make_holes(area, shape->kind, size);
	case STATE_huge:
		return make_huge(area, shape->kind, size);
	}
	return -EINVAL;
}

FIXTURE_SETUP(cell)
{
	const struct shape *shape = variant->shape;
	bool large = variant->state == STATE_huge || shape->large;
	struct area *area = &self->area;

	self->page = large ? HUGE_PAGES + 3 : 3;
	self->size = large ? 2 * HUGE : 8 * PAGE;
	if (shape->ragged)
		self->size = self->page * PAGE + 100;
	ASSERT_EQ(0, make_state(area, shape, variant->state, self->size));
	/* Bytes behind the end are no content, as long as they stay there. */
	if (shape->ragged && variant->state != STATE_hole)
		memset(area->map + self->size, 'b', 100);
	if (variant->state == STATE_swapped)
		SWAP_OUT(area);
	if (variant->state == STATE_huge)
		SKIP_UNLESS(area_is_huge(area), "got no huge mapping");
	if (variant->state == STATE_hole)
		ASSERT_EQ((off_t)(self->page * PAGE),
			  lseek(area->fd, self->page * PAGE, SEEK_HOLE));
	if (shape->seals)
		ASSERT_EQ(0, fcntl(area->fd, F_ADD_SEALS, shape->seals));
	if (variant->mapped == WHEN_after)
		area_leave(area);
}

FIXTURE_TEARDOWN(cell)
{
	area_free(&self->area);
}

/* A file that has grown within its last page has more content now. */
static void grow(struct area *area, size_t page)
{
	struct stat status;

	fstat(area->fd, &status);
	area->size = status.st_size;
	if (area->size > (page + 1) * PAGE)
		area->size = (page + 1) * PAGE;
}

/* The write, proven to have changed the page; the pages that differ. */
static bool act(struct __test_metadata *const _metadata,
		FIXTURE_DATA(cell) *self, const FIXTURE_VARIANT(cell) *variant,
		struct pages *changed)
{
	int ret;

	if (variant->mapped == WHEN_after)
		ASSERT_EQ(0, area_map(&self->area));
	ret = variant->way(&self->area, self->page);
	if (ret == WAY_SKIPPED)
		SKIP(return false, "%s", way_reason);
	ASSERT_EQ(0, ret)
		TH_LOG("the way failed: %s", strerror(-ret));
	if (variant->shape->ragged)
		grow(&self->area, self->page);
	changed_pages(&self->area, changed);
	ASSERT_TRUE(changed->has[self->page]);
	return true;
}

static void store_again(FIXTURE_DATA(cell) *self)
{
	volatile char *byte = self->area.map + self->page * PAGE + 1;

	*byte = *byte + 1;
}

TEST_F(cell, is_reported)
{
	int monitor = area_protect(&self->area, WPFILE_TRACK);
	struct pages changed, seen;

	ASSERT_LE(0, monitor);
	if (!act(_metadata, self, variant, &changed))
		return;
	ASSERT_EQ(0, scan_pages(monitor, WPFILE_SCAN_PROTECT, &seen));
	EXPECT_TRUE(pages_cover(&seen, &changed));
	if (self->size > HUGE) /* one entry, one report */
		pages_round(&changed, HUGE_PAGES);
	EXPECT_TRUE(pages_cover(&changed, &seen))
		TH_LOG("changed: %s", pages_text(&changed));
	if (_metadata->exit_code)
		TH_LOG("reported: %s", pages_text(&seen));
	EXPECT_STREQ("", written(monitor));

	/* It is protected again, whatever the way has left behind. */
	store_again(self);
	ASSERT_EQ(0, scan_pages(monitor, 0, &seen));
	EXPECT_TRUE(seen.has[self->page]);
}

TEST_F(cell, is_not_in_the_snapshot)
{
	int snapshot = area_snapshot(&self->area);
	struct pages changed;
	struct stat status;

	ASSERT_LE(0, snapshot);
	if (!act(_metadata, self, variant, &changed))
		return;
	EXPECT_STREQ("same", compare(snapshot, self->area.before, self->size));
	store_again(self);
	EXPECT_STREQ("same", compare(snapshot, self->area.before, self->size));
	ASSERT_EQ(0, fstat(snapshot, &status));
	EXPECT_EQ((off_t)self->size, status.st_size);
}

TEST_F(cell, is_kept_by_the_handler)
{
	int monitor = sync_protect(&self->area);
	struct pages changed, seen;
	struct handler handler;

	if (variant->shape->seals & F_SEAL_FUTURE_WRITE) {
		EXPECT_EQ(-EPERM, monitor);
		return;
	}
	ASSERT_LE(0, monitor);
	ASSERT_EQ(0, handler_start(&handler, monitor, self->size));
	if (!act(_metadata, self, variant, &changed))
		return;
	EXPECT_EQ(0, handler_stop(&handler));
	ASSERT_EQ(0, scan_pages(monitor, 0, &seen));
	/* What growth makes content is behind the end that the monitor knows. */
	if (variant->way != way_truncate_up) {
		EXPECT_TRUE(pages_cover(&seen, &changed))
			TH_LOG("changed: %s", pages_text(&changed));
		EXPECT_TRUE(handler.asked.has[self->page] ||
			    handler.passed.has[self->page]);
	}
	EXPECT_STREQ("same", handler_compare(&handler, self->area.before));
	handler_free(&handler);
}

/* By a process of its own, which it may kill: 0, WAY_SKIPPED, or it failed. */
static int act_in_child(FIXTURE_DATA(cell) *self,
			const FIXTURE_VARIANT(cell) *variant)
{
	pid_t pid = fork();
	int status, ret;

	if (!pid) {
		ret = variant->way(&self->area, self->page);
		_exit(ret < 0 ? WAY_SKIPPED + 1 : ret);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		return -errno;
	return WIFEXITED(status) ? WEXITSTATUS(status) : -EFAULT;
}

/* Who cannot be refused has passed, and what was there is kept. */
TEST_F(cell, is_refused)
{
	int monitor = area_protect(&self->area, WPFILE_DENY), ret;
	struct pages changed, seen;

	if (variant->shape->seals & F_SEAL_FUTURE_WRITE) {
		EXPECT_EQ(-EPERM, monitor);
		return;
	}
	ASSERT_LE(0, monitor);
	if (variant->mapped == WHEN_after)
		ASSERT_EQ(0, area_map(&self->area));
	ret = act_in_child(self, variant);
	if (ret == WAY_SKIPPED)
		SKIP(return, "cannot be done here");
	if (variant->shape->ragged)
		grow(&self->area, self->page);
	changed_pages(&self->area, &changed);
	ASSERT_EQ(0, scan_pages(monitor, 0, &seen));
	EXPECT_STREQ("same", compare(monitor, self->area.before, self->size));
	if (variant->way == way_truncate_up)
		return;
	EXPECT_TRUE(pages_cover(&seen, &changed))
		TH_LOG("changed: %s", pages_text(&changed));
	if (!changed.has[self->page]) {
		EXPECT_NE(0, ret);
		EXPECT_STREQ("", pages_text(&seen));
	}
}

#endif
