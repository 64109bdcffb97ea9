// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Is this picture the file at one instant?  The argument is in model.c.
 *
 * The check reads the heads, then every page; each page is put into one of the
 * states that it can have at all (decode()), and compared with the one that the
 * heads demand (judge_data()).  Causes are then looked for among the states.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "demo.h"

#define CHUNK_PAGES	256UL
#define SAY_AT_MOST	5

static const uint64_t zero_page[PAGE_WORDS];

/* ---- one page ---- */

static unsigned int equal_bytes(const void *a, const void *b)
{
	const unsigned char *x = a, *y = b;
	unsigned int i = 0;

	while (i < PAGE_BYTES && x[i] == y[i])
		i++;
	return i;
}

/* Where this write can have been cut, if no more than @bytes are new. */
static unsigned int cut_at_most(const struct model *m, uint32_t page,
				uint64_t version, unsigned int bytes)
{
	unsigned int split;

	if (bytes >= PAGE_BYTES)
		return PAGE_BYTES;
	switch (m->kind[m->owner[page].writer]->grain) {
	case GRAIN_BYTE:
		return bytes;
	case GRAIN_WORD:
		return version_is_zero(m, page, version) ? 0 : bytes & ~7U;
	case GRAIN_CALL:
		split = split_of(m, page, version);
		return bytes >= split ? split : 0;
	}
	return 0;
}

/* Is the page @version, from its start to a cut, and the one before behind it? */
static bool is_version(const struct model *m, uint32_t page, const void *content,
		       uint64_t version, struct page_state *ret)
{
	uint64_t words[PAGE_WORDS];
	unsigned int bytes;

	page_content(m, page, version, words);
	bytes = equal_bytes(content, words);
	if (bytes < PAGE_BYTES) {
		if (!version)
			return false;
		bytes = cut_at_most(m, page, version, bytes);
		page_content(m, page, version - 1, words);
		if (!bytes || memcmp((char *)content + bytes, (char *)words + bytes,
				     PAGE_BYTES - bytes))
			return false;
	}
	*ret = (struct page_state){ version, bytes };
	return true;
}

/* The last version below @expected that is zero: for a page that is a hole. */
static uint64_t zero_version_below(const struct model *m, uint32_t page,
				   uint64_t expected)
{
	while (expected && !version_is_zero(m, page, expected))
		expected--;
	return expected;
}

/* @complete: the version that the heads demand; tried first. */
static struct page_state decode(const struct model *m, uint32_t page,
				const void *content, uint64_t complete)
{
	struct page_state s;
	uint64_t version, word0;

	memcpy(&word0, content, sizeof(word0));
	if (is_version(m, page, content, complete, &s) && s.bytes == PAGE_BYTES)
		return s;
	if (is_version(m, page, content, complete + 1, &s))
		return s;
	if (!memcmp(content, zero_page, PAGE_BYTES))
		return (struct page_state){ zero_version_below(m, page, complete),
					    PAGE_BYTES };
	version = version_of_word0(m, page, word0);
	if (version != PAGE_BAD && is_version(m, page, content, version, &s))
		return s;
	return (struct page_state){ PAGE_BAD, 0 };
}

static void complain(const struct demo *d, uint32_t page, const struct page_state *s,
		     uint64_t complete, const struct verdict *v)
{
	const struct page_owner *o = &d->model.owner[page];

	if (d->quiet || v->wrong_pages > SAY_AT_MOST)
		return;
	if (s->version == PAGE_BAD)
		printf("# page %u of %s: bytes that it never had\n", page,
		       d->model.kind[o->writer]->name);
	else
		printf("# page %u of %s: version %lu to byte %u, must be %lu\n", page,
		       d->model.kind[o->writer]->name, s->version, s->bytes, complete);
}

/* Only the page under way may be in between; all others have one content. */
static void judge_data(struct demo *d, struct picture *p, uint32_t page,
		       const void *content, struct verdict *v)
{
	const struct model *m = &d->model;
	unsigned int q = m->owner[page].writer;
	uint64_t complete = page_version_at(m, page, p->ops[q]);
	bool under_way = op_page(m, q, p->ops[q]) == page;
	struct page_state s = decode(m, page, content, complete);

	p->state[page] = s;
	v->unwritten += !s.version;
	if (s.version == complete && s.bytes == PAGE_BYTES)
		return;
	if (under_way && s.version == complete + 1) {
		v->torn_pages += s.bytes < PAGE_BYTES;
		return;
	}
	v->wrong_pages++;
	complain(d, page, &s, complete, v);
}

