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
 * for his, the work between is done by a kernel worker; as is whatever else is done
 * with gates locked out.  And so that one with many mappings does not, a cut that
 * takes longer than vm.wpfile.max_cut_ms is given up.
 */
#include <linux/completion.h>
#include <linux/ktime.h>
#include <linux/sched/signal.h>
#include <linux/sort.h>
#include <trace/events/wpfile.h>

#include "wpfile.h"

static struct workqueue_struct *wpfile_wq;

struct cut {
	struct work_struct work;
	struct completion done;
	struct wpfile_part *parts;
	unsigned int nr;
	/* Nobody else's: under it, invalidate_locks of one class may nest. */
	struct mutex nest;
	struct wpfile_leash leash;
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

static pgoff_t pages_of(struct wpfile_part *part)
{
	return wpfile_pages(i_size_read(part->mark->file->inode));
}

/* Memory for all that follows, at the present size. */
static int reserve(struct wpfile_part *part)
{
	struct wpfile_span span;
	unsigned int i;
	int err = 0;

	part->pages = pages_of(part);
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
	if (mark->mon->mode != WPFILE_CAPTURE &&
	    wpfile_pageset_reset(&mark->pages))
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
static int walk(struct wpfile_part *part, const struct wpfile_leash *leash)
{
	unsigned int nr = 0;

	while (nr < part->nr && clip(&part->spans[nr], part->pages))
		nr++;
	return wpfile_walk(part->mark, part->spans, nr, leash);
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

static void unlock_inodes(struct cut *cut)
{
	unsigned int i;

	for (i = 0; i < cut->nr; i++)
		inode_unlock(inode_of(cut, i));
}

/* With that of @held, all; or none, and the index of one that was not free. */
static unsigned int trylock_others(struct cut *cut, unsigned int held)
{
	unsigned int i, failed;

	for (i = 0; i < cut->nr; i++)
		if (i != held && !inode_trylock(inode_of(cut, i)))
			break;
	failed = i;
	if (failed == cut->nr)
		return failed;
	while (i--)
		if (i != held)
			inode_unlock(inode_of(cut, i));
	inode_unlock(inode_of(cut, held));
	return failed;
}

/*
 * Who holds an inode lock may be waiting for user space (write() of a buffer that
 * userfaultfd fills): nobody waits for one with another held.
 */
static int lock_inodes(struct cut *cut)
{
	unsigned int next = 0;

	do {
		if (inode_lock_killable(inode_of(cut, next)))
			return -EINTR;
		next = trylock_others(cut, next);
	} while (next < cut->nr);
	return 0;
}

static struct rw_semaphore *invalidate_lock_of(struct cut *cut, unsigned int i)
{
	return &inode_of(cut, i)->i_mapping->invalidate_lock;
}

/*
 * Who holds one of these waits for no other.  Cuts take several, in the order of
 * their inodes.
 */
static void lock_invalidate(struct cut *cut)
{
	unsigned int i;

	mutex_lock(&cut->nest);
	for (i = 0; i < cut->nr; i++)
		down_write_nest_lock(invalidate_lock_of(cut, i), &cut->nest);
}

static void unlock_invalidate(struct cut *cut)
{
	unsigned int i = cut->nr;

	while (i--)
		up_write(invalidate_lock_of(cut, i));
	mutex_unlock(&cut->nest);
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
			wpfile_lose(mark, cut->parts[i].spans->first, cut->err);
		/* Behind the end no bits have been set again. */
		wpfile_holds_release(mark, cut->parts[i].pages,
				     WPFILE_LAST_PAGE);
		trace_wpfile_cut(inode_of(cut, i), mark->size, ns, cut->err);
	}
}

static void cut_work(struct work_struct *work)
{
	struct cut *cut = container_of(work, struct cut, work);
	unsigned int i;
	ktime_t start;

	lock_invalidate(cut);
	start = ktime_get();
	cut->leash.deadline = jiffies + msecs_to_jiffies(wpfile_cut_limit());
	for (i = 0; i < cut->nr; i++) {
		forget(&cut->parts[i]);
		set_size(&cut->parts[i]);
		wpfile_unsettle(cut->parts[i].mark);
		set_bits(&cut->parts[i]);
	}
	for (i = 0; i < cut->nr && !cut->err; i++)
		cut->err = walk(&cut->parts[i], &cut->leash);
	finish(cut, ktime_to_ns(ktime_sub(ktime_get(), start)));
	unlock_invalidate(cut);
	complete(&cut->done);
}

static void cut_run(struct cut *cut)
{
	INIT_WORK_ONSTACK(&cut->work, cut_work);
	init_completion(&cut->done);
	queue_work(wpfile_wq, &cut->work);
	if (wait_for_completion_killable(&cut->done)) {
		WRITE_ONCE(cut->leash.killed, true);
		wait_for_completion(&cut->done);
	}
	destroy_work_on_stack(&cut->work);
}

static int compare_inodes(const void *a, const void *b)
{
	const struct inode *x = ((const struct wpfile_part *)a)->mark->file->inode;
	const struct inode *y = ((const struct wpfile_part *)b)->mark->file->inode;

	return x < y ? -1 : x > y;
}

/* Most of it without the inode lock, since it may take long. */
static int reserve_and_run(struct cut *cut)
{
	struct wpfile_part *part;
	int err = 0;

	for (part = cut->parts; part < cut->parts + cut->nr && !err; part++) {
		wpfile_drain_batches(part->mark);
		err = reserve(part);
	}
	if (err)
		return err;
	if (lock_inodes(cut))
		return -EINTR;
	for (part = cut->parts; part < cut->parts + cut->nr && !err; part++)
		if (part->pages != pages_of(part))
			err = reserve(part);
	if (!err)
		cut_run(cut);
	unlock_inodes(cut);
	return err ?: cut->err;
}

/**
 * wpfile_cut - protect ranges, and keep their content, at one instant
 * @parts: files of a monitor; the ranges are clipped to the file
 * @nr: their number
 *
 * Return: 0; -ENOMEM with nothing changed; -EINTR after a fatal signal or -ETIMEDOUT,
 * then the marks have failed if any bit was set.
 */
int wpfile_cut(struct wpfile_part *parts, unsigned int nr)
{
	struct cut cut = { .parts = parts, .nr = nr };

	sort(parts, nr, sizeof(*parts), compare_inodes, NULL);
	mutex_init(&cut.nest);
	return reserve_and_run(&cut);
}

struct locked {
	struct work_struct work;
	struct completion done;
	struct inode *inode;
	void (*fn)(void *arg);
	void *arg;
};

static void locked_work(struct work_struct *work)
{
	struct locked *locked = container_of(work, struct locked, work);

	filemap_invalidate_lock(locked->inode->i_mapping);
	locked->fn(locked->arg);
	filemap_invalidate_unlock(locked->inode->i_mapping);
	complete(&locked->done);
}

/**
 * wpfile_run_locked - do something with all gates of a file locked out
 * @inode: the file
 * @fn: what to do; in a worker, while the caller waits
 * @arg: for @fn
 *
 * Return: 0; -EINTR after a fatal signal, with nothing done.
 */
int wpfile_run_locked(struct inode *inode, void (*fn)(void *arg), void *arg)
{
	struct locked locked = { .inode = inode, .fn = fn, .arg = arg };

	if (inode_lock_killable(inode))
		return -EINTR;
	INIT_WORK_ONSTACK(&locked.work, locked_work);
	init_completion(&locked.done);
	queue_work(wpfile_wq, &locked.work);
	wait_for_completion(&locked.done);
	destroy_work_on_stack(&locked.work);
	inode_unlock(inode);
	return 0;
}

static int __init wpfile_cut_init(void)
{
	/* A rescuer, as writers wait for it. */
	wpfile_wq = alloc_workqueue("wpfile", WQ_UNBOUND | WQ_MEM_RECLAIM |
					      WQ_HIGHPRI, 0);
	return wpfile_wq ? 0 : -ENOMEM;
}
core_initcall(wpfile_cut_init);
