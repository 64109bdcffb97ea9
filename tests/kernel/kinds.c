// SPDX-License-Identifier: GPL-2.0-only
/* The same by kinds of shared memory; the other programs use a memfd. */
#include "matrix.h"

/* clang-format off */
ROW_ON(store_to_tmpfs, store, tmpfs);
ROW_ON(store_to_sysv, store, sysv);
ROW_ON(store_to_anonymous, store, anon);
ROW_ON(store_to_sealed_memfd, store, sealed);

/* F_SEAL_FUTURE_WRITE, with a mapping from before. */
#define FUTURE(_state)                                                         \
	CELL_ON(store_to_future_sealed, store, future_sealed, _state, before); \
	NO_CELL(store_to_future_sealed, _state, after,                         \
		"F_SEAL_FUTURE_WRITE lets nobody map it writable any more")
FUTURE(present);
FUTURE(hole);
FUTURE(swapped);
FUTURE(huge);

ROW_ON(pwrite_to_tmpfs, pwrite, tmpfs);
ROW_ON(pwrite_to_sysv_by_map_files, pwrite, sysv);
ROW_ON(pwrite_to_anonymous_by_map_files, pwrite, anon);
ROW_ON(pwrite_to_sealed_memfd, pwrite, sealed);
ROW_BUT_HOLE_ON(punch_hole_in_tmpfs, punch_hole, tmpfs,
		"a hole has nothing to lose");
ROW_BUT_HOLE_ON(punch_hole_in_sealed_memfd, punch_hole, sealed,
		"a hole has nothing to lose");
ROW_BUT_HOLE_ON(madvise_remove_in_sysv, madvise_remove, sysv,
		"a hole has nothing to lose");
ROW_BUT_HOLE_ON(madvise_remove_in_anonymous, madvise_remove, anon,
		"a hole has nothing to lose");
/* clang-format on */

MATRIX_MAIN
