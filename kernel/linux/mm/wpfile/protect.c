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

/*
 * TRACK needs no instant, and holds up no writer: gates are locked out only
 * while the bits are set.  A store by an entry that the walker has not come to
 * yet is one from before the call returned.
 */
static int protect_track(struct wpfile_mark *mark, struct wpfile_span *spans,
			 unsigned int nr)
{
	struct inode *inode = mark->file->inode;
	unsigned int i;
	int err = 0;

	for (i = 0; i < nr && !err; i++)
		err = wpfile_reserve(mark, spans[i]);
	if (err)
		return err;
	if (wpfile_lock_gates(inode))
		return -EINTR;
	wpfile_unsettle(mark);
	wpfile_pageset_reset(&mark->pages);
	for (i = 0; i < nr; i++)
		wpfile_pageset_set(&mark->pages, spans[i].first, spans[i].last);
	wpfile_unlock_gates(inode);
	err = wpfile_walk(mark, spans, nr, NULL);
	/* What was not walked may be written unseen. */
	if (err)
		wpfile_pageset_lose(&mark->pages);
	return err;
}

/**
 * wpfile_protect - set the bits of ranges, and make what maps them read-only
 * @mark: the mark; its monitor's op is held, or nobody else knows it
 * @spans: the ranges, in order; may be clipped
 * @nr: their number
 *
 * Return: 0; -ENOMEM with nothing changed; -EINTR as described in the uapi.
 */
int wpfile_protect(struct wpfile_mark *mark, struct wpfile_span *spans,
		   unsigned int nr)
{
	if (READ_ONCE(mark->failed))
		return -EIO;
	if (mark->mon->mode == WPFILE_CAPTURE)
		return wpfile_cut(mark, spans, nr);
	return protect_track(mark, spans, nr);
}

/**
 * wpfile_unprotect - clear the bits of a range, and drop what was captured
 * @mark: the mark; its monitor's op is held
 * @span: the range
 *
 * Page tables stay as they are: the next write fault finds the bit clear.
 *
 * Return: 0; -ENOMEM or -EINTR with nothing changed.
 */
int wpfile_unprotect(struct wpfile_mark *mark, struct wpfile_span span)
{
	struct inode *inode = mark->file->inode;
	int err = wpfile_reserve(mark, span);

	if (err)
		return err;
	if (wpfile_lock_gates(inode))
		return -EINTR;
	wpfile_pageset_clear(&mark->pages, span.first, span.last);
	if (mark->shadow)
		wpfile_shadow_drop(mark, span.first, span.last);
	wpfile_unlock_gates(inode);
	return 0;
}
