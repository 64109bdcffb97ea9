// SPDX-License-Identifier: GPL-2.0-only
/* What the backend says, compared with what the model has. */
#include "random.h"
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char seen[MAX_FILE * PAGE];

/* The first reason is the one that counts. */
int fail(const char *format, ...)
{
	va_list arguments;

	if (outcome->text[0])
		return DIFFERS;
	va_start(arguments, format);
	vsnprintf(outcome->text, sizeof(outcome->text), format, arguments);
	va_end(arguments);
	return DIFFERS;
}

static int index_of(const struct watch *watch)
{
	return watch - model.watch;
}

/* --- the file --- */

static int differs(const char *what, size_t page, const char *bytes,
		   const char *expected, size_t length)
{
	size_t i;

	for (i = 0; i < length; i++)
		if (bytes[i] != expected[i])
			return fail("%s: page %zu, byte %zu: %#x, expected %#x",
				    what, page, i, (unsigned char)bytes[i],
				    (unsigned char)expected[i]);
	return 0;
}

static int check_size(void)
{
	off_t size = backend->size(FILE_HANDLE);

	if (size != (off_t)model.size)
		return fail("size of the file: %lld, expected %zu",
			    (long long)size, model.size);
	return 0;
}

/* Whole pages. */
static int check_file(size_t first, size_t end)
{
	size_t page, offset = first * PAGE, length;
	ssize_t done;

	end = MIN(end, PAGES_OF(model.size));
	if (first >= end)
		return 0;
	length = MIN(end * PAGE, model.size) - offset;
	done = backend->pread(FILE_HANDLE, seen, length, offset);
	if (done != (ssize_t)length)
		return fail("the file: pread of %zu at %zu returned %zd",
			    length, offset, done);
	for (page = first; page < end; page++)
		if (differs("the file", page, seen + (page - first) * PAGE,
			    model_bytes(page),
			    MIN(model.size - page * PAGE, PAGE)))
			return DIFFERS;
	return 0;
}

/* --- bits --- */

static bool reported[MAX_FILE];

static int note_ranges(const struct watch *watch,
		       const struct wpfile_scan *scan,
		       const struct wpfile_range *ranges, size_t end)
{
	uint64_t next = scan->offset, pages = 0, stop;
	unsigned int i;

	memset(reported, false, sizeof(reported));
	for (i = 0; i < scan->ret_nr_ranges; i++, next = stop + PAGE) {
		stop = ranges[i].offset + ranges[i].length;
		if (ranges[i].offset % PAGE || ranges[i].length % PAGE ||
		    ranges[i].offset < next || !ranges[i].length ||
		    stop > end * PAGE || stop > scan->ret_next)
			return fail("monitor %d: range %u of %u: %#llx + %#llx",
				    index_of(watch), i, scan->ret_nr_ranges,
				    ranges[i].offset, ranges[i].length);
		pages += ranges[i].length / PAGE;
		memset(reported + ranges[i].offset / PAGE, true,
		       ranges[i].length / PAGE);
	}
	if (pages != scan->ret_pages)
		return fail("monitor %d: ret_pages: %llu, of %llu",
			    index_of(watch), scan->ret_pages,
			    (unsigned long long)pages);
	return 0;
}

/* Only what is protected may come after the last range, if it is the end. */
static int check_next(const struct watch *watch, const struct wpfile_scan *scan,
		      uint64_t wanted, unsigned int nr)
{
	if (scan->ret_nr_ranges > nr || scan->ret_next <= scan->offset ||
	    scan->ret_next > wanted ||
	    (scan->ret_next < wanted && scan->ret_nr_ranges < nr) ||
	    (scan->ret_next != WPFILE_TO_END && scan->ret_next % PAGE))
		return fail("monitor %d: SCAN at %#llx: %u ranges, next %#llx",
			    index_of(watch), scan->offset, scan->ret_nr_ranges,
			    scan->ret_next);
	return 0;
}

static int check_bits(struct watch *watch, size_t first, size_t end,
		      bool protect)
{
	size_t page;

	for (page = first; page < end; page++) {
		if (watch->bit[page] == SET && reported[page])
			return fail("monitor %d: page %zu is reported, and nobody wrote it",
				    index_of(watch), page);
		if (watch->bit[page] == CLEAR && !reported[page])
			return fail("monitor %d: page %zu is not reported",
				    index_of(watch), page);
		if (watch->bit[page] == MAYBE && reported[page])
			model.over_reported++;
		watch->bit[page] = reported[page] && !protect ? CLEAR : SET;
	}
	return 0;
}

