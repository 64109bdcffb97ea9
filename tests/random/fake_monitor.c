// SPDX-License-Identifier: GPL-2.0-only
/* The stand-in for the kernel: its monitors and snapshots. */
#include "fake.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int fake_monitor(enum watch_type type)
{
	int handle = 0;

	while (handle < NR_WATCHES && monitors[handle].type)
		handle++;
	if (handle == NR_WATCHES)
		return -EBUSY;
	monitors[handle] = (struct monitor){ .type = type, .refs = 1 };
	monitors[handle].copy = calloc(file_pages, PAGE);
	return handle;
}

static size_t range_end(const struct wpfile_range *range)
{
	if (range->length == WPFILE_TO_END)
		return file_pages;
	return MIN((range->offset + range->length) / PAGE, file_pages);
}

static bool knows(const struct monitor *monitor, size_t page)
{
	return monitor->bit[page] || monitor->captured[page];
}

static void forget_page(struct monitor *monitor, size_t page)
{
	if (has_bug("stale-capture") && monitor->captured[page])
		return;
	monitor->bit[page] = false;
	monitor->captured[page] = false;
}

static void protect_page(struct monitor *monitor, size_t page)
{
	if (monitor->type != TRACK && page >= PAGES_OF(file_size))
		return;
	if (has_bug("stale-capture") && monitor->captured[page])
		return;
	monitor->bit[page] = true;
	monitor->hole[page] = is_hole[page];
}

/* After the pages that are protected anew have been forgotten. */
static size_t new_size(const struct monitor *monitor)
{
	size_t page = PAGES_OF(monitor->size);

	if (has_bug("size-last"))
		return file_size;
	if (monitor->size <= file_size || has_bug("size-most"))
		return MAX(monitor->size, file_size);
	while (page-- > file_size / PAGE)
		if (knows(monitor, page))
			return monitor->size;
	return file_size;
}

int fake_protect(int handle, const struct wpfile_range *ranges,
		 unsigned int nr)
{
	struct monitor *monitor = &monitors[handle];
	size_t page;
	unsigned int i;

	if (has_bug("all-ranges"))
		nr = 1;
	for (i = 0; i < nr; i++)
		for (page = ranges[i].offset / PAGE;
		     page < range_end(&ranges[i]); page++)
			forget_page(monitor, page);
	monitor->size = new_size(monitor);
	for (i = 0; i < nr; i++)
		for (page = ranges[i].offset / PAGE;
		     page < range_end(&ranges[i]); page++)
			protect_page(monitor, page);
	return 0;
}

int fake_unprotect(int handle, const struct wpfile_range *range)
{
	struct monitor *monitor = &monitors[handle];
	size_t page;

	for (page = range->offset / PAGE; page < range_end(range); page++) {
		monitor->bit[page] = false;
		if (!has_bug("unprotect-keeps"))
			monitor->captured[page] = false;
	}
	return 0;
}

int fake_snapshot(size_t *size)
{
	struct wpfile_range all = { 0, WPFILE_TO_END };
	int handle = fake_monitor(SNAPSHOT);

	if (handle >= 0)
		fake_protect(handle, &all, 1);
	*size = file_size;
	return handle;
}

void fake_close(int handle)
{
	struct monitor *monitor = &monitors[handle];
	int i;

	if (--monitor->refs)
		return;
	free(monitor->copy);
	*monitor = (struct monitor){};
	for (i = 0; i < NR_WATCHES && has_bug("close-all"); i++)
		memset(monitors[i].bit, false, sizeof(monitors[i].bit));
}

int fake_count(enum watch_type type)
{
	int i, found = 0;

	for (i = 0; i < NR_WATCHES; i++) {
		found += monitors[i].type == type;
		if (type == CAPTURE && !has_bug("count"))
			found += monitors[i].type == SNAPSHOT;
	}
	return found;
}

bool fake_has_event(int handle)
{
	return monitors[handle].type == UNUSED;
}

static void add_page(struct wpfile_scan *scan, struct wpfile_range *ranges,
		     size_t page)
{
	struct wpfile_range *last = ranges + scan->ret_nr_ranges - 1;

	scan->ret_pages++;
	if (!has_bug("split-ranges") && scan->ret_nr_ranges &&
	    last->offset + last->length == page * PAGE) {
		last->length += PAGE;
		return;
	}
	ranges[scan->ret_nr_ranges++] =
		(struct wpfile_range){ page * PAGE, PAGE };
}

static bool has_room(const struct wpfile_scan *scan,
		     const struct wpfile_range *ranges, size_t page)
{
	const struct wpfile_range *last = ranges + scan->ret_nr_ranges - 1;

	return scan->ret_nr_ranges < scan->nr_ranges ||
	       last->offset + last->length == page * PAGE;
}

