/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The buffer pool of a database: a memfd, and processes that all have it mapped. */
#ifndef POOL_H
#define POOL_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#define POOL_PAGES	1024
#define POOL_PAGE	((size_t)4096)
#define POOL_SIZE	(POOL_PAGES * POOL_PAGE)
#define POOL_MAX	64	/* processes */

/* What a process of the pool is told to do with a page, or with all of them. */
enum order {
	ORDER_LOAD,		/* look at each page */
	ORDER_STORE,		/* and say what became of it */
	ORDER_OPEN,		/* mprotect(), one page */
	ORDER_CLOSE,
	ORDER_OPEN_ALL,
	ORDER_CLOSE_ALL,
	ORDER_END,
};

/* Shared by the processes of the pool, in memory of its own. */
struct board {
	atomic_uint turn;	/* futex: changes with each order */
	atomic_uint done;	/* futex: how many have carried it out */
	enum order order;
	size_t page;
	bool refused[POOL_MAX];	/* ORDER_STORE was, by SIGSEGV */
};

/* Process 0 is who calls the functions; the others wait for orders. */
struct pool {
	int fd;
	volatile char *map;
	struct board *board;
	unsigned int nr;
	pid_t pids[POOL_MAX];
};

void pool_start(struct pool *pool, unsigned int nr);
void pool_end(struct pool *pool);

/* All processes carry it out, and have when it returns. */
void pool_order(struct pool *pool, enum order order, size_t page);

/* How many processes could store into the page, which all of them try. */
unsigned int pool_stores(struct pool *pool, size_t page);

/* Tries to store; false if that was SIGSEGV. */
bool pool_try_store(volatile char *at, char byte);

#endif /* POOL_H */