int check_scan(struct watch *watch, size_t first, size_t pages,
	       unsigned int nr, unsigned int flags)
{
	static struct wpfile_range ranges[MAX_FILE];
	uint64_t offset = first * PAGE, length = pages * PAGE, wanted, next;
	bool to_end = pages == TO_END_PAGES;
	size_t end = PAGES_OF(model.size);
	struct wpfile_scan scan;
	int ret;

	nr = MIN(nr, MAX_FILE);
	wanted = to_end ? WPFILE_TO_END : offset + length;
	if (!to_end)
		end = MIN(end, first + pages);
	ret = backend->scan(watch->handle, &scan, ranges, nr, offset,
			    to_end ? WPFILE_TO_END : length, flags);
	if (ret)
		return fail("monitor %d: SCAN returned %d", index_of(watch),
			    ret);
	ret = check_next(watch, &scan, wanted, nr) ?:
	      note_ranges(watch, &scan, ranges, end);
	next = MIN(scan.ret_next, end * PAGE);
	return ret ?: check_bits(watch, first, next / PAGE, flags);
}

/* --- content of the past --- */

/* What pread() may say at @offset if it does not go on there. */
static int check_stop(const struct watch *watch, size_t offset, ssize_t done)
{
	bool known;

	if (!watch->has_cut && done == -ENODATA)
		return 0; /* it does not end anywhere yet */
	if (offset >= watch->size)
		return done >= 0 ? 0 :
				   fail("watch %d: pread at %#zx, behind the end at %#zx, returned %zd",
					index_of(watch), offset, watch->size,
					done);
	known = watch->known[offset / PAGE];
	if (known || (done < 0 && done != -ENODATA) || !done)
		return fail("watch %d: pread at %#zx, which is %s, returned %zd",
			    index_of(watch), offset,
			    known ? "known" : "not known", done);
	return 0;
}

/* Bytes of a page that the monitor knows. */
static int check_kept(const struct watch *watch, size_t offset,
		      const char *bytes, size_t length)
{
	static const char zeros[PAGE];
	size_t page = offset / PAGE, at = offset % PAGE;
	const struct content *kept = watch->kept[page];
	size_t end = MIN((size_t)watch->length[page], at + length);
	char text[32];

	if (!watch->known[page] || offset + length > watch->size)
		return fail("watch %d: pread knows page %zu, and ends at %#zx",
			    index_of(watch), page, watch->size);
	if (at >= end || !memcmp(bytes, (kept ? kept->bytes : zeros) + at,
				 end - at))
		return 0;
	snprintf(text, sizeof(text), "watch %d, from %#zx", index_of(watch),
		 offset);
	return differs(text, page, bytes, (kept ? kept->bytes : zeros) + at,
		       end - at);
}

int check_capture(struct watch *watch, size_t offset, size_t length)
{
	size_t at, piece, end;
	ssize_t done;

	length = MIN(length, sizeof(seen));
	done = backend->pread(watch->handle, seen, length, offset);
	end = offset + (done > 0 ? done : 0);
	for (at = offset; at < end; at += piece) {
		piece = MIN(PAGE - at % PAGE, end - at);
		if (check_kept(watch, at, seen + (at - offset), piece))
			return DIFFERS;
	}
	if (end == offset + length)
		return 0;
	return check_stop(watch, end, done);
}

int check_loads(struct watch *watch, size_t offset, size_t length)
{
	size_t at, piece, end = offset + length;
	int ret = backend->load(watch->map + offset, seen, length);

	if (ret)
		return fail("snapshot %d: loads at %#zx returned %d",
			    index_of(watch), offset, ret);
	for (at = offset; at < end; at += piece) {
		piece = MIN(PAGE - at % PAGE, end - at);
		if (check_kept(watch, at, seen + (at - offset), piece))
			return DIFFERS;
		/* It may be told as data from now on. */
		watch->hole[at / PAGE] = false;
	}
	return 0;
}

int check_piped(struct watch *watch, size_t offset, size_t length,
		bool sendfile)
{
	size_t at, piece, end = offset + length;
	ssize_t done;

	done = backend->pipe(watch->handle, seen, length, offset, sendfile);
	if (done != (ssize_t)length)
		return fail("snapshot %d: %s of %zu at %#zx returned %zd",
			    index_of(watch), sendfile ? "sendfile" : "splice",
			    length, offset, done);
	for (at = offset; at < end; at += piece) {
		piece = MIN(PAGE - at % PAGE, end - at);
		if (check_kept(watch, at, seen + (at - offset), piece))
			return DIFFERS;
	}
	return 0;
}

/* --- holes of the past --- */

static int check_extent(const struct watch *watch, size_t from, size_t end,
			bool hole)
{
	size_t page;

	for (page = from / PAGE; page < PAGES_OF(end); page++) {
		if (hole && watch->kept[page] &&
		    !is_zero(watch->kept[page]->bytes, watch->length[page]))
			return fail("snapshot %d: page %zu is a hole, but has data",
				    index_of(watch), page);
		if (!hole && watch->hole[page])
			return fail("snapshot %d: page %zu is data, but was a hole",
				    index_of(watch), page);
	}
	return 0;
}

