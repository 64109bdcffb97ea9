// SPDX-License-Identifier: GPL-2.0-only
/*
 * Torture: a snapshot is a causal cut, whatever else happens.
 *
 * Eight writers, each its own process and its own way to write:
 *
 *	chain	step n:  page A(n) := n,  then page B(n) := n
 *	ring	writer i follows writer i - 1; the first follows the last
 *
 * A page is written word by word, so that a cut can be inside of it.  In a
 * snapshot, each chain must be at one point of its way (all words of A(1), B(1),
 * A(2), ... up to there, none after), between what was finished before the call
 * and what was begun after it; and no member of the ring is ahead of the one
 * that it follows.  Reading a snapshot again gives the same.
 *
 * The file goes on behind the checked pages, in the same huge page; there it is
 * punched, truncated and extended.  WPFILE_SECONDS says how long (10).
 */
#include "harness.h"
#include <fcntl.h>
#include <linux/falloc.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#ifndef MADV_PAGEOUT
#define MADV_PAGEOUT 21
#endif

#define CHAINS 8
#define PAIRS 8
#define A_PAGES 0
#define RING_PAGES 64
#define B_PAGES 150
#define CHECKED 300
#define FILE_PAGES 1024
#define WORDS (PAGE / sizeof(uint64_t))
#define KEPT 3

struct progress {
	volatile uint64_t started, finished;
};

struct control {
	volatile bool stop;
	struct progress progress[CHAINS];
	volatile unsigned long disturbances[4];
};

/* --- writers --- */

struct chain {
	int id;
	const struct kind_of_writer *kind;
	struct area *area;
	struct control *control;
	uint64_t n, ring;
	int pipe[2];
};

struct kind_of_writer {
	const char *name;
	void (*put)(struct chain *chain, size_t page, uint64_t n);
	void (*between)(struct chain *chain);
	bool whole;	/* its pages are written by one system call on the file */
	bool unordered; /* words of a page in any order */
};

static uint64_t word(uint64_t n, size_t i)
{
	return n ? n << 16 | i : 0;
}

static void put_by_stores(struct chain *chain, size_t page, uint64_t n)
{
	volatile uint64_t *words = (void *)(chain->area->map + page * PAGE);
	size_t i;

	for (i = 0; i < WORDS; i++)
		words[i] = word(n, i);
}

static void put_by_pwrite(struct chain *chain, size_t page, uint64_t n)
{
	uint64_t words[WORDS];
	size_t i;

	for (i = 0; i < WORDS; i++)
		words[i] = word(n, i);
	if (pwrite(chain->area->fd, words, PAGE, page * PAGE) != (ssize_t)PAGE)
		_exit(2);
}

/* The kernel stores to the mapping. */
static void put_by_read(struct chain *chain, size_t page, uint64_t n)
{
	uint64_t words[WORDS];
	size_t i;

	for (i = 0; i < WORDS; i++)
		words[i] = word(n, i);
	if (write(chain->pipe[1], words, PAGE) != (ssize_t)PAGE ||
	    read(chain->pipe[0], chain->area->map + page * PAGE, PAGE) !=
		    (ssize_t)PAGE)
		_exit(2);
}

static void put_in_child(struct chain *chain, size_t page, uint64_t n)
{
	pid_t pid;

	if (n % 16) {
		put_by_stores(chain, page, n);
		return;
	}
	pid = fork();
	if (!pid) {
		put_by_stores(chain, page, n);
		_exit(0);
	}
	if (waitpid(pid, NULL, 0) != pid)
		_exit(2);
}

static void remap(struct chain *chain)
{
	area_unmap(chain->area);
	if (area_map(chain->area))
		_exit(2);
}

static void remap_and_read(struct chain *chain)
{
	size_t page;

	remap(chain);
	for (page = 0; page < CHECKED; page += 7)
		*(volatile char *)(chain->area->map + page * PAGE);
}

static void flip_protection(struct chain *chain)
{
	if (mprotect(chain->area->map, chain->area->size, PROT_READ) ||
	    mprotect(chain->area->map, chain->area->size,
		     PROT_READ | PROT_WRITE))
		_exit(2);
}

static void drop_entries(struct chain *chain)
{
	madvise(chain->area->map, chain->area->size, MADV_DONTNEED);
	*(volatile char *)chain->area->map;
}

