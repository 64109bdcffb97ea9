// SPDX-License-Identifier: GPL-2.0-only
/*
 * The walker: makes the entries of a range of a file read-only, in every process
 * that maps it by a shared mapping, and flushes their TLBs.
 *
 * The range is walked in chunks.  One chunk is walked in all its VMAs, in the
 * order of the interval tree, under one hold of i_mmap_rwsem.  That order is
 * what keeps entries that move or are copied from slipping through, as for any
 * walk by rmap:
 *
 *   fork	dup_mmap() puts the child's VMA behind its parent's before it copies
 *		entries (with userfaultfd-wp, it copies those of shared files too)
 *   mremap	copy_vma() puts the new VMA behind the old one, or move_ptes() takes
 *		i_mmap_rwsem
 *
 * No mmap_lock is held: page tables cannot go away, since free_pgtables() takes
 * the VMA out of the tree first, for which it needs i_mmap_rwsem; khugepaged,
 * which removes page tables under a live VMA, is what pte_offset_map_lock()
 * looks out for.
 *
 * A read-only or empty entry does not mean that no CPU can write: whoever cleared
 * it may not have flushed yet.
 *
 *   reclaim, migration	batch their flushes: flush_tlb_batched_pending(), under
 *			each page table lock
 *   mprotect, zapping,	flush when they are done with a range, and say so until
 *   khugepaged		then: mm_tlb_flush_nested(), after the page table locks
 *   munmap		has taken the VMA out of the tree: zapping flushes a dirty
 *			entry before it drops the page table lock, and a clean one
 *			cannot be written through without a look at the table
 *
 * So the lock of every table is taken, and where huge pages can be mapped also
 * that of an empty PMD: zap_huge_pmd() empties it some time before it flushes,
 * and do_set_pmd() fills it after a look at the bits, both under that lock.
 */
#include <linux/hugetlb.h>
#include <linux/mm_inline.h>
#include <linux/mmu_notifier.h>
#include <linux/pagevec.h>
#include <linux/sched/signal.h>
#include <linux/smp.h>
#include <linux/swapops.h>
#include <asm/cacheflush.h>
#include <asm/tlb.h>

#include "../internal.h"
#include "wpfile.h"

/* One VMA on the way. */
struct walk {
	struct vm_area_struct *vma;
	/* What is walked of it. */
	unsigned long first;
	unsigned long last;
	/* Where entries were changed. */
	unsigned long start;
	unsigned long end;
	/* Up to @last; begun at the first entry that there may be. */
	struct mmu_notifier_range range;
	bool notified;
};

static void notify(struct walk *walk, unsigned long addr)
{
	if (walk->notified)
		return;
	mmu_notifier_range_init(&walk->range, MMU_NOTIFY_PROTECTION_PAGE, 0,
				walk->vma->vm_mm, addr, walk->last);
	mmu_notifier_invalidate_range_start(&walk->range);
	walk->notified = true;
}

static void changed(struct walk *walk, unsigned long addr, unsigned long size)
{
	walk->start = min(walk->start, addr);
	walk->end = max(walk->end, addr + size);
}

/* False if there is a page table. */
static bool protect_huge(struct walk *walk, pmd_t *pmd, unsigned long addr)
{
	struct mm_struct *mm = walk->vma->vm_mm;
	bool huge = true;
	spinlock_t *ptl;

	ptl = pmd_lock(mm, pmd);
	flush_tlb_batched_pending(mm);
	if (pmd_trans_huge(*pmd)) {
		if (pmd_write(*pmd)) {
			addr &= HPAGE_PMD_MASK;
			pmdp_set_wrprotect(mm, addr, pmd);
			changed(walk, addr, HPAGE_PMD_SIZE);
		}
	} else {
		/* Migrating (a filter waits at its end), or gone. */
		huge = is_swap_pmd(*pmd) || pmd_none(*pmd);
	}
	spin_unlock(ptl);
	return huge;
}

static bool protect_ptes(struct walk *walk, pmd_t *pmd, unsigned long addr,
			 unsigned long end)
{
	struct mm_struct *mm = walk->vma->vm_mm;
	pte_t *start, *pte, entry;
	spinlock_t *ptl;

	start = pte = pte_offset_map_lock(mm, pmd, addr, &ptl);
	if (!pte)
		return false;
	flush_tlb_batched_pending(mm);
	arch_enter_lazy_mmu_mode();
	for (; addr < end; addr += PAGE_SIZE, pte++) {
		entry = ptep_get(pte);
		if (!pte_present(entry) || !pte_write(entry))
			continue;
		ptep_set_wrprotect(mm, addr, pte);
		changed(walk, addr, PAGE_SIZE);
	}
	arch_leave_lazy_mmu_mode();
	pte_unmap_unlock(start, ptl);
	return true;
}

