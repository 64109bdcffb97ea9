// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

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

int span_check(uint64_t offset, uint64_t length)
{
	const uint64_t rest = sysconf(_SC_PAGESIZE) - 1;
	const uint64_t end = 1ULL << 63;	/* of the longest file */
	bool to_end = length == WPFILE_TO_END;

	if (offset & rest || !length || (!to_end && length & rest))
		return -EINVAL;
	if (offset >= end || (!to_end && length > end - offset))
		return -EOVERFLOW;
	return 0;
}

static int compare(const void *a, const void *b)
{
	const struct span *x = a, *y = b;

	return (x->first > y->first) - (x->first < y->first);
}

size_t span_rest(struct span span, struct span *others, size_t nr,
		 struct span *ret_parts)
{
	size_t i, found = 0;

	qsort(others, nr, sizeof(*others), compare);
	for (i = 0; i < nr && others[i].first <= span.last; i++) {
		if (others[i].last < span.first)
			continue;
		if (others[i].first > span.first)
			ret_parts[found++] = (struct span){ span.first,
							    others[i].first - 1 };
		if (others[i].last >= span.last)
			return found;
		span.first = others[i].last + 1;
	}
	ret_parts[found++] = span;
	return found;
}