static const struct kind_of_writer kinds[CHAINS] = {
	{ "store", put_by_stores, NULL, false, false },
	{ "pwrite", put_by_pwrite, NULL, true, false },
	{ "remap", put_by_stores, remap, false, false },
	{ "read first", put_by_stores, remap_and_read, false, false },
	{ "mprotect", put_by_stores, flip_protection, false, false },
	{ "dontneed", put_by_stores, drop_entries, false, false },
	{ "fork", put_in_child, NULL, false, false },
	{ "read()", put_by_read, NULL, false, true },
};

/* What the one before has finished: its last word. */
static uint64_t ring_of_predecessor(struct chain *chain)
{
	size_t page = RING_PAGES + (chain->id + CHAINS - 1) % CHAINS;
	uint64_t *words = (void *)(chain->area->map + page * PAGE);

	return __atomic_load_n(&words[WORDS - 1], __ATOMIC_ACQUIRE) >> 16;
}

static void follow_in_ring(struct chain *chain)
{
	uint64_t before = ring_of_predecessor(chain);

	if (chain->id ? before <= chain->ring : before < chain->ring)
		return;
	chain->ring++;
	if (chain->kind->whole)
		put_by_pwrite(chain, RING_PAGES + chain->id, chain->ring);
	else
		put_by_stores(chain, RING_PAGES + chain->id, chain->ring);
}

static void step(struct chain *chain)
{
	struct progress *progress = &chain->control->progress[chain->id];
	size_t pair = chain->id * PAIRS + ++chain->n % PAIRS;

	progress->started = chain->n;
	chain->kind->put(chain, A_PAGES + pair, chain->n);
	chain->kind->put(chain, B_PAGES + pair, chain->n);
	progress->finished = chain->n;
	follow_in_ring(chain);
	if (chain->kind->between && chain->n % 8 == 0)
		chain->kind->between(chain);
}

static void write_chain(struct chain *chain)
{
	if (pipe(chain->pipe))
		_exit(2);
	while (!chain->control->stop)
		step(chain);
	_exit(0);
}

/* --- the check --- */

struct seen {
	uint64_t n;	/* the newest version of which there is a word */
	bool torn;	/* and there are words of the one before */
};

static char problem[200];

#define PROBLEM(...) (snprintf(problem, sizeof(problem), __VA_ARGS__), problem)

/* NULL, or what is wrong with the page; versions go by steps of @stride. */
static const char *look_at_page(const char *memory, size_t page,
				uint64_t stride,
				const struct kind_of_writer *kind,
				struct seen *seen)
{
	const uint64_t *words = (const void *)(memory + page * PAGE);
	uint64_t older, first = words[0] >> 16;
	size_t i, old_words = 0;

	for (seen->n = first, i = 0; i < WORDS; i++)
		if (words[i] >> 16 > seen->n)
			seen->n = words[i] >> 16;
	older = seen->n > stride ? seen->n - stride : 0;
	for (i = 0; i < WORDS; i++) {
		if (words[i] == word(seen->n, i)) {
			if (old_words && !kind->unordered)
				return PROBLEM("page %zu: word %zu is newer "
					       "than the one before",
					       page, i);
		} else if (words[i] == word(older, i)) {
			old_words++;
		} else {
			return PROBLEM("page %zu: word %zu is %#llx in version "
				       "%llu",
				       page, i, (unsigned long long)words[i],
				       (unsigned long long)seen->n);
		}
	}
	seen->torn = old_words;
	if (seen->torn && kind->whole)
		return PROBLEM("page %zu: half of a system call", page);
	return NULL;
}

/* All pages of one half of a chain: they must be those of one point. */
static const char *look_at_half(const char *memory, size_t first, int id,
				struct seen *last)
{
	struct seen seen[PAIRS];
	const char *bad;
	uint64_t wanted;
	size_t k;

	*last = (struct seen){};
	for (k = 0; k < PAIRS; k++) {
		bad = look_at_page(memory, first + id * PAIRS + k, PAIRS,
				   &kinds[id], &seen[k]);
		if (bad)
			return bad;
		if (seen[k].n > last->n)
			*last = seen[k];
	}
	for (k = 0; k < PAIRS; k++) {
		wanted = last->n - (last->n + PAIRS - k) % PAIRS;
		if (last->n < (last->n + PAIRS - k) % PAIRS)
			wanted = 0;
		if (seen[k].n != wanted || (seen[k].torn && wanted != last->n))
			return PROBLEM("page %zu: version %llu%s, not %llu",
				       first + id * PAIRS + k,
				       (unsigned long long)seen[k].n,
				       seen[k].torn ? " torn" : "",
				       (unsigned long long)wanted);
	}
	return NULL;
}