static void judge_head(const struct picture *p, unsigned int writer,
		       const uint64_t *words, struct verdict *v)
{
	if (words[0] != p->ops[writer] ||
	    memcmp(words + 1, zero_page, PAGE_BYTES - 8))
		v->wrong_pages++;
}

static void judge_page(struct demo *d, struct picture *p, uint32_t page,
		       const void *content, bool is_hole, struct verdict *v)
{
	const struct page_owner *o = &d->model.owner[page];

	v->pages++;
	v->hole_pages += is_hole;
	switch ((enum role)o->role) {
	case ROLE_DATA:
		judge_data(d, p, page, content, v);
		break;
	case ROLE_HEAD:
		judge_head(p, o->writer, content, v);
		break;
	case ROLE_UNUSED:
	case ROLE_HOLE_BLOCK:
	case ROLE_HUGE_REST:
		if (memcmp(content, zero_page, PAGE_BYTES))
			v->wrong_holes++;
		break;
	}
}

/* ---- all pages ---- */

static int judge_range(struct demo *d, struct picture *p, uint64_t from,
		       uint64_t end, char *buf, struct verdict *v)
{
	while (from < end) {
		uint64_t n = end - from < CHUNK_PAGES ? end - from : CHUNK_PAGES;

		if (pread(p->fd, buf, n * PAGE_BYTES, from * PAGE_BYTES) !=
		    (ssize_t)(n * PAGE_BYTES))
			return -1;
		for (uint64_t i = 0; i < n; i++)
			judge_page(d, p, from + i, buf + i * PAGE_BYTES, false, v);
		from += n;
	}
	return 0;
}

static void judge_holes(struct demo *d, struct picture *p, uint64_t from,
			uint64_t end, struct verdict *v)
{
	for (; from < end; from++)
		judge_page(d, p, from, zero_page, true, v);
}

/* Pages that nobody ever touched must be told as holes, not only read as zero. */
static void judge_told_data(struct demo *d, uint64_t from, uint64_t end,
			    struct verdict *v)
{
	for (; from < end; from++)
		v->wrong_holes += d->model.owner[from].role == ROLE_UNUSED ||
				  d->model.owner[from].role == ROLE_HOLE_BLOCK;
}

static int judge_sparse(struct demo *d, struct picture *p, char *buf,
			struct verdict *v)
{
	uint64_t from, end = 0;
	off_t off;

	while ((off = lseek(p->fd, end * PAGE_BYTES, SEEK_DATA)) >= 0) {
		from = off / PAGE_BYTES;
		judge_holes(d, p, end, from, v);
		off = lseek(p->fd, off, SEEK_HOLE);
		if (off < 0)
			return -1;
		end = off / PAGE_BYTES;
		judge_told_data(d, from, end, v);
		if (judge_range(d, p, from, end, buf, v))
			return -1;
	}
	if (errno != ENXIO)
		return -1;
	judge_holes(d, p, end, d->model.pages, v);
	return 0;
}

/* ---- causes ---- */

/* Is version @version of the page complete in the picture, or even overwritten? */
static bool has_happened(const struct page_state *s, uint64_t version)
{
	if (s->version == PAGE_BAD)
		return true;		/* counted as a wrong page already */
	return s->version > version ||
	       (s->version == version && s->bytes == PAGE_BYTES);
}

static void judge_edge(const struct model *m, const struct picture *p,
		       uint32_t page, struct verdict *v)
{
	const struct page_state *s = &p->state[page];
	struct cause c;

	if (s->version == PAGE_BAD || !s->version)
		return;
	c = op_cause(m, m->owner[page].writer, page_op(m, page, s->version));
	if (!c.exists)
		return;
	v->edges++;
	v->inversions += !has_happened(&p->state[op_page(m, c.writer, c.op)],
				       op_version(m, c.op));
}

static void judge_edges(const struct model *m, const struct picture *p,
			struct verdict *v)
{
	for (uint64_t i = 0; i < (uint64_t)m->writers * m->per_writer; i++)
		judge_edge(m, p, m->data_page[i], v);
}

/* ---- the instant ---- */

/* 0 if the log does not tell (any more). */
static uint64_t stamp_of(shared_u64 *tag, shared_u64 *time, uint64_t op)
{
	uint64_t t;

	if (atomic_load_explicit(tag, memory_order_acquire) != op + 1)
		return 0;
	t = atomic_load_explicit(time, memory_order_acquire);
	return atomic_load_explicit(tag, memory_order_acquire) == op + 1 ? t : 0;
}

