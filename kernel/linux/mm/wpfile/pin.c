// SPDX-License-Identifier: GPL-2.0-only
/*
 * Pins: references to pages of a file through which somebody can store without a
 * fault, and so unseen: a device, O_DIRECT or io_uring in flight, a driver.
 *
 * AS_EVER_PINNED of the mapping is set, for good, before such a reference can be
 * used (mm/gup.c, shmem_read_folio_gfp()).  While it is clear there is none: the
 * walker has taken every page table lock and waited for GUP-fast, and since then
 * nobody gets a reference for writing without a gate.
 *
 * If it is set, pages are looked at one by one: pinned is what has more references
 * than the page cache and page tables hold.  That is exact but for references that
 * the kernel holds for a moment, when it isolates a page or looks at it: those
 * may be taken for a pin, never a pin for one of those.
 *
 * When to look: after the walk, and with CAPTURE before the cut's locks are
 * dropped.  A pin that is gone by then stored before T; no new one can come; one
 * that is still there is counted.
 */
#include <linux/swap.h>

#include "wpfile.h"

struct search {
	struct wpfile_mark *mark;
	/* Within a cut: nobody may be waited for. */
	bool cut;
	/* Batches of CPUs have let go of the pages they hold. */
	bool drained;
	u64 pages;
};

/*
 * Beyond those of the page cache, of page tables, and of the caller?
 *
 * Nothing stops both counts for a look.  With the folio locked, mappings only
 * become fewer, each before its reference; but fork() copies them without the
 * lock where userfaultfd-wp is registered, each after its reference.  So each
 * count is read twice, in turn, and a pin is believed rather than not.
 */
static bool has_references(struct folio *folio)
{
	int maps[2], refs[2], i;

	for (i = 0; i < 2; i++) {
		maps[i] = folio_mapcount(folio);
		/* In turn: see above. */
		smp_rmb();
		refs[i] = folio_ref_count(folio);
		/* And again. */
		smp_rmb();
	}
	return max(refs[0], refs[1]) >
	       min(maps[0], maps[1]) + folio_nr_pages(folio) + 1;
}

static bool is_pinned(struct search *search, struct folio *folio)
{
	unsigned int tries;

	if (!has_references(folio))
		return false;
	if (!search->drained) {
		if (search->cut)
			lru_add_drain();
		else
			lru_add_drain_all();
		search->drained = true;
	}
	/* Unmapping drops references some time after mappings. */
	for (tries = 0; tries < 3; tries++) {
		cond_resched();
		if (!has_references(folio))
			return false;
	}
	return true;
}

static void found(struct search *search, struct folio *folio,
		  struct wpfile_span span)
{
	pgoff_t first = max(folio->index, span.first);
	pgoff_t last = min(folio_next_index(folio) - 1, span.last);

	search->pages += last - first + 1;
	if (search->mark->mon->mode != WPFILE_TRACK)
		return;
	/* It may be written at any time: it counts as written all the time. */
	for (; first <= last; first++)
		wpfile_track(search->mark, first);
}

static void search_folio(struct folio *folio, struct wpfile_span span,
			 void *arg)
{
	struct search *search = arg;

	if (is_pinned(search, folio))
		found(search, folio, span);
}

/*
 * Before a cut: pages that sit in the batches of other CPUs would count as pinned.
 * With no lock, since that waits for each CPU, also for one whose real-time task
 * never lets go of it.
 */
void wpfile_drain_batches(struct wpfile_mark *mark)
{
	if (test_bit(AS_EVER_PINNED, &mark->file->inode->i_mapping->flags))
		lru_add_drain_all();
}

/**
 * wpfile_find_pinned - which pages may be stored to unseen?
 * @mark: the mark; with TRACK the bits of pinned pages are cleared
 * @spans: ranges that have just been walked
 * @nr: their number
 * @leash: as for wpfile_walk(): that of a cut, or NULL
 *
 * Return: the number of pinned pages.
 */
u64 wpfile_find_pinned(struct wpfile_mark *mark,
		       const struct wpfile_span *spans, unsigned int nr,
		       const struct wpfile_leash *leash)
{
	struct search search = { .mark = mark, .cut = leash };

	if (!test_bit(AS_EVER_PINNED, &mark->file->inode->i_mapping->flags))
		return 0;
	wpfile_each_folio(mark, spans, nr, leash, search_folio, &search);
	return search.pages;
}