static const char *look_at_chain(const char *memory, int id,
				 uint64_t finished_before,
				 uint64_t started_after)
{
	struct seen a, b;
	const char *bad = look_at_half(memory, A_PAGES, id, &a) ?:
			  look_at_half(memory, B_PAGES, id, &b);

	if (bad)
		return bad;
	if (b.n > a.n || a.n > b.n + 1 || (b.n == a.n && a.torn) ||
	    (b.n < a.n && b.torn))
		return PROBLEM("inversion: A is at %llu%s, B at %llu%s",
			       (unsigned long long)a.n, a.torn ? " torn" : "",
			       (unsigned long long)b.n, b.torn ? " torn" : "");
	if (b.n < finished_before || (b.n == finished_before && b.torn))
		return PROBLEM("at %llu, but %llu was finished before the call",
			       (unsigned long long)b.n,
			       (unsigned long long)finished_before);
	if (a.n > started_after)
		return PROBLEM("at %llu, which began after the call",
			       (unsigned long long)a.n);
	return NULL;
}

static const char *look_at_ring(const char *memory)
{
	struct seen seen[CHAINS];
	const char *bad;
	int i, before;

	for (i = 0; i < CHAINS; i++) {
		bad = look_at_page(memory, RING_PAGES + i, 1, &kinds[i],
				   &seen[i]);
		if (bad)
			return bad;
	}
	for (i = 0; i < CHAINS; i++) {
		before = (i + CHAINS - 1) % CHAINS;
		if (seen[i].n > seen[before].n + !i ||
		    (seen[i].n == seen[before].n + !i && seen[before].torn))
			return PROBLEM("ring: %d is at %llu, %d at %llu%s", i,
				       (unsigned long long)seen[i].n, before,
				       (unsigned long long)seen[before].n,
				       seen[before].torn ? " torn" : "");
	}
	return NULL;
}

/* "", or the first inversion of the pages at @memory. */
static const char *look_at_cut(const char *memory, const uint64_t *finished,
			       const uint64_t *started)
{
	static char text[300];
	const char *bad;
	int id;

	for (id = 0; id < CHAINS; id++) {
		bad = look_at_chain(memory, id, finished[id], started[id]);
		if (!bad)
			continue;
		snprintf(text, sizeof(text), "%s: %s", kinds[id].name, bad);
		return text;
	}
	return look_at_ring(memory) ?: "";
}

/* --- disturbers --- */

static unsigned int random_number(void)
{
	static unsigned int state;

	if (!state)
		state = getpid() * 2654435761U | 1;
	return random_next(&state);
}

static void punch_and_truncate(struct area *area)
{
	off_t tail = CHECKED * PAGE, length = (FILE_PAGES - CHECKED) * PAGE;
	off_t offset = tail + random_number() % length;

	switch (random_number() % 4) {
	case 0:
		fallocate(area->fd,
			  FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, offset,
			  1 + random_number() % (64 * PAGE));
		break;
	case 1:
		ftruncate(area->fd, offset);
		ftruncate(area->fd, FILE_PAGES * PAGE);
		break;
	case 2:
		fallocate(area->fd, 0, offset / PAGE * PAGE, 16 * PAGE);
		ftruncate(area->fd, FILE_PAGES * PAGE);
		break;
	case 3:
		pwrite(area->fd, area->before, 64 * PAGE,
		       tail + random_number() % (length - 64 * PAGE));
		break;
	}
}

static void move_memory(struct area *area)
{
	char *page = area->map + random_number() % CHECKED * PAGE;

	*(volatile char *)page;
	switch (random_number() % 5) {
	case 0:
		reclaim_memory("512K");
		break;
	case 1:
		compact_memory();
		break;
	case 2:
		if (nr_nodes() > 1)
			move_to_node(page, random_number() % 2);
		break;
	case 3:
		collapse_memory(area->map, HUGE);
		break;
	case 4:
		split_memory(area->map, HUGE);
		break;
	}
	sleep_ms(1);
}

