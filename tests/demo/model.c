// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The states that the file can be in.
 *
 * What is to be shown: a picture of the file, taken while many processes write
 * it, is the file at one instant T; of its bytes none is newer and none older.
 * That can only be shown if the picture itself says what every byte must be.
 * So the writers follow a plan in which nothing is left to chance but speed.
 *
 * The plan
 *
 * Each writer q owns its data pages, random ones all over the file, and one
 * head page.  Its life is a fixed list of operations 0, 1, 2 ...  Operation x
 *
 *   1. waits for its cause (below), by reading the cause's head in the file;
 *   2. writes one data page, words 0 to 511 in this order, with stores of 8
 *	bytes that the CPU and the compiler keep in order (release);
 *   3. stores x + 1 in the head: operations 0 to x are complete.
 *
 * In each round of as many operations as q has data pages it writes each of
 * them once, in an order that is a different permutation for each round and
 * writer (op_page(), and page_op() for the way back).  So the version of a page
 * is a round, and the content of a version is a function of page and version
 * (page_content(); some versions of one kind of writer are holes it punches).
 *
 * The causes
 *
 * Operations x of all writers make chain x.  The order in which a chain goes
 * through the writers is a random permutation, a new one for each WINDOW
 * operations.  The first writer of chain x waits for the last one of chain
 * x - WINDOW, each other one for the one before it (op_cause()).  Nobody waits
 * for a later chain, so there is no deadlock; WINDOW chains are under way at
 * any time, and each page version in the file is one edge of cause and effect
 * to a page of another process somewhere else in the file.
 *
 * What follows
 *
 * (a) The whole file is a function of the heads and of how far each writer is
 * in the one page that it is writing: two small numbers for each writer.  Page
 * by page, then, there is exactly one right content of 4096 bytes, except for
 * the page under way of each writer, which must be the new version up to some
 * store and the old one from there on.  How finely that page can be cut depends
 * on how it is written: at any store of 8 bytes; at any byte where the kernel
 * copies into a mapping for the writer (TCG and some CPUs copy byte by byte);
 * only between calls for pwrite() and fallocate(), which exclude the cut.
 * check.c accepts nothing else: one wrong bit anywhere in the file is found.
 *
 * (b) The picture is a causal cut if, for each page version in it, its cause is
 * in it, complete.  This is tested on the pages, not on the heads.
 *
 * (c) A causal cut could still be one that never was at one time.  So each
 * writer also notes, outside of the file, when each operation starts and ends.
 * Of what is in the picture, all starts are before T; of what is not, all ends
 * are after T; so T lies between the latest such start and the earliest such
 * end, over all writers, and if there is no time between them, the picture is
 * of no instant.  T must also lie between the call of the ioctl and its return.
 *
 * (a), (b) and (c) together: the bytes are those of a state that the file can
 * be in, no process can tell it from the state at T, and no clock can either.
 */
#include <stdlib.h>
#include <string.h>

#include "demo.h"

#define GOLDEN		0x9e3779b97f4a7c15ULL
#define VERSION_LIMIT	(1ULL << 40)

/* splitmix64 */
uint64_t mix(uint64_t x)
{
	x += GOLDEN;
	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ULL;
	x = (x ^ (x >> 27)) * 0x94d049bb133111ebULL;
	return x ^ (x >> 31);
}

static uint64_t hash(const struct model *m, uint64_t what, uint64_t a, uint64_t b)
{
	return mix(mix(mix(m->seed + what) ^ a) + b);
}

enum { HASH_PERM = 1, HASH_CHAIN, HASH_KEY, HASH_BASE, HASH_PUNCH, HASH_SPLIT,
       HASH_LAYOUT };

/* ---- which page, when ---- */

struct affine {
	uint64_t a, b;		/* index = a * place + b, a odd */
};

static struct affine permutation(const struct model *m, unsigned int writer,
				 uint64_t round)
{
	uint64_t h = hash(m, HASH_PERM, writer, round);

	return (struct affine){ .a = h | 1, .b = h >> 32 };
}

static uint64_t odd_inverse(uint64_t a)
{
	uint64_t inverse = a;

	for (int i = 0; i < 5; i++)
		inverse *= 2 - a * inverse;
	return inverse;
}

