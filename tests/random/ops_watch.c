// SPDX-License-Identifier: GPL-2.0-only
/* Operations: monitors and snapshots; what they say is compared at once. */
#include "random.h"
#include <errno.h>

/* --- to have them --- */

static unsigned int unused_watch(struct rng *rng)
{
	return rng_below(rng, NR_WATCHES);
}

/* A watch of @types (bits), if that is not too rare. */
static unsigned int some_watch(struct rng *rng, unsigned int types)
{
	unsigned int watch = 0, tries;

	for (tries = 0; tries < 30; tries++) {
		watch = rng_below(rng, NR_WATCHES);
		if (types & 1 << model.watch[watch].type)
			break;
	}
	return watch;
}

#define MONITORS	(1 << TRACK | 1 << CAPTURE)
#define KEEPERS		(1 << CAPTURE | 1 << SNAPSHOT)
#define ALL_TYPES	(MONITORS | 1 << SNAPSHOT)

static struct watch *watch_of(const struct op *op, unsigned int types)
{
	struct watch *watch = &model.watch[op->watch];

	return types & 1 << watch->type ? watch : NULL;
}

static int check_counts(void)
{
	int tracks = 0, captures = 0, i;

	if (only_the_file)
		return 0;
	for (i = 0; i < NR_WATCHES; i++) {
		tracks += model.watch[i].type == TRACK;
		captures += model.watch[i].type == CAPTURE ||
			    model.watch[i].type == SNAPSHOT;
	}
	if (backend->count(TRACK) != tracks)
		return fail("QUERY: %d TRACK monitors, of %d",
			    backend->count(TRACK), tracks);
	if (backend->count(CAPTURE) != captures)
		return fail("QUERY: %d CAPTURE monitors, of %d",
			    backend->count(CAPTURE), captures);
	return 0;
}

static void gen_monitor(struct op *op, struct rng *rng)
{
	op->watch = unused_watch(rng);
	op->flags = rng_one_in(rng, 2) ? TRACK : CAPTURE;
}

static int run_monitor(const struct op *op)
{
	struct watch *watch = watch_of(op, 1 << UNUSED);
	enum watch_type type = op->flags == TRACK ? TRACK : CAPTURE;

	if (!watch || only_the_file)
		return NOTHING_TO_DO;
	watch->handle = backend->monitor(type);
	if (watch->handle < 0)
		return fail("returned %d", watch->handle);
	watch->type = type;
	return check_counts();
}

static void gen_snapshot(struct op *op, struct rng *rng)
{
	op->watch = unused_watch(rng);
}

static int run_snapshot(const struct op *op)
{
	struct watch *watch = watch_of(op, 1 << UNUSED);
	size_t size;

	if (!watch || only_the_file)
		return NOTHING_TO_DO;
	watch->handle = backend->snapshot(&size);
	if (watch->handle < 0)
		return fail("returned %d", watch->handle);
	watch->type = SNAPSHOT;
	watch_snapshot(watch);
	if (size != model.size)
		return fail("its size is %zu, expected %zu", size, model.size);
	return check_counts();
}

static void gen_close(struct op *op, struct rng *rng)
{
	op->watch = some_watch(rng, ALL_TYPES);
	op->flags = rng_one_in(rng, 2);
}

/* With a flag, a mapping of a snapshot stays, and can be loaded from. */
static int run_close(const struct op *op)
{
	struct watch *watch = watch_of(op, ALL_TYPES);

	if (!watch)
		return NOTHING_TO_DO;
	if (watch->handle >= 0)
		backend->close(watch->handle);
	watch->handle = -1;
	if (watch->map && op->flags)
		return check_counts();
	if (watch->map)
		backend->unmap(watch->map, watch->size);
	watch_forget(watch);
	return check_counts();
}

/* --- PROTECT, UNPROTECT, SCAN --- */

