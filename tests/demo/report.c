// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What was measured, and what was proved.
 */
#include <stdarg.h>
#include <stdio.h>

#include "demo.h"
#include "report.h"

void say(const struct demo *d, const char *fmt, ...)
{
	va_list ap;

	if (d->quiet)
		return;
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	fflush(stdout);
}

static bool tap(bool good, const char *fmt, ...)
{
	static int number;
	va_list ap;

	printf("%sok %d - ", good ? "" : "not ", ++number);
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	putchar('\n');
	return good;
}

static double rate(const struct totals *t, enum phase phase)
{
	return t->phase_ns[phase] ? t->ops[phase] * 1e9 / t->phase_ns[phase] : 0;
}

static void report_measures(struct demo *d, const struct totals *t)
{
	unsigned long n = t->pictures - 1;

	say(d, "# pictures taken: %lu\n", t->pictures);
	say(d, "# cut time: longest %.1f us, mean %.1f us\n", t->cut_ns_max / 1e3,
	    n ? t->cut_ns_sum / 1e3 / n : 0);
	say(d, "# longest time of a writer between two writes: %.2f ms before a picture, "
	    "%.2f ms with one\n", t->longest_gap[PHASE_BEFORE] / 1e6,
	    t->longest_gap[PHASE_DURING] / 1e6);
	say(d, "# longest write of one page: %.2f ms before, %.2f ms with one\n",
	    t->longest_write[PHASE_BEFORE] / 1e6, t->longest_write[PHASE_DURING] / 1e6);
	say(d, "# pages written: %.0f a second before, %.0f with a picture\n",
	    rate(t, PHASE_BEFORE), rate(t, PHASE_DURING));
	if (t->captured_max >= 0)
		say(d, "# memory of a capture: %.1f MiB at the most\n",
		    t->captured_max / 1048576.0);
	say(d, "# huge mappings: %ld KiB before the last picture, %ld KiB after it\n",
	    t->huge_before, t->huge_after);
	if (!t->huge_before)
		say(d, "# huge mappings: none on this kernel, not tested\n");
	say(d, "# pages cut in the middle of a write: %lu; holes at a cut, written later: %lu\n",
	    t->v.torn_pages, t->v.unwritten);
}

static uint64_t least_ops(struct demo *d, uint64_t *ret_errors)
{
	uint64_t least = ~0ULL;

	for (unsigned int q = 0; q < d->model.writers; q++) {
		uint64_t ops = atomic_load(&d->ctl->w[q].ops);

		if (ops < least)
			least = ops;
		*ret_errors += atomic_load(&d->ctl->w[q].errors);
	}
	return least;
}

bool report(struct demo *d, const struct totals *t)
{
	const struct verdict *v = &t->v;
	uint64_t errors = 0, least = least_ops(d, &errors);
	bool good = true;

	report_measures(d, t);
	printf("1..7\n");
	good &= tap(v->edges && !v->inversions,
		    "the picture is a causal cut (%lu edges in %lu pictures, %lu inversions)",
		    v->edges, t->pictures - 1, v->inversions);
	good &= tap(!v->wrong_pages && !v->wrong_holes,
		    "every byte is what stood there at T (%lu pages, %lu differ; %lu holes, "
		    "%lu untouched pages are not)", v->pages, v->wrong_pages,
		    v->hole_pages, v->wrong_holes);
	good &= tap(!v->outside && t->narrowest_instant >= 0,
		    "T is one instant within the call (known to %.1f us or better; %lu writers outside)",
		    t->widest_instant / 1e3, v->outside);
	good &= tap(t->again_pages && !t->again_differ,
		    "read again by mmap after the next one was taken (%lu pages, %lu differ)",
		    t->again_pages, t->again_differ);
	good &= tap(t->stopped_bytes && !t->stopped_differ && !t->live_wrong,
		    "of the stopped file: equal with a plain read (%lu bytes, %lu differ), "
		    "no write lost (%lu pages wrong)", t->stopped_bytes,
		    t->stopped_differ, t->live_wrong);
	good &= tap(t->control[0] && t->control[1],
		    "control: plain reading is found out (%lu inversions by pread, %lu by memcpy)",
		    t->control[0], t->control[1]);
	good &= tap(least && !errors,
		    "all %u writers went on (%lu writes or more each), and found what others wrote "
		    "(%lu errors)", d->model.writers, least, errors);
	return good;
}
