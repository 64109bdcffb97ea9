// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Ways to take a picture of the file:
 *
 *   wpfile	one ioctl; what is to be shown
 *   stop	stops all writers and copies: right, and the world stands still
 *   read	copies by pread() while they write: wrong, and must be found so
 *   memcpy	the same from a mapping
 *
 * The last two rest once in the middle, as a reader does whose time slice ends
 * there: otherwise it is luck whether a small file changes under them.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/wpfile.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "demo.h"

#define CHUNK	(256UL << 10)
#define REST_WRITES	16	/* of each writer */

static int take_wpfile(struct demo *d, struct picture *p)
{
	struct wpfile_snapshot s = { .size = sizeof(s) };

	p->fd = ioctl(d->fd, WPFILE_IOC_SNAPSHOT, &s);
	p->is_snapshot = true;
	p->bytes = s.ret_bytes;
	p->cut_ns = s.ret_cut_ns;
	return p->fd < 0 ? -1 : 0;
}

/* At most CHUNK bytes; none where a hole was punched since it was data. */
static ssize_t copy_by_pread(struct demo *d, int to, off_t from, size_t want, char *buf)
{
	ssize_t n = pread(d->fd, buf, want, from);

	return n < 0 ? -1 : pwrite(to, buf, n, from);
}

static ssize_t copy_by_memcpy(struct demo *d, int to, off_t from, size_t want, char *buf)
{
	memcpy(buf, (char *)d->map + from, want);
	return pwrite(to, buf, want, from);
}

/* Until every writer has gone on: what is copied later has causes that were not. */
static int rest(struct demo *d)
{
	for (unsigned int q = 0; q < d->model.writers; q++) {
		shared_u64 *ops = &d->ctl->w[q].ops;
		uint64_t until = atomic_load(ops) + REST_WRITES;

		while (atomic_load(ops) < until)
			if (writers_alive(d))
				return -1;
	}
	return 0;
}

static int copy(struct demo *d, struct picture *p,
		ssize_t (*copy_chunk)(struct demo *, int, off_t, size_t, char *))
{
	off_t from = 0, end = 0, middle = d->model.bytes / 2;
	char *buf = malloc(CHUNK);
	ssize_t n;

	p->fd = memfd_create("copy", MFD_CLOEXEC);
	if (!buf || p->fd < 0 || ftruncate(p->fd, d->model.bytes))
		goto fail;
	p->bytes = d->model.bytes;
	while ((from = lseek(d->fd, end, SEEK_DATA)) >= 0) {
		if (from >= middle && end < middle && !d->stopped && rest(d))
			goto fail;
		end = lseek(d->fd, from, SEEK_HOLE);
		if (end < 0)
			goto fail;
		if (end - from > (off_t)CHUNK)
			end = from + CHUNK;
		n = copy_chunk(d, p->fd, from, end - from, buf);
		if (n < 0)
			goto fail;
		end = from + n;
	}
	free(buf);
	return errno == ENXIO ? 0 : -1;
fail:
	free(buf);
	return -1;
}

static int take_pread(struct demo *d, struct picture *p)
{
	return copy(d, p, copy_by_pread);
}

static int take_memcpy(struct demo *d, struct picture *p)
{
	return copy(d, p, copy_by_memcpy);
}

static int take_stopped(struct demo *d, struct picture *p)
{
	bool stopped_already = d->stopped;
	uint64_t start = now_ns();
	int ret = writers_stop(d);

	if (!ret)
		ret = copy(d, p, copy_by_pread);
	if (!stopped_already)
		writers_continue(d);
	p->cut_ns = now_ns() - start;
	return ret;
}

static const struct engine engines[] = {
	{ "wpfile", take_wpfile },
	{ "stop", take_stopped },
	{ "read", take_pread },
	{ "memcpy", take_memcpy },
};

const struct engine *const engine_pread = &engines[2];
const struct engine *const engine_memcpy = &engines[3];

const struct engine *engine_find(const char *name)
{
	for (size_t i = 0; i < sizeof(engines) / sizeof(engines[0]); i++)
		if (!strcmp(name, engines[i].name))
			return &engines[i];
	return NULL;
}

/* The heads now: at least these before a call, at most these after it. */
void read_heads(struct demo *d, uint64_t *ops)
{
	for (unsigned int q = 0; q < d->model.writers; q++) {
		shared_u64 *head = (shared_u64 *)((char *)d->map +
				   d->model.head_page[q] * PAGE_BYTES);

		ops[q] = atomic_load_explicit(head, memory_order_acquire);
	}
}

int picture_take(struct demo *d, const struct engine *e, struct picture *p)
{
	unsigned int n = d->model.writers;

	*p = (struct picture){ .fd = -1 };
	p->ops = calloc(n, sizeof(*p->ops));
	p->ops_before = calloc(n, sizeof(*p->ops));
	p->ops_after = calloc(n, sizeof(*p->ops));
	p->times = calloc(n, sizeof(*p->times));
	p->state = calloc(d->model.pages, sizeof(*p->state));
	if (!p->ops || !p->ops_before || !p->ops_after || !p->times || !p->state)
		return -1;
	read_heads(d, p->ops_before);
	p->called = now_ns();
	if (e->take(d, p)) {
		fprintf(stderr, "# %s: %s\n", e->name, strerror(errno));
		return -1;
	}
	p->returned = now_ns();
	read_heads(d, p->ops_after);
	atomic_fetch_add(&d->ctl->pictures, 1);
	return check_note_times(d, p);
}

void picture_free(struct picture *p)
{
	if (p->fd >= 0)
		close(p->fd);
	free(p->ops);
	free(p->ops_before);
	free(p->ops_after);
	free(p->times);
	free(p->state);
	*p = (struct picture){ .fd = -1 };
}

/* What the kernel keeps for the snapshot, in bytes; -1: it does not say. */
long picture_captured(const struct picture *p)
{
	char path[64], line[256];
	long bytes = -1;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", p->fd);
	f = fopen(path, "re");
	if (!f)
		return -1;
	while (fgets(line, sizeof(line), f))
		sscanf(line, "captured_bytes: %ld", &bytes);
	fclose(f);
	return bytes;
}