static void gen_range(struct op *op, struct rng *rng, int i)
{
	size_t first, pages;

	gen_pages(rng, MAX(PAGES_OF(model.size), (size_t)1), &first, &pages);
	if (rng_one_in(rng, 8))
		gen_pages(rng, model.room, &first, &pages);
	op->range[i].first = first;
	op->range[i].pages = rng_one_in(rng, 3) ? TO_END_PAGES : pages;
}

static void gen_protect(struct op *op, struct rng *rng)
{
	int i, nr = 1 + rng_below(rng, NR_RANGES);

	op->watch = some_watch(rng, MONITORS);
	for (i = 0; i < nr; i++)
		gen_range(op, rng, i);
	if (rng_one_in(rng, 3)) {
		op->range[0].first = 0;
		op->range[0].pages = TO_END_PAGES;
	}
}

static struct wpfile_range range_of(const struct op *op, int i)
{
	bool to_end = op->range[i].pages == TO_END_PAGES;

	return (struct wpfile_range){
		.offset = op->range[i].first * PAGE,
		.length = to_end ? WPFILE_TO_END : op->range[i].pages * PAGE,
	};
}

static int run_protect(const struct op *op)
{
	struct watch *watch = watch_of(op, MONITORS);
	struct wpfile_range ranges[NR_RANGES];
	unsigned int nr = 0;
	int i, ret;

	for (i = 0; i < NR_RANGES; i++)
		if (op->range[i].pages)
			ranges[nr++] = range_of(op, i);
	if (!watch || !nr)
		return NOTHING_TO_DO;
	ret = backend->protect(watch->handle, ranges, nr);
	if (ret)
		return fail("returned %d", ret);
	watch_protect(watch, op);
	return 0;
}

static void gen_unprotect(struct op *op, struct rng *rng)
{
	op->watch = some_watch(rng, MONITORS);
	gen_range(op, rng, 0);
}

static int run_unprotect(const struct op *op)
{
	struct watch *watch = watch_of(op, MONITORS);
	struct wpfile_range range = range_of(op, 0);
	int ret;

	if (!watch || !range.length)
		return NOTHING_TO_DO;
	ret = backend->unprotect(watch->handle, &range);
	if (ret)
		return fail("returned %d", ret);
	watch_unprotect(watch, op);
	return 0;
}

static void gen_scan(struct op *op, struct rng *rng)
{
	op->watch = some_watch(rng, MONITORS);
	gen_range(op, rng, 0);
	op->size = 1 + rng_below(rng, rng_one_in(rng, 2) ? 3 : 60);
	op->flags = rng_one_in(rng, 2) ? WPFILE_SCAN_PROTECT : 0;
}

static int run_scan(const struct op *op)
{
	struct watch *watch = watch_of(op, MONITORS);
	struct wpfile_range range;
	struct wpfile_scan scan;
	int ret;

	if (!watch || !op->range[0].pages || !op->size)
		return NOTHING_TO_DO;
	if (watch->type == TRACK || !(op->flags & WPFILE_SCAN_PROTECT))
		return check_scan(watch, op->range[0].first, op->range[0].pages,
				  op->size, op->flags);
	ret = backend->scan(watch->handle, &scan, &range, 1, 0, WPFILE_TO_END,
			    WPFILE_SCAN_PROTECT);
	if (ret != -EOPNOTSUPP)
		return fail("PROTECT with CAPTURE returned %d", ret);
	return 0;
}

/* --- content of the past --- */

static void gen_look(struct op *op, struct rng *rng)
{
	op->watch = some_watch(rng, KEEPERS);
	op->offset = gen_offset(rng, model.room * PAGE);
	op->length = gen_length(rng, op->offset, model.room * PAGE);
	op->flags = rng_one_in(rng, 2);
}

static int run_capture(const struct op *op)
{
	struct watch *watch = watch_of(op, KEEPERS);

	if (!watch || watch->handle < 0 || !op->length)
		return NOTHING_TO_DO;
	return check_capture(watch, op->offset, op->length);
}

