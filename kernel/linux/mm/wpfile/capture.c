// SPDX-License-Identifier: GPL-2.0-only
/*
 * Captures: what protected pages of a file hold, before and after they change.
 *
 * The content at the cut of a page, for one mark, is
 *
 *   in the file itself		while its bit is set
 *   in the shadow		once it is marked as captured; a captured page that
 *				the shadow does not have is a hole
 *   lost			else: the mark has failed
 *
 * The shadow is a private shmem file with the same indexes, whose pages can be
 * swapped out and are charged to the memory cgroup of the monitor's creator.
 *
 * Nobody changes a page whose bit is set, so that the copy needs no care but for
 * a second gate, which may copy too: the folio lock of the page lets one of them
 * in at a time, and the bit is looked at under it.  A hole has no folio; two
 * gates that both find one do the same thing, and if one of them found a page
 * there first, it is in the shadow, where the other leaves it.
 *
 * Readers take no lock of the writers.  They look at the bit, copy from the file,
 * and look at the bit again: still set, nothing has been written; clear, the
 * shadow has it (the barriers are in wpfile_pageset_capture_page()).
 */
#include <linux/fcntl.h>
#include <linux/file.h>
#include <linux/highmem.h>
#include <linux/memcontrol.h>
#include <linux/sched/mm.h>
#include <linux/timekeeping.h>
#include <linux/uio.h>
#include <trace/events/wpfile.h>

#include "wpfile.h"

/* A writer waits for what is allocated here: try, but not for long. */
#define WPFILE_SHADOW_GFP (GFP_HIGHUSER_MOVABLE | __GFP_NORETRY | __GFP_NOWARN)
#define WPFILE_SEALS	(F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | \
			 F_SEAL_WRITE | F_SEAL_FUTURE_WRITE | F_SEAL_EXEC)

/* A shadow is truncated under the invalidate_lock of the file. */
static struct lock_class_key shadow_invalidate_lock_key;

/* Makes the shadow of a mark.  Nobody but us ever changes it. */
int wpfile_shadow_open(struct wpfile_mark *mark)
{
	struct inode *inode;
	struct file *file;

	file = shmem_file_setup("wpfile-snapshot", 0, VM_NORESERVE);
	if (IS_ERR(file))
		return -ENOMEM;
	inode = file_inode(file);
	inode->i_mode = S_IFREG | 0400;
	mapping_set_gfp_mask(inode->i_mapping, WPFILE_SHADOW_GFP);
	lockdep_set_class(&inode->i_mapping->invalidate_lock,
			  &shadow_invalidate_lock_key);
	SHMEM_I(inode)->seals = WPFILE_SEALS;
	/* Each page is captured by itself, and must not be mapped with others. */
	SHMEM_I(inode)->flags |= VM_NOHUGEPAGE;
	mark->shadow = file;
	return 0;
}

/* Lets the shadow be opened by users, with operations that know of @mark. */
int wpfile_shadow_publish(struct wpfile_mark *mark,
			  const struct file_operations *fops)
{
	struct inode *inode = file_inode(mark->shadow);
	struct wpfile_file *file = wpfile_file_get(inode);

	if (!file)
		return -ENOMEM;
	file->snapshot = mark;
	inode->i_fop = fops;
	return 0;
}

/* A page more in the shadow. */
static int charge(struct wpfile_mark *mark)
{
	struct wpfile_mon *mon = mark->mon;

	if (atomic_long_inc_return(&mon->captured) > mon->capture_limit) {
		atomic_long_dec(&mon->captured);
		return -EDQUOT;
	}
	atomic_long_inc(&mark->captured);
	return 0;
}

static void uncharge(struct wpfile_mark *mark)
{
	atomic_long_dec(&mark->captured);
	atomic_long_dec(&mark->mon->captured);
}

