/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef REPORT_H
#define REPORT_H

#include "demo.h"

/* Over all pictures of a run. */
struct totals {
	struct verdict v;	/* sums */
	int64_t widest_instant, narrowest_instant;
	uint64_t cut_ns_max, cut_ns_sum;
	long captured_max;
	uint64_t pictures;
	uint64_t again_pages, again_differ;
	uint64_t stopped_bytes, stopped_differ;
	uint64_t live_wrong;
	uint64_t longest_gap[NR_PHASES], longest_write[NR_PHASES];
	uint64_t ops[NR_PHASES], phase_ns[NR_PHASES];
	uint64_t control[2];	/* inversions found by pread(), memcpy() */
	long huge_before, huge_after;
};

bool report(struct demo *d, const struct totals *t);

#endif
