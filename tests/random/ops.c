// SPDX-License-Identifier: GPL-2.0-only
/* The table of operations; an operation generated, run, and as text. */
#include "random.h"
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct operation *const tables[] = {
	file_operations,    store_operations, map_operations,
	process_operations, watch_operations,
};

/* Numbers count through all tables; NULL behind the last. */
const struct operation *operation(unsigned int what)
{
	const struct operation *row;
	size_t i;

	for (i = 0; i < sizeof(tables) / sizeof(*tables); i++)
		for (row = tables[i]; row->name; row++)
			if (!what--)
				return row;
	return NULL;
}

int op_find(const char *name)
{
	int what;

	for (what = 0; operation(what); what++)
		if (!strcmp(operation(what)->name, name))
			return what;
	return -1;
}

static unsigned int draw(struct rng *rng)
{
	unsigned int total = 0, what, left;

	for (what = 0; operation(what); what++)
		total += operation(what)->weight;
	left = rng_below(rng, total);
	for (what = 0; left >= operation(what)->weight; what++)
		left -= operation(what)->weight;
	return what;
}

void op_generate(struct op *op, struct rng *rng)
{
	*op = (struct op){ .what = draw(rng) };
	operation(op->what)->generate(op, rng);
}

/* --- running --- */

static int run_act(const struct operation *row, const struct op *op)
{
	static struct effect effect;
	long result;
	int ret = 0;

	memset(&effect, 0, sizeof(effect));
	if (!row->aim(op, &effect))
		return NOTHING_TO_DO;
	board->op = *op;
	board->offset = effect.offset;
	board->length = effect.length;
	result = backend->act(op, &effect);
	if (row->done)
		ret = row->done(op, &effect, result);
	else if (result < 0 || (effect.type == WRITES &&
				result != (long)effect.length))
		ret = fail("returned %ld, for %zu bytes", result,
			   effect.length);
	if (ret)
		return ret;
	model_change(&effect);
	return check_after(&effect);
}

/* A process that has ended, or never began, does nothing. */
int op_run(const struct op *op)
{
	const struct operation *row = operation(op->what);

	if (row->direct)
		return row->direct(op);
	if (!model.process[op->who].alive)
		return NOTHING_TO_DO;
	return run_act(row, op);
}

/* --- as text --- */

/* clang-format off */
static const struct field {
	const char *name;
	size_t at;
	unsigned int limit;	/* 0: none */
} fields[] = {
	{ "who", offsetof(struct op, who), NR_PROCESSES },
	{ "other", offsetof(struct op, other), NR_PROCESSES },
	{ "map", offsetof(struct op, map), NR_MAPS },
	{ "to_map", offsetof(struct op, to_map), NR_MAPS },
	{ "watch", offsetof(struct op, watch), NR_WATCHES },
	{ "offset", offsetof(struct op, offset), MAX_FILE * PAGE },
	{ "length", offsetof(struct op, length), MAX_FILE * PAGE + 1 },
	{ "from", offsetof(struct op, from), MAX_FILE * PAGE },
	{ "size", offsetof(struct op, size), MAX_FILE * PAGE + 1 },
	{ "flags", offsetof(struct op, flags), 0 },
	{ "seed", offsetof(struct op, seed), 0 },
};
/* clang-format on */

static unsigned int *member(const struct op *op, const struct field *field)
{
	return (unsigned int *)((char *)op + field->at);
}

static const struct field *find_field(const char *name, size_t length)
{
	size_t i;

	for (i = 0; i < sizeof(fields) / sizeof(*fields); i++)
		if (strlen(fields[i].name) == length &&
		    !memcmp(fields[i].name, name, length))
			return &fields[i];
	return NULL;
}

/* "ranges=3+5,7+end" */
static int print_ranges(const struct op *op, char *text)
{
	const char *before = " ranges=";
	int used = 0, i;

	for (i = 0; i < NR_RANGES; i++) {
		if (!op->range[i].pages)
			continue;
		used += sprintf(text + used, "%s%u+", before,
				op->range[i].first);
		before = ",";
		if (op->range[i].pages == TO_END_PAGES)
			used += sprintf(text + used, "end");
		else
			used += sprintf(text + used, "%u", op->range[i].pages);
	}
	return used;
}

void op_print(const struct op *op, char *text, size_t size)
{
	const char *name = operation(op->what)->fields;
	int used = snprintf(text, size, "%s", operation(op->what)->name);
	const struct field *field;
	size_t length;

	for (; *name && size - used > 160; name += length + !!name[length]) {
		length = strcspn(name, " ");
		field = find_field(name, length);
		if (field)
			used += sprintf(text + used, " %s=%u", field->name,
					*member(op, field));
		else
			used += print_ranges(op, text + used);
	}
}

static int parse_ranges(struct op *op, char *text)
{
	int i;

	for (i = 0; i < NR_RANGES; i++) {
		op->range[i].first = strtoul(text, &text, 10);
		if (*text++ != '+' || op->range[i].first >= MAX_FILE)
			return -1;
		if (!strncmp(text, "end", 3)) {
			op->range[i].pages = TO_END_PAGES;
			text += 3;
		} else {
			op->range[i].pages = strtoul(text, &text, 10);
			if (op->range[i].pages > MAX_FILE)
				return -1;
		}
		if (!*text)
			return 0;
		if (*text++ != ',')
			return -1;
	}
	return -1;
}

static int parse_field(struct op *op, char *word)
{
	char *value = strchr(word, '=');
	const struct field *field;

	if (!value)
		return -1;
	field = find_field(word, value - word);
	*value++ = 0;
	if (!field)
		return strcmp(word, "ranges") ? -1 : parse_ranges(op, value);
	*member(op, field) = strtoul(value, &value, 10);
	if (*value || (field->limit && *member(op, field) >= field->limit))
		return -1;
	return 0;
}

int op_parse(struct op *op, char *line)
{
	char *word = strtok(line, " \n");
	int what = word ? op_find(word) : -1;

	if (what < 0)
		return -1;
	*op = (struct op){ .what = what };
	while ((word = strtok(NULL, " \n")))
		if (parse_field(op, word))
			return -1;
	return 0;
}
