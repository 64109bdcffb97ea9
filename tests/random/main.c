// SPDX-License-Identifier: GPL-2.0-only
/* Options, and what is said about it: TAP, one test for each kind of file. */
#include "random.h"
#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#define KSFT_FAIL	1
#define KSFT_SKIP	4
#define SHRINK_SECONDS	240

static const char usage[] =
	"random: random operations on a file in shared memory, compared with a model\n"
	"\n"
	"  --seconds S      for so long, all kinds of file in turn (default 20, or\n"
	"                   WPFILE_SECONDS)\n"
	"  --seed N         only this one, or where to begin, with --seconds\n"
	"  --kind NAME      only this kind of file: memfd tmpfs huge large sysv anon\n"
	"  --operations N   in each run (default 300)\n"
	"  --replay FILE    the script in FILE, as it is printed after a failure\n"
	"  --repeat N       so often, with --replay\n"
	"  --no-shrink      print a script that fails as it is\n"
	"  --only-file      no monitors: is the model of the file right? On any kernel\n"
	"  --self-test      test the tester, on any kernel\n";

static struct {
	unsigned int seed, seconds, operations, repeat;
	int kind;		/* -1: all */
	const char *replay;
	bool shrink;
} options = { .operations = 300, .kind = -1, .shrink = true, .repeat = 1 };

/* For each kind of file. */
static struct total {
	unsigned long runs, operations, over_reported;
	bool failed;
} totals[16];

/* --- a failure --- */

static void print_shrunk(struct script *script)
{
	unsigned int before = script->nr, runs = shrink(script, SHRINK_SECONDS);

	/* Once more: the last run of shrink() may have been one that passed. */
	if (run(script, script->nr) != DIFFERED)
		printf("# not in the last of %u runs: it does not always fail\n",
		       runs + 1);
	printf("# from %u operations to %u in %u runs: %s\n", before,
	       script->nr, runs, outcome->text);
	script_print(script, stdout, "# ");
}

static void explain(struct script *script)
{
	char text[512];

	script->nr = MIN(script->nr, outcome->nr_run);
	op_print(&script->ops[script->nr - 1], text, sizeof(text));
	printf("# FAILED: seed %u, operation %u (%s): %s\n", script->seed,
	       script->nr, text, outcome->text);
	printf("# as it was:\n");
	script_print(script, stdout, "# ");
	fflush(stdout);
	if (options.shrink)
		print_shrunk(script);
}

/* --- runs --- */

static enum verdict run_one(struct script *script, unsigned int wanted)
{
	struct total *total = &totals[script->kind];
	enum verdict verdict = run(script, wanted);

	if (verdict == CANNOT)
		return verdict;
	total->runs++;
	total->operations += outcome->nr_done;
	total->over_reported += outcome->over_reported;
	if (verdict == DIFFERED) {
		total->failed = true;
		explain(script);
	}
	return verdict;
}

/* Any of the kinds that are wanted and have not failed. */
static int next_kind(unsigned int seed)
{
	unsigned int i, kind;

	for (i = 0; i < nr_file_kinds; i++) {
		kind = (seed + i) % nr_file_kinds;
		if (!totals[kind].failed &&
		    (options.kind < 0 || options.kind == (int)kind))
			return kind;
	}
	return -1;
}

static enum verdict run_seeds(struct script *script)
{
	uint64_t end = now_ns() + options.seconds * 1000000000ULL;
	unsigned int seed = options.seed;
	int kind;

	do {
		kind = next_kind(seed);
		if (kind < 0)
			break;
		script_init(script, seed, kind);
		printf("# seed %u: %s, %u pages\n", seed,
		       file_kinds[kind].name, script->pages);
		if (run_one(script, options.operations) == CANNOT)
			return CANNOT;
		seed++;
	} while (now_ns() < end);
	return PASSED;
}

static enum verdict replay(struct script *script)
{
	enum verdict verdict = PASSED;
	unsigned int i;
	int line = script_read(script, options.replay);