static void protect_pmd(struct walk *walk, pmd_t *pmd, unsigned long addr,
			unsigned long end)
{
	pmd_t entry = pmdp_get_lockless(pmd);

	if (pmd_none(entry) && !IS_ENABLED(CONFIG_TRANSPARENT_HUGEPAGE))
		return;
	notify(walk, addr);
	/* A table may become a huge page or go, while nobody looks. */
	do {
		entry = pmdp_get_lockless(pmd);
		if ((pmd_none(entry) || is_swap_pmd(entry) ||
		     pmd_trans_huge(entry)) && protect_huge(walk, pmd, addr))
			return;
	} while (!protect_ptes(walk, pmd, addr, end));
}

/* The PMD of @addr, NULL if there is none up to *@next. */
static pmd_t *find_pmd(struct mm_struct *mm, unsigned long addr,
		       unsigned long end, unsigned long *next)
{
	pgd_t *pgd = pgd_offset(mm, addr);
	p4d_t *p4d;
	pud_t *pud;

	*next = pgd_addr_end(addr, end);
	if (pgd_none(READ_ONCE(*pgd)))
		return NULL;
	p4d = p4d_offset(pgd, addr);
	*next = p4d_addr_end(addr, end);
	if (p4d_none(READ_ONCE(*p4d)))
		return NULL;
	pud = pud_offset(p4d, addr);
	*next = pud_addr_end(addr, end);
	if (pud_none(READ_ONCE(*pud)))
		return NULL;
	*next = pmd_addr_end(addr, end);
	return pmd_offset(pud, addr);
}

static void protect_range(struct walk *walk, unsigned long addr,
			  unsigned long end)
{
	struct mm_struct *mm = walk->vma->vm_mm;
	unsigned long next;
	pmd_t *pmd;

	for (; addr < end; addr = next) {
		pmd = find_pmd(mm, addr, end, &next);
		if (pmd)
			protect_pmd(walk, pmd, addr, next);
		cond_resched();
	}
}

static void flush(struct walk *walk)
{
	struct vm_area_struct *vma = walk->vma;

	if (walk->notified && mm_tlb_flush_nested(vma->vm_mm))
		flush_tlb_range(vma, walk->first, walk->last);
	else if (walk->start < walk->end)
		flush_tlb_range(vma, walk->start, walk->end);
}

static unsigned long address_of(struct vm_area_struct *vma, pgoff_t index)
{
	return vma->vm_start + ((index - vma->vm_pgoff) << PAGE_SHIFT);
}

/* What a VMA maps of pages [first, last], as far as they are in ranges: one flush. */
static void protect_vma(struct vm_area_struct *vma,
			const struct wpfile_span *spans, unsigned int nr,
			pgoff_t first, pgoff_t last)
{
	struct walk walk = { .vma = vma, .start = ULONG_MAX };
	struct mm_struct *mm = vma->vm_mm;
	pgoff_t from, to;
	unsigned int i;

	first = max(first, vma->vm_pgoff);
	last = min(last, vma->vm_pgoff + vma_pages(vma) - 1);
	walk.first = address_of(vma, first);
	walk.last = address_of(vma, last + 1);
	flush_cache_range(vma, walk.first, walk.last);
	inc_tlb_flush_pending(mm);
	for (i = 0; i < nr && spans[i].first <= last; i++) {
		from = max(first, spans[i].first);
		to = min(last, spans[i].last);
		if (from <= to)
			protect_range(&walk, address_of(vma, from),
				      address_of(vma, to + 1));
	}
	flush(&walk);
	dec_tlb_flush_pending(mm);
	if (walk.notified)
		mmu_notifier_invalidate_range_end(&walk.range);
}

/*
 * How many pages of the ranges to walk under one hold of i_mmap_rwsem, which
 * mmap(), fork() and exit of others wait for, and between two flushes of a
 * mapping: about a million entries, whatever the processes.
 */
static pgoff_t chunk_pages(struct address_space *mapping)
{
	int nr = max(atomic_read(&mapping->i_mmap_writable), 1);

	return max_t(pgoff_t, (1UL << 20) / nr, PTRS_PER_PTE);
}

/*
 * The last page of a chunk of @pages that begins at @first, which is not behind
 * the last range.  It ends with a range or a page table.
 */
static pgoff_t chunk_end(const struct wpfile_span *spans, unsigned int nr,
			 pgoff_t first, pgoff_t pages)
{
	pgoff_t from;

	for (; nr; spans++, nr--) {
		if (spans->last < first)
			continue;
		from = max(first, spans->first);
		if (spans->last - from >= pages)
			return min(spans->last,
				   round_up(from + pages, PTRS_PER_PTE) - 1);
		pages -= spans->last - from + 1;
	}
	return spans[-1].last;
}

/* Why to stop; without a leash, when the caller is killed. */
static int stopped(const struct wpfile_leash *leash)
{
	if (leash ? READ_ONCE(leash->killed) : fatal_signal_pending(current))
		return -EINTR;
	return leash && time_after(jiffies, leash->deadline) ? -ETIMEDOUT : 0;
}

