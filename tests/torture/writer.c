// SPDX-License-Identifier: GPL-2.0-only
/*
 * A writer: looks at others, writes what it has seen, and moves its mappings.
 */
#include "torture.h"
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

static int me;
static int pipes[2];
static struct slot mine[FILES]; /* what the files have of it, or are to have */

/* --- ways to write --- */

static void store(struct area *area, size_t offset, const uint64_t *words,
		  size_t nr)
{
	volatile uint64_t *to = (void *)(area->map + offset);
	size_t i;

	for (i = 0; i < nr; i++)
		to[i] = words[i];
}

static void exchange(struct area *area, size_t offset, const uint64_t *words,
		     size_t nr)
{
	uint64_t *to = (void *)(area->map + offset);
	size_t i;

	for (i = 0; i < nr; i++)
		__atomic_exchange_n(&to[i], words[i], __ATOMIC_SEQ_CST);
}

/* Nothing is written by a call that fails. */
static void write_file(struct area *area, size_t offset, const uint64_t *words,
		       size_t nr)
{
	size_t length = nr * sizeof(*words);

	while (pwrite(area->fd, words, length, offset) != (ssize_t)length)
		failed("pwrite() by a writer", errno);
}

/* The kernel stores to the mapping; one that fails may have, in part. */
static void read_into(struct area *area, size_t offset, const uint64_t *words,
		      size_t nr)
{
	size_t length = nr * sizeof(*words), left;
	char *to = area->map + offset, rest[PAGE];
	ssize_t done = 0;

	do {
		if (write(pipes[1], words, length) != (ssize_t)length)
			continue;
		done = read(pipes[0], to, length);
		left = length - (done > 0 ? done : 0);
		if (left) {
			failed("read() by a writer", errno);
			read(pipes[0], rest, left);
		}
	} while (done != (ssize_t)length);
}

static const struct way {
	void (*put)(struct area *area, size_t offset, const uint64_t *words,
		    size_t nr);
	enum order order;
} ways[] = {
	{ store, ASCENDING },
	{ exchange, ASCENDING },
	{ write_file, AT_ONCE },
	{ read_into, ANY_ORDER },
};

static const struct way *way_of(int id)
{
	return &ways[id % (ARRAY_SIZE(ways))];
}

enum order order_of(int id)
{
	return way_of(id)->order;
}

static void put(int file, size_t offset, const uint64_t *words, size_t nr)
{
	way_of(me)->put(&files[file], offset, words, nr);
}

/* In one piece: others read it at any time, and so does a cut. */
static void put_in_slot(int file, uint64_t *word)
{
	size_t offset = slot_offset(me) + ((char *)word - (char *)&mine[file]);

	if (way_of(me)->order == ASCENDING)
		put(file, offset, word, 1);
	else
		store(&files[file], offset, word, 1);
}

/* --- steps --- */

static uint64_t sequence_of(int file, int id)
{
	struct slot *slot = (void *)(files[file].map + slot_offset(id));

	return __atomic_load_n(&slot->sequence, __ATOMIC_ACQUIRE);
}

static void count_step(int file)
{
	uint64_t next = mine[file].sequence + 1;

	__atomic_store_n(&control->begun[file][me], next, __ATOMIC_RELEASE);
	mine[file].sequence = next;
	put_in_slot(file, &mine[file].sequence);
	__atomic_store_n(&control->finished[file][me], next, __ATOMIC_RELEASE);
}

static void look_at_another(int file)
{
	int other = pick(control->nr_writers);

	mine[file].seen[other] = sequence_of(file, other);
	put_in_slot(file, &mine[file].seen[other]);
	count_step(file);
}

static void write_own_page(int file)
{
	int k = pick(OWN_PAGES);
	size_t page = own_page(me, k);
	uint64_t words[PAGE / sizeof(uint64_t)];

	fill_version(words, page, ++mine[file].version[k]);
	put(file, page * PAGE, words, PAGE / sizeof(uint64_t));
	put_in_slot(file, &mine[file].version[k]);
	count_step(file);
}

/* --- what it does to its own mappings --- */

static bool remap(int file)
{
	area_unmap(&files[file]);
	while (area_map(&files[file]))
		failed("mmap() by a writer", errno);
	return true;
}

static bool remap_and_read(int file)
{
	size_t page;

	remap(file);
	for (page = 0; page < TAIL; page += 1 + pick(8))
		*(volatile char *)(files[file].map + page * PAGE);
	return true;
}

static bool flip_protection(int file)
{
	struct area *area = &files[file];

	if (mprotect(area->map, area->size, PROT_READ))
		return false;
	while (mprotect(area->map, area->size, PROT_READ | PROT_WRITE))
		failed("mprotect() by a writer", errno);
	return true;
}

static bool drop_entries(int file)
{
	return !madvise(files[file].map, files[file].size, MADV_DONTNEED);
}

static bool move_entries(int file)
{
	return !area_move(&files[file], pick(4));
}

/* The step of a child is a step of its parent, who waits. */
static bool fork_for_a_step(int file)
{
	pid_t pid = fork();
	int status = -1;

	if (!pid) {
		mine[file].seen[me] = mine[file].sequence;
		put_in_slot(file, &mine[file].seen[me]);
		_exit(0);
	}
	if (pid < 0)
		return false;
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	mine[file].seen[me] = mine[file].sequence;
	if (status)
		trouble(FAILED, "the child of a writer ended with %#x", status);
	return true;
}

static bool (*const moves[])(int file) = {
	remap,	      remap_and_read, flip_protection,
	drop_entries, move_entries,   fork_for_a_step,
};

static void move(int file)
{
	faults_off();
	count(MOVES, moves[pick(ARRAY_SIZE(moves))](file));
	faults_on();
}

/* --- the process --- */

/* Partner: close_file() of the auditor.  One of the two sees the other. */
static bool enter(int file)
{
	__atomic_store_n(&control->busy[me], file, __ATOMIC_SEQ_CST);
	return !__atomic_load_n(&control->closed[file], __ATOMIC_SEQ_CST);
}

static void leave(void)
{
	__atomic_store_n(&control->busy[me], -1, __ATOMIC_SEQ_CST);
}

static void step(int file)
{
	if (pick(4))
		look_at_another(file);
	else
		write_own_page(file);
	if (!pick(128))
		move(file);
}

void be_writer(int id)
{
	int file;

	me = id;
	if (pipe(pipes))
		trouble(FAILED, "pipe: %m");
	faults_on();
	while (!stopping()) {
		file = pick(FILES);
		if (enter(file))
			step(file);
		leave();
	}
}
