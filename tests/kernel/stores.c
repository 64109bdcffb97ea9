// SPDX-License-Identifier: GPL-2.0-only
/*
 * Writes through a mapping, by user space and by the kernel: the fault gate in
 * wp_page_shared(), do_shared_fault() and wp_huge_pmd(), and MADV_REMOVE.
 */
#include "matrix.h"
#include <sys/uio.h>

/* clang-format off */
ROW(store);
ROW(atomic);
ROW(store_across_pages);
ROW(fill_two_pages);
ROW(store_in_child);
ROW(store_through_second_mapping);
ROW(read_then_store_in_other_process);

ROW(process_vm_writev);
ROW(proc_mem);
ROW(ptrace_poke);
ROW(read_into);
ROW(readv_from_pipe);
ROW(vmsplice_from_pipe);
ROW(direct_read);
ROW(io_uring_read);
ROW(io_uring_read_by_worker);
ROW(io_uring_read_fixed);
ROW(futex_wake_op);
ROW(signal_frame);
ROW(rseq);
ROW_BUT_HOLE(exit_clears_tid, "what it stores is a zero");

ROW_BUT_HOLE(madvise_remove, "a hole has nothing to lose");
ROW_OF_HOLES(uffd_copy, "UFFDIO_COPY fills only holes");

NO_ROW(kvm, "needs a CPU with virtualization; the kernel under test runs on "
	    "an emulated one, and has no CONFIG_KVM");
NO_ROW(udmabuf, "a mapping of a dma-buf goes to pages that were pinned when it "
		"was made, not through entries of the file");
/* clang-format on */

/* The pipe has a reference to the page, not its content. */
TEST(vmsplice_to_a_pipe_is_no_write)
{
	struct area area;
	struct iovec from;
	char page[PAGE];
	int fds[2], monitor, snapshot;

	ASSERT_EQ(0, make_filled(&area, MEMFD, 8 * PAGE));
	monitor = area_protect(&area, WPFILE_TRACK);
	snapshot = area_snapshot(&area);
	ASSERT_LE(0, monitor);
	ASSERT_LE(0, snapshot);
	ASSERT_EQ(0, pipe(fds));
	from = (struct iovec){ area.map + 3 * PAGE, PAGE };
	ASSERT_EQ((ssize_t)PAGE, vmsplice(fds[1], &from, 1, 0));
	EXPECT_STREQ("", written(monitor));

	/* Nor does it keep a store from being seen, or change what was. */
	way_store(&area, 3);
	EXPECT_STREQ("3", written(monitor));
	ASSERT_EQ((ssize_t)PAGE, read(fds[0], page, PAGE));
	EXPECT_STREQ("same", compare_memory(page, area.map + 3 * PAGE, PAGE));
	EXPECT_STREQ("", written(monitor));
	EXPECT_STREQ("same", compare(snapshot, area.before, area.size));
	close(fds[0]);
	close(fds[1]);
	close(monitor);
	close(snapshot);
	area_free(&area);
}

MATRIX_MAIN