/* Forgets what was captured of a range.  Gates and readers are locked out. */
void wpfile_shadow_drop(struct wpfile_mark *mark, pgoff_t first, pgoff_t last)
{
	struct inode *shadow = file_inode(mark->shadow);
	struct address_space *mapping = shadow->i_mapping;
	pgoff_t at = first;

	if (!atomic_long_read(&mark->captured) ||
	    wpfile_next_present(mapping, first, last) > last)
		return;
	while ((at = wpfile_next_present(mapping, at, last)) <= last) {
		uncharge(mark);
		at++;
		cond_resched();
	}
	shmem_truncate_range(shadow, (loff_t)first << PAGE_SHIFT,
			     ((loff_t)last << PAGE_SHIFT) + PAGE_SIZE - 1);
}

/*
 * Content is lost.  A page that cannot be read is one page; without memory or
 * over the limit there is no sense in trying again at each write, but for those
 * modes whose bits do more than keep content.
 */
static bool is_lost_alone(struct wpfile_mark *mark, int err)
{
	return err == -EIO || mark->mon->mode != WPFILE_CAPTURE;
}

/*
 * Before the bits are cleared: a reader who finds neither page nor this has none.
 * The event is posted behind that: who protects anew for it is to lose nothing more.
 */
static void set_failed(struct wpfile_mark *mark)
{
	/* Partner: read_page(). */
	smp_store_mb(mark->failed, true);
}

/* Nothing is known any more, of any page.  Does not sleep. */
void wpfile_lose(struct wpfile_mark *mark, pgoff_t index, int err)
{
	set_failed(mark);
	wpfile_pageset_lose(&mark->pages);
	trace_wpfile_fail(mark->file->inode, index, err);
	wpfile_note_failure(mark, index, WPFILE_TO_END);
	wpfile_holds_release(mark, 0, WPFILE_LAST_PAGE);
}

static int prepare(struct wpfile_mark *mark, pgoff_t index)
{
	CLASS(wpfile_debt, debt)();

	return wpfile_pageset_prepare(&mark->pages, index, WPFILE_GFP);
}

void wpfile_fail(struct wpfile_mark *mark, pgoff_t index, int err)
{
	if (!is_lost_alone(mark, err) ||
	    prepare(mark, index)) {
		wpfile_lose(mark, index, err);
		return;
	}
	set_failed(mark);
	wpfile_pageset_clear_page(&mark->pages, index);
	trace_wpfile_fail(mark->file->inode, index, err);
	wpfile_note_failure(mark, index, PAGE_SIZE);
	wpfile_holds_release(mark, index, index);
}

static bool is_inside(struct inode *inode, pgoff_t index)
{
	return index < wpfile_pages(i_size_read(inode));
}

/* The page of the file, locked; NULL for a hole. */
static struct folio *lock_page_of(struct inode *inode, pgoff_t index)
{
	bool inside = is_inside(inode, index);
	struct folio *folio;
	int err;

	CLASS(wpfile_debt, debt)();
	err = shmem_get_folio(inode, index, 0, &folio, SGP_READ);
	/*
	 * Beyond the end since a truncate, which captured what was no hole; or else
	 * in a place of swap that there is not.
	 */
	if (err == -EINVAL && !(inside && is_inside(inode, index)))
		return NULL;
	if (err)
		return ERR_PTR(err == -ENOMEM ? err : -EIO);
	if (folio && PageHWPoison(folio_file_page(folio, index))) {
		folio_unlock(folio);
		folio_put(folio);
		return ERR_PTR(-EIO);
	}
	return folio;
}

/* Copies a page, whose folio the caller has locked, to the shadow. */
static int copy_to_shadow(struct wpfile_mark *mark, struct folio *folio,
			  pgoff_t index)
{
	struct folio *shadow;
	int err;

	CLASS(wpfile_debt, debt)();
	err = charge(mark);
	if (err)
		return err;
	err = shmem_get_folio(file_inode(mark->shadow), index, 0, &shadow,
			      SGP_CACHE);
	if (err) {
		uncharge(mark);
		return -ENOMEM;
	}
	if (copy_mc_highpage(folio_file_page(shadow, index),
			     folio_file_page(folio, index)))
		err = -EIO;
	flush_dcache_folio(shadow);
	folio_mark_dirty(shadow);
	folio_unlock(shadow);
	folio_put(shadow);
	return err;
}

