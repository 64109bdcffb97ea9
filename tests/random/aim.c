// SPDX-License-Identifier: GPL-2.0-only
/* What an operation on a mapping must find, and where that is. */
#include "random.h"

bool aim_at(unsigned int who, const struct op *op, struct effect *effect,
	    unsigned int rights)
{
	struct mapping *map = map_of(who, op->map);

	if (!map_has(map, op->offset, op->length, rights))
		return false;
	effect->offset = op->offset;
	effect->length = op->length;
	board->at = map_at(map, op->offset);
	return true;
}

/* Of the pages that are mapped at all; those behind the end, too. */
bool aim_at_pages(const struct op *op, struct effect *effect)
{
	struct mapping *map = map_of(op->who, op->map);
	size_t first = op->offset / PAGE, page;

	effect->type = CHANGES_NOTHING;
	effect->offset = op->offset;
	effect->length = op->length;
	if (!map || !op->length || op->offset % PAGE || first < map->first ||
	    PAGES_OF(op->offset + op->length) > map->first + map->pages)
		return false;
	for (page = first; page < PAGES_OF(op->offset + op->length); page++)
		if (!map->rights[page - map->first])
			return false;
	board->at = map_at(map, op->offset);
	return true;
}
