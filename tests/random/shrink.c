// SPDX-License-Identifier: GPL-2.0-only
/*
 * Delta debugging: leave out every part of a script without which it still
 * fails, in halves first, in single operations last.  An operation that needs
 * one that is missing does nothing, so that any part may be left out.
 */
#include "random.h"
#include <stdlib.h>
#include <string.h>

static unsigned int runs;
static uint64_t deadline;

/* Without the operations @first, up to @end. */
static bool fails_without(const struct script *script, unsigned int first,
			  unsigned int end, struct script *without)
{
	*without = *script;
	memmove(without->ops + first, without->ops + end,
		(without->nr - end) * sizeof(*without->ops));
	without->nr -= end - first;
	runs++;
	return run(without, without->nr) == DIFFERED;
}

/* From the end, as what comes later depends on what was before. */
static bool leave_out(struct script *script, unsigned int part,
		      struct script *without)
{
	unsigned int end = script->nr, first;
	bool shorter = false;

	for (; end && now_ns() < deadline; end = first) {
		first = end > part ? end - part : 0;
		if (!fails_without(script, first, end, without))
			continue;
		*script = *without;
		shorter = true;
	}
	return shorter;
}

unsigned int shrink(struct script *script, unsigned int seconds)
{
	struct script *without = malloc(sizeof(*without));
	unsigned int part = script->nr;
	bool shorter = true;

	runs = 0;
	deadline = now_ns() + seconds * 1000000000ULL;
	while (now_ns() < deadline && (part > 1 || shorter)) {
		part = MAX(part / 2, 1U);
		shorter = leave_out(script, part, without);
	}
	free(without);
	return runs;
}
