// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A database keeps the pages of its buffer pool read-only, so that no stray store
 * of any of its processes spoils them, and makes a page writable for as long as
 * it is being changed.  Two ways to flip a page, for all processes at once:
 *
 *	wpfile		one DENY monitor of the file: a process makes two calls
 *	mprotect	each process must be told, must call, must answer, twice
 *
 *	poolguard [--unguarded]
 *
 * It proves that both hold (and what only one of them does), and then measures
 * both in the same run.  With --unguarded nothing is protected, to show that the
 * proofs fail then.
 */
#include <err.h>
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <wpfile.h>

#include "clock.h"
#include "pool.h"

#define FLIPS	64

/* A way to guard the pool: between begin and end, but for pages that are open. */
struct guard {
	const char *name;
	void (*begin)(struct pool *pool);
	void (*open)(struct pool *pool, size_t page);
	void (*close)(struct pool *pool, size_t page);
	void (*end)(struct pool *pool);
};

static void check(int ret, const char *what)
{
	if (ret < 0)
		errx(1, "%s: %s; 'wpfilectl check' tells what this kernel can do",
		     what, strerror(-ret));
}

/* --- wpfile --- */

static struct wpfile_mon *monitor;

static struct wpfile_range range_of(size_t page)
{
	return (struct wpfile_range){ page * POOL_PAGE, POOL_PAGE };
}

static void wpfile_begin(struct pool *pool)
{
	struct wpfile_monitor args = {
		.size = sizeof(args), .mode = WPFILE_DENY,
	};
	struct wpfile_target *target;

	check(wpfile_target_dup_fd(pool->fd, &target), "the pool");
	check(wpfile_mon_open(target, &args, &monitor), "a monitor");
	wpfile_target_free(target);
	check(wpfile_protect_all(monitor, NULL), "protect");
}

static void wpfile_open(struct pool *pool, size_t page)
{
	struct wpfile_range range = range_of(page);

	(void)pool;
	check(wpfile_unprotect(monitor, &range, 1), "unprotect");
}

static void wpfile_close(struct pool *pool, size_t page)
{
	struct wpfile_range range = range_of(page);

	(void)pool;
	check(wpfile_protect(monitor, &range, 1, 0, NULL), "protect");
}

static void wpfile_end(struct pool *pool)
{
	(void)pool;
	wpfile_mon_free(monitor);
}

/* --- mprotect --- */

static void mprotect_begin(struct pool *pool)
{
	pool_order(pool, ORDER_CLOSE_ALL, 0);
}

static void mprotect_open(struct pool *pool, size_t page)
{
	pool_order(pool, ORDER_OPEN, page);
}

static void mprotect_close(struct pool *pool, size_t page)
{
	pool_order(pool, ORDER_CLOSE, page);
}

static void mprotect_end(struct pool *pool)
{
	pool_order(pool, ORDER_OPEN_ALL, 0);
}

static const struct guard guards[] = {
	{ "wpfile", wpfile_begin, wpfile_open, wpfile_close, wpfile_end },
	{ "mprotect", mprotect_begin, mprotect_open, mprotect_close, mprotect_end },
};

/* --- nothing, for the control --- */

static void guard_nothing(struct pool *pool)
{
	(void)pool;
}

static void flip_nothing(struct pool *pool, size_t page)
{
	(void)pool;
	(void)page;
}

/* --- proofs --- */

static unsigned int failed;

static void prove(bool holds, const char *guard, const char *what)
{
	printf("%-6s %s: %s\n", holds ? "yes" : "NO", guard, what);
	failed += !holds;
}

/* A process that came from elsewhere, and maps the pool without knowing a guard. */
static bool stranger_can_store(struct pool *pool, size_t page)
{
	int status;
	pid_t pid = fork();

	if (pid < 0)
		err(1, "fork");
	if (!pid) {
		char *at = mmap(NULL, POOL_SIZE, PROT_READ | PROT_WRITE,
				MAP_SHARED, pool->fd, 0);

		if (at == MAP_FAILED)
			err(2, "mmap");
		_exit(!pool_try_store(at + page * POOL_PAGE + 32, 'x'));
	}
	if (waitpid(pid, &status, 0) != pid || !WIFEXITED(status) ||
	    WEXITSTATUS(status) > 1)
		errx(1, "the stranger died");
	return !WEXITSTATUS(status);
}

