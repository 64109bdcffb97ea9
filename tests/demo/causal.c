// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * causal: many processes write one file in shared memory; one call takes its
 * picture; the picture proves itself.  See model.c for the argument.
 *
 * A run is a number of rounds.  In each: a rest, in which the writers are timed
 * undisturbed; the picture; as long again, in which they are timed with the
 * picture in place; the check.  Odd rounds check at once, so that the picture is
 * read while the pages in it are being overwritten.  A picture is looked at once
 * more, by mmap, when the next one has been taken.
 */
#define _GNU_SOURCE
#include <err.h>
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "demo.h"
#include "report.h"

#define CONTROL_TRIES	5
#define SAY_EVERY_NS	10000000000ULL

struct options {
	const struct engine *engine;
	unsigned int rounds, seconds, processes, settle_ms;
	uint64_t bytes, seed;
};

/* ---- timing the writers ---- */

static uint64_t all_ops(struct demo *d)
{
	uint64_t sum = 0;

	for (unsigned int q = 0; q < d->model.writers; q++)
		sum += atomic_load(&d->ctl->w[q].ops);
	return sum;
}

static void collect_longest(struct demo *d, enum phase phase, uint64_t *ret_gap,
			    uint64_t *ret_write)
{
	for (unsigned int q = 0; q < d->model.writers; q++) {
		struct writer_state *w = &d->ctl->w[q];
		uint64_t gap = atomic_exchange(&w->longest_gap[phase], 0);
		uint64_t write = atomic_exchange(&w->longest_write[phase], 0);

		if (gap > *ret_gap)
			*ret_gap = gap;
		if (write > *ret_write)
			*ret_write = write;
	}
}

static void end_phase(struct demo *d, struct totals *t, enum phase phase,
		      uint64_t since, uint64_t ops)
{
	atomic_store(&d->ctl->phase, PHASE_OTHER);
	t->phase_ns[phase] += now_ns() - since;
	t->ops[phase] += all_ops(d) - ops;
	collect_longest(d, phase, &t->longest_gap[phase], &t->longest_write[phase]);
}

static void measure_before(struct demo *d, const struct options *o, struct totals *t)
{
	uint64_t since, ops;

	atomic_fetch_add(&d->ctl->rests, 1);
	usleep(o->settle_ms * 200);
	since = now_ns();
	ops = all_ops(d);
	atomic_store(&d->ctl->phase, PHASE_BEFORE);
	usleep(o->settle_ms * 1000);
	end_phase(d, t, PHASE_BEFORE, since, ops);
}

/* ---- one round ---- */

static void add_verdict(struct totals *t, const struct verdict *v)
{
	if (!t->pictures || v->instant_ns > t->widest_instant)
		t->widest_instant = v->instant_ns;
	if (!t->pictures || v->instant_ns < t->narrowest_instant)
		t->narrowest_instant = v->instant_ns;
	t->v.pages += v->pages;
	t->v.edges += v->edges;
	t->v.inversions += v->inversions;
	t->v.wrong_pages += v->wrong_pages;
	t->v.torn_pages += v->torn_pages;
	t->v.hole_pages += v->hole_pages;
	t->v.wrong_holes += v->wrong_holes;
	t->v.unwritten += v->unwritten;
	t->v.outside += v->outside;
	t->pictures++;
}

static void add_picture(struct totals *t, const struct picture *p, long captured)
{
	t->cut_ns_sum += p->cut_ns;
	if (p->cut_ns > t->cut_ns_max)
		t->cut_ns_max = p->cut_ns;
	if (captured > t->captured_max)
		t->captured_max = captured;
}

static void say_round(struct demo *d, unsigned int round, const struct picture *p,
		      const struct verdict *v, long captured)
{
	static uint64_t said;

	if (round >= 4 && now_ns() - said < SAY_EVERY_NS)
		return;
	said = now_ns();
	say(d, "# picture %u: %lu edges, %lu inversions, %lu wrong pages, T known to %.1f us, "
	    "cut %.1f us, %lu pages in mid-write, %lu still holes, %.1f MiB captured\n",
	    round, v->edges, v->inversions, v->wrong_pages, v->instant_ns / 1e3,
	    p->cut_ns / 1e3, v->torn_pages, v->unwritten,
	    captured < 0 ? 0.0 : captured / 1048576.0);
}

