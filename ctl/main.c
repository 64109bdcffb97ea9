// SPDX-License-Identifier: GPL-2.0-or-later
/* wpfilectl: the verbs, and how to find them. */
#include <string.h>

#include "ctl.h"

#define TARGET "pfmP"

static const struct verb verbs[] = {
	{ "check", "jh", "Tell what this kernel can do.", verb_check },
	{ "snapshot", TARGET "oljh",
	  "Save a file in shared memory as it stands at one instant.",
	  verb_snapshot },
	{ "stat", TARGET "jh", "Show the size and the monitors of a file.",
	  verb_stat },
	{ "track", TARGET "injh", "Print which ranges are written, as it happens.",
	  verb_track },
};

#define NR_VERBS (sizeof(verbs) / sizeof(verbs[0]))

static const struct verb *find_verb(const char *name)
{
	size_t i;

	for (i = 0; i < NR_VERBS; i++)
		if (!strcmp(verbs[i].name, name))
			return &verbs[i];
	return NULL;
}

static int print_usage(void)
{
	size_t i;

	puts("Usage: wpfilectl VERB [OPTION...]\n"
	     "Snapshots and write tracking of shared memory, by file.\n");
	for (i = 0; i < NR_VERBS; i++)
		printf("  %-10s %s\n", verbs[i].name, verbs[i].summary);
	puts("\nwpfilectl VERB --help tells more; see also wpfilectl(1).");
	return CTL_OK;
}

static int print_verb_help(const struct verb *verb)
{
	const struct option_row *row;
	char left[40];

	printf("Usage: wpfilectl %s %s[OPTION...]\n%s\n\n", verb->name,
	       strchr(verb->options, 'P') ?
		       "(--pid PID (--fd N | --map NAME) | --path FILE) " : "",
	       verb->summary);
	for (row = option_table; row->key; row++) {
		if (!strchr(verb->options, row->key))
			continue;
		snprintf(left, sizeof(left), "%c%c%s --%s%s%s",
			 row->is_short ? '-' : ' ', row->is_short ? row->key : ' ',
			 row->is_short ? "," : " ", row->name,
			 row->value ? " " : "", row->value ? row->value : "");
		printf("  %-26s %s\n", left, row->help);
	}
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