/* Other people's monitors; some are killed. */
static void use_monitors(struct area *area)
{
	static struct pages seen;
	int track, capture;
	pid_t pid = fork();

	if (pid) {
		sleep_ms(random_number() % 20);
		kill(pid, random_number() % 2 ? SIGKILL : SIGCONT);
		waitpid(pid, NULL, 0);
		return;
	}
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	track = area_protect(area, WPFILE_TRACK);
	capture = wp_monitor(area->fd, WPFILE_CAPTURE);
	wp_protect(capture, random_number() % CHECKED * PAGE, 20 * PAGE);
	scan_pages(track, WPFILE_SCAN_PROTECT, &seen);
	wp_unprotect(capture, 0, WPFILE_TO_END);
	scan_pages(track, WPFILE_SCAN_PROTECT, &seen);
	close(area_snapshot(area));
	_exit(0);
}

static void map_and_fork(struct area *area)
{
	char *map = map_file(area->fd, CHECKED * PAGE, PROT_READ | PROT_WRITE);
	size_t page;
	pid_t pid;

	if (!map)
		_exit(2);
	for (page = 0; page < CHECKED; page++)
		*(volatile char *)(map + page * PAGE);
	/* Entries of pages that nobody checks become writable. */
	for (page = RING_PAGES + CHAINS; page < B_PAGES; page++)
		*(volatile char *)(map + page * PAGE) = 'm';
	pid = fork();
	if (!pid)
		_exit(0);
	madvise(map, CHECKED * PAGE, MADV_PAGEOUT);
	waitpid(pid, NULL, 0);
	munmap(map, CHECKED * PAGE);
}

static void (*const disturbers[])(struct area *) = {
	punch_and_truncate,
	move_memory,
	use_monitors,
	map_and_fork,
};

/* --- the fixture --- */

#define PROCESSES (CHAINS + ARRAY_SIZE(disturbers))

struct kept {
	int fd;
	char *copy;
};

/* clang-format off */
FIXTURE(cut) {
	struct area area;
	struct control *control;
	char cgroup[128];
	pid_t pids[PROCESSES];
	struct kept kept[KEPT];
};

FIXTURE_VARIANT(cut) {
	enum kind kind;
	size_t disturbers;
};

FIXTURE_VARIANT_ADD(cut, alone) { .kind = MEMFD, .disturbers = 0 };
FIXTURE_VARIANT_ADD(cut, memfd) {
	.kind = MEMFD, .disturbers = ARRAY_SIZE(disturbers) };
FIXTURE_VARIANT_ADD(cut, huge) {
	.kind = TMPFS_HUGE, .disturbers = ARRAY_SIZE(disturbers) };
/* clang-format on */

FIXTURE_SETUP(cut)
{
	int i;

	for (i = 0; i < KEPT; i++)
		self->kept[i] = (struct kept){ -1, malloc(CHECKED * PAGE) };
	self->control = mmap(NULL, sizeof(*self->control),
			     PROT_READ | PROT_WRITE,
			     MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, self->control);
	ASSERT_EQ(0, cgroup_make(self->cgroup, sizeof(self->cgroup), -1, -1));
	ASSERT_EQ(0, cgroup_enter(self->cgroup));
	ASSERT_EQ(0, area_make(&self->area, variant->kind, FILE_PAGES * PAGE));
	ASSERT_EQ(0, area_map(&self->area));
	memset(self->area.map, 0, self->area.size);
	if (variant->kind == TMPFS_HUGE)
		SKIP_UNLESS(area_is_huge(&self->area), "got no huge mapping");
}

FIXTURE_TEARDOWN(cut)
{
	size_t i;

	for (i = 0; i < PROCESSES; i++)
		if (self->pids[i] > 0) {
			kill(self->pids[i], SIGKILL);
			waitpid(self->pids[i], NULL, 0);
		}
	area_free(&self->area);
	cgroup_remove(self->cgroup);
}

static void start(FIXTURE_DATA(cut) *self, size_t nr_disturbers)
{
	struct chain chain = { .area = &self->area, .control = self->control };
	size_t i, which;

	for (i = 0; i < CHAINS + nr_disturbers; i++) {
		self->pids[i] = fork();
		if (self->pids[i])
			continue;
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		setpriority(PRIO_PROCESS, 0, 10); /* many snapshots */
		if (i < CHAINS) {
			chain.id = i;
			chain.kind = &kinds[i];
			write_chain(&chain);
		}
		which = i - CHAINS;
		while (!self->control->stop) {
			disturbers[which](&self->area);
			self->control->disturbances[which]++;
		}
		_exit(0);
	}
}