/*
 * Marks a page as captured, unless it was lost meanwhile: then it may have been
 * written while it was copied, or been removed before it was looked for.
 */
static int mark_captured(struct wpfile_mark *mark, pgoff_t index)
{
	/* Partners: wpfile_pageset_lose() and wpfile_pageset_clear_page(). */
	smp_rmb();
	return wpfile_pageset_test(&mark->pages, index) &&
	       wpfile_pageset_capture_page(&mark->pages, index);
}

/* 1; 0 if another gate has captured it; or what went wrong. */
static int capture_page(struct wpfile_mark *mark, pgoff_t index)
{
	struct folio *folio;
	int ret;

	ret = prepare(mark, index);
	if (ret)
		return ret;
	folio = lock_page_of(mark->file->inode, index);
	if (IS_ERR(folio))
		return PTR_ERR(folio);
	if (!folio)
		return mark_captured(mark, index);
	/* It may have been before the lock was ours. */
	if (wpfile_pageset_test(&mark->pages, index))
		ret = copy_to_shadow(mark, folio, index) ?:
		      mark_captured(mark, index);
	folio_unlock(folio);
	folio_put(folio);
	return ret;
}

static int capture_charged(struct wpfile_mark *mark, pgoff_t index)
{
	struct mem_cgroup *old = set_active_memcg(mark->mon->memcg);
	int ret = capture_page(mark, index);

	set_active_memcg(old);
	return ret;
}

/**
 * wpfile_capture - keep a protected page for a mark, and clear its bit
 * @mark: the mark
 * @index: the page
 *
 * The caller is a gate.
 *
 * Return: 1; 0 if another gate has done it; or why the mark has failed.
 */
int wpfile_capture(struct wpfile_mark *mark, pgoff_t index)
{
	int ret = capture_charged(mark, index);

	if (ret < 0)
		wpfile_fail(mark, index, ret);
	return ret;
}

/**
 * wpfile_capture_for_reader - capture a page that nobody is about to write
 * @mark: the mark
 * @index: the page
 *
 * The caller holds invalidate_lock shared.
 *
 * Return: 0, or an error with nothing lost.
 */
int wpfile_capture_for_reader(struct wpfile_mark *mark, pgoff_t index)
{
	return wpfile_pageset_test(&mark->pages, index) ?
	       min(capture_charged(mark, index), 0) : 0;
}

/**
 * wpfile_shadow_folio - a page of the shadow for a reader
 * @mark: the mark
 * @index: a captured page; a hole is filled with zeros
 *
 * Unlike gates, readers may wait for memory.
 *
 * Return: the folio, locked, with a reference; -ENOMEM or -EIO.
 */
struct folio *wpfile_shadow_folio(struct wpfile_mark *mark, pgoff_t index)
{
	struct address_space *mapping = file_inode(mark->shadow)->i_mapping;
	struct mem_cgroup *old = set_active_memcg(mark->mon->memcg);
	struct folio *folio;

	do {
		folio = shmem_read_folio_gfp(mapping, index,
					     GFP_HIGHUSER_MOVABLE);
		if (IS_ERR(folio))
			break;
		folio_lock(folio);
		if (folio->mapping == mapping)
			break;
		/* Swapped out meanwhile. */
		folio_unlock(folio);
		folio_put(folio);
	} while (true);
	set_active_memcg(old);
	if (IS_ERR(folio) ||
	    !PageHWPoison(folio_file_page(folio, index)))
		return folio;
	/* Memory failure leaves it where it is, so that this is seen. */
	folio_unlock(folio);
	folio_put(folio);
	return ERR_PTR(-EIO);
}

