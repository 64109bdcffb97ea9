/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The cut (kernel/linux/mm/wpfile/cut.c) and the gates (gate.c): a CAPTURE
 * monitor of two pages that two processes write in turns, each write caused by
 * the one before: step 1, 2, 3 ... goes to page 0, 1, 1, 0, 0, 1, 1 ...
 *
 * Claims: the picture (what the monitor says of the pages) is at all times after
 * T their content at T; and no effect is in it without its cause: it is a state
 * that the chain of writes went through.
 *
 * Each write goes by any of three ways: by a mapping, by write(), or as a fill or
 * punch that holds invalidate_lock only.
 *
 * All of this is done under locks, so that memory is weak for stores in user
 * mode only.  filter.pml has the page tables and what is looked at without a
 * lock, capture.pml readers that take none.
 */
#define STEPS		6
#define page_of(step)	(((step) / 2) % 2)
#define writer_of(step)	((step) % 2)

/* What the other page holds after a step. */
#define before(step)	((step) < 2 -> 0 : ((step) % 2 -> (step) - 2 : (step) - 1))

byte content[2];
bool protected[2];		/* the pageset */
bool captured[2];
byte shadow[2];

bool inode_lock;		/* of the file */
byte inval_shared;		/* holders of invalidate_lock */
bool inval_exclusive;
bool folio_lock[2];

/* The entries of each process for each page, and its TLB: writable? */
#define at(process, page)	((process) * 2 + (page))
bool entry[4], tlb[4];
/* Of the CPU that each process runs on. */
chan buffer[2] = [1] of { byte, byte };

/* The content at T; the pages for which T has been. */
byte content_at_t[2];
bool after_t[2];

#define picture(page)	(protected[page] -> content[page] : shadow[page])
#define known(page)	(protected[page] || captured[page])
#define good(page)	(!after_t[page] || known(page) && picture(page) == content_at_t[page])
#define causal()	(picture(0) > picture(1) -> picture(1) == before(picture(0)) : \
						    picture(0) == before(picture(1)))

/* A reader of the snapshot. */
active proctype Reader()
{
end:	do
	:: d_step {
		assert(good(0) && good(1));
		assert(!after_t[0] || !after_t[1] || causal())
	   }
	od
}

/* The stores of each process reach memory. */
proctype Buffer(byte process)
{
	byte page, value;

end:	do
	:: atomic { buffer[process]?page, value -> content[page] = value; page = 0; value = 0 }
	od
}

inline lock_inode()
{
	atomic { !inode_lock -> inode_lock = true }
}

inline lock_inval_shared()
{
	atomic { !inval_exclusive -> inval_shared++ }
}

/* wpfile_capture() for one page: open_gate() has found it protected. */
inline capture(page)
{
	atomic { !folio_lock[page] -> folio_lock[page] = true }
	if
	:: protected[page] ->
#ifdef CLEAR_BEFORE_COPY
		protected[page] = false;
#endif
		shadow[page] = content[page];
		captured[page] = true;
		protected[page] = false
	:: else
	fi;
	folio_lock[page] = false
}

inline gate(page)
{
	if
	:: protected[page] -> capture(page)
	:: else
	fi
}

/* do_shared_fault(), wp_page_shared(): the gate, then the filter, then a store */
inline write_by_mapping(page, value)
{
	do
	:: atomic { entry[at(me, page)] -> tlb[at(me, page)] = true }
	/* The same CPU's earlier store comes first. */
	:: atomic { tlb[at(me, page)] && empty(buffer[me]) -> buffer[me]!page, value; break }
	:: !entry[at(me, page)] && !tlb[at(me, page)] ->
#ifdef GATE_WITHOUT_LOCK
		gate(page);
#else
		lock_inval_shared();
		gate(page);
		inval_shared--;
#endif
		/* Atomic: under the page table lock. */
#ifdef CHECK_BEFORE_LOCK
		if
		:: !protected[page] -> entry[at(me, page)] = true
		:: else
		fi
#else
		atomic { entry[at(me, page)] = !protected[page] }
#endif
	od
}

/* shmem_file_write_iter() */
inline write_by_call(page, value)
{
	lock_inode();
	gate(page);
	atomic { empty(buffer[me]) -> content[page] = value }
	inode_lock = false
}

/* shmem_mfill_atomic_pte(), shmem_truncate_range() of a driver */
inline write_by_fill(page, value)
{
	lock_inval_shared();
	gate(page);
#ifdef FILL_DROPS_LOCK
	inval_shared--;
#endif
	atomic { empty(buffer[me]) -> content[page] = value }
#ifndef FILL_DROPS_LOCK
	inval_shared--
#endif
}

inline write(page, value)
{
	if
	:: write_by_mapping(page, value)
	:: write_by_call(page, value)
	:: write_by_fill(page, value)
	fi
}

/* Waits for the step before one of its own. */
proctype Writer(byte me)
{
	byte step;

	for (step : 1 .. STEPS) {
		if
		:: writer_of(step) == me && content[page_of(step - 1)] >= step - 1 ->
			write(page_of(step), step)
		:: writer_of(step) != me
		fi
	}
}

/* protect_vma() of one process: wp entries, flush; what was stored is in memory. */
inline walk(process, page)
{
	entry[at(process, page)] = false;
#ifndef RELEASE_BEFORE_FLUSH
	atomic { empty(buffer[process]) -> tlb[at(process, page)] = false }
#else
	skip
#endif
}

inline begin()
{
#ifndef CUT_WITHOUT_INODE_LOCK
	lock_inode();
#endif
	atomic { !inval_exclusive && inval_shared == 0 -> inval_exclusive = true }
}

inline end()
{
	inval_exclusive = false
#ifndef CUT_WITHOUT_INODE_LOCK
	; inode_lock = false
#endif
#ifdef RELEASE_BEFORE_FLUSH
	; atomic { empty(buffer[0]) -> tlb[0] = false; tlb[1] = false }
	; atomic { empty(buffer[1]) -> tlb[2] = false; tlb[3] = false }
#endif
}

inline set_bit(page)
{
	protected[page] = true
}

inline t(page)
{
	content_at_t[page] = content[page];
	after_t[page] = true
}

/* wpfile_cut() */
proctype Cut()
{
#ifdef A_CUT_PER_PAGE
	begin();
	set_bit(0); walk(0, 0); walk(1, 0);
	atomic { t(0) }
	end();
	begin();
	set_bit(1); walk(0, 1); walk(1, 1);
	atomic { t(1) }
	end()
#else
	begin();
#ifdef BITS_AFTER_WALK
	walk(0, 0); walk(0, 1); walk(1, 0); walk(1, 1);
	set_bit(0); set_bit(1);
#else
	set_bit(0); set_bit(1);
	walk(0, 0); walk(0, 1); walk(1, 0); walk(1, 1);
#endif
	atomic { t(0); t(1) }
	end()
#endif
}

init {
	atomic {
		run Buffer(0);
		run Buffer(1);
		run Writer(0);
		run Writer(1);
		run Cut()
	}
}