static struct watch *part_of_snapshot(const struct op *op, size_t *length)
{
	struct watch *watch = watch_of(op, 1 << SNAPSHOT);

	if (!watch || op->offset >= watch->size)
		return NULL;
	*length = MIN(op->length, watch->size - op->offset);
	return *length ? watch : NULL;
}

/* Through a mapping that stays. */
static int run_look(const struct op *op)
{
	size_t length;
	struct watch *watch = part_of_snapshot(op, &length);

	if (!watch)
		return NOTHING_TO_DO;
	if (!watch->map)
		watch->map = backend->map(watch->handle, watch->size);
	if (!watch->map)
		return fail("cannot be mapped");
	return check_loads(watch, op->offset, length);
}

static int run_pipe(const struct op *op)
{
	size_t length;
	struct watch *watch = part_of_snapshot(op, &length);

	if (!watch || watch->handle < 0)
		return NOTHING_TO_DO;
	return check_piped(watch, op->offset, length, op->flags);
}

/* The file becomes what it was, or a part of it. */
static int run_restore(const struct op *op)
{
	static struct effect effect;
	size_t length;
	struct watch *watch = part_of_snapshot(op, &length);
	ssize_t done;

	if (!watch || watch->handle < 0 || length > sizeof(board->data) ||
	    (model.fixed_size && op->offset + length > model.size))
		return NOTHING_TO_DO;
	done = backend->restore(watch->handle, op->offset, length);
	if (done != (ssize_t)length)
		return fail("sent %zd of %zu bytes", done, length);
	watch_copy(watch, board->data, op->offset, length);
	effect = (struct effect){ .type = WRITES, .offset = op->offset,
				  .length = length, .data = board->data };
	model_change(&effect);
	return check_after(&effect);
}

static void gen_seek(struct op *op, struct rng *rng)
{
	op->watch = some_watch(rng, 1 << SNAPSHOT);
}

static int run_seek(const struct op *op)
{
	struct watch *watch = watch_of(op, 1 << SNAPSHOT);

	if (!watch || watch->handle < 0)
		return NOTHING_TO_DO;
	return check_seeks(watch);
}

/* --- everything --- */

static void gen_check(struct op *op, struct rng *rng)
{
	op->flags = rng_one_in(rng, 4);
}

/* With a flag, by loads through every mapping, too, which fills holes. */
static int run_check(const struct op *op)
{
	return check_counts() ?: check_all(op->flags);
}

#define LOOK(_name, _weight)                                                   \
	{                                                                      \
		.name = #_name, .weight = _weight,                             \
		.fields = "watch offset length flags", .generate = gen_look,   \
		.direct = run_##_name,                                         \
	}

/* clang-format off */
const struct operation watch_operations[] = {
	{
		.name = "monitor", .weight = 14, .fields = "watch flags",
		.generate = gen_monitor, .direct = run_monitor,
	},
	{
		.name = "snapshot", .weight = 12, .fields = "watch",
		.generate = gen_snapshot, .direct = run_snapshot,
	},
	{
		.name = "close", .weight = 9, .fields = "watch flags",
		.generate = gen_close, .direct = run_close,
	},
	{
		.name = "protect", .weight = 34, .fields = "watch ranges",
		.generate = gen_protect, .direct = run_protect,
	},
	{
		.name = "unprotect", .weight = 6, .fields = "watch ranges",
		.generate = gen_unprotect, .direct = run_unprotect,
	},
	{
		.name = "scan", .weight = 30,
		.fields = "watch ranges size flags",
		.generate = gen_scan, .direct = run_scan,
	},
	LOOK(capture, 12),
	LOOK(look, 12),
	LOOK(pipe, 6),
	LOOK(restore, 4),
	{
		.name = "seek", .weight = 5, .fields = "watch",
		.generate = gen_seek, .direct = run_seek,
	},
	{
		.name = "check", .weight = 4, .fields = "flags",
		.generate = gen_check, .direct = run_check,
	},
	{}
};
/* clang-format on */
