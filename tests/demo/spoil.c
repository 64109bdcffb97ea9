// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Damage done to a good copy, one kind at a time: each stands for a mistake that
 * a snapshot can make, and the check must find each.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "demo.h"

#define SKEW_OPS	100
#define FAR_OPS		(3 * WINDOW)

static uint64_t random_of(struct demo *d, uint64_t salt, uint64_t n)
{
	return mix(d->model.seed ^ now_ns() ^ mix(salt)) % n;
}

static uint32_t random_data_page(struct demo *d)
{
	return d->model.data_page[random_of(d, 1, (uint64_t)d->model.writers *
					    d->model.per_writer)];
}

/*
 * A page that was written long before the cut and will not be again soon after:
 * then what comes after it in its chain is there, and what comes before the next
 * write is not.  Kinds that punch are left out: old and new may be equal.
 */
static uint32_t random_quiet_page(struct demo *d, struct picture *p, uint64_t *ret_version)
{
	const struct model *m = &d->model;

	for (;;) {
		uint32_t page = random_data_page(d);
		unsigned int q = m->owner[page].writer;
		uint64_t ops = p->ops[q], version = page_version_at(m, page, ops);

		*ret_version = version;
		if (version && !m->kind[q]->punches &&
		    page_op(m, page, version) + FAR_OPS < ops &&
		    page_op(m, page, version + 1) > ops + FAR_OPS)
			return page;
	}
}

static int put(struct picture *p, uint32_t page, const void *from, size_t n)
{
	return pwrite(p->fd, from, n, page * PAGE_BYTES) == (ssize_t)n ? 0 : -1;
}

static int put_version(struct demo *d, struct picture *p, uint32_t page,
		       uint64_t version, size_t bytes)
{
	uint64_t words[PAGE_WORDS];

	page_content(&d->model, page, version, words);
	return put(p, page, words, bytes);
}

/* One bit of one page. */
static int spoil_bit(struct demo *d, struct picture *p)
{
	off_t off = random_data_page(d) * PAGE_BYTES + random_of(d, 2, PAGE_BYTES);
	unsigned char byte;

	if (pread(p->fd, &byte, 1, off) != 1)
		return -1;
	byte ^= 1 << random_of(d, 3, 8);
	return pwrite(p->fd, &byte, 1, off) == 1 ? 0 : -1;
}

/* A page that nobody wrote is not zero. */
static int spoil_hole(struct demo *d, struct picture *p)
{
	uint32_t page;

	do {
		page = random_of(d, 4, d->model.pages);
	} while (d->model.owner[page].role != ROLE_HOLE_BLOCK);
	return put(p, page, "x", 1);
}

/* A page is one write behind: a store before T is missing. */
static int spoil_old(struct demo *d, struct picture *p)
{
	uint64_t version;
	uint32_t page = random_quiet_page(d, p, &version);

	return put_version(d, p, page, version - 1, PAGE_BYTES);
}

/* A page is one write ahead: it was captured too late. */
static int spoil_new(struct demo *d, struct picture *p)
{
	uint64_t version;
	uint32_t page = random_quiet_page(d, p, &version);

	return put_version(d, p, page, version + 1, PAGE_BYTES);
}

/* A single store after T. */
static int spoil_word(struct demo *d, struct picture *p)
{
	uint64_t version;
	uint32_t page = random_quiet_page(d, p, &version);

	return put_version(d, p, page, version + 1, 8);
}

/* One process is as it was a little earlier: right in itself, not with others. */
static int spoil_skew(struct demo *d, struct picture *p)
{
	const struct model *m = &d->model;
	unsigned int q = random_of(d, 5, m->writers);
	uint64_t ops = p->ops[q] < SKEW_OPS ? 0 : p->ops[q] - SKEW_OPS;

	for (uint32_t i = 0; i < m->per_writer; i++) {
		uint32_t page = m->data_page[q * m->per_writer + i];

		if (put_version(d, p, page, page_version_at(m, page, ops), PAGE_BYTES))
			return -1;
	}
	return put(p, m->head_page[q], &ops, 8);
}

/* A right picture, of a time before the call. */
static int spoil_stale(struct demo *d, struct picture *p)
{
	usleep(100000);
	p->called = p->returned = now_ns();
	read_heads(d, p->ops_before);
	return 0;
}

static const struct {
	const char *name;
	int (*act)(struct demo *d, struct picture *p);
} spoils[] = {
	{ "none", NULL },
	{ "bit", spoil_bit },
	{ "hole", spoil_hole },
	{ "old", spoil_old },
	{ "new", spoil_new },
	{ "word", spoil_word },
	{ "skew", spoil_skew },
	{ "stale", spoil_stale },
};

int spoil_find(const char *name)
{
	for (size_t i = 0; i < sizeof(spoils) / sizeof(spoils[0]); i++)
		if (!strcmp(name, spoils[i].name))
			return i;
	return -1;
}

int spoil_picture(struct demo *d, struct picture *p)
{
	return spoils[d->spoil].act ? spoils[d->spoil].act(d, p) : 0;
}
