// SPDX-License-Identifier: GPL-2.0-or-later
#include "span.h"

struct span span_of(uint64_t offset, uint64_t length)
{
	struct span span = { offset, offset + length - 1 };

	if (length == WPFILE_TO_END || span.last < offset)
		span.last = UINT64_MAX;
	return span;
}

struct wpfile_range span_range(struct span span)
{
	return (struct wpfile_range){
		.offset = span.first,
		.length = span.last == UINT64_MAX ? WPFILE_TO_END :
						    span.last - span.first + 1,
	};
}

bool span_meets(struct span a, struct span b)
{
	return a.first <= b.last && b.first <= a.last;
}

/* Moves the beginning behind all that covers it.  False: nothing is left. */
static bool skip_covered(struct span *span, const struct span *others, size_t nr)
{
	size_t i = 0;

	while (i < nr) {
		if (span->first < others[i].first ||
		    span->first > others[i].last) {
			i++;
			continue;
		}
		if (others[i].last >= span->last)
			return false;
		span->first = others[i].last + 1;
		i = 0;
	}
	return true;
}

bool span_uncovered(struct span span, const struct span *others, size_t nr,
		    struct span *ret_part)
{
	size_t i;

	if (!skip_covered(&span, others, nr))
		return false;
	for (i = 0; i < nr; i++)
		if (others[i].first > span.first && others[i].first <= span.last)
			span.last = others[i].first - 1;
	*ret_part = span;
	return true;
}
