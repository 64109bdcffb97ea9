// SPDX-License-Identifier: GPL-2.0-only
/*
 * The file, as uapi/linux/wpfile.h and shmem have it: content, size, holes.
 *
 * A page that an operation writes is one that SCAN may report.  It must report
 * it only if content that can be read has changed, be it that it was there
 * before or that it has come into the file.  Not even "may" is true of holes
 * that are punched again or filled with zero pages, and of pages that nothing
 * has touched; but one store may write a whole huge entry.
 *
 * Bytes of the last page behind the end can be stored through a mapping.  They
 * stay there until the file grows over them, or is truncated.
 */
#include "random.h"
#include <stdlib.h>
#include <string.h>

struct model model;

static const char zeros[PAGE];

bool is_zero(const char *bytes, size_t length)
{
	size_t done, piece;

	for (done = 0; done < length; done += piece) {
		piece = MIN(length - done, PAGE);
		if (memcmp(bytes + done, zeros, piece))
			return false;
	}
	return true;
}

struct content *content_get(struct content *content)
{
	if (content)
		content->refs++;
	return content;
}

void content_put(struct content *content)
{
	if (content && !--content->refs)
		free(content);
}

void model_init(size_t pages, size_t room, bool always_huge)
{
	memset(&model, 0, sizeof(model));
	model.size = pages * PAGE;
	model.room = room;
	model.always_huge = always_huge;
	memset(model.hole, true, sizeof(model.hole));
	memset(model.huge, always_huge, sizeof(model.huge));
}

const char *model_bytes(size_t page)
{
	return model.page[page] ? model.page[page]->bytes : zeros;
}

void model_copy(char *to, size_t offset, size_t length)
{
	size_t piece, at;

	for (; length; length -= piece, offset += piece, to += piece) {
		at = offset % PAGE;
		piece = MIN(PAGE - at, length);
		memcpy(to, model_bytes(offset / PAGE) + at, piece);
	}
}

/* For writing: nobody else has a reference to it. */
static char *own_bytes(size_t page)
{
	struct content *old = model.page[page], *new;

	if (old && old->refs == 1)
		return old->bytes;
	new = malloc(sizeof(*new));
	new->refs = 1;
	memcpy(new->bytes, model_bytes(page), PAGE);
	content_put(old);
	model.page[page] = new;
	return new->bytes;
}

static void drop_bytes(size_t page)
{
	content_put(model.page[page]);
	model.page[page] = NULL;
}

/* Bytes of the page before the end of the file. */
static size_t visible(size_t page)
{
	if (model.size <= page * PAGE)
		return 0;
	return MIN(model.size - page * PAGE, PAGE);
}

/* Memory for the page: with a huge folio, for its neighbours, too. */
static void fill_hole(size_t page)
{
	size_t first = page, pages = 1, i;

	if (model.huge[page / HUGE_PAGES]) {
		first = page - page % HUGE_PAGES;
		pages = HUGE_PAGES;
	}
	for (i = first; i < first + pages; i++) {
		if (model.hole[i])
			watch_filled(i);
		model.hole[i] = false;
	}
}

/* --- growing --- */

static void come_into_the_file(size_t page, size_t new_size)
{
	size_t old = visible(page), end;

	end = MIN(new_size - page * PAGE, PAGE);
	watch_grown(page, !is_zero(model_bytes(page) + old, end - old));
}

static void grow(size_t size)
{
	size_t page;

	if (size <= model.size)
		return;
	for (page = model.size / PAGE; page < PAGES_OF(size); page++)
		come_into_the_file(page, size);
	model.size = size;
}

/* --- writing --- */

static void write_page(size_t page, size_t from, size_t length,
		       const char *data)
{
	size_t end = MIN(from + length, visible(page));
	bool changed = from < end && memcmp(model_bytes(page) + from, data,
					    end - from);

	watch_written(page, changed);
	fill_hole(page);
	memcpy(own_bytes(page) + from, data, length);
}

/* A huge entry is written as one, whatever of it. */
static void write_entry(size_t extent)
{
	size_t page = extent * HUGE_PAGES, end = page + HUGE_PAGES;

	for (; page < end; page++)
		watch_written(page, false);
}

/* One of the stores to a huge folio comes first, which may be any. */
static void fill_huge(size_t offset, size_t end)
{
	size_t page;

	for (page = offset / PAGE + 1; page < PAGES_OF(end); page++)
		if (page % HUGE_PAGES && model.huge[page / HUGE_PAGES])
			fill_hole(page);
}

