// SPDX-License-Identifier: GPL-2.0-only
/*
 * Gates: what happens before the content of a file changes.
 *
 * Every gate holds either the inode lock or invalidate_lock (shared suffices)
 * from before it looks at the bits until it has dealt with them, so that it never
 * runs while bits are being set, and not between the setting of bits and the
 * instant of a cut (cut.c).  What follows the gate:
 *
 *   a fault		drops the lock, and then installs an entry that the filter
 *			looks at: bits set in between are seen there
 *   write(), truncate,	keep the inode lock until the content has changed
 *   punch
 *   fill, truncation	keep invalidate_lock until the content has changed, since
 *   by drivers		they come without the inode lock
 *   pin		keeps invalidate_lock until the pages have their references,
 *			which a cut then counts (pin.c)
 *
 * A gate never fails the write and never waits for user space.
 */
#define CREATE_TRACE_POINTS
#include <trace/events/wpfile.h>
#undef CREATE_TRACE_POINTS

#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/xarray.h>

#include "wpfile.h"

DEFINE_SRCU(wpfile_fills);

/* TRACK: what was written is what is not protected. */
void wpfile_track(struct wpfile_mark *mark, pgoff_t index)
{
	struct mem_cgroup *old = set_active_memcg(mark->mon->memcg);

	if (wpfile_pageset_prepare(&mark->pages, index, WPFILE_GFP))
		wpfile_pageset_lose(&mark->pages);
	else
		wpfile_pageset_clear_page(&mark->pages, index);
	set_active_memcg(old);
}

static void (*const before_write[])(struct wpfile_mark *mark, pgoff_t index) = {
	[WPFILE_TRACK]		= wpfile_track,
	[WPFILE_CAPTURE]	= wpfile_capture,
};

/* Lets a range be written.  -EINTR, if @killable, with all that is done good. */
static int open_gate(struct inode *inode, pgoff_t first, pgoff_t last,
		     bool killable)
{
	struct wpfile_file *file = wpfile_of(inode);
	struct wpfile_mark *mark;

	while (first <= last &&
	       (mark = wpfile_next_mark(file, &first, last))) {
		trace_wpfile_write(inode, mark->mon->mode, first);
		/* After which the bit of the page is clear. */
		before_write[mark->mon->mode](mark, first);
		wpfile_mark_put(mark);
		if (killable && fatal_signal_pending(current))
			return -EINTR;
		cond_resched();
	}
	return 0;
}

/* Down, as far as the kind of fault allows. */
static bool lock_for_fault(struct vm_fault *vmf, struct address_space *mapping)
{
	if ((vmf->flags & FAULT_FLAG_USER) && (vmf->flags & FAULT_FLAG_KILLABLE))
		return !down_read_killable(&mapping->invalidate_lock);
	filemap_invalidate_lock_shared(mapping);
	return true;
}

vm_fault_t __wpfile_write_fault(struct vm_fault *vmf)
{
	struct address_space *mapping = vmf->vma->vm_file->f_mapping;

	if (!__wpfile_protected(vmf))
		return 0;
	/* A cut is on its way: it is short, and nothing changes before it ends. */
	if (!lock_for_fault(vmf, mapping))
		return VM_FAULT_NOPAGE;
	open_gate(mapping->host, vmf->pgoff, vmf->pgoff, false);
	filemap_invalidate_unlock_shared(mapping);
	return 0;
}

/* Bytes beyond the end, which a mapping may have written, become content. */
static void grow_mark(struct wpfile_mark *mark, pgoff_t first, pgoff_t last)
{
	struct mem_cgroup *old = set_active_memcg(mark->mon->memcg);

	if (wpfile_pageset_reserve(&mark->pages, first, last, WPFILE_GFP))
		wpfile_pageset_lose(&mark->pages);
	else
		wpfile_pageset_clear(&mark->pages, first, last);
	set_active_memcg(old);
}

/* A capture knows nothing beyond the end at its cut. */
static void grow(struct inode *inode, loff_t size)
{
	pgoff_t first = i_size_read(inode) >> PAGE_SHIFT;
	pgoff_t last = wpfile_pages(size) - 1;
	struct wpfile_file *file = wpfile_of(inode);
	struct wpfile_mark *mark;

	if (size <= i_size_read(inode))
		return;
	/* Runs are cleared here, which must not meet faults that clear bits. */
	filemap_invalidate_lock(inode->i_mapping);
	mutex_lock(&file->lock);
	list_for_each_entry(mark, &file->marks, list)
		if (mark->mon->mode == WPFILE_TRACK)
			grow_mark(mark, first, last);
	mutex_unlock(&file->lock);
	filemap_invalidate_unlock(inode->i_mapping);
}

