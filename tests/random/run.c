// SPDX-License-Identifier: GPL-2.0-only
/* A script, generated, run in a process of its own, written and read. */
#include "random.h"
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

const struct backend *backend;
struct board *board;
struct outcome *outcome;
unsigned int hang_seconds = 300;
bool only_the_file;

/* clang-format off */
const struct file_kind file_kinds[] = {
	{ "memfd", MEMFD, .pages = 24, .more = 72, .room = 32 },
	{ "tmpfs", TMPFS, .pages = 24, .more = 72, .room = 32 },
	{ "huge", TMPFS_HUGE, .pages = 1024, .more = 513, .room = 400,
	  .always_huge = true },
	{ "large", MEMFD, .pages = 1024, .more = 100, .room = 100 },
	{ "sysv", SYSV, .pages = 24, .more = 72 },
	{ "anon", ANON, .pages = 24, .more = 72 },
};
/* clang-format on */

const unsigned int nr_file_kinds = sizeof(file_kinds) / sizeof(*file_kinds);

static void *shared_memory(size_t size)
{
	void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE,
			    MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	return memory == MAP_FAILED ? NULL : memory;
}

int run_init(void)
{
	board = shared_memory(sizeof(*board));
	outcome = shared_memory(sizeof(*outcome));
	return board && outcome ? prctl(PR_SET_CHILD_SUBREAPER, 1) : -1;
}

/* The process that runs it may add to it. */
struct script *script_new(void)
{
	return shared_memory(sizeof(struct script));
}

void script_init(struct script *script, unsigned int seed, unsigned int kind)
{
	struct rng rng = { .state = seed };

	script->seed = seed;
	script->kind = kind;
	script->nr = 0;
	script->pages = file_kinds[kind].pages +
			rng_below(&rng, file_kinds[kind].more);
}

/* --- in the process of the run --- */

static void init_model(const struct script *script)
{
	const struct file_kind *kind = &file_kinds[script->kind];

	model_init(script->pages, MIN(script->pages + kind->room, MAX_FILE),
		   kind->always_huge);
	model.fixed_size = !kind->room;
	model.process[0].alive = model.process[1].alive = true;
}

/* Two processes with mappings, content, a monitor; then anything. */
static void generate(struct script *script, struct rng *rng)
{
	static const char *const first[] = { "map", "map", "pwrite",
					     "monitor", "protect" };
	struct op *op = &script->ops[script->nr];
	unsigned int i = script->nr++;

	op_generate(op, rng);
	if (i >= sizeof(first) / sizeof(*first) || rng_one_in(rng, 8))
		return;
	*op = (struct op){ .what = op_find(first[i]), .seed = rng_next(rng),
			   .range[0] = { 0, TO_END_PAGES } };
	op->length = (i < 2 ? model.room : script->pages) * PAGE;
	op->who = i < 2 ? i : 0;
	op->flags = i == 3 ? 1 + rng_below(rng, 2) : 0;
}

static int run_ops(struct script *script, unsigned int wanted)
{
	struct rng rng = { .state = script->seed ^ 0x5bd1e995 };
	unsigned int i;
	int ret;

	for (i = 0; i < wanted; i++) {
		if (i == script->nr)
			generate(script, &rng);
		outcome->nr_run = i + 1;
		ret = op_run(&script->ops[i]);
		if (ret < 0)
			return ret;
		outcome->nr_done += ret != NOTHING_TO_DO;
	}
	return check_all(true);
}

static int close_all(void)
{
	unsigned int i;
	struct op op = { .what = op_find("close") };

	for (i = 0; i < NR_WATCHES; i++) {
		op.watch = i;
		if (op_run(&op) < 0)
			return DIFFERS;
	}
	return 0;
}

static enum verdict run_here(struct script *script, unsigned int wanted)
{
	int ret;

	init_model(script);
	ret = backend->begin(script);
	if (ret) {
		fail("cannot begin: %s", strerror(-ret));
		return CANNOT;
	}
	ret = run_ops(script, wanted) ?: close_all();
	outcome->over_reported = model.over_reported;
	if (!ret)
		backend->end();
	return ret ? DIFFERED : PASSED;
}

/* --- in the process that has it run --- */

static enum verdict judge(pid_t pid, bool late)
{
	int status = 0;

	kill(-pid, SIGKILL); /* and what it has left behind */
	waitpid(pid, &status, 0);
	while (waitpid(-1, NULL, WNOHANG) > 0)
		;
	if (late)
		fail("not at its end after %u seconds", hang_seconds);
	else if (!WIFEXITED(status))
		fail("died of signal %d", WTERMSIG(status));
	else
		return WEXITSTATUS(status);
	return DIFFERED;
}

enum verdict run(struct script *script, unsigned int wanted)
{
	struct pollfd poll_fd = { .events = POLLIN };
	pid_t pid;
	bool late;

	*outcome = (struct outcome){};
	fflush(NULL);
	pid = fork();
	if (!pid) {
		setpgid(0, 0);
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		_exit(run_here(script, MIN(wanted, MAX_OPS)));
	}
	if (pid < 0)
		return CANNOT;
	setpgid(pid, pid);
	poll_fd.fd = syscall(SYS_pidfd_open, pid, 0);
	late = poll(&poll_fd, 1, hang_seconds * 1000) != 1;
	close(poll_fd.fd);
	return judge(pid, late);
}

/* --- as text --- */

void script_print(const struct script *script, FILE *to, const char *prefix)
{
	unsigned int i;
	char text[512];

	fprintf(to, "%sfile kind=%s pages=%u seed=%u\n", prefix,
		file_kinds[script->kind].name, script->pages, script->seed);
	for (i = 0; i < script->nr; i++) {
		op_print(&script->ops[i], text, sizeof(text));
		fprintf(to, "%s%s\n", prefix, text);
	}
}

static int read_head(struct script *script, const char *line)
{
	char name[16];

	if (sscanf(line, "file kind=%15s pages=%u seed=%u", name,
		   &script->pages, &script->seed) != 3)
		return -1;
	script->nr = 0;
	for (script->kind = 0; script->kind < nr_file_kinds; script->kind++)
		if (!strcmp(file_kinds[script->kind].name, name))
			return script->pages < MAX_FILE ? 0 : -1;
	return -1;
}

/* 0, or the number of the line that is wrong; lines may begin with "# ". */
int script_read(struct script *script, const char *path)
{
	FILE *file = fopen(path, "re");
	char line[512], *text;
	int number = 0, ret = 0;

	if (!file)
		return 1;
	while (!ret && fgets(line, sizeof(line), file)) {
		text = line + strspn(line, "# ");
		if (!number++)
			ret = read_head(script, text);
		else
			ret = op_parse(&script->ops[script->nr++], text);
		if (script->nr == MAX_OPS)
			break;
	}
	fclose(file);
	return ret || !number ? MAX(number, 1) : 0;
}