static void change_write(const struct effect *effect)
{
	size_t offset = effect->offset, end = offset + effect->length, length;
	const char *data = effect->data;

	if (effect->mapped)
		fill_huge(offset, end);
	else
		grow(end);
	for (; offset < end; offset += length, data += length) {
		length = MIN(PAGE - offset % PAGE, end - offset);
		if (effect->one_entry[offset / HUGE])
			write_entry(offset / HUGE);
		write_page(offset / PAGE, offset % PAGE, length, data);
	}
}

/* --- zeroing --- */

static void zero_part(size_t page, size_t from, size_t end)
{
	size_t seen = MIN(end, visible(page));

	if (from < seen && !is_zero(model_bytes(page) + from, seen - from))
		watch_written(page, true);
	else if (!model.hole[page])
		watch_written(page, false);
	if (model.page[page])
		memset(own_bytes(page) + from, 0, end - from);
}

/* A part of a huge folio is zeroed, and becomes a hole only if it is split. */
static bool goes_as_a_whole(size_t page, size_t first, size_t end)
{
	size_t extent = page / HUGE_PAGES * HUGE_PAGES;

	if (!model.huge[page / HUGE_PAGES])
		return true;
	return extent >= first && extent + HUGE_PAGES <= end;
}

static void drop_pages(size_t first, size_t end)
{
	size_t page;

	for (page = first; page < end; page++) {
		drop_bytes(page);
		if (goes_as_a_whole(page, first, end))
			model.hole[page] = true;
	}
	for (page = first; page < end; page++)
		if (goes_as_a_whole(page, first, end))
			model.huge[page / HUGE_PAGES] = model.always_huge;
}

static void change_zero(const struct effect *effect)
{
	size_t offset = effect->offset, end = offset + effect->length, length;
	size_t page;

	for (; offset < end; offset += length) {
		page = offset / PAGE;
		length = MIN(PAGE - offset % PAGE, end - offset);
		if (page < PAGES_OF(model.size))
			zero_part(page, offset % PAGE, offset % PAGE + length);
	}
	drop_pages(PAGES_OF(effect->offset), end / PAGE);
}

/* --- resizing --- */

static void shrink_to(size_t size)
{
	size_t page = size / PAGE, ragged = size % PAGE, cut;

	if (ragged) {
		zero_part(page, ragged, PAGE);
		if (size < model.size)
			watch_written(page, false);
		page++;
	}
	for (cut = page; cut < PAGES_OF(model.size); cut++)
		watch_written(cut, !is_zero(model_bytes(cut), visible(cut)));
	drop_pages(page, MAX_FILE);
	model.size = size;
}

static void change_size(const struct effect *effect)
{
	if (effect->length > model.size)
		grow(effect->length);
	else
		shrink_to(effect->length);
}

static void fill_holes(const struct effect *effect)
{
	size_t page = effect->offset / PAGE;

	for (; page < PAGES_OF(effect->offset + effect->length); page++)
		fill_hole(page);
}

void model_change(const struct effect *effect)
{
	switch (effect->type) {
	case CHANGES_NOTHING:
		break;
	case WRITES:
		change_write(effect);
		break;
	case ZEROES:
		change_zero(effect);
		break;
	case RESIZES:
		change_size(effect);
		break;
	case ALLOCATES:
		if (!effect->keep_size)
			grow(effect->offset + effect->length);
		fill_holes(effect);
		break;
	case FILLS:
		fill_holes(effect);
		break;
	}
}

/* --- mappings --- */

struct mapping *map_of(unsigned int who, unsigned int map)
{
	struct process *process = &model.process[who % NR_PROCESSES];
	struct mapping *mapping = &process->map[map % NR_MAPS];

	return process->alive && mapping->pages ? mapping : NULL;
}

bool map_has(const struct mapping *map, size_t offset, size_t length,
	     unsigned int rights)
{
	size_t page, end = PAGES_OF(offset + length);

	if (!map || !length || offset / PAGE < map->first ||
	    end > map->first + map->pages || end > PAGES_OF(model.size))
		return false;
	for (page = offset / PAGE; page < end; page++)
		if ((map->rights[page - map->first] & rights) != rights)
			return false;
	return true;
}

uintptr_t map_at(const struct mapping *map, size_t offset)
{
	return map->address + offset - map->first * PAGE;
}
