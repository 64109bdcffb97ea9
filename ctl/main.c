// SPDX-License-Identifier: GPL-2.0-or-later
/* wpfilectl: the verbs, and how to find them. */
#include <string.h>

#include "ctl.h"

#define TARGET "pfmPD"

const struct verb verb_table[] = {
	{ "check", "Djh", "[OPTION...]",
	  "Tell what this kernel can do.", verb_check, false },
	{ "list", TARGET "jh", "[TARGET | --pid PID] [OPTION...]",
	  "Show the monitors of a file, a process, or the system.", verb_list,
	  false },
	{ "metrics", "Djh", "[OPTION...]",
	  "Print what there is of monitors, as OpenMetrics text.", verb_metrics,
	  false },
	{ "protect", TARGET "rtelnjh", "TARGET [OPTION...] [-- COMMAND...]",
	  "Refuse all writes to a file, for as long as this runs.", verb_protect,
	  true },
	{ "release", TARGET "IAyjh", "TARGET | --daemon --id ID [OPTION...]",
	  "Lift what the monitors of others hold up or refuse.", verb_release,
	  false },
	{ "snapshot", TARGET "oljh", "TARGET -o OUT|- [OPTION...]",
	  "Save a file in shared memory as it stands at one instant.",
	  verb_snapshot, false },
	{ "stat", TARGET "jh", "TARGET [OPTION...]",
	  "Show the size and the monitors of a file.", verb_stat, false },
	{ "track", TARGET "injh", "TARGET [OPTION...]",
	  "Print which ranges are written, as it happens.", verb_track, false },
	{ "unprotect", "pfrh", "--pid PID --fd N [OPTION...]",
	  "Lift the protection of a monitor that a process has.",
	  verb_unprotect, false },
	{ "watch", TARGET "rdalnjh", "TARGET [OPTION...]",
	  "Print who writes where, as it happens.", verb_watch, false },
	{ 0 },
};

static const struct verb *find_verb(const char *name)
{
	const struct verb *verb;

	for (verb = verb_table; verb->name; verb++)
		if (!strcmp(verb->name, name))
			return verb;
	return NULL;
}

static int print_usage(void)
{
	const struct verb *verb;

	puts("Usage: wpfilectl VERB [OPTION...]\n"
	     "Snapshots, tracking and protection of shared memory, by file.\n");
	for (verb = verb_table; verb->name; verb++)
		printf("  %-10s %s\n", verb->name, verb->summary);
	puts("\nwpfilectl VERB --help tells more; see also wpfilectl(1).");
	return CTL_OK;
}

static void print_option(const struct option_row *row)
{
	bool optional = row->takes == VALUE_OPTIONAL;
	char left[40];

	snprintf(left, sizeof(left), "%c%c%s --%s%s%s%s",
		 row->is_short ? '-' : ' ', row->is_short ? row->key : ' ',
		 row->is_short ? "," : " ", row->name,
		 optional ? "[=" : row->value ? " " : "",
		 row->value ? row->value : "", optional ? "]" : "");
	printf("  %-26s %s\n", left, row->help);
}

static int print_verb_help(const struct verb *verb)
{
	const struct option_row *row;

	printf("Usage: wpfilectl %s %s\n%s\n\n", verb->name, verb->usage,
	       verb->summary);
	for (row = option_table; row->key; row++)
		if (strchr(verb->options, row->key))
			print_option(row);
	if (strchr(verb->options, 'P'))
		puts("\nTARGET is --pid PID (--fd N | --map NAME), or --path FILE.");
	return CTL_OK;
}

static int run(int argc, char **argv)
{
	const struct verb *verb;
	struct args args;
	int ret;

	if (argc < 2)
		return fail_usage("no verb: try wpfilectl --help");
	if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h"))
		return print_usage();
	if (!strcmp(argv[1], "--version")) {
		puts("wpfilectl " WPFILE_VERSION);
		return CTL_OK;
	}
	if (!strcmp(argv[1], "--print-completion") && argc == 3)
		return complete_print(argv[2]);
	verb = find_verb(argv[1]);
	if (!verb)
		return fail_usage("%s: no such verb: try wpfilectl --help",
				  argv[1]);
	report_verb = verb->name;
	ret = options_parse(verb, argc - 1, argv + 1, &args);
	if (ret)
		return ret;
	return args.help ? print_verb_help(verb) : verb->run(&args);
}

int main(int argc, char **argv)
{
	int ret = run(argc, argv);

	if (fflush(stdout) || ferror(stdout))
		return ret ? ret : fail_hint(CTL_FAILED, NULL,
					     "cannot write to stdout");
	return ret;
}
