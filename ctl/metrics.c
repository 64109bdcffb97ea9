// SPDX-License-Identifier: GPL-2.0-or-later
/* wpfilectl metrics: sums over the monitors of the system, by mode. */
#include <stddef.h>

#include "held.h"
#include "holders.h"

struct sums {
	uint64_t monitors;
	uint64_t protected_pages;
	uint64_t captured_bytes;
	uint64_t waiting;
	uint64_t overflows;
	uint64_t failed;
};

/* Not one counts up for ever: a monitor takes with it what it has counted. */
static const struct metric {
	const char *name;
	const char *unit;	/* NULL: none */
	const char *help;
	size_t offset;		/* in struct sums */
} metrics[] = {
	{ "monitors", NULL, "Descriptors of monitors and snapshots.",
	  offsetof(struct sums, monitors) },
	{ "protected_pages", "pages", "Pages that are protected.",
	  offsetof(struct sums, protected_pages) },
	{ "captured_bytes", "bytes", "Memory for what was overwritten.",
	  offsetof(struct sums, captured_bytes) },
	{ "waiting_pages", "pages", "Pages whose writers wait for an answer.",
	  offsetof(struct sums, waiting) },
	{ "dropped_events", "events", "Events that open monitors have dropped.",
	  offsetof(struct sums, overflows) },
	{ "failed_monitors", "monitors", "Monitors that have lost content.",
	  offsetof(struct sums, failed) },
};

#define NR_METRICS (sizeof(metrics) / sizeof(metrics[0]))

static uint64_t value_of(const struct metric *metric, const struct sums *sums)
{
	return *(const uint64_t *)((const char *)sums + metric->offset);
}

static void add_up(const struct holders *holders, struct sums *sums)
{
	size_t i;

	for (i = 0; i < holders->nr; i++) {
		const struct wpfile_mon_info *info = &holders->list[i].info;
		struct sums *sum = &sums[info->mode];

		if (info->mode >= WPFILE_NR_MODES)
			continue;
		sum->monitors++;
		sum->protected_pages += info->protected_pages;
		sum->captured_bytes += info->captured_bytes;
		sum->waiting += info->waiting;
		sum->overflows += info->overflows;
		sum->failed += !!info->failed;
	}
}

static int print_text(const struct sums *sums)
{
	const struct metric *m;
	int mode;

	for (m = metrics; m < metrics + NR_METRICS; m++) {
		printf("# TYPE wpfile_%s gauge\n", m->name);
		if (m->unit)
			printf("# UNIT wpfile_%s %s\n", m->name, m->unit);
		printf("# HELP wpfile_%s %s\n", m->name, m->help);
		for (mode = 0; mode < WPFILE_NR_MODES; mode++)
			printf("wpfile_%s{mode=\"%s\"} %llu\n", m->name,
			       wpfile_mode_name(mode),
			       (unsigned long long)value_of(m, &sums[mode]));
	}
	puts("# EOF");
	return CTL_OK;
}

static int print_as_json(const struct sums *sums)
{
	json_t *modes = json_object(), *values;
	int mode;
	size_t i;

	for (mode = 0; mode < WPFILE_NR_MODES; mode++) {
		values = json_object();
		for (i = 0; i < NR_METRICS; i++)
			json_object_set_new(values, metrics[i].name,
					    json_integer(value_of(&metrics[i],
								  &sums[mode])));
		json_object_set_new(modes, wpfile_mode_name(mode), values);
	}
	return print_json(stdout, modes);
}

int verb_metrics(const struct args *args)
{
	struct sums sums[WPFILE_NR_MODES] = {};
	struct filter everything = {};
	struct holders holders;
	int ret;

	if (args->daemon && args->json)
		return fail_usage("--json goes without --daemon, which tells OpenMetrics text");
	if (args->daemon)
		return held_metrics(args);
	ret = holders_find(&everything, &holders);
	if (ret)
		return ret;
	add_up(&holders, sums);
	holders_free(&holders);
	return args->json ? print_as_json(sums) : print_text(sums);
}
