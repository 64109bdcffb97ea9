// SPDX-License-Identifier: GPL-2.0-or-later
/* The options of all verbs, in one table. */
#include <getopt.h>
#include <limits.h>
#include <string.h>

#include "ctl.h"

#define MAX_OPTIONS 16

const struct option_row option_table[] = {
	{ 'p', false, "pid", "PID", "a process that has the file" },
	{ 'f', false, "fd", "N", "its descriptor N" },
	{ 'm', false, "map", "NAME",
	  "its shared mapping NAME, or at an address" },
	{ 'P', false, "path", "FILE", "the file by its path" },
	{ 'o', true, "output", "OUT", "where to save it; - is stdout" },
	{ 'l', false, "limit", "BYTES",
	  "memory for what is overwritten meanwhile; k, M, G" },
	{ 'i', false, "interval", "SECONDS", "between two looks (1)" },
	{ 'n', false, "count", "N", "end after N looks" },
	{ 'j', false, "json", NULL, "machine-readable output" },
	{ 'h', true, "help", NULL, "this help" },
	{ 0 },
};

static bool set_int(const char *value, int minimum, int *ret)
{
	uint64_t number;

	if (!parse_count(value, &number) || number > INT_MAX ||
	    (int)number < minimum)
		return false;
	*ret = number;
	return true;
}

static bool set_text(const char *value, const char **ret)
{
	*ret = value;
	return *value;
}

static bool set_flag(bool *ret)
{
	*ret = true;
	return true;
}

/* False if the value is not one for this option. */
static bool set_option(struct args *args, int key, const char *value)
{
	switch (key) {
	case 'p':
		return set_int(value, 1, &args->pid);
	case 'f':
		return set_int(value, 0, &args->fd);
	case 'm':
		return set_text(value, &args->map);
	case 'P':
		return set_text(value, &args->path);
	case 'o':
		return set_text(value, &args->output);
	case 'l':
		return parse_size(value, &args->limit) && args->limit;
	case 'i':
		return parse_seconds(value, &args->interval_ns);
	case 'n':
		return parse_count(value, &args->count) && args->count;
	case 'j':
		return set_flag(&args->json);
	case 'h':
		return set_flag(&args->help);
	}
	return false;
}

static const char *option_name(int key)
{
	const struct option_row *row;

	for (row = option_table; row->key; row++)
		if (row->key == key)
			return row->name;
	return "?";
}

/* The verb's part of the table, as getopt_long() wants it. */
static void make_getopt(const struct verb *verb, struct option *ret_longs,
			char *ret_shorts)
{
	const struct option_row *row;

	*ret_shorts++ = ':';
	for (row = option_table; row->key; row++) {
		if (!strchr(verb->options, row->key))
			continue;
		*ret_longs++ = (struct option){
			.name = row->name,
			.has_arg = row->value ? required_argument : no_argument,
			.val = row->key,
		};
		if (row->is_short) {
			*ret_shorts++ = row->key;
			if (row->value)
				*ret_shorts++ = ':';
		}
	}
	*ret_longs = (struct option){ 0 };
	*ret_shorts = '\0';
}

static int bad_option(int key, char **argv)
{
	const char *word = argv[optind - 1];

	if (key == ':')
		return fail_usage("%s: needs a value", word);
	return fail_usage("%s: no such option: try wpfilectl %s --help", word,
			  report_verb);
}

int options_parse(const struct verb *verb, int argc, char **argv,
		  struct args *ret_args)
{
	struct args args = {
		.pid = -1,
		.fd = -1,
		.interval_ns = 1000000000,
	};
	struct option longs[MAX_OPTIONS];
	char shorts[2 * MAX_OPTIONS];
	int key;

	make_getopt(verb, longs, shorts);
	opterr = 0;
	while ((key = getopt_long(argc, argv, shorts, longs, NULL)) != -1) {
		if (key == '?' || key == ':')
			return bad_option(key, argv);
		if (!set_option(&args, key, optarg))
			return fail_usage("--%s %s: not a valid value",
					  option_name(key), optarg);
	}
	if (optind < argc)
		return fail_usage("%s: not an option: try wpfilectl %s --help",
				  argv[optind], verb->name);
	*ret_args = args;
	return CTL_OK;
}
