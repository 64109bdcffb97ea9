// SPDX-License-Identifier: GPL-2.0-only
/*
 * PROTECT and UNPROTECT: sets and clears the bits of ranges.
 */
#include <linux/memcontrol.h>
#include <linux/sched/mm.h>
#include <linux/sort.h>

#include "wpfile.h"

static int compare_spans(const void *a, const void *b)
{
	const struct wpfile_span *x = a, *y = b;

	return x->first < y->first ? -1 : x->first > y->first;
}

/* Puts ranges in order, and makes one of those that meet.  Returns how many. */
unsigned int wpfile_sort_spans(struct wpfile_span *spans, unsigned int nr)
{
	unsigned int i, last = 0;

	sort(spans, nr, sizeof(*spans), compare_spans, NULL);
	for (i = 1; i < nr; i++) {
		if (spans[i].first > spans[last].last + 1)
			spans[++last] = spans[i];
		else
			spans[last].last = max(spans[last].last, spans[i].last);
	}
	return last + 1;
}

/* So that setting or clearing the span cannot fail. */
int wpfile_reserve(struct wpfile_mark *mark, struct wpfile_span span)
{
	struct mem_cgroup *old = set_active_memcg(mark->mon->memcg);
	int err;

	err = wpfile_pageset_reserve(&mark->pages, span.first, span.last,
				     GFP_KERNEL_ACCOUNT);
	set_active_memcg(old);
	return err;
}

static int reserve_spans(struct wpfile_mark *mark,
			 const struct wpfile_span *spans, unsigned int nr)
{
	unsigned int i;
	int err = 0;

	for (i = 0; i < nr && !err; i++)
		err = wpfile_reserve(mark, spans[i]);
	return err;
}

static void set_bits(void *arg)
{
	struct wpfile_part *part = arg;
	struct wpfile_mark *mark = part->mark;
	unsigned int i;

	wpfile_unsettle(mark);
	wpfile_pageset_reset(&mark->pages);
	for (i = 0; i < part->nr; i++)
		wpfile_pageset_set(&mark->pages, part->spans[i].first,
				   part->spans[i].last);
}

/*
 * TRACK needs no instant, and holds up no writer: gates are locked out only
 * while the bits are set.  A store by an entry that the walker has not come to
 * yet is one from before the call returned.
 */
static int protect_track(struct wpfile_part *part)
{
	struct wpfile_mark *mark = part->mark;
	int err;

	if (wpfile_run_locked(mark->file->inode, set_bits, part))
		return -EINTR;
	err = wpfile_walk(mark, part->spans, part->nr, NULL);
	/* What was not walked may be written unseen. */
	if (err)
		wpfile_pageset_lose(&mark->pages);
	return err;
}

static int protect_each(struct wpfile_part *parts, unsigned int nr)
{
	unsigned int i;
	int err = 0;

	for (i = 0; i < nr && !err; i++)
		err = reserve_spans(parts[i].mark, parts[i].spans, parts[i].nr);
	for (i = 0; i < nr && !err; i++)
		err = protect_track(&parts[i]);
	return err;
}

/**
 * wpfile_protect - set the bits of ranges, and make what maps them read-only
 * @parts: files of one monitor; its op is held, or nobody else knows it
 * @nr: their number
 *
 * Return: 0; -EIO or -ENOMEM with nothing changed; -EINTR as described in the
 * uapi.
 */
int wpfile_protect(struct wpfile_part *parts, unsigned int nr)
{
	u32 mode = parts->mark->mon->mode;
	unsigned int i;

	for (i = 0; i < nr && mode == WPFILE_CAPTURE; i++)
		if (READ_ONCE(parts[i].mark->failed))
			return -EIO;
	return mode == WPFILE_TRACK ? protect_each(parts, nr) :
				      wpfile_cut(parts, nr);
}

/* The whole file. */
int wpfile_protect_all(struct wpfile_mark *mark)
{
	struct wpfile_span all = { 0, WPFILE_LAST_PAGE };
	struct wpfile_part part = { .mark = mark, .spans = &all, .nr = 1 };

	return wpfile_protect(&part, 1);
}

static void clear_bits(void *arg)
{
	struct wpfile_part *part = arg;
	unsigned int i;

	for (i = 0; i < part->nr; i++)
		wpfile_pageset_clear(&part->mark->pages, part->spans[i].first,
				     part->spans[i].last);
}

/**
 * wpfile_unprotect - clear the bits of ranges, and drop what was captured
 * @part: the file and the ranges; its monitor's op is held
 *
 * Page tables stay as they are: the next write fault finds the bit clear.
 *
 * Return: 0; -ENOMEM or -EINTR with nothing changed.
 */
int wpfile_unprotect(struct wpfile_part *part)
{
	struct wpfile_mark *mark = part->mark;
	struct wpfile_span *span;
	int err;

	err = reserve_spans(mark, part->spans, part->nr) ?:
	      wpfile_run_locked(mark->file->inode, clear_bits, part);
	if (err)
		return err;
	for (span = part->spans; span < part->spans + part->nr; span++) {
		wpfile_holds_release(mark, span->first, span->last);
		/* No gate keeps anything of a page whose bit is clear. */
		if (mark->shadow)
			wpfile_shadow_drop(mark, span->first, span->last);
	}
	return 0;
}
