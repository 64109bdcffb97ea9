// SPDX-License-Identifier: GPL-2.0-only
/*
 * The checker: is there a writable entry over a protected page?
 *
 *   wpfile_check()	where core mm sets an entry that page_table_check sees, and
 *			where it changes the flags of one; under the page table lock
 *   wpfile_check_walk() after each walk: all entries of the range again, by rmap,
 *			which finds them by each folio rather than by address
 *
 * A page is protected for good once the walk that followed its bit has ended,
 * which wpfile_mark.unsettled tells: before, an entry may be set that a filter saw
 * no bit for, and that the walker waits to look at.
 */
#include <linux/rmap.h>
#include <linux/wpfile.h>

#include "wpfile.h"

static bool is_settled(struct wpfile_mark *mark, pgoff_t first, pgoff_t last)
{
	if (!wpfile_pageset_any(&mark->pages, first, last))
		return false;
	/* The bit before the flag.  Partner: wpfile_unsettle(). */
	smp_rmb();
	return !READ_ONCE(mark->unsettled);
}

void __wpfile_check(struct page *page, unsigned long nr)
{
	struct folio *folio = page_folio(page);
	struct address_space *mapping = READ_ONCE(folio->mapping);
	struct wpfile_mark *mark;
	pgoff_t first;

	if (!mapping || ((unsigned long)mapping & PAGE_MAPPING_FLAGS) ||
	    !shmem_mapping(mapping) || !wpfile_armed(mapping))
		return;
	first = folio->index + folio_page_idx(folio, page);
	guard(rcu)();
	list_for_each_entry_rcu(mark, &wpfile_of(mapping->host)->marks, list)
		WARN_ONCE(is_settled(mark, first, first + nr - 1),
			  "wpfile: an entry becomes writable over protected page %#lx",
			  first);
}

static bool entry_is_writable(struct page_vma_mapped_walk *pvmw)
{
	return pvmw->pte ? pte_write(ptep_get(pvmw->pte)) :
			   pmd_write(*pvmw->pmd);
}

/* rmap_walk() in one VMA. */
static bool check_vma(struct folio *folio, struct vm_area_struct *vma,
		      unsigned long addr, void *arg)
{
	DEFINE_FOLIO_VMA_WALK(pvmw, folio, vma, addr, 0);
	struct wpfile_mark *mark = arg;
	pgoff_t first;

	if (!wpfile_vma_walked(vma))
		return true;
	while (page_vma_mapped_walk(&pvmw)) {
		first = linear_page_index(vma, pvmw.address);
		WARN_ONCE(entry_is_writable(&pvmw) &&
			  wpfile_pageset_any(&mark->pages, first,
					     first + (pvmw.pte ? 0 :
						      PTRS_PER_PTE - 1)),
			  "wpfile: the walk left protected page %#lx writable",
			  first);
	}
	return true;
}

static void check_folio(struct folio *folio, struct wpfile_span span, void *arg)
{
	struct rmap_walk_control rwc = { .rmap_one = check_vma, .arg = arg };

	rmap_walk(folio, &rwc);
}

/* A gate may clear bits meanwhile, but before it lets an entry become writable. */
void wpfile_check_walk(struct wpfile_mark *mark,
		       const struct wpfile_span *spans, unsigned int nr)
{
	wpfile_each_folio(mark, spans, nr, NULL, check_folio, mark);
}