static void stop(struct __test_metadata *const _metadata,
		 FIXTURE_DATA(cut) *self)
{
	size_t i;
	int status;

	self->control->stop = true;
	for (i = 0; i < PROCESSES; i++) {
		if (self->pids[i] <= 0)
			continue;
		ASSERT_EQ(self->pids[i], waitpid(self->pids[i], &status, 0));
		self->pids[i] = 0;
		EXPECT_EQ(0, status)
			TH_LOG("process %zu ended with %#x", i, status);
	}
}

static void note(struct control *control, uint64_t *started, uint64_t *finished)
{
	int id;

	for (id = 0; id < CHAINS; id++) {
		if (started)
			started[id] = control->progress[id].started;
		if (finished)
			finished[id] = control->progress[id].finished;
	}
}

/* By pread() and by a mapping, in turn. */
static bool read_snapshot(int fd, char *copy, bool by_map)
{
	char *map;

	if (!by_map)
		return pread(fd, copy, CHECKED * PAGE, 0) ==
		       (ssize_t)(CHECKED * PAGE);
	map = map_file(fd, CHECKED * PAGE, PROT_READ);
	if (!map)
		return false;
	memcpy(copy, map, CHECKED * PAGE);
	munmap(map, CHECKED * PAGE);
	return true;
}

static void log_life(struct __test_metadata *const _metadata,
		     FIXTURE_DATA(cut) *self, unsigned long rounds)
{
	uint64_t finished[CHAINS], steps = 0;
	int id;

	note(self->control, NULL, finished);
	for (id = 0; id < CHAINS; id++) {
		EXPECT_LT(PAIRS, finished[id])
			TH_LOG("writer %s hardly ran", kinds[id].name);
		steps += finished[id];
	}
	TH_LOG("%lu snapshots, %llu steps, %lu %lu %lu %lu disturbances",
	       rounds, (unsigned long long)steps,
	       self->control->disturbances[0], self->control->disturbances[1],
	       self->control->disturbances[2], self->control->disturbances[3]);
}

TEST_F_TIMEOUT(cut, every_snapshot_is_a_causal_cut, 3600)
{
	uint64_t finished[CHAINS], started[CHAINS], end;
	unsigned long rounds;
	struct kept *kept;

	start(self, variant->disturbers);
	end = now_ns() + seconds_to_run(10) * 1000000000ULL / 3;
	for (rounds = 0; now_ns() < end || rounds < 2 * KEPT; rounds++) {
		kept = &self->kept[rounds % KEPT];
		if (kept->fd >= 0) {
			EXPECT_STREQ("same", compare(kept->fd, kept->copy,
						     CHECKED * PAGE));
			close(kept->fd);
		}
		note(self->control, NULL, finished);
		kept->fd = area_snapshot(&self->area);
		note(self->control, started, NULL);
		ASSERT_LE(0, kept->fd);
		ASSERT_TRUE(read_snapshot(kept->fd, kept->copy, rounds % 2))
			TH_LOG("read: %s", strerror(errno));
		ASSERT_STREQ("", look_at_cut(kept->copy, finished, started))
			TH_LOG("in snapshot %lu", rounds);
	}
	stop(_metadata, self);
	log_life(_metadata, self, rounds);
}

/* The check has teeth: reading the file itself, it finds inversions. */
TEST_F_TIMEOUT(cut, plain_reading_is_found_to_be_none, 3600)
{
	uint64_t finished[CHAINS], started[CHAINS], end;
	char *copy = self->kept[0].copy;
	unsigned long rounds;
	bool found = false;

	start(self, variant->disturbers);
	end = now_ns() + 20 * 1000000000ULL;
	for (rounds = 0; now_ns() < end && !found; rounds++) {
		note(self->control, NULL, finished);
		ASSERT_EQ((ssize_t)(CHECKED * PAGE),
			  pread(self->area.fd, copy, CHECKED * PAGE, 0));
		note(self->control, started, NULL);
		found = look_at_cut(copy, finished, started)[0];
	}
	stop(_metadata, self);
	EXPECT_TRUE(found);
	TH_LOG("found after %lu readings: %s", rounds, problem);
}

TEST_HARNESS_MAIN
