// SPDX-License-Identifier: GPL-2.0-or-later
/* The options of all verbs, in one table. */
#include <getopt.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

#include "ctl.h"

#define MAX_OPTIONS 24
/* A writer who has been answered must get to his write before the next time. */
#define MIN_AGAIN_NS (100 * NSEC_PER_MSEC)

const struct option_row option_table[] = {
	{ 'p', false, "pid", VALUE_PID, "PID", "a process that has the file" },
	{ 'f', false, "fd", VALUE_OTHER, "N", "its descriptor N" },
	{ 'm', false, "map", VALUE_OTHER, "NAME",
	  "its shared mapping NAME, or at an address" },
	{ 'P', false, "path", VALUE_FILE, "FILE", "the file by its path" },
	{ 'D', false, "daemon", VALUE_OPTIONAL, "SOCKET", "ask wpfiled" },
	{ 'r', false, "range", VALUE_MANY, "RANGE",
	  "OFFSET+LENGTH, OFFSET-END, OFFSET-; again for more" },
	{ 'o', true, "output", VALUE_FILE, "OUT", "where to save it; - is stdout" },
	{ 'l', false, "limit", VALUE_OTHER, "BYTES",
	  "memory for what is overwritten meanwhile; k, M, G" },
	{ 'i', false, "interval", VALUE_OTHER, "SECONDS", "between two looks (1)" },
	{ 'a', false, "again", VALUE_OTHER, "SECONDS",
	  "tell of a page again after so long" },
	{ 't', false, "for", VALUE_OTHER, "SECONDS", "end after so long" },
	{ 'n', true, "count", VALUE_OTHER, "N", "end after N looks or events" },
	{ 'd', false, "deny", VALUE_NONE, NULL, "refuse the writes, and tell of them" },
	{ 'e', false, "events", VALUE_NONE, NULL, "tell of each write" },
	{ 'A', false, "all", VALUE_NONE, NULL,
	  "also monitors that hold up nobody" },
	{ 'I', false, "id", VALUE_OTHER, "ID", "what wpfiled holds, see list --daemon" },
	{ 'y', true, "yes", VALUE_NONE, NULL, "do not ask" },
	{ 'j', false, "json", VALUE_NONE, NULL, "machine-readable output" },
	{ 'h', true, "help", VALUE_NONE, NULL, "this help" },
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

static const char *set_range(struct args *args, const char *value)
{
	if (args->nr_ranges == MAX_RANGES)
		return "too many ranges";
	return parse_range(value, sysconf(_SC_PAGESIZE),
			   &args->ranges[args->nr_ranges++]);
}

static bool set_daemon(struct args *args, const char *value)
{
	args->daemon = true;
	args->socket = value;
	return !value || *value;
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
	case 'D':
		return set_daemon(args, value);
	case 'o':
		return set_text(value, &args->output);
	case 'l':
		return parse_size(value, &args->limit) && args->limit;
	case 'i':
		return parse_seconds(value, &args->interval_ns);
	case 'a':
		return parse_seconds(value, &args->again_ns) &&
		       args->again_ns >= MIN_AGAIN_NS;
	case 't':
		return parse_seconds(value, &args->for_ns);
	case 'n':
		return parse_count(value, &args->count) && args->count;
	case 'I':
		return parse_count(value, &args->id) && args->id;
	case 'd':
		return set_flag(&args->deny);
	case 'e':
		return set_flag(&args->events);
	case 'A':
		return set_flag(&args->all);
	case 'y':
		return set_flag(&args->yes);
	case 'j':
		return set_flag(&args->json);
	case 'h':
		return set_flag(&args->help);
	}
	return false;
}

/* NULL, or what is wrong. */
static const char *take_option(struct args *args, int key, const char *value)
{
	if (key == 'r')
		return set_range(args, value);
	return set_option(args, key, value) ? NULL : "not a valid value";
}

static const char *option_name(int key)
{
	const struct option_row *row;

	for (row = option_table; row->key; row++)
		if (row->key == key)
			return row->name;
	return "?";
}

static int has_arg(const struct option_row *row)
{
	if (row->takes == VALUE_NONE)
		return no_argument;
	return row->takes == VALUE_OPTIONAL ? optional_argument :
					      required_argument;
}

/*
 * The verb's part of the table, as getopt_long() wants it.  With '+', what comes
 * behind the first word that is no option is a command's.
 */
static void make_getopt(const struct verb *verb, struct option *ret_longs,
			char *ret_shorts)
{
	const struct option_row *row;

	*ret_shorts++ = '+';
	*ret_shorts++ = ':';
	for (row = option_table; row->key; row++) {
		if (!strchr(verb->options, row->key))
			continue;
		*ret_longs++ = (struct option){
			.name = row->name,
			.has_arg = has_arg(row),
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

static int take_rest(const struct verb *verb, char **argv, struct args *args)
{
	if (!argv[optind])
		return CTL_OK;
	if (!verb->takes_command)
		return fail_usage("%s: not an option: try wpfilectl %s --help",
				  argv[optind], verb->name);
	if (strcmp(argv[optind - 1], "--"))
		return fail_usage("%s: not an option: a command comes behind --",
				  argv[optind]);
	args->command = argv + optind;
	return CTL_OK;
}

int options_parse(const struct verb *verb, int argc, char **argv,
		  struct args *ret_args)
{
	struct args args = {
		.pid = -1,
		.fd = -1,
		.interval_ns = NSEC_PER_SEC,
	};
	struct option longs[MAX_OPTIONS];
	char shorts[2 * MAX_OPTIONS];
	const char *wrong;
	int key;

	make_getopt(verb, longs, shorts);
	opterr = 0;
	while ((key = getopt_long(argc, argv, shorts, longs, NULL)) != -1) {
		if (key == '?' || key == ':')
			return bad_option(key, argv);
		wrong = take_option(&args, key, optarg);
		if (wrong)
			return fail_usage("--%s %s: %s", option_name(key),
					  optarg, wrong);
	}
	if (take_rest(verb, argv, &args))
		return CTL_USAGE;
	*ret_args = args;
	return CTL_OK;
}