int fake_scan(int handle, struct wpfile_scan *scan,
		struct wpfile_range *ranges, __u32 nr, __u64 offset,
		__u64 length, __u32 flags)
{
	struct monitor *monitor = &monitors[handle];
	struct wpfile_range all = { offset, length };
	size_t page = offset / PAGE, stop;

	*scan = (struct wpfile_scan){ .offset = offset, .nr_ranges = nr };
	if (flags && monitor->type != TRACK)
		return -EOPNOTSUPP;
	scan->ret_next = length == WPFILE_TO_END ? length : offset + length;
	stop = MIN(range_end(&all), PAGES_OF(file_size));
	for (; page < stop; page++) {
		if (monitor->bit[page])
			continue;
		if (!has_room(scan, ranges, page))
			break;
		add_page(scan, ranges, page);
		monitor->bit[page] = flags;
	}
	if (page >= stop)
		return 0;
	scan->ret_next = (page + has_bug("full-array")) * PAGE;
	if (flags && has_bug("scan-protect"))
		monitor->bit[page] = true;
	return 0;
}

/* --- content --- */

/* The page as the monitor knows it, or NULL. */
static const char *known_page(const struct monitor *monitor, size_t page)
{
	if (monitor->captured[page])
		return monitor->copy + page * PAGE;
	return monitor->bit[page] || monitor->type == SNAPSHOT ?
		       bytes + page * PAGE :
		       NULL;
}

static size_t end_of(const struct monitor *monitor)
{
	if (monitor->type == SNAPSHOT && has_bug("snapshot-grows"))
		return file_size;
	if (monitor->type == CAPTURE && has_bug("size-now"))
		return file_size;
	return monitor->size;
}

static ssize_t read_monitor(const struct monitor *monitor, char *to,
			    size_t length, size_t offset)
{
	size_t stop = MIN(offset + length, end_of(monitor)), at, piece;
	const char *page;

	if (offset >= stop)
		return 0;
	for (at = offset; at < stop; at += piece) {
		page = known_page(monitor, at / PAGE);
		if (!page)
			break;
		piece = MIN(PAGE - at % PAGE, stop - at);
		memcpy(to + (at - offset), page + at % PAGE, piece);
	}
	return at > offset ? (ssize_t)(at - offset) : -ENODATA;
}

static void look_at_holes(int handle, size_t offset, size_t length)
{
	size_t page, end = MIN(PAGES_OF(offset + length), MAX_FILE);

	for (page = offset / PAGE; page < end; page++)
		monitors[handle].hole[page] = false;
}

ssize_t fake_pread(int handle, char *to, size_t length, size_t offset)
{
	if (handle != FILE_HANDLE && has_bug("holes-read"))
		look_at_holes(handle, offset, length);
	if (handle != FILE_HANDLE)
		return read_monitor(&monitors[handle], to, length, offset);
	length = offset < file_size ? MIN(length, file_size - offset) : 0;
	memcpy(to, bytes + offset, length);
	return length;
}

ssize_t fake_pipe(int handle, char *to, size_t length, size_t offset,
			    bool sendfile)
{
	(void)sendfile;
	return fake_pread(handle, to, length, offset);
}

static bool was_hole(const struct monitor *monitor, size_t page)
{
	if (has_bug("holes-filled"))
		return false;
	if (has_bug("holes-made") && is_hole[page])
		return true;
	return monitor->hole[page];
}

off_t fake_seek(int handle, off_t offset, int whence)
{
	const struct monitor *monitor = &monitors[handle];
	off_t at = offset;

	for (; at < (off_t)monitor->size; at = (at / PAGE + 1) * PAGE)
		if (was_hole(monitor, at / PAGE) == (whence == SEEK_HOLE))
			return at;
	return whence == SEEK_HOLE ? (off_t)monitor->size : -ENXIO;
}

off_t fake_size(int handle)
{
	return handle == FILE_HANDLE ? file_size : end_of(&monitors[handle]);
}

/* No memory is mapped: the address says what is meant. */
const char *fake_map(int handle, size_t size)
{
	(void)size;
	monitors[handle].refs++;
	return (const char *)((uintptr_t)(handle + 1) << 32);
}

static int handle_at(const char *address)
{
	return ((uintptr_t)address >> 32) - 1;
}

void fake_unmap(const char *map, size_t size)
{
	(void)size;
	fake_close(handle_at(map));
}

int fake_load(const char *from, char *to, size_t length)
{
	size_t offset = (uintptr_t)from & 0xffffffff;
	ssize_t done = fake_pread(handle_at(from), to, length, offset);

	look_at_holes(handle_at(from), offset, length);
	return done == (ssize_t)length ? 0 : -EFAULT;
}