/* A page of content, referenced; NULL for a hole. */
static struct folio *content_get(struct wpfile_mark *mark, pgoff_t index,
				 bool live)
{
	struct folio *folio;

	if (!live && !wpfile_pageset_captured(&mark->pages, index))
		return ERR_PTR(READ_ONCE(mark->failed) ? -EIO : -ENODATA);
	/* The mark before the shadow. */
	smp_rmb();
	if (live)
		folio = lock_page_of(mark->file->inode, index);
	else if (wpfile_next_present(file_inode(mark->shadow)->i_mapping,
				     index, index) == index)
		folio = wpfile_shadow_folio(mark, index);
	else
		return NULL;
	if (!IS_ERR_OR_NULL(folio))
		folio_unlock(folio);
	return folio;
}

/* Reads within one page. */
static ssize_t read_page(struct wpfile_mark *mark, loff_t pos, size_t len,
			 struct iov_iter *to)
{
	pgoff_t index = pos >> PAGE_SHIFT;
	struct folio *folio;
	ssize_t copied;
	bool live;

	do {
		live = wpfile_pageset_test(&mark->pages, index);
		/* The bit before the mark, the mark before the shadow. */
		smp_rmb();
		folio = content_get(mark, index, live);
		if (IS_ERR(folio))
			copied = PTR_ERR(folio);
		else if (folio)
			copied = copy_page_to_iter(folio_file_page(folio, index),
						   offset_in_page(pos), len, to);
		else
			copied = iov_iter_zero(len, to);
		if (!IS_ERR_OR_NULL(folio))
			folio_put(folio);
		/* The content before the bit. */
		smp_rmb();
		if (!live || wpfile_pageset_test(&mark->pages, index))
			return copied ?: -EFAULT;
		if (copied > 0)
			iov_iter_revert(to, copied);
	} while (true);
}

/**
 * wpfile_content_read - read content as it was at the cut
 * @mark: the mark
 * @pos: bytes
 * @to: where to
 *
 * Return: bytes read, 0 at the end; -EIO, -ENODATA or -EFAULT if none could be,
 * -EINTR after a fatal signal.
 */
ssize_t wpfile_content_read(struct wpfile_mark *mark, loff_t pos,
			    struct iov_iter *to)
{
	loff_t size = READ_ONCE(mark->size);
	ssize_t done = 0, ret = 0;
	size_t len;

	while (iov_iter_count(to) && pos < size) {
		len = min_t(u64, PAGE_SIZE - offset_in_page(pos), size - pos);
		len = min(len, iov_iter_count(to));
		ret = read_page(mark, pos, len, to);
		if (ret < 0)
			break;
		done += ret;
		pos += ret;
		if (ret < len)
			break;
		if (fatal_signal_pending(current)) {
			ret = -EINTR;
			break;
		}
		cond_resched();
	}
	return done ?: min_t(ssize_t, ret, 0);
}

/* Is there a page that may hold anything but zeros, in memory or in swap? */
static bool has_data(struct inode *inode, pgoff_t index)
{
	struct folio *folio = filemap_get_entry(inode->i_mapping, index);
	bool data;

	if (!folio || xa_is_value(folio))
		return folio;
	/* Not so if fallocate() has put it into a hole. */
	data = folio_test_uptodate(folio);
	folio_put(folio);
	return data;
}

/* Is there a page at the cut?  What is lost counts as one, so that it is read. */
bool wpfile_content_is_data(struct wpfile_mark *mark, pgoff_t index)
{
	bool data;

	if (wpfile_pageset_test(&mark->pages, index)) {
		data = has_data(mark->file->inode, index);
		/* What was found before the bit. */
		smp_rmb();
		if (wpfile_pageset_test(&mark->pages, index))
			return data;
	}
	/* The bit before the mark. */
	smp_rmb();
	if (!wpfile_pageset_captured(&mark->pages, index))
		return true;
	return has_data(file_inode(mark->shadow), index);
}
