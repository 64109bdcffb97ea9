// SPDX-License-Identifier: GPL-2.0-only
/*
 * Monitors and snapshots, as uapi/linux/wpfile.h has them: which bits are set,
 * and what a CAPTURE monitor or a snapshot knows of the content.
 *
 * Content needs no capturing here: it is known from PROTECT on that it is kept,
 * and a page of the model that two refer to does not change.
 */
#include "random.h"
#include <string.h>

static void forget_page(struct watch *watch, size_t page)
{
	content_put(watch->kept[page]);
	watch->kept[page] = NULL;
	watch->known[page] = false;
}

void watch_forget(struct watch *watch)
{
	size_t page;

	for (page = 0; page < MAX_FILE; page++)
		forget_page(watch, page);
	*watch = (struct watch){ .type = UNUSED, .handle = -1 };
}

static void keep_page(struct watch *watch, size_t page)
{
	content_put(watch->kept[page]);
	watch->kept[page] = content_get(model.page[page]);
	watch->known[page] = true;
	watch->bit[page] = SET;
	watch->hole[page] = model.hole[page];
	watch->length[page] = MIN(model.size - page * PAGE, PAGE);
}

static void unprotect_page(struct watch *watch, size_t page)
{
	forget_page(watch, page);
	watch->bit[page] = CLEAR;
}

static size_t range_end(const struct op *op, int i)
{
	if (op->range[i].pages == TO_END_PAGES)
		return MAX_FILE;
	return MIN((size_t)op->range[i].first + op->range[i].pages, MAX_FILE);
}

/* Of the pages from the end of the file on, up to where pread() ended. */
static bool knows_beyond(const struct watch *watch)
{
	size_t page;

	for (page = model.size / PAGE; page < PAGES_OF(watch->size); page++)
		if (watch->known[page])
			return true;
	return false;
}

/*
 * "Where the file did at the last PROTECT; or further, where the file did at an
 * earlier one, while that last one has left alone pages that are known beyond."
 * The pages of this PROTECT's ranges are not known at the moment.
 */
static void cut_size(struct watch *watch)
{
	if (model.size >= watch->size || !knows_beyond(watch))
		watch->size = model.size;
	watch->has_cut = true;
}

static void cut(struct watch *watch, const struct op *op)
{
	size_t page;
	int i;

	for (i = 0; i < NR_RANGES; i++)
		for (page = op->range[i].first; page < range_end(op, i); page++)
			unprotect_page(watch, page);
	cut_size(watch);
	for (i = 0; i < NR_RANGES; i++)
		for (page = op->range[i].first;
		     page < MIN(range_end(op, i), PAGES_OF(model.size)); page++)
			keep_page(watch, page);
}

void watch_protect(struct watch *watch, const struct op *op)
{
	int i;

	if (watch->type != TRACK) {
		cut(watch, op);
		return;
	}
	for (i = 0; i < NR_RANGES; i++)
		if (op->range[i].first < range_end(op, i))
			memset(watch->bit + op->range[i].first, SET,
			       range_end(op, i) - op->range[i].first);
}

void watch_unprotect(struct watch *watch, const struct op *op)
{
	size_t page;

	for (page = op->range[0].first; page < range_end(op, 0); page++)
		unprotect_page(watch, page);
}

void watch_snapshot(struct watch *watch)
{
	size_t page;

	for (page = 0; page < PAGES_OF(model.size); page++)
		keep_page(watch, page);
	watch->size = model.size;
	watch->has_cut = true;
}

void watch_copy(const struct watch *watch, char *to, size_t offset,
		size_t length)
{
	const struct content *kept;
	size_t piece;

	for (; length; length -= piece, offset += piece, to += piece) {
		piece = MIN(PAGE - offset % PAGE, length);
		kept = watch->kept[offset / PAGE];
		if (kept)
			memcpy(to, kept->bytes + offset % PAGE, piece);
		else
			memset(to, 0, piece);
	}
}

static void note_write(struct watch *watch, size_t page, bool changed)
{
	if (watch->type != UNUSED && watch->bit[page] != CLEAR)
		watch->bit[page] = changed ? CLEAR : MAYBE;
}

void watch_written(size_t page, bool changed)
{
	struct watch *watch;

	for (watch = model.watch; watch < model.watch + NR_WATCHES; watch++)
		note_write(watch, page, changed);
}

/* CAPTURE "knows content up to the end of the file at the cut", no further. */
void watch_grown(size_t page, bool changed)
{
	struct watch *watch;

	for (watch = model.watch; watch < model.watch + NR_WATCHES; watch++)
		note_write(watch, page, changed && watch->type == TRACK);
}

/* "A hole may be told as data" then; one that was written before stays one. */
void watch_filled(size_t page)
{
	struct watch *watch;

	for (watch = model.watch; watch < model.watch + NR_WATCHES; watch++)
		if (watch->type != UNUSED && watch->bit[page] != CLEAR)
			watch->hole[page] = false;
}
