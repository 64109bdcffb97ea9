// SPDX-License-Identifier: GPL-2.0-only
/*
 * Filters: no entry is made writable while a monitor protects its page.
 *
 * The first ordering that wpfile rests on:
 *
 *	PROTECT				core mm, making an entry writable
 *
 *	sets the bits			[fills an empty PMD or PUD with a table]
 *	full barrier			takes the page table lock
 *	for each table			full barrier (here)
 *	  skips it if there is none	reads the bits
 *	  takes the page table lock	writes the entry
 *	  makes entries read-only	drops the page table lock
 *	  drops the page table lock
 *
 * If the walker takes the page table lock second, it sees the entry.  If it
 * takes it first, the filter sees the bits.  If it takes none, since there was no
 * table when it looked, then it looked before the table was put in, and by the
 * two barriers the filter, which came later, sees the bits.
 *
 * For this the walker takes the lock of a PMD that is empty but could map a huge
 * page, see walk.c.  A test made before the page table lock decides nothing.
 *
 * Entries that move or are copied are the matter of the walker's order, walk.c.
 */
#include <linux/mm.h>


#include "wpfile.h"

static bool any_protected(struct vm_area_struct *vma, unsigned long addr,
			  unsigned long nr)
{
	struct wpfile_file *file = wpfile_of(vma->vm_file->f_mapping->host);
	pgoff_t first = linear_page_index(vma, addr);
	struct wpfile_mark *mark;

	guard(rcu)();
	list_for_each_entry_rcu(mark, &file->marks, list)
		if (wpfile_pageset_any(&mark->pages, first, first + nr - 1))
			return true;
	return false;
}

bool __wpfile_any_protected(struct vm_area_struct *vma, unsigned long addr,
			    unsigned long nr)
{
	/* Partner: the barriers behind the setting of bits, cut.c, protect.c, scan.c. */
	smp_mb();
	return any_protected(vma, addr, nr);
}

pte_t __wpfile_filter_ptes(struct vm_area_struct *vma, unsigned long addr,
			   pte_t pte, unsigned int nr)
{
	return __wpfile_any_protected(vma, addr, nr) ? pte_wrprotect(pte) : pte;
}

bool __wpfile_protected(struct vm_fault *vmf)
{
	return __wpfile_any_protected(vmf->vma, vmf->address, 1);
}

#ifdef CONFIG_TRANSPARENT_HUGEPAGE
pmd_t __wpfile_filter_pmd(struct vm_area_struct *vma, unsigned long addr,
			  pmd_t pmd)
{
	/* Partner: the barriers behind the setting of bits, cut.c, protect.c, scan.c. */
	smp_mb();
	return any_protected(vma, addr & HPAGE_PMD_MASK, HPAGE_PMD_NR) ?
	       pmd_wrprotect(pmd) : pmd;
}

/*
 * Decides nothing but whether to try a huge mapping: it would go in read-only if
 * part of it is protected, and be split again by the next write fault.
 */
bool __wpfile_wants_ptes(struct vm_fault *vmf)
{
	return (vmf->flags & FAULT_FLAG_WRITE) &&
	       any_protected(vmf->vma, vmf->address & HPAGE_PMD_MASK,
			     HPAGE_PMD_NR);
}

#else
bool __wpfile_wants_ptes(struct vm_fault *vmf)
{
	return false;
}
#endif
