// SPDX-License-Identifier: GPL-2.0-only
/*
 * Does the tester find what it must?  Against fake.c: without a bug no seed may
 * fail, and each bug must be found and shrunk to a script that a person reads
 * at a glance, and that still fails when it is read back from a file.
 */
#include "random.h"
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define OPERATIONS	300
#define SEEDS		120	/* in which a bug must show */
#define SHORT		10	/* operations that are left */

static bool read_back(struct script *script)
{
	char path[] = "/tmp/wpfile-random-XXXXXX";
	int fd = mkstemp(path), line;
	FILE *file = fdopen(fd, "w");

	script_print(script, file, "# ");
	fclose(file);
	line = script_read(script, path);
	unlink(path);
	return !line && run(script, script->nr) == DIFFERED;
}

/* It was this bug. */
static bool passes_without_bug(struct script *script)
{
	the_bug = NULL;
	return run(script, script->nr) == PASSED;
}

static bool find(struct script *script)
{
	unsigned int seed;

	for (seed = 1; seed <= SEEDS; seed++) {
		script_init(script, seed, seed % nr_file_kinds);
		if (run(script, OPERATIONS) != DIFFERED)
			continue;
		script->nr = outcome->nr_run;
		return true;
	}
	return false;
}

static bool bug_is_found(struct script *script, const struct bug *bug, int nr)
{
	unsigned int before, runs;
	bool ok = false;

	the_bug = bug->name;
	if (!find(script)) {
		printf("# not found in %u seeds: %s\n", SEEDS, bug->what);
	} else {
		before = script->nr;
		runs = shrink(script, 60);
		ok = read_back(script) && script->nr <= SHORT;
		printf("# seed %u: from %u operations to %u in %u runs: %s\n",
		       script->seed, before, script->nr, runs, outcome->text);
		ok &= passes_without_bug(script);
		if (!ok || getenv("VERBOSE"))
			script_print(script, stdout, "# ");
	}
	printf("%sok %d - bug_is_found.%s\n", ok ? "" : "not ", nr, bug->name);
	return ok;
}

static bool nothing_is_found(struct script *script)
{
	unsigned int seed;

	for (seed = 1; seed <= SEEDS; seed++) {
		script_init(script, seed, seed % nr_file_kinds);
		if (run(script, OPERATIONS) == PASSED)
			continue;
		printf("# seed %u, operation %u: %s\n", seed, outcome->nr_run,
		       outcome->text);
		script->nr = outcome->nr_run;
		shrink(script, 60);
		script_print(script, stdout, "# ");
		return false;
	}
	return true;
}

int self_test(void)
{
	struct script *script = script_new();
	int nr = 1, failed = 0, total = 1;
	const struct bug *bug;

	for (bug = bugs; bug->name; bug++)
		total++;
	backend = &fake_backend;
	printf("TAP version 13\n1..%d\n", total);
	if (!nothing_is_found(script)) {
		printf("not ");
		failed++;
	}
	printf("ok 1 - nothing_is_found_where_there_is_no_bug\n");
	for (bug = bugs; bug->name; bug++)
		failed += !bug_is_found(script, bug, ++nr);
	return failed != 0;
}
