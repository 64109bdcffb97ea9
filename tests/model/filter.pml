/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The first ordering (kernel/linux/mm/wpfile/filter.c) and the walker (walk.c):
 * one page of a file, one process that maps it, by a PTE or by a huge PMD.
 *
 * Claim: once PROTECT has returned, nobody stores to the page before a gate has
 * cleared its bit.
 *
 * PUD stands for the levels that the walker looks at without a lock; an empty
 * PMD could map a huge page, so that the walker takes its lock.  Entries are
 * read and written under their locks.
 */
#define CPUS		4
#define VARS		9

#define BIT		0	/* of the page, in the pageset */
#define PUD		1	/* NONE or TABLE */
#define PMD		2	/* NONE, TABLE, or a huge page: READ, WRITE, DIRTY */
#define PTE		3	/* NONE, READ, WRITE, DIRTY */
#define PUD_LOCK	4
#define PMD_LOCK	5
#define PTE_LOCK	6
#define I_MMAP		7	/* i_mmap_rwsem */
#define GATES		8	/* inode lock and invalidate_lock */

#define UNORDERED	OVERTAKES(BIT) OVERTAKES(PUD) OVERTAKES(PMD) OVERTAKES(PTE)
#include "memory.h"

#define NONE		0
#define TABLE		1
#define READ		2	/* present, read-only */
#define WRITE		3	/* writable, not yet written through */
#define DIRTY		4	/* writable, and written through */
#define writable(entry)	((entry) >= WRITE)

/* Of the mm. */
bool mapped = true;		/* its VMA can be found by faults */
bool in_tree = true;		/* and by the walker: mapping->i_mmap */
byte faults;			/* holders of mmap_lock or of the VMA lock */
byte flush_pending;		/* mm->tlb_flush_pending */
bool flush_batched;		/* mm->tlb_flush_batched */

/* What a CPU that runs the process has of the page in its TLB, if writable. */
byte tlb;

/* For the claim: PROTECT has returned; no gate has been passed since its bits. */
bool returned, guarded;

/* All of the flusher's stores are visible first. */
inline flush_tlb()
{
	atomic { smp_mb() -> tlb = NONE }
}

#define entry()	(mem[PUD] == NONE -> NONE : (mem[PMD] == TABLE -> mem[PTE] : mem[PMD]))

/*
 * A thread in user mode.  Its CPU walks the tables whenever it likes.  The first
 * store by an entry looks at the table again, to set the dirty bit.
 */
active proctype Thread()
{
end:	do
	:: atomic { writable(entry()) && tlb == NONE -> tlb = entry() }
	:: atomic {
		tlb == WRITE ->
		if
		:: writable(entry()) ->
			tlb = DIRTY;
			if
			:: mem[PMD] == TABLE -> mem[PTE] = DIRTY
			:: else -> mem[PMD] = DIRTY
			fi
		:: else -> tlb = NONE
		fi
	   }
	:: atomic { tlb == DIRTY -> assert(!(returned && guarded)) }
	od
}

/* __wpfile_filter_ptes(), __wpfile_filter_pmd() */
inline filter(wanted)
{
#ifndef FILTER_WITHOUT_BARRIER
	smp_mb();
#endif
#ifndef CHECK_BEFORE_LOCK
	load(BIT, set);
#endif
	new = (set -> READ : wanted)
}

/* wpfile_write_fault() in TRACK mode */
inline gate()
{
	lock(GATES);
	load(BIT, set);
	if
	:: set -> guarded = false; store(BIT, 0); smp_mb()
	:: else
	fi;
	unlock(GATES)
}

/* do_set_pmd(), or the split of a huge page by wp_huge_pmd() */
inline fault_huge(wanted)
{
	lock(PMD_LOCK);
	load(PMD, old);
	if
	:: old == NONE -> filter(wanted); store(PMD, new)
	:: old == READ -> store(PMD, NONE); flush_tlb()
	:: else
	fi;
	unlock(PMD_LOCK)
}

/* pmd_install(), then set_pte_range() or wp_shared_gate() */
inline fault_pte(wanted)
{
	lock(PMD_LOCK);
	load(PMD, old);
	if
	:: old == NONE -> store(PMD, TABLE)
	:: else
	fi;
	unlock(PMD_LOCK);
	lock(PTE_LOCK);
	load(PMD, old);
	load(PTE, new);
	if
	:: old == TABLE && !writable(new) -> filter(wanted); store(PTE, new)
	:: else
	fi;
	unlock(PTE_LOCK)
}

/* handle_mm_fault(): a shared mapping of shmem is writable for reads, too. */
proctype Fault(byte me)
{
	byte old, new, wanted;
	bool set;

end:	do
	:: atomic { mapped -> faults++ }
	/* __pmd_alloc() */
	load(PUD, old);
	if
	:: old == NONE ->
		lock(PUD_LOCK);
		store(PUD, TABLE);
		unlock(PUD_LOCK)
	:: else
	fi;
	if
	:: wanted = WRITE
	:: gate(); wanted = DIRTY
	fi;
#ifdef CHECK_BEFORE_LOCK
	load(BIT, set);
#endif
	if
	:: fault_huge(wanted)
	:: fault_pte(wanted)
	fi;
	atomic { faults--; old = 0; new = 0; wanted = 0; set = 0 }
	od
}

/*
 * Removes an entry or makes it read-only, with one atomic operation, since the
 * CPU may set its dirty bit meanwhile: ptep_get_and_clear(), ptep_set_wrprotect().
 */
inline change(var, least, to)
{
	atomic {
		!(pending(var)) ->
		old = mem[var];
		if
		:: old >= least -> mem[var] = to
		:: else
		fi
	}
}

