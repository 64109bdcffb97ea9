// SPDX-License-Identifier: GPL-2.0-only
/*
 * SCAN: which pages are not protected, optionally protecting them again.
 *
 * With WPFILE_SCAN_PROTECT, bits are found clear and set while gates are locked
 * out: a write is either before, and its page in the list, or after, and meets
 * the bit.  Then the walker makes the pages read-only.  A store by an entry that
 * it has not come to yet is visible to whoever reads the page after the call.
 *
 * If the list does not reach the caller, the pages become unprotected again, so
 * that the next SCAN finds them: a write may be reported twice, never not at all.
 */
#include <linux/memcontrol.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "wpfile.h"

struct scan {
	struct wpfile_mark *mark;
	struct wpfile_span range;	/* what is left to scan */
	struct wpfile_span *found;
	unsigned int nr, max;
	u64 pages;
};

/* Finds runs of clear bits, sets them if @protect. */
static void find(struct scan *scan, bool protect)
{
	struct wpfile_pageset *ps = &scan->mark->pages;
	struct wpfile_span *span, *range = &scan->range;

	while (scan->nr < scan->max) {
		range->first = wpfile_pageset_find(ps, range->first,
						   range->last, false);
		if (range->first > range->last)
			break;
		span = &scan->found[scan->nr++];
		span->first = range->first;
		range->first = wpfile_pageset_find(ps, range->first,
						   range->last, true);
		span->last = range->first - 1;
		scan->pages += range->first - span->first;
		if (protect)
			wpfile_pageset_set(ps, span->first, span->last);
		cond_resched();
	}
}

static void find_locked(void *arg)
{
	struct scan *scan = arg;

	/*
	 * If the set was lost, everything counts as written; what this call
	 * does not come to stays unprotected, and is found by the next one.
	 */
	wpfile_unsettle(scan->mark);
	wpfile_pageset_reset(&scan->mark->pages);
	find(scan, true);
}

static int find_and_protect(struct scan *scan)
{
	struct wpfile_mark *mark = scan->mark;
	struct mem_cgroup *old = set_active_memcg(mark->mon->memcg);
	int err;

	err = wpfile_pageset_reserve(&mark->pages, scan->range.first,
				     scan->range.last, GFP_KERNEL_ACCOUNT);
	set_active_memcg(old);
	if (err)
		return err;
	if (wpfile_run_locked(mark->file->inode, find_locked, scan))
		return -EINTR;
	return wpfile_walk(mark, scan->found, scan->nr, NULL);
}

static void clear_found(void *arg)
{
	struct scan *scan = arg;
	unsigned int i;

	for (i = 0; i < scan->nr; i++)
		wpfile_pageset_clear(&scan->mark->pages, scan->found[i].first,
				     scan->found[i].last);
}

/* The caller does not learn what was found: let the next SCAN find it again. */
static void unprotect_found(struct scan *scan)
{
	struct wpfile_mark *mark = scan->mark;

	if (scan->nr &&
	    wpfile_run_locked(mark->file->inode, clear_found, scan))
		wpfile_pageset_lose(&mark->pages);
}

static int copy_found(struct scan *scan, struct wpfile_range __user *user)
{
	struct wpfile_range range;
	unsigned int i;

	for (i = 0; i < scan->nr; i++) {
		range.offset = (u64)scan->found[i].first << PAGE_SHIFT;
		range.length = (u64)(scan->found[i].last -
				     scan->found[i].first + 1) << PAGE_SHIFT;
		if (copy_to_user(&user[i], &range, sizeof(range)))
			return -EFAULT;
	}
	return 0;
}

/* The part of the range asked for that the file has. */
static bool clip_to_file(struct scan *scan)
{
	pgoff_t pages = wpfile_pages(i_size_read(scan->mark->file->inode));

	if (scan->range.first >= pages)
		return false;
	scan->range.last = min(scan->range.last, pages - 1);
	return true;
}

static int scan_run(struct scan *scan, struct wpfile_cmd *cmd)
{
	struct wpfile_scan *args = &cmd->args->scan;
	bool protect = args->flags & WPFILE_SCAN_PROTECT;
	u64 end = args->length == WPFILE_TO_END ? WPFILE_TO_END :
						  args->offset + args->length;
	int err = 0;

	if (clip_to_file(scan)) {
		if (protect)
			err = find_and_protect(scan);
		else
			find(scan, false);
		args->ret_next = scan->range.first > scan->range.last ?
			end : (u64)scan->range.first << PAGE_SHIFT;
	} else {
		args->ret_next = end;
	}
	args->ret_nr_ranges = scan->nr;
	args->ret_pages = scan->pages;
	if (!err)
		err = copy_found(scan, u64_to_user_ptr(args->ranges));
	if (!err)
		err = wpfile_respond(cmd);
	if (err && protect)
		unprotect_found(scan);
	return err;
}

/**
 * wpfile_scan - WPFILE_IOC_SCAN
 * @mark: the mark; its monitor's op is held
 * @span: the range
 * @cmd: the ioctl
 */
int wpfile_scan(struct wpfile_mark *mark, struct wpfile_span span,
		struct wpfile_cmd *cmd)
{
	struct scan scan = {
		.mark = mark,
		.range = span,
		.max = cmd->args->scan.nr_ranges,
	};
	int err;

	scan.found = kvmalloc_array(scan.max, sizeof(*scan.found),
				    GFP_KERNEL_ACCOUNT);
	if (!scan.found)
		return -ENOMEM;
	err = scan_run(&scan, cmd);
	kvfree(scan.found);
	return err;
}