static bool is_boundary(const struct watch *watch, off_t at, size_t from)
{
	return at >= (off_t)from && at <= (off_t)watch->size &&
	       (at % PAGE == 0 || at == (off_t)watch->size);
}

/* Data and holes in turn, as long as there are any. */
int check_seeks(struct watch *watch)
{
	size_t at, size = watch->size;
	off_t data, hole;

	for (at = 0; at < size; at = hole) {
		data = backend->seek(watch->handle, at, SEEK_DATA);
		if (data == -ENXIO)
			return check_extent(watch, at, size, true);
		hole = data < 0 ? data :
				  backend->seek(watch->handle, data, SEEK_HOLE);
		if (!is_boundary(watch, data, at) ||
		    !is_boundary(watch, hole, data + 1))
			return fail("snapshot %d: at %#zx: data at %#llx, hole at %#llx",
				    index_of(watch), at, (long long)data,
				    (long long)hole);
		if (check_extent(watch, at, data, true) ||
		    check_extent(watch, data, hole, false))
			return DIFFERS;
	}
	return 0;
}

/* --- after an operation --- */

static int check_all_bits(void)
{
	struct watch *watch;

	for (watch = model.watch; watch < model.watch + NR_WATCHES; watch++)
		if ((watch->type == TRACK || watch->type == CAPTURE) &&
		    check_scan(watch, 0, TO_END_PAGES, 512, 0))
			return DIFFERS;
	return 0;
}

static bool has_content(const struct watch *watch)
{
	return (watch->type == CAPTURE || watch->type == SNAPSHOT) &&
	       watch->handle >= 0;
}

/* A few pages at both ends of what was touched; "check" sees to the rest. */
static int check_around(size_t offset)
{
	size_t first = offset < PAGE ? 0 : offset / PAGE - 1, page;
	size_t end = MIN(offset / PAGE + 2, MAX_FILE);
	struct watch *watch;

	if (check_file(first, end))
		return DIFFERS;
	for (watch = model.watch; watch < model.watch + NR_WATCHES; watch++)
		for (page = first; has_content(watch) && page < end; page++)
			if (check_capture(watch, page * PAGE, PAGE))
				return DIFFERS;
	return 0;
}

int check_after(const struct effect *effect)
{
	size_t last = effect->offset + effect->length;

	if (effect->type == CHANGES_NOTHING || effect->type == FILLS)
		return check_all_bits();
	return check_size() ?: check_around(effect->offset) ?:
	       check_around(last ? last - 1 : 0) ?: check_all_bits();
}

/* By a process of its own, like any other load. */
static int load_mapping(unsigned int who, unsigned int map)
{
	struct op op = { .what = op_find("load"), .who = who, .map = map };
	struct mapping *mapping = map_of(who, map);
	size_t page, next, end;

	if (!mapping)
		return 0;
	end = mapping->first + mapping->pages;
	for (page = mapping->first; page < end; page = next + 1) {
		for (next = page; map_has(mapping, next * PAGE, 1, MAPPED);)
			next++;
		op.offset = page * PAGE;
		op.length = (next - page) * PAGE;
		if (op_run(&op) < 0)
			return DIFFERS;
	}
	return 0;
}

static int check_watch(struct watch *watch)
{
	if (watch->type == UNUSED || watch->handle < 0)
		return 0;
	if (watch->type != SNAPSHOT && backend->has_event(watch->handle))
		return fail("monitor %d has an event", index_of(watch));
	if (watch->type == TRACK)
		return 0;
	if (watch->type == SNAPSHOT &&
	    backend->size(watch->handle) != (off_t)watch->size)
		return fail("snapshot %d: its size", index_of(watch));
	if (watch->type == SNAPSHOT && check_seeks(watch))
		return DIFFERS;
	return 0;
}

/* Page by page where a monitor does not know all. */
static int check_watch_content(struct watch *watch)
{
	size_t page;

	if (!has_content(watch))
		return 0;
	if (watch->type == SNAPSHOT)
		return check_capture(watch, 0, watch->size + 1);
	for (page = 0; page < model.room; page++)
		if (check_capture(watch, page * PAGE, PAGE))
			return DIFFERS;
	return 0;
}

int check_all(bool by_loads)
{
	unsigned int i, map;

	if (check_size() || check_file(0, MAX_FILE) || check_all_bits())
		return DIFFERS;
	for (i = 0; i < NR_WATCHES; i++)
		if (check_watch(&model.watch[i]) ||
		    check_watch_content(&model.watch[i]))
			return DIFFERS;
	for (i = 0; by_loads && i < NR_PROCESSES; i++)
		for (map = 0; map < NR_MAPS; map++)
			if (load_mapping(i, map))
				return DIFFERS;
	return 0;
}