/* What else the kernel does to the entries of the process. */
proctype Others()
{
	byte old, me = 3;

end:	do
	/* mprotect(), MADV_DONTNEED */
	:: atomic { in_tree -> flush_pending++ }
	if
	:: lock(PTE_LOCK); change(PTE, READ, READ); unlock(PTE_LOCK)
	:: lock(PMD_LOCK); change(PMD, READ, READ); unlock(PMD_LOCK)
	:: lock(PTE_LOCK); change(PTE, READ, NONE); unlock(PTE_LOCK)
	:: lock(PMD_LOCK); change(PMD, READ, NONE); unlock(PMD_LOCK)
	fi;
	flush_tlb();
	flush_pending--
	/* try_to_unmap_one() */
	:: lock(PTE_LOCK);
	change(PTE, READ, NONE);
	flush_batched = true;
	unlock(PTE_LOCK);
	/* try_to_unmap_flush() */
	atomic { flush_tlb(); flush_batched = false }
	/* retract_page_tables() */
	:: lock(PMD_LOCK);
	lock(PTE_LOCK);
	load(PMD, old);
	if
	:: old == TABLE -> store(PTE, NONE); store(PMD, NONE); flush_tlb()
	:: else
	fi;
	unlock(PTE_LOCK);
	unlock(PMD_LOCK)
	/* collapse_pte_mapped_thp(); faults wait for the folio's lock */
	:: atomic {
		in_tree ->
#ifndef COLLAPSE_UNSAID
		flush_pending++
#endif
	}
	lock(PTE_LOCK);
	change(PTE, READ, NONE);
	unlock(PTE_LOCK);
	lock(PMD_LOCK);
	lock(PTE_LOCK);
	load(PMD, old);
	if
	:: old == TABLE -> store(PTE, NONE); store(PMD, NONE)
	:: else
	fi;
	flush_tlb();
	unlock(PTE_LOCK);
	unlock(PMD_LOCK);
#ifndef COLLAPSE_UNSAID
	flush_pending--
#endif
	/* munmap() */
	:: atomic { mapped && faults == 0 -> mapped = false }
	flush_pending++;
	/* zap_huge_pmd() */
	lock(PMD_LOCK);
	change(PMD, READ, NONE);
#ifndef ZAP_WITHOUT_FLUSH
	if
	:: old == DIRTY -> flush_tlb()
	:: else
	fi;
#endif
	unlock(PMD_LOCK);
	/* zap_present_folio_ptes() */
	lock(PTE_LOCK);
	change(PTE, READ, NONE);
	if
	:: old == DIRTY -> flush_tlb()
	:: else
	fi;
	unlock(PTE_LOCK);
	/* free_pgtables() */
	lock(I_MMAP);
	in_tree = false;
	unlock(I_MMAP);
	/* tlb_finish_mmu() */
	flush_tlb();
	flush_pending--;
	break
	od
}

inline batched_pending()
{
#ifndef WALK_WITHOUT_BATCHED
	if
	:: atomic { flush_batched -> flush_tlb(); flush_batched = false }
	:: else
	fi
#else
	skip
#endif
}

inline protect(var)
{
	change(var, WRITE, READ);
	changed = changed || writable(old)
}

/* protect_huge(); again is set if there is a page table */
inline protect_huge()
{
	lock(PMD_LOCK);
	batched_pending();
	protect(PMD);
	again = (old == TABLE);
	unlock(PMD_LOCK)
}

/* protect_ptes(); again is set if there is none */
inline protect_ptes()
{
	lock(PTE_LOCK);
	load(PMD, old);
	if
	:: old == TABLE ->
		again = false;
		batched_pending();
		protect(PTE)
	:: else -> again = true
	fi;
	unlock(PTE_LOCK)
}

/* protect_pmd() */
inline protect_pmd()
{
	do
	:: load(PMD, old);
#ifdef SKIP_EMPTY_PMD
	if
	:: old == NONE -> break
	:: else
	fi;
#endif
#ifdef SKIP_READ_ONLY
	if
	:: old == READ -> break
	:: old == TABLE && mem[PTE] < WRITE -> break
	:: else
	fi;
#endif
	if
	:: old == TABLE -> protect_ptes()
	:: else -> protect_huge()
	fi;
	if
	:: again
	:: else -> break
	fi
	od
}

/* protect_vma() */
inline protect_vma()
{
	flush_pending++;
	load(PUD, old);
	if
	:: old == TABLE ->
		protect_pmd();
		if
#ifndef WALK_WITHOUT_NESTED
		:: flush_pending > 1 -> flush_tlb()
#endif
#ifndef WALK_WITHOUT_FLUSH
		:: changed -> flush_tlb()
#endif
		:: else
		fi
	:: else
	fi;
	flush_pending--
}

/* protect_track(): PROTECT and SCAN of a TRACK monitor, again and again. */
proctype Protect()
{
	byte old, me = 0;
	bool changed, again;

end:	do
	:: returned = false;
	lock(GATES);
	atomic { guarded = true; store(BIT, 1) }
	unlock(GATES);
#ifndef PROTECT_WITHOUT_BARRIER
	smp_mb();
#endif
	lock(I_MMAP);
	if
	:: in_tree -> protect_vma()
	:: else
	fi;
	unlock(I_MMAP);
	atomic { returned = true; old = 0; changed = false; again = false }
	od
}

init {
	byte cpu;

	atomic {
		for (cpu : 0 .. CPUS - 1) { run Buffer(cpu) }
		cpu = 0;
		run Protect();
		run Fault(1);
#ifdef TWO_FAULTS
		run Fault(2)
#else
		run Others()
#endif
	}
}
