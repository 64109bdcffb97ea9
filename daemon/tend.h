/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Tending: what is to be protected in the kernel, and no longer.
 *
 * Both wait for the inode lock of the file, which anybody who may write it can hold for
 * as long as he likes: a chore does it, one at a time for a watch.  Who comes, leaves,
 * or is to be protected again meanwhile is seen to by the next one.
 *
 *	lift		what nobody who is here has asked for
 *	again		what was written, for those with again_ms
 *	fresh		each of those who have come, by itself: each has his errno
 *
 * In that order: who has come where somebody else has left is protected in the end.
 */
#ifndef WPFILED_TEND_H
#define WPFILED_TEND_H

#include "watch.h"

struct job {
	struct span *spans;
	unsigned int nr;
	int err;
};

struct result {
	int err;
	uint64_t time_ns;	/* before it was protected */
};

struct tending {
	struct chore chore;
	struct watch *watch;
	bool is_again;	/* the timer has said so, and is to be set when it is done */
	struct job lift;
	struct job again;
	struct job fresh;
	struct result *results;	/* of each that is fresh */
	struct span room[];
};

/* plan.c: what is due, which it is no more then.  NULL without memory. */
struct tending *tending_plan(struct watch *watch);

#endif /* WPFILED_TEND_H */