int __wpfile_write(struct inode *inode, loff_t pos, size_t len)
{
	if (!len)
		return 0;
	grow(inode, pos + len);
	return open_gate(inode, pos >> PAGE_SHIFT,
			 (pos + len - 1) >> PAGE_SHIFT, true);
}

/* The first index of [first, last] with a page or a swap entry, or last + 1. */
pgoff_t wpfile_next_present(struct address_space *mapping, pgoff_t first,
			    pgoff_t last)
{
	unsigned long index = first;

	return xa_find(&mapping->i_pages, &index, last, XA_PRESENT) ?
	       index : last + 1;
}

/*
 * Pages are about to become zeros or to go.  Holes stay as they are, so their
 * bits do too: one that is filled in meanwhile is zeros, or has passed a gate.
 */
static int discard(struct inode *inode, pgoff_t first, pgoff_t last,
		   bool killable)
{
	struct address_space *mapping = inode->i_mapping;
	int err = 0;

	while (!err &&
	       (first = wpfile_next_present(mapping, first, last)) <= last) {
		err = open_gate(inode, first, first, killable);
		first++;
		cond_resched();
	}
	return err;
}

int __wpfile_resize(struct inode *inode, loff_t size)
{
	if (size < i_size_read(inode))
		return discard(inode, size >> PAGE_SHIFT, WPFILE_LAST_PAGE,
			       true);
	grow(inode, size);
	return 0;
}

int __wpfile_punch(struct inode *inode, loff_t start, loff_t len)
{
	return discard(inode, start >> PAGE_SHIFT,
		       (start + len - 1) >> PAGE_SHIFT, true);
}

/*
 * UFFDIO_COPY and UFFDIO_ZEROPAGE add a page to the file.  No change: zeros (not
 * @content), and where there is a page (EEXIST); should that go in between, it
 * passes a gate of its own.
 */
int __wpfile_fill_begin(struct inode *inode, pgoff_t index, bool content,
			int begun)
{
	struct address_space *mapping = inode->i_mapping;

	/* attach() of another file must not wait for what waits for a cut. */
	srcu_read_unlock(&wpfile_fills, begun);
	if (down_read_killable(&mapping->invalidate_lock))
		return -EINTR;
	if (content && wpfile_next_present(mapping, index, index) > index)
		open_gate(inode, index, index, false);
	return WPFILE_FILL_LOCKED;
}

/*
 * memfd_pin_folios(): a driver takes pages, to store to them as it likes.  Until
 * it has its references no cut may pass, or it would not count them.
 */
int wpfile_pin_begin(struct inode *inode, loff_t start, loff_t end)
{
	struct address_space *mapping = inode->i_mapping;

	if (!shmem_mapping(mapping))
		return 0;
	if (down_read_killable(&mapping->invalidate_lock))
		return -EINTR;
	wpfile_note_pinned(mapping);
	if (wpfile_armed(mapping))
		open_gate(inode, start >> PAGE_SHIFT, end >> PAGE_SHIFT, false);
	return 0;
}

void wpfile_pin_end(struct inode *inode)
{
	if (shmem_mapping(inode->i_mapping))
		filemap_invalidate_unlock_shared(inode->i_mapping);
}

/* Without sleeping: nothing is known any more of what the monitors protect. */
static void lose_all(struct inode *inode)
{
	struct wpfile_mark *mark;

	guard(rcu)();
	list_for_each_entry_rcu(mark, &wpfile_of(inode)->marks, list) {
		if (mark->mon->mode == WPFILE_CAPTURE)
			wpfile_fail(mark, 0, -ENOMEM);
		else
			wpfile_pageset_lose(&mark->pages);
	}
}

/*
 * shmem_truncate_range(), of drivers, which do not hold the inode lock.  The lock
 * is taken whether the file is armed or not: it may become so before the pages
 * have gone.  Shrinkers come here from reclaim, which may have been entered with
 * the lock held.
 */
bool wpfile_truncate_begin(struct inode *inode, loff_t start, loff_t end)
{
	pgoff_t last = end < 0 ? WPFILE_LAST_PAGE : end >> PAGE_SHIFT;

	if (current->flags & PF_MEMALLOC) {
		if (wpfile_armed(inode->i_mapping))
			lose_all(inode);
		return false;
	}
	filemap_invalidate_lock_shared(inode->i_mapping);
	if (wpfile_armed(inode->i_mapping))
		discard(inode, start >> PAGE_SHIFT, last, false);
	return true;
}

void wpfile_truncate_end(struct inode *inode, bool begun)
{
	if (begun)
		filemap_invalidate_unlock_shared(inode->i_mapping);
}
