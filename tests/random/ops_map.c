// SPDX-License-Identifier: GPL-2.0-only
/* Operations: mappings made, changed, moved, advised and unmade. */
#include "random.h"
#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25
#endif

/* Flags of "map", "mprotect", "mremap". */
#define PRIVATE		1
#define READ_ONLY	2
#define UNALIGNED	4	/* no huge entries */
#define POPULATE	8

static long result(long done)
{
	return done < 0 ? -errno : done;
}

static void *at(void)
{
	return (void *)board->at;
}

/* --- mapping, unmapping, moving --- */

static void gen_new_map(struct op *op, struct rng *rng)
{
	static const unsigned int flags[] = {
		0, 0, 0, 0, UNALIGNED, POPULATE, POPULATE | UNALIGNED,
		READ_ONLY, READ_ONLY | POPULATE, PRIVATE, PRIVATE | POPULATE,
	};
	size_t first = 0, pages = model.room;

	op->who = gen_process(rng);
	op->map = rng_below(rng, NR_MAPS);
	if (rng_one_in(rng, 2))
		gen_pages(rng, model.room, &first, &pages);
	op->offset = first * PAGE;
	op->length = pages * PAGE;
	op->flags = flags[rng_below(rng, sizeof(flags) / sizeof(*flags))];
}

static bool aim_new_map(const struct op *op, struct effect *effect)
{
	size_t end = PAGES_OF(model.size) * PAGE;

	effect->type = CHANGES_NOTHING;
	effect->offset = op->offset;
	effect->length = op->length;
	if (op->flags & POPULATE && op->offset < end)
		effect->type = FILLS;
	return model.process[op->who].alive && !map_of(op->who, op->map) &&
	       op->length && op->offset + op->length <= model.room * PAGE;
}

