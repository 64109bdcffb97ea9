/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Ranges of a file, in bytes, with the last one included: none is "to the end". */
#ifndef WPFILED_SPAN_H
#define WPFILED_SPAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "wpfile.h"

struct span {
	uint64_t first;
	uint64_t last;
};

struct span span_of(uint64_t offset, uint64_t length);
struct wpfile_range span_range(struct span span);
bool span_meets(struct span a, struct span b);

/* What the kernel says of such a range. */
int span_check(uint64_t offset, uint64_t length);

/*
 * The parts of @span that none of @others covers, in order: @nr + 1 at most.  How many.
 * Sorts @others.
 */
size_t span_rest(struct span span, struct span *others, size_t nr,
		 struct span *ret_parts);

#endif /* WPFILED_SPAN_H */