static void note(struct demo *d, struct picture *p, unsigned int q)
{
	struct stamp *log = d->ctl->w[q].log, *s = &log[p->ops[q] % LOG_SLOTS];
	struct op_times *t = &p->times[q];

	if (!t->start)
		t->start = stamp_of(&s->started, &s->start, p->ops[q]);
	if (!t->end)
		t->end = stamp_of(&s->ended, &s->end, p->ops[q]);
	if (t->start_before || !p->ops[q])
		return;
	s = &log[(p->ops[q] - 1) % LOG_SLOTS];
	t->start_before = stamp_of(&s->started, &s->start, p->ops[q] - 1);
}

/* Soon after the picture was taken, while the log still has what is needed. */
int check_note_times(struct demo *d, struct picture *p)
{
	for (unsigned int q = 0; q < d->model.writers; q++) {
		if (pread(p->fd, &p->ops[q], 8,
			  d->model.head_page[q] * PAGE_BYTES) != 8)
			return -1;
		note(d, p, q);
	}
	return 0;
}

/*
 * The last operation of which something is in the picture was started before T,
 * the first one that is not complete in it was ended after T.  Where the log
 * does not tell, the call and its return do.
 */
static void judge_instant(struct demo *d, struct picture *p, struct verdict *v)
{
	uint64_t after = p->called, before = p->returned, start;

	for (unsigned int q = 0; q < d->model.writers; q++) {
		uint64_t op = p->ops[q];
		const struct page_state *s = &p->state[op_page(&d->model, q, op)];

		note(d, p, q);
		v->outside += op < p->ops_before[q] || op > p->ops_after[q];
		start = s->version == op_version(&d->model, op) ?
			p->times[q].start : p->times[q].start_before;
		if (start > after)
			after = start;
		if (p->times[q].end && p->times[q].end < before)
			before = p->times[q].end;
	}
	v->instant_ns = (int64_t)(before - after);
}

/* ---- the whole check ---- */

int check_picture(struct demo *d, struct picture *p, bool trust_holes,
		  struct verdict *v)
{
	char *buf = malloc(CHUNK_PAGES * PAGE_BYTES);
	int ret = -1;

	*v = (struct verdict){ 0 };
	if (!buf || check_note_times(d, p))
		goto out;
	ret = trust_holes ? judge_sparse(d, p, buf, v) :
			    judge_range(d, p, 0, d->model.pages, buf, v);
	if (!ret) {
		judge_edges(&d->model, p, v);
		judge_instant(d, p, v);
	}
out:
	if (ret)
		fprintf(stderr, "# picture: %s\n", strerror(errno));
	free(buf);
	return ret;
}

/*
 * The picture once more, through a mapping, perhaps much later.  Equal states
 * are equal bytes: the content is a function of the state.
 */
int check_again_mapped(struct demo *d, struct picture *p, uint64_t *ret_pages,
		       uint64_t *ret_differ)
{
	const struct model *m = &d->model;
	char *map = mmap(NULL, m->bytes, PROT_READ, MAP_SHARED, p->fd, 0);

	if (map == MAP_FAILED) {
		fprintf(stderr, "# mmap: %s\n", strerror(errno));
		return -1;
	}
	for (uint64_t page = 0; page < m->pages; page++) {
		const struct page_owner *o = &m->owner[page];
		char *content = map + page * PAGE_BYTES;
		struct page_state s;

		if (o->role == ROLE_HEAD)
			*ret_differ += !!memcmp(content, &p->ops[o->writer], 8);
		if (o->role != ROLE_DATA)
			continue;
		s = decode(m, page, content, page_version_at(m, page, p->ops[o->writer]));
		*ret_differ += s.version != p->state[page].version ||
			       s.bytes != p->state[page].bytes;
		++*ret_pages;
	}
	munmap(map, m->bytes);
	return 0;
}

int check_same_bytes(int a, int b, uint64_t bytes, uint64_t *ret_differ)
{
	size_t chunk = CHUNK_PAGES * PAGE_BYTES;
	char *x = malloc(chunk), *y = malloc(chunk);
	int ret = -1;

	for (uint64_t off = 0; x && y && off < bytes; off += chunk) {
		ssize_t n = pread(a, x, chunk, off);

		if (n <= 0 || pread(b, y, chunk, off) != n)
			goto out;
		if (!memcmp(x, y, n))
			continue;
		for (ssize_t i = 0; i < n; i++)
			*ret_differ += x[i] != y[i];
	}
	ret = 0;
out:
	free(x);
	free(y);
	return ret;
}
