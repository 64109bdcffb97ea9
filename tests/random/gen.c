// SPDX-License-Identifier: GPL-2.0-only
/* Arguments: places where things meet, rather than places all over the file. */
#include "random.h"

static size_t hot; /* a page of which much is done */

/* A page below @end, which is not 0. */
size_t gen_page(struct rng *rng, size_t end)
{
	size_t page;

	switch (rng_below(rng, 8)) {
	case 0 ... 3:
		page = hot + rng_below(rng, 5) - 2;
		break;
	case 4:
		page = (1 + rng_below(rng, NR_EXTENTS)) * HUGE_PAGES;
		page += rng_below(rng, 3) - 1;
		break;
	case 5:
		page = end - 1;
		break;
	default:
		page = rng_below(rng, end);
		if (rng_one_in(rng, 4))
			hot = page;
	}
	return page < end ? page : rng_below(rng, end);
}

/* Below @end bytes, which is not 0. */
size_t gen_offset(struct rng *rng, size_t end)
{
	size_t offset = gen_page(rng, PAGES_OF(end)) * PAGE;

	if (rng_one_in(rng, 3))
		offset += PAGE - 1 - rng_below(rng, 8);
	else if (rng_one_in(rng, 2))
		offset += rng_below(rng, PAGE);
	return MIN(offset, end - 1);
}

size_t gen_length(struct rng *rng, size_t offset, size_t end)
{
	size_t length;

	switch (rng_below(rng, 16)) {
	case 0 ... 3:
		length = 1;
		break;
	case 4 ... 5:
		length = 16;
		break;
	case 6 ... 7:
		length = PAGE - offset % PAGE;
		break;
	case 8 ... 9:
		length = PAGE;
		break;
	case 10 ... 11:
		length = 2 * PAGE;
		break;
	case 12 ... 14:
		length = rng_below(rng, 16 * PAGE) + 1;
		break;
	default:
		length = end;
	}
	return MIN(length, end - offset);
}

/* Some pages of those below @end, which is not 0. */
void gen_pages(struct rng *rng, size_t end, size_t *first, size_t *pages)
{
	*first = gen_page(rng, end);
	switch (rng_below(rng, 6)) {
	case 0 ... 1:
		*pages = 1;
		break;
	case 2 ... 3:
		*pages = 1 + rng_below(rng, 8);
		break;
	case 4:
		*first -= *first % HUGE_PAGES;
		*pages = HUGE_PAGES;
		break;
	default:
		*first = 0;
		*pages = end;
	}
	*pages = MIN(*pages, end - *first);
}

unsigned int gen_process(struct rng *rng)
{
	unsigned int who;

	do {
		who = rng_below(rng, NR_PROCESSES);
	} while (!model.process[who].alive);
	return who;
}

/* A mapping that there is, if that is not too rare. */
bool gen_map(struct op *op, struct rng *rng)
{
	int tries;

	for (tries = 0; tries < 10; tries++) {
		op->who = gen_process(rng);
		op->map = rng_below(rng, NR_MAPS);
		if (map_of(op->who, op->map))
			return true;
	}
	return false;
}

/* --- in a mapping that there is --- */

void gen_mapped_bytes(struct op *op, struct rng *rng)
{
	struct mapping *map;
	size_t begin, end;

	if (!gen_map(op, rng))
		return;
	map = map_of(op->who, op->map);
	begin = map->first * PAGE;
	end = MIN(begin + map->pages * PAGE, PAGES_OF(model.size) * PAGE);
	if (end <= begin)
		return;
	op->offset = MAX(gen_offset(rng, end), begin);
	op->length = gen_length(rng, op->offset, end);
	op->seed = rng_next(rng);
}

void gen_mapped_pages(struct op *op, struct rng *rng)
{
	struct mapping *map;
	size_t first, pages;

	if (!gen_map(op, rng))
		return;
	map = map_of(op->who, op->map);
	gen_pages(rng, map->first + map->pages, &first, &pages);
	first = MAX(first, map->first);
	pages = MIN(pages, map->first + map->pages - first);
	op->offset = first * PAGE;
	op->length = pages * PAGE;
}
