/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The ways to change a byte of a file (section 5 of the design), as functions:
 * each changes page @page of @area and returns 0, or -errno, or WAY_SKIPPED
 * where what it is about did not happen.  Those that go through a mapping use
 * area->map.
 */
#ifndef WPFILE_TESTS_WAYS_H
#define WPFILE_TESTS_WAYS_H

#include "common.h"

#define WAY_SKIPPED 1

typedef int (*way_fn)(struct area *area, size_t page);

extern const char *way_reason;		/* of the last WAY_SKIPPED */
int way_skip(const char *reason);	/* WAY_SKIPPED */
/* 0, WAY_SKIPPED if the child exited with that, or -EIO. */
int way_reap(pid_t pid);
int way_done(ssize_t done, size_t wanted);	/* of a system call */
int way_source(void);			/* a file of two pages of 0x3c */

/* What the ways leave where they do not say otherwise. */
#define NEW_VALUE 0x5a5a1234a5a54321ULL

/* --- ways_map.c: through a mapping, by user space and by the kernel --- */

int way_store(struct area *area, size_t page);
int way_atomic(struct area *area, size_t page);
int way_store_across_pages(struct area *area, size_t page);
int way_fill_two_pages(struct area *area, size_t page);
int way_store_in_child(struct area *area, size_t page);
int way_store_through_second_mapping(struct area *area, size_t page);
int way_read_then_store_in_other_process(struct area *area, size_t page);
int way_futex_wake_op(struct area *area, size_t page);
int way_signal_frame(struct area *area, size_t page);
int way_exit_clears_tid(struct area *area, size_t page);
int way_rseq(struct area *area, size_t page);
int way_madvise_remove(struct area *area, size_t page);
int way_uffd_copy(struct area *area, size_t page);

/* --- ways_gup.c: the kernel writes to the caller's or another's memory --- */

int way_process_vm_writev(struct area *area, size_t page);
int way_proc_mem(struct area *area, size_t page);
int way_ptrace_poke(struct area *area, size_t page);
int way_read_into(struct area *area, size_t page);
int way_readv_from_pipe(struct area *area, size_t page);
int way_vmsplice_from_pipe(struct area *area, size_t page);
int way_direct_read(struct area *area, size_t page);

/* --- ways_uring.c: io_uring --- */

int way_io_uring_read(struct area *area, size_t page);
int way_io_uring_read_by_worker(struct area *area, size_t page);
int way_io_uring_read_fixed(struct area *area, size_t page);
int way_io_uring_write(struct area *area, size_t page);
int way_io_uring_write_by_worker(struct area *area, size_t page);
int way_io_uring_write_fixed(struct area *area, size_t page);

/* --- ways_event.c: a store, after something happened to the entries --- */

int way_store_after_read(struct area *area, size_t page);
int way_store_after_dontneed(struct area *area, size_t page);
int way_store_after_populate_read(struct area *area, size_t page);
int way_store_after_mprotect_read(struct area *area, size_t page);
int way_store_after_mprotect_none(struct area *area, size_t page);
int way_store_after_mprotect_of_page(struct area *area, size_t page);
int way_store_after_soft_dirty(struct area *area, size_t page);
int way_store_after_mremap(struct area *area, size_t page);
int way_store_after_mremap_askew(struct area *area, size_t page);
int way_store_after_copying_fork(struct area *area, size_t page);
int way_store_after_numa_hint(struct area *area, size_t page);
int way_store_after_move_pages(struct area *area, size_t page);
int way_store_after_compaction(struct area *area, size_t page);
int way_store_after_soft_offline(struct area *area, size_t page);
int way_store_after_hot_remove(struct area *area, size_t page);
int way_store_after_collapse(struct area *area, size_t page);
int way_store_after_khugepaged(struct area *area, size_t page);
int way_store_after_split(struct area *area, size_t page);
int way_store_after_pageout(struct area *area, size_t page);
int way_store_after_uffd_wp(struct area *area, size_t page);
int way_store_under_uffd_wp(struct area *area, size_t page);
int way_store_under_uffd_wp_async(struct area *area, size_t page);
int way_store_after_uffd_continue(struct area *area, size_t page);
int way_store_under_uffd_minor(struct area *area, size_t page);
int way_store_after_uffd_zeropage(struct area *area, size_t page);

/* --- ways_file.c: by system calls on the file --- */

int way_pwrite(struct area *area, size_t page);
int way_pwrite_two_bytes(struct area *area, size_t page);
int way_write(struct area *area, size_t page);
int way_pwritev2(struct area *area, size_t page);
int way_direct_write(struct area *area, size_t page);
int way_aio(struct area *area, size_t page);
int way_splice(struct area *area, size_t page);
int way_vmsplice_and_splice(struct area *area, size_t page);
int way_tee_and_splice(struct area *area, size_t page);
int way_sendfile(struct area *area, size_t page);
int way_copy_file_range(struct area *area, size_t page);
int way_punch_hole(struct area *area, size_t page);
int way_punch_ragged_hole(struct area *area, size_t page);
int way_truncate(struct area *area, size_t page);
int way_truncate_ragged(struct area *area, size_t page);
int way_open_truncate(struct area *area, size_t page);
int way_loop_device(struct area *area, size_t page);
int way_loop_discard(struct area *area, size_t page);

/* Of a file that ends within the page: what lies behind becomes content. */
int way_append(struct area *area, size_t page);
int way_truncate_up(struct area *area, size_t page);
int way_acct(struct area *area, size_t page);

#endif
