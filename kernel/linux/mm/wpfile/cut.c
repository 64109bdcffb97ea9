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
	struct wpfile_part *parts;
	unsigned int nr;
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
static int reserve(struct wpfile_part *part)
{
	struct wpfile_span span;
	unsigned int i;
	int err = 0;

	part->pages = wpfile_pages(i_size_read(part->mark->file->inode));
	for (i = 0; i < part->nr && !err; i++) {
		span = part->spans[i];
		err = wpfile_reserve(part->mark, span);
		if (!err && clip(&span, part->pages))
			err = wpfile_reserve(part->mark, span);
	}
	return err;
}

/* What earlier cuts knew of the ranges. */
static void forget(struct wpfile_part *part)
{
	struct wpfile_mark *mark = part->mark;
	struct wpfile_span span;
	unsigned int i;

	/* A SYNC or DENY mark that has lost its bits begins anew. */
	if (wpfile_pageset_reset(&mark->pages))
		wpfile_shadow_drop(mark, 0, WPFILE_LAST_PAGE);
	for (i = 0; i < part->nr; i++) {
		span = part->spans[i];
		wpfile_pageset_clear(&mark->pages, span.first, span.last);
		wpfile_shadow_drop(mark, span.first, span.last);
	}
}

static void set_bits(struct wpfile_part *part)
{
	struct wpfile_mark *mark = part->mark;
	struct wpfile_span span;
	unsigned int i;

	for (i = 0; i < part->nr; i++) {
		span = part->spans[i];
		if (clip(&span, part->pages))
			wpfile_pageset_set(&mark->pages, span.first, span.last);
	}
}

/* The spans are in order: those beyond the end of the file are the last. */
static int walk(struct wpfile_part *part, const bool *abort)
{
	unsigned int nr = 0;

	while (nr < part->nr && clip(&part->spans[nr], part->pages))
		nr++;
	return wpfile_walk(part->mark, part->spans, nr, abort);
}

/*
 * The end of what the monitor knows: that of the file, unless an earlier cut
 * knew more, and this one has left alone the page of that end or one behind it.
 */
static void set_size(struct wpfile_part *part)
{
	struct wpfile_mark *mark = part->mark;
	struct inode *shadow = file_inode(mark->shadow);
	loff_t size = i_size_read(mark->file->inode);

	if (size >= mark->size ||
	    !wpfile_pageset_knows(&mark->pages, size >> PAGE_SHIFT,
				  wpfile_pages(mark->size) - 1))
		mark->size = size;
	/* It may hold pages behind the end, of an earlier cut. */
	i_size_write(shadow, max(mark->size, i_size_read(shadow)));
}

static struct inode *inode_of(struct cut *cut, unsigned int i)
{
	return cut->parts[i].mark->file->inode;
}

/* The inode lock or invalidate_lock, of the files of a cut. */
struct lock_kind {
	int (*lock)(struct inode *inode);
	int (*trylock)(struct inode *inode);
	void (*unlock)(struct inode *inode);
};

static int lock_invalidate(struct inode *inode)
{
	filemap_invalidate_lock(inode->i_mapping);
	return 0;
}

static int trylock_invalidate(struct inode *inode)
{
	return down_write_trylock(&inode->i_mapping->invalidate_lock);
}

static void unlock_invalidate(struct inode *inode)
{
	filemap_invalidate_unlock(inode->i_mapping);
}

static const struct lock_kind inode_locks = {
	inode_lock_killable, inode_trylock, inode_unlock
};

static const struct lock_kind invalidate_locks = {
	lock_invalidate, trylock_invalidate, unlock_invalidate
};

static void unlock_all(struct cut *cut, const struct lock_kind *kind)
{
	unsigned int i;

	for (i = 0; i < cut->nr; i++)
		kind->unlock(inode_of(cut, i));
}

/* With that of @held, all; or none, and the index of one that was not free. */
static unsigned int trylock_others(struct cut *cut, const struct lock_kind *kind,
				   unsigned int held)
{
	unsigned int i, failed;

	for (i = 0; i < cut->nr; i++)
		if (i != held && !kind->trylock(inode_of(cut, i)))
			break;
	failed = i;
	if (failed == cut->nr)
		return failed;
	while (i--)
		if (i != held)
			kind->unlock(inode_of(cut, i));
	kind->unlock(inode_of(cut, held));
	return failed;
}

/* Locks of several files have no order: nobody waits for one with another held. */
static int lock_all(struct cut *cut, const struct lock_kind *kind)
{
	unsigned int next = 0;

	do {
		if (kind->lock(inode_of(cut, next)))
			return -EINTR;
		next = trylock_others(cut, kind, next);
	} while (next < cut->nr);
	return 0;
}

static void finish(struct cut *cut, u64 ns)
{
	struct wpfile_mark *mark;
	unsigned int i;

	for (i = 0; i < cut->nr; i++) {
		mark = cut->parts[i].mark;
		mark->cut_ns = ns;
		/* Part of the ranges may still be writable: nothing is known. */
		if (cut->err)
			wpfile_fail(mark, cut->parts[i].spans->first, cut->err);
		trace_wpfile_cut(inode_of(cut, i), mark->size, ns, cut->err);
	}
}

static void cut_work(struct work_struct *work)
{
	struct cut *cut = container_of(work, struct cut, work);
	unsigned int i;
	ktime_t start;

	lock_all(cut, &invalidate_locks);
	start = ktime_get();
	for (i = 0; i < cut->nr; i++) {
		forget(&cut->parts[i]);
		set_size(&cut->parts[i]);
		wpfile_unsettle(cut->parts[i].mark);
		set_bits(&cut->parts[i]);
	}
	for (i = 0; i < cut->nr && !cut->err; i++)
		cut->err = walk(&cut->parts[i], &cut->abort);
	finish(cut, ktime_to_ns(ktime_sub(ktime_get(), start)));
	unlock_all(cut, &invalidate_locks);
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
 * wpfile_cut - protect ranges, and keep their content, at one instant
 * @parts: files of a monitor; the ranges are clipped to the file
 * @nr: their number
 *
 * Return: 0; -ENOMEM with nothing changed; -EINTR after a fatal signal, then the
 * marks have failed if any bit was set.
 */
int wpfile_cut(struct wpfile_part *parts, unsigned int nr)
{
	struct cut cut = { .parts = parts, .nr = nr };
	unsigned int i;

	if (lock_all(&cut, &inode_locks))
		return -EINTR;
	for (i = 0; i < nr && !cut.err; i++)
		cut.err = reserve(&parts[i]);
	if (!cut.err)
		cut_run(&cut);
	unlock_all(&cut, &inode_locks);
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
