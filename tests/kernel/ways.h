/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The ways to change a byte of a file (section 5 of the design), as functions:
 * each changes page @page of @area and returns 0, or -errno.  Those that go
 * through a mapping use area->map.
 */
#ifndef WPFILE_TESTS_WAYS_H
#define WPFILE_TESTS_WAYS_H

#include "common.h"

typedef int (*way_fn)(struct area *area, size_t page);

/* --- ways_map.c: through a mapping, by user space and by the kernel --- */

int way_store(struct area *area, size_t page);
int way_atomic(struct area *area, size_t page);
int way_store_across_pages(struct area *area, size_t page);
int way_fill_two_pages(struct area *area, size_t page);
int way_store_in_child(struct area *area, size_t page);
int way_store_through_second_mapping(struct area *area, size_t page);
int way_read_then_store_in_other_process(struct area *area, size_t page);
int way_process_vm_writev(struct area *area, size_t page);
int way_proc_mem(struct area *area, size_t page);
int way_ptrace_poke(struct area *area, size_t page);
int way_read_into(struct area *area, size_t page);
int way_futex_wake_op(struct area *area, size_t page);
int way_signal_frame(struct area *area, size_t page);
int way_exit_clears_tid(struct area *area, size_t page);
int way_madvise_remove(struct area *area, size_t page);
int way_uffd_copy(struct area *area, size_t page);

/* --- ways_file.c: by system calls on the file --- */

int way_pwrite(struct area *area, size_t page);
int way_pwrite_two_bytes(struct area *area, size_t page);
int way_write(struct area *area, size_t page);
int way_pwritev2(struct area *area, size_t page);
int way_aio(struct area *area, size_t page);
int way_splice(struct area *area, size_t page);
int way_sendfile(struct area *area, size_t page);
int way_copy_file_range(struct area *area, size_t page);
int way_punch_hole(struct area *area, size_t page);
int way_punch_ragged_hole(struct area *area, size_t page);
int way_truncate(struct area *area, size_t page);
int way_truncate_ragged(struct area *area, size_t page);
int way_open_truncate(struct area *area, size_t page);
int way_loop_device(struct area *area, size_t page);

/* What the ways leave where they do not say otherwise. */
#define NEW_VALUE 0x5a5a1234a5a54321ULL

#endif
