// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The processes of the pool.  Orders go by a board and two futexes: one wake-up
 * for all, and one answer when the last has done it, which is the cheapest way
 * that there is to tell many processes something and to know that they did it.
 */
#include <err.h>
#include <limits.h>
#include <linux/futex.h>
#include <setjmp.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "pool.h"

static sigjmp_buf after_fault;
static void *volatile fault_address;

static void on_fault(int signal, siginfo_t *info, void *context)
{
	(void)signal;
	(void)context;
	fault_address = info->si_code == SEGV_ACCERR ? info->si_addr : NULL;
	siglongjmp(after_fault, 1);
}

bool pool_try_store(volatile char *at, char byte)
{
	if (sigsetjmp(after_fault, 1)) {
		if (fault_address != at)
			errx(1, "SIGSEGV, but not by protection of the page");
		return false;
	}
	*at = byte;
	return true;
}

static void catch_faults(void)
{
	struct sigaction action = {
		.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO,
	};

	if (sigaction(SIGSEGV, &action, NULL))
		err(1, "sigaction");
}

static void wait_while(atomic_uint *word, unsigned int value)
{
	while (atomic_load(word) == value)
		syscall(SYS_futex, word, FUTEX_WAIT, value, NULL, NULL, 0);
}

static void wake_all(atomic_uint *word)
{
	syscall(SYS_futex, word, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
}

static void protect(struct pool *pool, size_t page, size_t nr, int prot)
{
	if (mprotect((char *)pool->map + page * POOL_PAGE, nr * POOL_PAGE, prot))
		err(1, "mprotect");
}

/* Entries in the page table of this process, so that there is something to change. */
static void load(struct pool *pool)
{
	size_t page;

	for (page = 0; page < POOL_PAGES; page++)
		(void)pool->map[page * POOL_PAGE];
}

/* Each process has a byte of its own in a page; the first are the page's number. */
static void store(struct pool *pool, unsigned int self, size_t page)
{
	volatile char *at = pool->map + page * POOL_PAGE + 64 + self;
	char old = *at;
	bool refused = !pool_try_store(at, old + 1);

	if (*at != (refused ? old : (char)(old + 1)))
		errx(1, "a store was not what it was said to be");
	pool->board->refused[self] = refused;
}

static void carry_out(struct pool *pool, unsigned int self)
{
	struct board *board = pool->board;

	switch (board->order) {
	case ORDER_LOAD:
		return load(pool);
	case ORDER_STORE:
		return store(pool, self, board->page);
	case ORDER_OPEN:
		return protect(pool, board->page, 1, PROT_READ | PROT_WRITE);
	case ORDER_CLOSE:
		return protect(pool, board->page, 1, PROT_READ);
	case ORDER_OPEN_ALL:
		return protect(pool, 0, POOL_PAGES, PROT_READ | PROT_WRITE);
	case ORDER_CLOSE_ALL:
		return protect(pool, 0, POOL_PAGES, PROT_READ);
	case ORDER_END:
		_exit(0);
	}
}

static void work(struct pool *pool, unsigned int self)
{
	struct board *board = pool->board;
	unsigned int turn = 0;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (;; turn++) {
		wait_while(&board->turn, turn);
		carry_out(pool, self);
		if (atomic_fetch_add(&board->done, 1) + 1 == pool->nr - 1)
			wake_all(&board->done);
	}
}

void pool_order(struct pool *pool, enum order order, size_t page)
{
	struct board *board = pool->board;
	unsigned int done;

	board->order = order;
	board->page = page;
	atomic_store(&board->done, 0);
	atomic_fetch_add(&board->turn, 1);
	if (pool->nr > 1)
		wake_all(&board->turn);
	if (order == ORDER_END)
		return;
	carry_out(pool, 0);
	while ((done = atomic_load(&board->done)) != pool->nr - 1)
		wait_while(&board->done, done);
}

unsigned int pool_stores(struct pool *pool, size_t page)
{
	unsigned int i, stored = 0;

	pool_order(pool, ORDER_STORE, page);
	for (i = 0; i < pool->nr; i++)
		stored += !pool->board->refused[i];
	return stored;
}

static void *map(int fd, size_t size, int flags)
{
	void *at = mmap(NULL, size, PROT_READ | PROT_WRITE, flags, fd, 0);

	if (at == MAP_FAILED)
		err(1, "mmap");
	return at;
}

static void fill(struct pool *pool)
{
	size_t page;

	for (page = 0; page < POOL_PAGES; page++)
		memcpy((char *)pool->map + page * POOL_PAGE, &page, sizeof(page));
}

void pool_start(struct pool *pool, unsigned int nr)
{
	unsigned int i;

	catch_faults();
	pool->nr = nr;
	pool->board = map(-1, sizeof(*pool->board), MAP_SHARED | MAP_ANONYMOUS);
	pool->fd = memfd_create("pool", MFD_CLOEXEC);
	if (pool->fd < 0 || ftruncate(pool->fd, POOL_SIZE))
		err(1, "memfd of %zu bytes", POOL_SIZE);
	pool->map = map(pool->fd, POOL_SIZE, MAP_SHARED);
	fill(pool);
	for (i = 1; i < nr; i++) {
		pool->pids[i] = fork();
		if (pool->pids[i] < 0)
			err(1, "fork");
		if (!pool->pids[i])
			work(pool, i);
	}
	pool_order(pool, ORDER_LOAD, 0);
}

void pool_end(struct pool *pool)
{
	unsigned int i;

	pool_order(pool, ORDER_END, 0);
	for (i = 1; i < pool->nr; i++)
		waitpid(pool->pids[i], NULL, 0);
	munmap((void *)pool->map, POOL_SIZE);
	munmap(pool->board, sizeof(*pool->board));
	close(pool->fd);
}