	if (line) {
		fprintf(stderr, "random: %s: line %d is not understood\n",
			options.replay, line);
		exit(2);
	}
	for (i = 0; i < options.repeat && verdict == PASSED; i++)
		verdict = run_one(script, script->nr);
	return verdict;
}

static int report(void)
{
	unsigned int kind, nr = 0;
	bool failed = false;

	for (kind = 0; kind < nr_file_kinds; kind++) {
		struct total *total = &totals[kind];

		if (!total->runs)
			continue;
		failed |= total->failed;
		printf("# %s: %lu runs, %lu operations, %lu pages reported that need not be\n",
		       file_kinds[kind].name, total->runs, total->operations,
		       total->over_reported);
		printf("%sok %u - %s\n", total->failed ? "not " : "", ++nr,
		       file_kinds[kind].name);
	}
	printf("1..%u\n", nr);
	return failed ? KSFT_FAIL : 0;
}

/* --- options --- */

static int kind_named(const char *name)
{
	unsigned int kind;

	for (kind = 0; kind < nr_file_kinds; kind++)
		if (!strcmp(file_kinds[kind].name, name))
			return kind;
	fprintf(stderr, "random: no such kind of file: %s\n", name);
	exit(2);
}

static bool parse(int argc, char **argv)
{
	static const struct option names[] = {
		{ "seed", 1, NULL, 's' },	{ "seconds", 1, NULL, 't' },
		{ "operations", 1, NULL, 'o' }, { "replay", 1, NULL, 'r' },
		{ "kind", 1, NULL, 'k' },	{ "repeat", 1, NULL, 'n' },
		{ "no-shrink", 0, NULL, 'x' },	{ "self-test", 0, NULL, 'y' },
		{ "only-file", 0, NULL, 'f' },	{ "help", 0, NULL, 'h' },
		{}
	};
	bool self = false;
	int option;

	while ((option = getopt_long(argc, argv, "", names, NULL)) >= 0) {
		switch (option) {
		case 's':
			options.seed = strtoul(optarg, NULL, 0);
			break;
		case 't':
			options.seconds = strtoul(optarg, NULL, 0);
			break;
		case 'o':
			options.operations = strtoul(optarg, NULL, 0);
			break;
		case 'r':
			options.replay = optarg;
			break;
		case 'k':
			options.kind = kind_named(optarg);
			break;
		case 'n':
			options.repeat = strtoul(optarg, NULL, 0);
			break;
		case 'x':
			options.shrink = false;
			break;
		case 'f':
			only_the_file = true;
			break;
		case 'y':
			self = true;
			break;
		default:
			fputs(usage, option == 'h' ? stdout : stderr);
			exit(option == 'h' ? 0 : 2);
		}
	}
	return self;
}

/* Without --seed another one each time; with it and no time, only that one. */
static void choose_seed_and_time(void)
{
	if (!options.seed)
		options.seed = now_ns() % 1000000000 + 1;
	else if (!options.seconds)
		return;
	if (!options.seconds)
		options.seconds = seconds_to_run(20);
}

/* Of its own, so that it can be reclaimed from. */
static void enter_cgroup(void)
{
	if (!cgroup_make(the_cgroup, sizeof(the_cgroup), -1, -1))
		cgroup_enter(the_cgroup);
}

int main(int argc, char **argv)
{
	struct script *script;
	enum verdict verdict;
	bool self = parse(argc, argv);

	setvbuf(stdout, NULL, _IOLBF, 0);
	if (run_init() || !(script = script_new())) {
		fprintf(stderr, "random: no memory\n");
		return 2;
	}
	if (self)
		return self_test();
	backend = &kernel_backend;
	printf("TAP version 13\n");
	if (!only_the_file && wp_device() < 0) {
		printf("1..0 # SKIP no /dev/wpfile: not a kernel with wpfile\n");
		return KSFT_SKIP;
	}
	if (!only_the_file)
		enter_cgroup();
	choose_seed_and_time();
	verdict = options.replay ? replay(script) : run_seeds(script);
	if (verdict == CANNOT) {
		printf("Bail out! %s\n", outcome->text);
		return KSFT_FAIL;
	}
	if (the_cgroup[0])
		cgroup_remove(the_cgroup);
	return report();
}