/* In the middle of the first pass over the file, while half of it is holes. */
static void await_half_of_first_pass(struct demo *d)
{
	while (atomic_load(&d->ctl->w[0].ops) < d->model.per_writer / 2)
		if (writers_alive(d))
			errx(1, "a writer died");
}

static int look_again(struct demo *d, struct picture *p, struct totals *t)
{
	int ret = check_again_mapped(d, p, &t->again_pages, &t->again_differ);

	picture_free(p);
	return ret;
}

/* @last: the picture of the round before; replaced by the new one. */
static int one_round(struct demo *d, const struct options *o, unsigned int round,
		     struct picture *last, struct totals *t)
{
	struct picture p;
	struct verdict v;
	uint64_t since, ops;
	long captured;

	if (round)
		measure_before(d, o, t);
	else
		await_half_of_first_pass(d);
	since = now_ns();
	ops = all_ops(d);
	atomic_store(&d->ctl->phase, PHASE_DURING);
	if (picture_take(d, o->engine, &p))
		return -1;
	if (!(round % 2)) {
		usleep(o->settle_ms * 1000);
		end_phase(d, t, PHASE_DURING, since, ops);
	}
	atomic_store(&d->ctl->phase, PHASE_OTHER);
	if (spoil_picture(d, &p) || check_picture(d, &p, round > 0, &v))
		return -1;
	captured = p.is_snapshot ? picture_captured(&p) : -1;
	if (last->fd >= 0 && look_again(d, last, t))
		return -1;
	add_verdict(t, &v);
	add_picture(t, &p, captured);
	say_round(d, round, &p, &v, captured);
	*last = p;
	return writers_alive(d);
}

/* ---- the control ---- */

static int control(struct demo *d, const struct engine *e, uint64_t *ret_inversions)
{
	for (int i = 0; i < CONTROL_TRIES && !*ret_inversions; i++) {
		bool quiet = d->quiet;
		struct picture p;
		struct verdict v;
		int ret;

		if (picture_take(d, e, &p))
			return -1;
		d->quiet = true;
		ret = check_picture(d, &p, true, &v);
		d->quiet = quiet;
		picture_free(&p);
		if (ret)
			return -1;
		say(d, "# control (%s): %lu edges, %lu inversions, %lu wrong pages\n",
		    e->name, v.edges, v.inversions, v.wrong_pages);
		*ret_inversions = v.inversions;
	}
	return 0;
}

/* ---- the end: everybody stopped ---- */

static void sum_huge(struct demo *d, long *ret_kib)
{
	for (unsigned int q = 0; q < d->model.writers; q++)
		if (d->model.kind[q]->huge)
			*ret_kib += huge_kib(atomic_load(&d->ctl->w[q].pid));
}

/* A picture of the stopped file is the file, and the file is as it must be. */
static int stopped(struct demo *d, const struct options *o, struct totals *t)
{
	struct picture p;
	struct verdict v;
	int ret = -1;

	atomic_fetch_add(&d->ctl->rests, 1);
	usleep(o->settle_ms * 1000);
	if (writers_stop(d))
		return -1;
	sum_huge(d, &t->huge_before);
	if (picture_take(d, o->engine, &p))
		return -1;
	sum_huge(d, &t->huge_after);
	if (check_same_bytes(p.fd, d->fd, d->model.bytes, &t->stopped_differ) ||
	    check_picture(d, &p, true, &v))
		goto out;
	t->stopped_bytes = d->model.bytes;
	t->live_wrong = v.wrong_pages + v.wrong_holes + v.inversions;
	t->pictures++;
	ret = 0;
out:
	picture_free(&p);
	writers_continue(d);
	return ret;
}

/* ---- set-up ---- */

static const char usage[] =
"usage: causal [--engine wpfile|stop|read|memcpy] [--rounds N | --seconds S | --minutes M]\n"
"              [--processes N] [--size MiB] [--settle MS] [--seed N] [--quiet]\n"
"              [--spoil bit|hole|old|new|word|skew|stale]\n";

static void __attribute__((noreturn)) wrong_usage(void)
{
	fputs(usage, stderr);
	exit(2);
}

static uint64_t to_number(const char *s, uint64_t min, uint64_t max)
{
	char *end;
	uint64_t n = strtoull(s, &end, 0);

	if (!*s || *end || n < min || n > max)
		errx(2, "not a number from %lu to %lu: %s", min, max, s);
	return n;
}