uint32_t op_page(const struct model *m, unsigned int writer, uint64_t op)
{
	struct affine p = permutation(m, writer, op / m->per_writer);
	uint64_t index = (p.a * (op % m->per_writer) + p.b) % m->per_writer;

	return m->data_page[writer * m->per_writer + index];
}

uint64_t op_version(const struct model *m, uint64_t op)
{
	return op / m->per_writer + 1;
}

/* The operation that writes this version (1 or more) of the page. */
uint64_t page_op(const struct model *m, uint32_t page, uint64_t version)
{
	const struct page_owner *o = &m->owner[page];
	struct affine p = permutation(m, o->writer, version - 1);
	uint64_t place = (odd_inverse(p.a) * (o->index - p.b)) % m->per_writer;

	return (version - 1) * m->per_writer + place;
}

/* The version of the page when so many operations of its owner are complete. */
uint64_t page_version_at(const struct model *m, uint32_t page, uint64_t ops)
{
	uint64_t rounds = ops / m->per_writer;

	return rounds + (page_op(m, page, rounds + 1) < ops);
}

/* ---- causes ---- */

static void chain_order(const struct model *m, uint64_t block, uint8_t *order)
{
	uint64_t h = hash(m, HASH_CHAIN, block, 0);

	for (unsigned int i = 0; i < m->writers; i++) {
		unsigned int j = (h >> 33) % (i + 1);

		order[i] = order[j];
		order[j] = i;
		h = mix(h);
	}
}

/* Remembers the last few orders; each process has its own copy of this. */
static const uint8_t *chain_order_cached(const struct model *m, uint64_t block)
{
	static struct {
		uint64_t block_plus_1;
		uint8_t order[MAX_WRITERS];
	} cache[256];
	unsigned int slot = block % 256;

	if (cache[slot].block_plus_1 != block + 1) {
		chain_order(m, block, cache[slot].order);
		cache[slot].block_plus_1 = block + 1;
	}
	return cache[slot].order;
}

struct cause op_cause(const struct model *m, unsigned int writer, uint64_t op)
{
	const uint8_t *order = chain_order_cached(m, op / WINDOW);
	unsigned int place = 0;

	while (order[place] != writer)
		place++;
	if (place)
		return (struct cause){ true, order[place - 1], op };
	if (op < WINDOW)
		return (struct cause){ false, 0, 0 };
	order = chain_order_cached(m, op / WINDOW - 1);
	return (struct cause){ true, order[m->writers - 1], op - WINDOW };
}

/* ---- content ---- */

/* Version 0 is the hole that each page was; some writers punch it again. */
bool version_is_zero(const struct model *m, uint32_t page, uint64_t version)
{
	if (!version)
		return true;
	return m->kind[m->owner[page].writer]->punches &&
	       hash(m, HASH_PUNCH, page, version) % 4 == 0;
}

uint64_t word0_of(const struct model *m, uint32_t page, uint64_t version)
{
	return hash(m, HASH_KEY, page, 0) ^ version;
}

/* PAGE_BAD if the word cannot be the first one of any version but zero. */
uint64_t version_of_word0(const struct model *m, uint32_t page, uint64_t word)
{
	uint64_t version = hash(m, HASH_KEY, page, 0) ^ word;

	return version && version < VERSION_LIMIT ? version : PAGE_BAD;
}

/* Where a page written by pwrite() is divided into two calls; 0: one call. */
unsigned int split_of(const struct model *m, uint32_t page, uint64_t version)
{
	return hash(m, HASH_SPLIT, page, version) % PAGE_WORDS * 8;
}

void page_content(const struct model *m, uint32_t page, uint64_t version,
		  uint64_t *words)
{
	uint64_t value;

	if (version_is_zero(m, page, version)) {
		memset(words, 0, PAGE_BYTES);
		return;
	}
	words[0] = word0_of(m, page, version);
	value = hash(m, HASH_BASE, page, version);
	for (unsigned int i = 1; i < PAGE_WORDS; i++) {
		value += GOLDEN;
		words[i] = value;
	}
}

/* ---- layout ---- */

static void shuffle(uint32_t *list, uint64_t n, uint64_t h)
{
	for (uint64_t i = n; i > 1; i--) {
		uint64_t j = (h = mix(h)) % i;
		uint32_t tmp = list[i - 1];

		list[i - 1] = list[j];
		list[j] = tmp;
	}
}