static int write_error(struct pool *pool, size_t page)
{
	return pwrite(pool->fd, "x", 1, page * POOL_PAGE + 33) == 1 ? 0 : errno;
}

/* What holds in both ways. */
static void prove_flips(const struct guard *guard, struct pool *pool)
{
	size_t page = 7, next = page + 1;

	prove(pool_stores(pool, page) == 0, guard->name,
	      "a stray store is SIGSEGV in each process, and changes nothing");
	guard->open(pool, page);
	prove(pool_stores(pool, page) == pool->nr, guard->name,
	      "each process can store into a page that is open");
	prove(pool_stores(pool, next) == 0, guard->name,
	      "the page next to it is still closed, for each process");
	guard->close(pool, page);
	prove(pool_stores(pool, page) == 0, guard->name,
	      "and the page is, when it has been closed");
}

/* What only the file can know: mprotect() is about one mapping. */
static void prove_beyond(const struct guard *guard, struct pool *pool,
			 bool refused)
{
	size_t page = 9;

	prove(stranger_can_store(pool, page) == !refused, guard->name,
	      refused ? "a process that takes no part is refused, too" :
			"a process that takes no part stores as it likes");
	prove(write_error(pool, page) == (refused ? EPERM : 0), guard->name,
	      refused ? "write() to the file is EPERM" :
			"write() to the file goes through");
}

static void prove_all(bool unguarded)
{
	unsigned int i;

	for (i = 0; i < 2; i++) {
		struct guard guard = guards[i];
		struct pool pool;

		if (unguarded) {
			guard.begin = guard.end = guard_nothing;
			guard.open = guard.close = flip_nothing;
		}
		pool_start(&pool, 8);
		guard.begin(&pool);
		prove_flips(&guard, &pool);
		prove_beyond(&guard, &pool, i == 0);
		guard.end(&pool);
		pool_end(&pool);
	}
}

/* --- figures --- */

static void flip(const struct guard *guard, struct pool *pool, unsigned int i)
{
	size_t page = i * 389 % POOL_PAGES;

	guard->open(pool, page);
	pool->map[page * POOL_PAGE + 40]++;
	guard->close(pool, page);
}

/* Ticks of the clock for a flip, with a store into the page. */
static uint64_t measure(const struct guard *guard, struct pool *pool)
{
	uint64_t start;
	unsigned int i;

	guard->begin(pool);
	for (i = 0; i < FLIPS / 4; i++)
		flip(guard, pool, i);
	start = clock_ticks();
	for (; i < FLIPS / 4 + FLIPS; i++)
		flip(guard, pool, i);
	start = clock_ticks() - start;
	guard->end(pool);
	return start / FLIPS;
}

static void measure_all(void)
{
	static const unsigned int nrs[] = { 1, 8, 64 };
	bool count = clock_counts_instructions();
	unsigned int i, k;

	printf("\n%s\n%9s %12s %12s\n", count ? "instructions per flip" :
	       "flips per second", "processes", guards[0].name, guards[1].name);
	for (i = 0; i < sizeof(nrs) / sizeof(*nrs); i++) {
		struct pool pool;

		pool_start(&pool, nrs[i]);
		printf("%9u", nrs[i]);
		for (k = 0; k < 2; k++) {
			uint64_t ticks = measure(&guards[k], &pool);

			printf(" %12" PRIu64, count ? ticks :
			       clock_ticks_per_second() / ticks);
		}
		printf("\n");
		pool_end(&pool);
	}
}

int main(int argc, char **argv)
{
	bool unguarded = argc == 2 && !strcmp(argv[1], "--unguarded");

	if (argc > 1 && !unguarded) {
		fprintf(stderr, "usage: poolguard [--unguarded]\n");
		return 2;
	}
	setvbuf(stdout, NULL, _IOLBF, 0);
	prove_all(unguarded);
	if (!unguarded)
		measure_all();
	return failed ? 1 : 0;
}
