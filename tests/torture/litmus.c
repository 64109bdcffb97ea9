// SPDX-License-Identifier: GPL-2.0-only
/*
 * The litmus: what writers leave in the files, and what a cut may show of it.
 *
 *	writer i	reads the sequence of slot j, and puts it in its own slot
 *			writes a version to its page k, and then puts the
 *			version in its slot
 *
 * Both are effects that follow their causes, in the same file.
 */
#include "torture.h"
#include <stdio.h>
#include <string.h>

#define WORDS (PAGE / sizeof(uint64_t))

_Static_assert(sizeof(struct slot) <= PAGE, "a slot is a page");
_Static_assert(CHECKED <= 1 << 11 && WORDS <= 1 << 9, "the bits of a word");
_Static_assert(FILE_PAGES <= MAX_PAGES, "sets of pages");

/* In bytes, of the file. */
size_t slot_offset(int id)
{
	return (SLOTS + id) * PAGE;
}

/* Neighbours belong to different writers. */
size_t own_page(int id, int k)
{
	return CONTENT + k * MAX_WRITERS + id;
}

/* No two words of a file are alike, but in version 0, which is a hole. */
static uint64_t word(uint64_t version, size_t page, size_t i)
{
	return version ? (version << 11 | page) << 9 | i : 0;
}

void fill_version(uint64_t *words, size_t page, uint64_t version)
{
	size_t i;

	for (i = 0; i < WORDS; i++)
		words[i] = word(version, page, i);
}

/* Before a cut: this much is in it. */
void note_least(int file, struct bounds *bounds)
{
	int id;

	for (id = 0; id < control->nr_writers; id++)
		bounds->least[id] = __atomic_load_n(
			&control->finished[file][id], __ATOMIC_ACQUIRE);
}

/* After it: no more than this is. */
void note_most(int file, struct bounds *bounds)
{
	int id;

	for (id = 0; id < control->nr_writers; id++)
		bounds->most[id] = __atomic_load_n(&control->begun[file][id],
						   __ATOMIC_ACQUIRE);
}

static const struct slot *slot_in(const char *copy, int id)
{
	return (const void *)(copy + slot_offset(id));
}

static enum trouble check_slot(const char *copy, int i,
			       const struct bounds *bounds, char *text,
			       size_t size)
{
	const struct slot *slot = slot_in(copy, i);
	unsigned long long at = slot->sequence, cause;
	int j;

	if (at < bounds->least[i] || at > bounds->most[i]) {
		snprintf(
			text, size,
			"writer %d is at %llu, but had finished %llu before the cut and begun %llu after it",
			i, at, (unsigned long long)bounds->least[i],
			(unsigned long long)bounds->most[i]);
		return INVERSION;
	}
	for (j = 0; j < control->nr_writers; j++) {
		cause = slot_in(copy, j)->sequence;
		if (slot->seen[j] <= cause)
			continue;
		snprintf(
			text, size,
			"writer %d (at %llu) has seen writer %d at %llu, which is at %llu",
			i, at, j, (unsigned long long)slot->seen[j], cause);
		return INVERSION;
	}
	return NONE;
}

/* Of a copy of the slots at least. */
enum trouble check_slots(const char *copy, const struct bounds *bounds,
			 char *text, size_t size)
{
	enum trouble what = NONE;
	int i;

	for (i = 0; i < control->nr_writers && !what; i++)
		what = check_slot(copy, i, bounds, text, size);
	return what;
}

/* By a copy of the kernel's, which may go byte by byte. */
static bool is_of_both(uint64_t seen, uint64_t old, uint64_t new)
{
	uint64_t byte;

	for (byte = 0xff; byte; byte <<= 8)
		if ((seen & byte) != (old & byte) &&
		    (seen & byte) != (new &byte))
			return false;
	return true;
}

/* A page that is complete in @version, and of which the next may be begun. */
static enum trouble check_page(const char *copy, size_t page, uint64_t version,
			       enum order order, char *text, size_t size)
{
	const uint64_t *words = (const void *)(copy + page * PAGE);
	bool has_old = false, has_new = false, good;
	uint64_t old, new;
	size_t i;

	for (i = 0; i < WORDS; i++) {
		old = word(version, page, i);
		new = word(version + 1, page, i);
		if (words[i] == new) {
			good = !has_old || order == ANY_ORDER;
			has_new = true;
		} else if (words[i] == old) {
			good = !has_new || order != AT_ONCE;
			has_old = true;
		} else {
			good = order == ANY_ORDER &&
			       is_of_both(words[i], old, new);
		}
		if (good)
			continue;
		snprintf(
			text, size,
			"page %zu, complete in version %llu: word %zu is %#llx",
			page, (unsigned long long)version, i,
			(unsigned long long)words[i]);
		return words[i] == word(words[i] >> 20, page, i) ? INVERSION :
								   WRONG_BYTE;
	}
	return NONE;
}

enum trouble check_content(const char *copy, char *text, size_t size)
{
	enum trouble what = NONE;
	int id, k;

	for (id = 0; id < control->nr_writers; id++)
		for (k = 0; k < OWN_PAGES && !what; k++)
			what = check_page(copy, own_page(id, k),
					  slot_in(copy, id)->version[k],
					  order_of(id), text, size);
	return what;
}
