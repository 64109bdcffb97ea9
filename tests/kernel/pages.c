// SPDX-License-Identifier: GPL-2.0-only
/* Sets of pages, and what SCAN says as one. */
#include "common.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>

/* Some texts may be in use at once: the arguments of one EXPECT. */
static char *next_text(size_t *size)
{
	static char texts[4][4096];
	static unsigned int last;

	*size = sizeof(texts[0]);
	return texts[++last % 4];
}

const char *pages_text(const struct pages *pages)
{
	size_t size, used = 0, first, last;
	char *text = next_text(&size);

	text[0] = 0;
	for (first = 0; first < MAX_PAGES; first = last + 1) {
		last = first;
		if (!pages->has[first])
			continue;
		while (last + 1 < MAX_PAGES && pages->has[last + 1])
			last++;
		if (size - used < 32)
			return strcpy(text + used, " ..."), text;
		used += sprintf(text + used, first == last ? "%s%zu" : "%s%zu-%zu",
				used ? " " : "", first, last);
	}
	return text;
}

bool pages_cover(const struct pages *outer, const struct pages *inner)
{
	size_t i;

	for (i = 0; i < MAX_PAGES; i++)
		if (inner->has[i] && !outer->has[i])
			return false;
	return true;
}

/* Whole blocks where there was a page. */
void pages_round(struct pages *pages, size_t block)
{
	size_t i;

	for (i = 0; i < MAX_PAGES; i++)
		if (pages->has[i])
			memset(&pages->has[i - i % block], 1, block);
}

static int add_ranges(struct pages *pages, const struct wpfile_range *ranges,
		      __u32 nr)
{
	__u32 i;

	for (i = 0; i < nr; i++) {
		if (ranges[i].offset % PAGE || ranges[i].length % PAGE ||
		    !ranges[i].length || ranges[i].offset > MAX_PAGES * PAGE ||
		    ranges[i].length > MAX_PAGES * PAGE - ranges[i].offset)
			return -ERANGE;
		memset(&pages->has[ranges[i].offset / PAGE], 1,
		       ranges[i].length / PAGE);
	}
	return 0;
}

int scan_pages(int monitor, __u32 flags, struct pages *pages)
{
	struct wpfile_range ranges[64];
	struct wpfile_scan scan;
	__u64 offset = 0;
	int ret;

	memset(pages, 0, sizeof(*pages));
	do {
		ret = wp_scan(monitor, &scan, ranges, 64, offset, WPFILE_TO_END,
			      flags);
		if (!ret)
			ret = add_ranges(pages, ranges, scan.ret_nr_ranges);
		if (ret)
			return ret;
		if (scan.ret_next <= offset)
			return -ELOOP;
		offset = scan.ret_next;
	} while (offset != WPFILE_TO_END);
	return 0;
}

static const char *scan_text(int monitor, __u32 flags)
{
	struct pages pages;
	int ret = scan_pages(monitor, flags, &pages);
	size_t size;
	char *text;

	if (!ret)
		return pages_text(&pages);
	text = next_text(&size);
	snprintf(text, size, "error: %s", strerrorname_np(-ret));
	return text;
}

const char *written(int monitor)
{
	return scan_text(monitor, WPFILE_SCAN_PROTECT);
}

const char *unprotected(int monitor)
{
	return scan_text(monitor, 0);
}