/* Room for a mapping where huge entries are possible, or are not. */
static char *find_room(unsigned int flags, size_t offset, size_t length)
{
	size_t shift = offset + (flags & UNALIGNED ? 3 * PAGE : 0);
	size_t size = length + 2 * HUGE;
	char *room, *to;

	room = mmap(NULL, size, PROT_NONE,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (room == MAP_FAILED)
		return NULL;
	to = (char *)(((uintptr_t)room + HUGE) / HUGE * HUGE + shift % HUGE);
	munmap(room, to - room);
	munmap(to + length, room + size - (to + length));
	return to;
}

static long act_new_map(void)
{
	unsigned int flags = board->op.flags;
	char *to = find_room(flags, board->offset, board->length);

	if (!to)
		return -errno;
	to = mmap(to, board->length,
		  flags & READ_ONLY ? PROT_READ : PROT_READ | PROT_WRITE,
		  (flags & PRIVATE ? MAP_PRIVATE : MAP_SHARED) | MAP_FIXED |
			  (flags & POPULATE ? MAP_POPULATE : 0),
		  the_file, board->offset);
	if (to == MAP_FAILED)
		return -errno;
	board->new_address = (uintptr_t)to;
	return 0;
}

static int done_new_map(const struct op *op, struct effect *effect, long done)
{
	struct mapping *map = &model.process[op->who].map[op->map];
	unsigned int rights = MAPPED;

	(void)effect;
	if (done < 0)
		return fail("returned %ld", done);
	if (!(op->flags & READ_ONLY))
		rights |= WRITABLE;
	map->address = board->new_address;
	map->first = op->offset / PAGE;
	map->pages = op->length / PAGE;
	map->shared = !(op->flags & PRIVATE);
	memset(map->rights, rights, map->pages);
	return 0;
}

static void set_rights(const struct op *op, unsigned int rights)
{
	struct mapping *map = map_of(op->who, op->map);

	memset(map->rights + op->offset / PAGE - map->first, rights,
	       PAGES_OF(op->length));
}

static void gen_mprotect(struct op *op, struct rng *rng)
{
	gen_mapped_pages(op, rng);
	op->flags = rng_one_in(rng, 2) ? READ_ONLY : 0;
}

static long act_mprotect(void)
{
	bool read_only = board->op.flags & READ_ONLY;

	return result(mprotect(at(), board->length,
			       read_only ? PROT_READ : PROT_READ | PROT_WRITE));
}

static int done_mprotect(const struct op *op, struct effect *effect, long done)
{
	(void)effect;
	if (done < 0)
		return fail("returned %ld", done);
	set_rights(op, op->flags & READ_ONLY ? MAPPED : MAPPED | WRITABLE);
	return 0;
}

static long act_unmap(void)
{
	return result(munmap(at(), board->length));
}

static int done_unmap(const struct op *op, struct effect *effect, long done)
{
	struct mapping *map = map_of(op->who, op->map);
	size_t page;

	(void)effect;
	if (done < 0)
		return fail("returned %ld", done);
	set_rights(op, 0);
	for (page = 0; page < map->pages; page++)
		if (map->rights[page])
			return 0;
	map->pages = 0;
	return 0;
}

static void gen_mremap(struct op *op, struct rng *rng)
{
	if (!gen_map(op, rng))
		return;
	op->to_map = rng_below(rng, NR_MAPS);
	op->flags = rng_one_in(rng, 3) ? UNALIGNED : 0;
}

/* All of it, which must be one mapping still; to another slot, or the same. */
static bool aim_mremap(const struct op *op, struct effect *effect)
{
	struct mapping *map = map_of(op->who, op->map);
	size_t page;

	if (!map || (op->to_map != op->map && map_of(op->who, op->to_map)))
		return false;
	for (page = 0; page < map->pages; page++)
		if (!map->rights[page] || map->rights[page] != map->rights[0])
			return false;
	effect->offset = map->first * PAGE;
	effect->length = map->pages * PAGE;
	board->at = map->address;
	return true;
}

static long act_mremap(void)
{
	char *to = find_room(board->op.flags, board->offset, board->length);

	if (!to)
		return -errno;
	to = mremap(at(), board->length, board->length,
		    MREMAP_MAYMOVE | MREMAP_FIXED, to);
	if (to == MAP_FAILED)
		return -errno;
	board->new_address = (uintptr_t)to;
	return 0;
}

static int done_mremap(const struct op *op, struct effect *effect, long done)
{
	struct process *process = &model.process[op->who];
	struct mapping moved = process->map[op->map];

	(void)effect;
	/* Pieces of private memory that fork() has shared stay pieces. */
	if (done == -EFAULT && !moved.shared)
		return 0;
	if (done < 0)
		return fail("returned %ld", done);
	moved.address = board->new_address;
	process->map[op->map].pages = 0;
	process->map[op->to_map] = moved;
	return 0;
}

/* --- advice --- */

static long act_dontneed(void)
{
	return result(madvise(at(), board->length, MADV_DONTNEED));
}

static long act_pageout(void)
{
	return result(madvise(at(), board->length, MADV_PAGEOUT));
}

/* Holes between the pages are filled. */
static bool aim_collapse(const struct op *op, struct effect *effect)
{
	struct mapping *map = map_of(op->who, op->map);

	return aim_at_pages(op, effect) && map->shared;
}

static long act_collapse(void)
{
	return result(madvise(at(), board->length, MADV_COLLAPSE));
}

/* It may have done a part, whatever it says. */
static int done_collapse(const struct op *op, struct effect *effect, long done)
{
	size_t extent, end = op->offset + op->length;

	if (done < 0 && op->length < HUGE)
		return 0;
	for (extent = op->offset / HUGE; extent * HUGE < end; extent++)
		model.huge[extent] = true;
	effect->type = ALLOCATES;
	effect->keep_size = true;
	return 0;
}

/* Beyond the end there is nothing to remove, but no harm either. */
static bool aim_remove(const struct op *op, struct effect *effect)
{
	struct mapping *map = map_of(op->who, op->map);

	effect->type = ZEROES;
	return aim_at(op->who, op, effect, MAPPED | WRITABLE) && map->shared &&
	       op->offset % PAGE == 0 && op->length % PAGE == 0;
}

static long act_remove(void)
{
	return result(madvise(at(), board->length, MADV_REMOVE));
}

/* clang-format off */
const struct operation map_operations[] = {
	{
		.name = "map", .weight = 14,
		.fields = "who map offset length flags",
		.generate = gen_new_map, .aim = aim_new_map,
		.act = act_new_map, .done = done_new_map,
	},
	{
		.name = "unmap", .weight = 8,
		.fields = "who map offset length",
		.generate = gen_mapped_pages, .aim = aim_at_pages,
		.act = act_unmap, .done = done_unmap,
	},
	{
		.name = "mprotect", .weight = 12,
		.fields = "who map offset length flags",
		.generate = gen_mprotect, .aim = aim_at_pages,
		.act = act_mprotect, .done = done_mprotect,
	},
	{
		.name = "mremap", .weight = 5,
		.fields = "who map to_map flags",
		.generate = gen_mremap, .aim = aim_mremap,
		.act = act_mremap, .done = done_mremap,
	},
	{
		.name = "dontneed", .weight = 6,
		.fields = "who map offset length",
		.generate = gen_mapped_pages, .aim = aim_at_pages,
		.act = act_dontneed,
	},
	{
		.name = "pageout", .weight = 8,
		.fields = "who map offset length",
		.generate = gen_mapped_pages, .aim = aim_at_pages,
		.act = act_pageout,
	},
	{
		.name = "collapse", .weight = 6,
		.fields = "who map offset length",
		.generate = gen_mapped_pages, .aim = aim_collapse,
		.act = act_collapse, .done = done_collapse,
	},
	{
		.name = "remove", .weight = 5,
		.fields = "who map offset length",
		.generate = gen_mapped_pages, .aim = aim_remove,
		.act = act_remove,
	},
	{}
};
/* clang-format on */