static uint64_t huge_blocks(const struct model *m, uint32_t per_writer)
{
	uint64_t blocks = 0;

	for (unsigned int q = 0; q < m->writers; q++)
		if (m->kind[q]->huge)
			blocks += (per_writer + BLOCK_PAGES - 1) / BLOCK_PAGES;
	return blocks;
}

/* A quarter of the blocks are holes; of the other pages most are used.  0: too small. */
static uint32_t choose_per_writer(const struct model *m)
{
	uint64_t blocks = m->pages / BLOCK_PAGES, mixed = blocks - blocks / 4;
	uint32_t n = m->pages / 32;

	while (huge_blocks(m, n) * 2 > mixed ||
	       (uint64_t)m->writers * (n + 1) >
	       (mixed - huge_blocks(m, n)) * BLOCK_PAGES * 3 / 4)
		n /= 2;
	return n < WINDOW ? 0 : n;
}

static void give(struct model *m, uint32_t page, enum role role,
		 unsigned int writer, uint32_t index)
{
	m->owner[page] = (struct page_owner){ role, writer, 0, index };
	if (role == ROLE_HEAD)
		m->head_page[writer] = page;
	else
		m->data_page[writer * m->per_writer + index] = page;
}

/* Whole blocks for the writers with huge mappings. */
static const uint32_t *give_blocks(struct model *m, const uint32_t *block)
{
	for (unsigned int q = 0; q < m->writers; q++) {
		if (!m->kind[q]->huge)
			continue;
		for (uint32_t i = 0; i < m->per_writer || i % BLOCK_PAGES; i++) {
			uint32_t page = block[i / BLOCK_PAGES] * BLOCK_PAGES +
					i % BLOCK_PAGES;

			if (i < m->per_writer)
				give(m, page, ROLE_DATA, q, i);
			else
				m->owner[page].role = ROLE_HUGE_REST;
		}
		block += (m->per_writer + BLOCK_PAGES - 1) / BLOCK_PAGES;
	}
	return block;
}

static void give_pages(struct model *m, const uint32_t *page)
{
	for (unsigned int q = 0; q < m->writers; q++) {
		give(m, *page++, ROLE_HEAD, q, 0);
		for (uint32_t i = 0; !m->kind[q]->huge && i < m->per_writer; i++)
			give(m, *page++, ROLE_DATA, q, i);
	}
}

static int lay_out(struct model *m)
{
	uint64_t h = hash(m, HASH_LAYOUT, 0, 0), n = 0;
	uint64_t blocks = m->pages / BLOCK_PAGES;
	uint32_t *block = calloc(blocks, sizeof(*block));
	uint32_t *page = calloc(m->pages, sizeof(*page));
	const uint32_t *next = block;

	if (!block || !page)
		return -1;
	for (uint64_t i = 0; i < blocks; i++)
		block[i] = i;
	shuffle(block, blocks, h);
	for (; next < block + blocks / 4; next++)
		for (uint64_t i = 0; i < BLOCK_PAGES; i++)
			m->owner[*next * BLOCK_PAGES + i].role = ROLE_HOLE_BLOCK;
	for (next = give_blocks(m, next); next < block + blocks; next++)
		for (uint64_t i = 0; i < BLOCK_PAGES; i++)
			page[n++] = *next * BLOCK_PAGES + i;
	shuffle(page, n, mix(h));
	give_pages(m, page);
	free(page);
	free(block);
	return 0;
}

int model_new(struct model *m, uint64_t bytes, unsigned int writers, uint64_t seed)
{
	*m = (struct model){ .seed = seed, .bytes = bytes, .writers = writers,
			     .pages = bytes / PAGE_BYTES };
	m->kind = calloc(writers, sizeof(*m->kind));
	m->head_page = calloc(writers, sizeof(*m->head_page));
	m->owner = calloc(m->pages, sizeof(*m->owner));
	if (!m->kind || !m->head_page || !m->owner)
		return -1;
	for (unsigned int q = 0; q < writers; q++)
		m->kind[q] = &kinds[q % nr_kinds];
	m->per_writer = choose_per_writer(m);
	if (!m->per_writer)
		return -1;
	m->data_page = calloc((size_t)writers * m->per_writer, sizeof(*m->data_page));
	return m->data_page ? lay_out(m) : -1;
}