/*
 * Walks a chunk of the ranges, of which the first begins or goes on at @first.
 * Returns where the next chunk begins.
 */
static pgoff_t walk_chunk(struct address_space *mapping,
			  const struct wpfile_span *spans, unsigned int nr,
			  pgoff_t first, const struct wpfile_leash *leash)
{
	pgoff_t last = spans[nr - 1].last, end;
	struct vm_area_struct *vma;

	i_mmap_lock_read(mapping);
	vma = vma_interval_tree_iter_first(&mapping->i_mmap, first, last);
	if (!vma) {
		i_mmap_unlock_read(mapping);
		return last + 1;
	}
	/* Nobody maps what lies before the first VMA. */
	first = max(first, vma->vm_pgoff);
	end = chunk_end(spans, nr, first, chunk_pages(mapping));
	vma_interval_tree_foreach(vma, &mapping->i_mmap, first, end) {
		if (wpfile_vma_walked(vma))
			protect_vma(vma, spans, nr, first, end);
		if (stopped(leash))
			break;
		cond_resched();
	}
	i_mmap_unlock_read(mapping);
	return end + 1;
}

static int walk_spans(struct address_space *mapping,
		      const struct wpfile_span *spans, unsigned int nr,
		      const struct wpfile_leash *leash)
{
	pgoff_t next = 0;

	while (nr) {
		next = walk_chunk(mapping, spans, nr, max(next, spans->first),
				  leash);
		if (stopped(leash))
			return stopped(leash);
		while (nr && spans->last < next) {
			spans++;
			nr--;
		}
		cond_resched();
	}
	return 0;
}

/* Those of a span: the pages that are in memory. */
static void each_folio(struct address_space *mapping, struct wpfile_span span,
		       const struct wpfile_leash *leash, wpfile_folio_fn fn,
		       void *arg)
{
	pgoff_t next = span.first;
	struct folio_batch batch;
	struct folio *folio;
	unsigned int i;

	folio_batch_init(&batch);
	while (next <= span.last && !stopped(leash) &&
	       filemap_get_folios(mapping, &next, span.last, &batch)) {
		for (i = 0; i < folio_batch_count(&batch); i++) {
			folio = batch.folios[i];
			folio_lock(folio);
			/* Not if it was truncated, or swapped out, meanwhile. */
			if (folio->mapping == mapping)
				fn(folio, span, arg);
			folio_unlock(folio);
		}
		folio_batch_release(&batch);
		cond_resched();
	}
}

/**
 * wpfile_each_folio - look at the pages of ranges that are in memory
 * @mark: of the file
 * @spans: the ranges
 * @nr: their number
 * @leash: as for wpfile_walk()
 * @fn: called for each folio that is in a range, at least in part, locked and with
 *	one reference of this function's
 * @arg: for @fn
 */
void wpfile_each_folio(struct wpfile_mark *mark,
		       const struct wpfile_span *spans, unsigned int nr,
		       const struct wpfile_leash *leash, wpfile_folio_fn fn,
		       void *arg)
{
	unsigned int i;

	for (i = 0; i < nr; i++)
		each_folio(mark->file->inode->i_mapping, spans[i], leash, fn,
			   arg);
}

/* It walks page tables with no lock, but with interrupts off. */
static void wait_for_gup_fast(void)
{
	if (IS_ENABLED(CONFIG_MMU_GATHER_RCU_TABLE_FREE))
		tlb_remove_table_sync_one();
	else
		kick_all_cpus_sync();
}

/**
 * wpfile_walk - make what maps ranges read-only, flush, and look for pins
 * @mark: the mark; the bits of the ranges have been set
 * @spans: the ranges, in order
 * @nr: their number
 * @leash: when to stop; NULL: when the caller is killed
 *
 * Return: 0 with nothing in the ranges writable but what was since made so with
 * its bit clear, and @mark->pinned counted; -EINTR or -ETIMEDOUT if stopped, with an
 * unknown part done.
 */
int wpfile_walk(struct wpfile_mark *mark, const struct wpfile_span *spans,
		unsigned int nr, const struct wpfile_leash *leash)
{
	int err;

	/* The bits before the entries.  Partner: the barrier of the filters. */
	smp_mb();
	err = walk_spans(mark->file->inode->i_mapping, spans, nr, leash);
	if (err)
		return err;
	/* It may have seen an entry when that was writable: until it has its reference. */
	if (nr)
		wait_for_gup_fast();
	mark->pinned = wpfile_find_pinned(mark, spans, nr, leash);
	err = stopped(leash);
	if (err)
		return err;
	wpfile_check_walk(mark, spans, nr);
	/* The walk before the flag. */
	smp_store_release(&mark->unsettled, false);
	return 0;
}
