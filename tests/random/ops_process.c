// SPDX-License-Identifier: GPL-2.0-only
/* Operations: pages are moved about, which changes nothing; processes. */
#include "random.h"
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* --- moving pages, which changes nothing --- */

static int done_anything(const struct op *op, struct effect *effect, long done)
{
	(void)op;
	(void)effect;
	(void)done;
	return 0;
}

static void gen_move(struct op *op, struct rng *rng)
{
	gen_mapped_pages(op, rng);
	op->flags = rng_below(rng, 2);
}

static long act_move(void)
{
	return try_to_move((void *)board->at, board->op.flags);
}

static void gen_who(struct op *op, struct rng *rng)
{
	op->who = gen_process(rng);
}

static bool aim_process(const struct op *op, struct effect *effect)
{
	effect->type = CHANGES_NOTHING;
	return model.process[op->who].alive;
}

static long act_compact(void)
{
	return file_write("/proc/sys/vm/compact_memory", "1");
}

/* From the memory of all: the file, and what is kept of it. */
static long act_reclaim(void)
{
	char path[160], amount[16];

	snprintf(path, sizeof(path), "%s/memory.reclaim", the_cgroup);
	snprintf(amount, sizeof(amount), "%u", board->op.size);
	return file_write(path, amount);
}

static void gen_reclaim(struct op *op, struct rng *rng)
{
	op->who = gen_process(rng);
	op->size = (16 << rng_below(rng, 5)) * PAGE;
}

static long act_split(void)
{
	char range[96];

	snprintf(range, sizeof(range), "%d,0x%lx,0x%lx", getpid(), board->at,
		 board->at + board->length);
	return file_write("/sys/kernel/debug/split_huge_pages", range);
}

/* --- processes --- */

static void gen_fork(struct op *op, struct rng *rng)
{
	op->who = gen_process(rng);
	op->other = rng_below(rng, NR_PROCESSES);
}

static int run_fork(const struct op *op)
{
	struct process *from = &model.process[op->who];
	struct process *to = &model.process[op->other];
	int ret;

	if (!from->alive || to->alive)
		return NOTHING_TO_DO;
	ret = backend->fork(op->who, op->other);
	if (ret)
		return fail("returned %d", ret);
	*to = *from;
	return 0;
}

/* The first one stays. */
static int run_exit(const struct op *op)
{
	if (!op->who || !model.process[op->who].alive)
		return NOTHING_TO_DO;
	backend->exit(op->who);
	model.process[op->who].alive = false;
	memset(model.process[op->who].map, 0, sizeof(struct mapping) * NR_MAPS);
	return 0;
}

/* clang-format off */
const struct operation process_operations[] = {
	{
		.name = "move", .weight = 6,
		.fields = "who map offset length flags",
		.generate = gen_move, .aim = aim_at_pages, .act = act_move,
		.done = done_anything,
	},
	{
		.name = "compact", .weight = 1,
		.fields = "who",
		.generate = gen_who, .aim = aim_process, .act = act_compact,
		.done = done_anything,
	},
	{
		.name = "reclaim", .weight = 5,
		.fields = "who size",
		.generate = gen_reclaim, .aim = aim_process,
		.act = act_reclaim, .done = done_anything,
	},
	{
		.name = "split", .weight = 3,
		.fields = "who map offset length",
		.generate = gen_mapped_pages, .aim = aim_at_pages,
		.act = act_split, .done = done_anything,
	},
	{
		.name = "fork", .weight = 4,
		.fields = "who other",
		.generate = gen_fork, .direct = run_fork,
	},
	{
		.name = "exit", .weight = 3,
		.fields = "who",
		.generate = gen_who, .direct = run_exit,
	},
	{}
};
/* clang-format on */