static void parse(int argc, char **argv, struct options *o, struct demo *d)
{
	static const struct option longopts[] = {
		{ "engine", 1, NULL, 'e' }, { "rounds", 1, NULL, 'r' },
		{ "seconds", 1, NULL, 's' }, { "minutes", 1, NULL, 'm' },
		{ "processes", 1, NULL, 'p' }, { "size", 1, NULL, 'z' },
		{ "settle", 1, NULL, 't' }, { "seed", 1, NULL, 'd' },
		{ "quiet", 0, NULL, 'q' }, { "spoil", 1, NULL, 'x' }, { 0 }
	};
	int c;

	while ((c = getopt_long(argc, argv, "", longopts, NULL)) != -1) {
		switch (c) {
		case 'e':
			o->engine = engine_find(optarg);
			break;
		case 'r':
			o->rounds = to_number(optarg, 1, 1000000);
			break;
		case 's':
			o->seconds = to_number(optarg, 1, 1000000);
			break;
		case 'm':
			o->seconds = to_number(optarg, 1, 10000) * 60;
			break;
		case 'p':
			o->processes = to_number(optarg, 8, MAX_WRITERS);
			break;
		case 'z':
			o->bytes = to_number(optarg, 32, 1 << 20) << 20;
			break;
		case 't':
			o->settle_ms = to_number(optarg, 1, 100000);
			break;
		case 'd':
			o->seed = to_number(optarg, 0, ~0ULL);
			break;
		case 'q':
			d->quiet = true;
			break;
		case 'x':
			d->spoil = spoil_find(optarg);
			break;
		default:
			wrong_usage();
		}
	}
	if (optind != argc || !o->engine || d->spoil < 0 || o->bytes % BLOCK_BYTES)
		wrong_usage();
}

static void set_up(struct demo *d, const struct options *o)
{
	size_t size = sizeof(*d->ctl) + o->processes * sizeof(d->ctl->w[0]);

	if (model_new(&d->model, o->bytes, o->processes, o->seed))
		errx(2, "too many processes for a file of this size");
	d->fd = memfd_create("causal", MFD_CLOEXEC);
	if (d->fd < 0 || ftruncate(d->fd, o->bytes))
		err(1, "memfd_create");
	d->map = map_file(d->fd, o->bytes, PROT_READ | PROT_WRITE);
	d->ctl = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
		      -1, 0);
	if (d->map == MAP_FAILED || d->ctl == MAP_FAILED)
		err(1, "mmap");
}

static void introduce(struct demo *d, const struct options *o)
{
	say(d, "# %u processes write a file of %lu MiB: %u pages each, in random order, "
	    "%d chains through all of them; engine %s, seed %#lx\n", d->model.writers,
	    o->bytes >> 20, d->model.per_writer, WINDOW, o->engine->name, o->seed);
	for (unsigned int q = 0; q < d->model.writers; q++)
		say(d, "#   %-8s %s\n", d->model.kind[q]->name, d->model.kind[q]->what);
}

static int all_rounds(struct demo *d, const struct options *o, struct totals *t)
{
	uint64_t until = now_ns() + o->seconds * 1000000000ULL;
	struct picture last = { .fd = -1 };

	for (unsigned int i = 0; o->seconds ? now_ns() < until : i < o->rounds; i++)
		if (one_round(d, o, i, &last, t))
			return -1;
	return look_again(d, &last, t);
}

int main(int argc, char **argv)
{
	static struct totals t = { .captured_max = -1 };
	static struct demo d;
	struct options o = { .engine = engine_find("wpfile"), .rounds = 4,
			     .processes = nr_kinds, .bytes = 256 << 20,
			     .settle_ms = 300, .seed = now_ns() };

	parse(argc, argv, &o, &d);
	set_up(&d, &o);
	introduce(&d, &o);
	if (writers_start(&d) || all_rounds(&d, &o, &t) ||
	    control(&d, engine_pread, &t.control[0]) ||
	    control(&d, engine_memcpy, &t.control[1]) ||
	    stopped(&d, &o, &t))
		errx(1, "failed");
	if (writers_end(&d))
		errx(1, "a writer failed");
	return report(&d, &t) ? 0 : 1;
}
