// SPDX-License-Identifier: GPL-2.0-only
/*
 * The cut: an instant T at which nothing of a range can be changed by anyone.
 *
 *	inode lock		no system call is changing the file
 *	invalidate_lock		no gate is at work
 *	set the bits		from here, nobody is let through a filter
 *	full barrier
 *	walk, flush		from here, nobody who was let through is left
 *	count pins		from here, those who are not counted are gone
 *	T
 *	drop the locks		gates go on, and capture before anything changes
 *
 * A store before T may have happened with its bit set, by an entry that the
 * walker had not come to: it belongs to the content at T, and nobody has
 * captured the page before.  A store after T was let through a filter after its
 * bit was cleared by a gate, which waited for invalidate_lock and so for T.  An
 * effect of a store after T is itself after T; so is no effect without its cause.
 *
 * This is the second ordering that wpfile rests on; the first is in filter.c.
 *
 * Writers that fault meanwhile wait for invalidate_lock.  So that a caller with
 * little CPU time (by a cgroup's quota, or a low priority) does not make them wait
 * for his, the work between is done by a kernel worker.
 */
#include <linux/completion.h>
#include <linux/ktime.h>
#include <linux/sched/signal.h>
#include <trace/events/wpfile.h>

#include "wpfile.h"

static struct workqueue_struct *wpfile_wq;

struct cut {
	struct work_struct work;
	struct completion done;
	struct wpfile_mark *mark;
	struct wpfile_span *spans;
	unsigned int nr;
	/* Of the file; the caller holds the inode lock. */
	pgoff_t pages;
	/* Set when the caller has been killed. */
	bool abort;
	int err;
};

/*
 * A capture knows content up to the end of the file.  False if nothing is left
 * of a span.
 */
static bool clip(struct wpfile_span *span, pgoff_t pages)
{
	if (span->first >= pages)
		return false;
	span->last = min(span->last, pages - 1);
	return true;
}

/* Memory for all that follows.  The inode lock is held, so the size stays. */
static int reserve(struct cut *cut)
{
	struct wpfile_span span;
	unsigned int i;
	int err = 0;

	for (i = 0; i < cut->nr && !err; i++) {
		span = cut->spans[i];
		err = wpfile_reserve(cut->mark, span);
		if (!err && clip(&span, cut->pages))
			err = wpfile_reserve(cut->mark, span);
	}
	return err;
}

/* What earlier cuts knew of the ranges. */
static void forget(struct cut *cut)
{
	struct wpfile_mark *mark = cut->mark;
	struct wpfile_span span;
	unsigned int i;

	for (i = 0; i < cut->nr; i++) {
		span = cut->spans[i];
		wpfile_pageset_clear(&mark->pages, span.first, span.last);
		wpfile_shadow_drop(mark, span.first, span.last);
	}
}

static void set_bits(struct cut *cut)
{
	struct wpfile_mark *mark = cut->mark;
	struct wpfile_span span;
	unsigned int i;

	for (i = 0; i < cut->nr; i++) {
		span = cut->spans[i];
		if (clip(&span, cut->pages))
			wpfile_pageset_set(&mark->pages, span.first, span.last);
	}
}

/* The spans are in order: those beyond the end of the file are the last. */
static int walk(struct cut *cut)
{
	unsigned int nr = 0;

	while (nr < cut->nr && clip(&cut->spans[nr], cut->pages))
		nr++;
	return wpfile_walk(cut->mark, cut->spans, nr, &cut->abort);
}

/*
 * The end of what the monitor knows: that of the file, unless an earlier cut
 * knew more, and this one has left alone the page of that end or one behind it.
 */
static void set_size(struct cut *cut)
{
	struct wpfile_mark *mark = cut->mark;
	struct inode *shadow = file_inode(mark->shadow);
	loff_t size = i_size_read(mark->file->inode);

	if (size >= mark->size ||
	    !wpfile_pageset_knows(&mark->pages, size >> PAGE_SHIFT,
				  wpfile_pages(mark->size) - 1))
		mark->size = size;
	/* It may hold pages behind the end, of an earlier cut. */
	i_size_write(shadow, max(mark->size, i_size_read(shadow)));
}

static void cut_work(struct work_struct *work)
{
	struct cut *cut = container_of(work, struct cut, work);
	struct wpfile_mark *mark = cut->mark;
	struct inode *inode = mark->file->inode;
	ktime_t start;

	filemap_invalidate_lock(inode->i_mapping);
	start = ktime_get();
	forget(cut);
	set_size(cut);
	wpfile_unsettle(mark);
	set_bits(cut);
	cut->err = walk(cut);
	/* Part of the range may still be writable: nothing of it is known. */
	if (cut->err)
		wpfile_fail(mark, cut->spans[0].first, cut->err);
	mark->cut_ns = ktime_to_ns(ktime_sub(ktime_get(), start));
	filemap_invalidate_unlock(inode->i_mapping);
	trace_wpfile_cut(inode, mark->size, mark->cut_ns, cut->err);
	complete(&cut->done);
}

static void cut_run(struct cut *cut)
{
	INIT_WORK_ONSTACK(&cut->work, cut_work);
	init_completion(&cut->done);
	queue_work(wpfile_wq, &cut->work);
	if (wait_for_completion_killable(&cut->done)) {
		WRITE_ONCE(cut->abort, true);
		wait_for_completion(&cut->done);
	}
	destroy_work_on_stack(&cut->work);
}

/**
 * wpfile_cut - protect ranges for a CAPTURE mark at one instant
 * @mark: the mark
 * @spans: the ranges, in order; clipped to the file
 * @nr: their number
 *
 * Return: 0; -ENOMEM with nothing changed; -EINTR after a fatal signal, then the
 * mark has failed if any bit was set.
 */
int wpfile_cut(struct wpfile_mark *mark, struct wpfile_span *spans,
	       unsigned int nr)
{
	struct inode *inode = mark->file->inode;
	struct cut cut = { .mark = mark, .spans = spans, .nr = nr };

	if (inode_lock_killable(inode))
		return -EINTR;
	cut.pages = wpfile_pages(i_size_read(inode));
	cut.err = reserve(&cut);
	if (!cut.err)
		cut_run(&cut);
	inode_unlock(inode);
	return cut.err;
}

static int __init wpfile_cut_init(void)
{
	/* A rescuer, as writers wait for it. */
	wpfile_wq = alloc_workqueue("wpfile", WQ_UNBOUND | WQ_MEM_RECLAIM |
					      WQ_HIGHPRI, 0);
	return wpfile_wq ? 0 : -ENOMEM;
}
core_initcall(wpfile_cut_init);
