// SPDX-License-Identifier: GPL-2.0-only
/*
 * Writes through a mapping, by user space and by the kernel: the fault gate in
 * wp_page_shared(), do_shared_fault() and wp_huge_pmd(), and MADV_REMOVE.
 */
#include "matrix.h"

/* clang-format off */
#define CELLS(way)                                                             \
	CELL(way, present, before);                                            \
	CELL(way, present, after);                                             \
	CELL(way, hole, before);                                               \
	CELL(way, swapped, before);                                            \
	CELL(way, huge, before)

/* A hole has nothing to lose. */
#define CELLS_BUT_HOLE(way)                                                    \
	CELL(way, present, before);                                            \
	CELL(way, present, after);                                             \
	CELL(way, swapped, before);                                            \
	CELL(way, huge, before)

CELLS(store);
CELL(store, hole, after);
CELL(store, swapped, after);
CELL(store, huge, after);
CELLS(atomic);
CELLS(store_across_pages);
CELLS(fill_two_pages);
CELLS(store_in_child);
CELLS(store_through_second_mapping);
CELLS(read_then_store_in_other_process);
CELL(read_then_store_in_other_process, huge, after);

CELLS(process_vm_writev);
CELLS(proc_mem);
CELLS(ptrace_poke);
CELLS(read_into);
CELL(read_into, huge, after);
CELLS(futex_wake_op);
CELLS(signal_frame);
CELLS_BUT_HOLE(exit_clears_tid);

CELLS_BUT_HOLE(madvise_remove);
CELL(uffd_copy, hole, before);
CELL(uffd_copy, hole, after);
/* clang-format on */

TEST_HARNESS_MAIN
