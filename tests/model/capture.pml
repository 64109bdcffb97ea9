/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A page that is captured and read at the same time (kernel/linux/mm/wpfile/
 * capture.c, pageset.c): two gates and a reader of the snapshot, after the cut.
 * What follows the gates is a store, a truncate, or nothing, where a reader had
 * the page captured; a capture may fail.  No lock is common to all of them.
 *
 * Claim: a reader gets the content at the cut, or an error if a capture failed.
 */
#define CPUS		3
#define VARS		6

#define BIT		0	/* in the pageset: protected */
#define LOST		1	/* of the pageset */
#define CAPTURED	2	/* in the pageset */
#define SHADOW		3	/* the page there, or HOLE */
#define CONTENT		4	/* the page in the file, or HOLE */
#define FOLIO		5	/* the folio lock of the page in the file */

#define UNORDERED	OVERTAKES(BIT) OVERTAKES(LOST) OVERTAKES(CAPTURED) \
			OVERTAKES(SHADOW) OVERTAKES(CONTENT)
#include "memory.h"

#define HOLE		0
#define OLD		1
#define NEW		2

/* At the cut: OLD or HOLE. */
byte at_cut;
/* wpfile_fail() was called. */
bool failed;

/* wpfile_pageset_test() */
inline test(ret)
{
	load(LOST, ret);
	if
	:: ret -> ret = false
	:: else -> load(BIT, ret)
	fi
}

/* mark_captured(), wpfile_pageset_capture_page() */
inline mark_captured()
{
#ifdef MARK_WITHOUT_TEST
	set = true;
#else
#ifndef MARK_WITHOUT_BARRIER
	test(set);
#endif
#endif
	if
	:: set ->
#ifndef MARK_BEFORE_COPY
		smp_mb();
#endif
#ifdef CLEAR_BEFORE_MARK
		store(BIT, false);
		smp_mb();
		store(CAPTURED, true);
#else
		store(CAPTURED, true);
#ifndef CLEAR_WITHOUT_BARRIER_BEFORE
		smp_mb();
#endif
		store(BIT, false);
#endif
#ifndef CLEAR_WITHOUT_BARRIER_AFTER
		smp_mb()
#endif
	:: else
	fi
}

/* copy_to_shadow(), unless there is no memory, or the page cannot be read */
inline copy_to_shadow()
{
	if
	::
#ifdef CLEAR_BEFORE_COPY
		store(BIT, false);
		smp_mb();
#endif
		load(CONTENT, page);
		store(SHADOW, page);
		mark_captured()
	:: err = true
	fi
}

/* The folio is locked. */
inline capture_folio()
{
#ifdef COPY_WITHOUT_TEST
	copy_to_shadow()
#else
	/* Another gate may have captured it before the lock was ours. */
	test(set);
	if
	:: set -> copy_to_shadow()
	:: else
	fi
#endif
}

/* capture_page() */
inline capture_page()
{
#ifdef MARK_WITHOUT_BARRIER
	/* The bit is looked at before the page is looked for. */
	test(set);
#endif
	/* lock_page_of() */
	load(CONTENT, page);
	if
	:: page == HOLE -> mark_captured()
	:: else ->
#ifdef COPY_WITHOUT_LOCK
		capture_folio()
#else
		lock(FOLIO);
		load(CONTENT, page);
		if
		:: page == HOLE -> unlock(FOLIO); mark_captured()
		:: else -> capture_folio(); unlock(FOLIO)
		fi
#endif
	fi
}

/* wpfile_fail() */
inline fail()
{
	failed = true;
	if
	:: store(LOST, true)
	:: store(BIT, false)
	fi;
#ifndef FAIL_WITHOUT_BARRIER
	smp_mb()
#endif
}

/* What the gate stands before. */
#define NOTHING		0	/* wpfile_capture_for_reader() */
#define STORE		1	/* a fault or write() */
#define TRUNCATE	2

inline change(act)
{
	if
	:: act == STORE -> store(CONTENT, NEW)
	:: act == TRUNCATE -> lock(FOLIO); store(CONTENT, HOLE); unlock(FOLIO)
	:: else
	fi
}

/* open_gate() */
proctype Gate(byte me)
{
	byte page, act;
	bool set, err;

	if
	:: act = NOTHING
	:: act = STORE
	:: act = TRUNCATE
	fi;
	test(set);
	if
	:: set ->
		capture_page();
		if
		:: err && act != NOTHING -> fail()
		:: else
		fi
	:: else
	fi;
	change(act)
}

/* content_get() and copy_page_to_iter() */
inline content()
{
	if
	:: live -> load(CONTENT, page)
	:: !live -> load(CAPTURED, captured); load(SHADOW, page)
#ifdef READ_SHADOW_BEFORE_MARK
	:: !live -> load(SHADOW, page); load(CAPTURED, captured)
#endif
	fi
}

/* The bit, then the content. */
inline look()
{
	if
	:: test(live); content()
#ifdef READ_WITHOUT_FIRST_BARRIER
	:: content(); test(live);
	if
	:: live -> content()
	:: else
	fi
#endif
	fi
}

/* The content, then the bit. */
inline look_again()
{
#ifdef READ_WITHOUT_SECOND_LOOK
	again = live
#else
	if
	:: test(again)
#ifdef READ_WITHOUT_SECOND_BARRIER
	:: live -> test(again); content()
#endif
	fi
#endif
}

/* read_page(), again and again */
proctype Reader(byte me)
{
	byte page;
	bool live, captured, again;

end:	do
	:: look();
	look_again();
	if
	:: live && !again	/* written meanwhile */
	:: live && again -> assert(page == at_cut)
	:: !live && captured -> assert(page == at_cut)
	:: !live && !captured -> assert(failed)
	fi;
	atomic { page = 0; live = false; captured = false; again = false }
	od
}

init {
	atomic {
		if
		:: at_cut = HOLE
		:: at_cut = OLD
		fi;
		mem[CONTENT] = at_cut;
		mem[BIT] = true;
		run Buffer(0);
		run Buffer(1);
		run Gate(0);
		run Gate(1);
		run Reader(2)
	}
}
