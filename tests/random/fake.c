// SPDX-License-Identifier: GPL-2.0-only
/*
 * The backend that needs no kernel: one array of bytes, and monitors that copy
 * a page before it is written, as the kernel does.  Nothing of it is shared
 * with the model.  It can be told to have one of the bugs below, which the
 * tester must find.
 */
#include "fake.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

const char *the_bug;

const struct bug bugs[] = {
	{ "forget-store", "stores are not noticed" },
	{ "forget-pwrite", "pwrite() is not noticed" },
	{ "forget-copy", "copy_file_range() is not noticed" },
	{ "forget-vm_write", "process_vm_writev() is not noticed" },
	{ "forget-uffd_copy", "UFFDIO_COPY is not noticed" },
	{ "forget-remove", "MADV_REMOVE is not noticed" },
	{ "forget-punch", "punching holes is not noticed" },
	{ "forget-truncate", "truncating is not noticed" },
	{ "first-page", "of a write, only the first page is noticed" },
	{ "ragged-punch", "ragged ends of a hole are not noticed" },
	{ "ragged-truncate", "the ragged new end is not noticed" },
	{ "old-end", "what growing brings into the file is not noticed" },
	{ "neighbour", "the page behind a written one is reported" },
	{ "allocation", "allocation into holes is reported" },
	{ "zeropage", "UFFDIO_ZEROPAGE into a hole is reported" },
	{ "refused", "UFFDIO_COPY that is refused (EEXIST) is reported" },
	{ "late-copy", "pages are captured after the write" },
	{ "one-monitor", "only the first monitor captures" },
	{ "stale-capture", "PROTECT again leaves what was captured before" },
	{ "unprotect-keeps", "UNPROTECT does not drop what was captured" },
	{ "all-ranges", "PROTECT does only the first range" },
	{ "full-array", "SCAN goes on one page too far after a full array" },
	{ "scan-protect", "SCAN protects what it had no room to report" },
	{ "split-ranges", "SCAN does not join adjacent pages" },
	{ "size-now", "pread() of a monitor ends at the end of now" },
	{ "size-last", "it ends where the file did at the last PROTECT, always" },
	{ "size-most", "it ends where the file did at its longest PROTECT" },
	{ "snapshot-grows", "a snapshot has the size of the file" },
	{ "holes-filled", "a snapshot forgets its holes" },
	{ "holes-made", "a snapshot takes data for a hole if it is one now" },
	{ "holes-written", "a write makes data of a snapshot's holes" },
	{ "holes-around", "a write makes data of the hole behind it" },
	{ "holes-read", "pread() of a snapshot makes data of its holes" },
	{ "close-all", "closing one monitor drops the bits of all" },
	{ "count", "QUERY does not count snapshots" },
	{ "private", "stores into private mappings reach the file" },
	{}
};

bool has_bug(const char *name)
{
	return the_bug && !strcmp(the_bug, name);
}

/* --- the file and its monitors --- */

char *bytes;
bool is_hole[MAX_FILE];
size_t file_size, file_pages;
struct monitor monitors[NR_WATCHES];
static bool forgotten;	/* the write under way is not noticed */

static int begin(struct script *script)
{
	file_pages = MAX_FILE;
	bytes = calloc(file_pages, PAGE);
	file_size = script->pages * PAGE;
	memset(is_hole, true, sizeof(is_hole));
	return 0;
}

static void end(void)
{
	free(bytes);
}

static void capture(struct monitor *monitor, size_t page)
{
	if (has_bug("one-monitor") && monitor != monitors)
		return;
	memcpy(monitor->copy + page * PAGE, bytes + page * PAGE, PAGE);
	monitor->captured[page] = true;
}

static void notice_page(size_t page)
{
	struct monitor *monitor;

	for (monitor = monitors; monitor < monitors + NR_WATCHES; monitor++) {
		if (!monitor->type || !monitor->bit[page])
			continue;
		if (monitor->type != TRACK)
			capture(monitor, page);
		monitor->bit[page] = false;
	}
}

static void notice(size_t offset, size_t length)
{
	size_t page, end = PAGES_OF(offset + length);

	if (!length || forgotten)
		return;
	if (has_bug("first-page") && end > offset / PAGE + 1)
		end = offset / PAGE + 1;
	for (page = offset / PAGE; page < end; page++)
		notice_page(page);
	if (has_bug("neighbour") && end < file_pages)
		notice_page(end);
}

/* To a monitor that protects it, it is data from now on. */
static void fill_hole(size_t page)
{
	struct monitor *monitor;

	if (is_hole[page] && has_bug("allocation"))
		notice_page(page);
	is_hole[page] = false;
	for (monitor = monitors; monitor < monitors + NR_WATCHES; monitor++)
		if (monitor->bit[page])
			monitor->hole[page] = false;
}

static void fill_holes(size_t offset, size_t length)
{
	size_t page;

	for (page = offset / PAGE; page < PAGES_OF(offset + length); page++)
		fill_hole(page);
}

/* --- what operations do --- */

static void grow(size_t size)
{
	if (size <= file_size)
		return;
	if (!has_bug("old-end"))
		notice(file_size, size - file_size);
	file_size = size;
}

static void write_bytes(const struct effect *effect)
{
	if (!effect->mapped)
		grow(effect->offset + effect->length);
	if (has_bug("holes-written"))
		fill_holes(effect->offset, effect->length);
	if (has_bug("holes-around") &&
	    PAGES_OF(effect->offset + effect->length) < file_pages)
		fill_hole(PAGES_OF(effect->offset + effect->length));
	if (has_bug("late-copy"))
		memcpy(bytes + effect->offset, effect->data, effect->length);
	notice(effect->offset, effect->length);
	memcpy(bytes + effect->offset, effect->data, effect->length);
	fill_holes(effect->offset, effect->length);
}

/* A page at a time: there is nothing to notice in a hole. */
static void zero_bytes(size_t from, size_t end, size_t noticed)
{
	size_t offset, length;
	bool ragged;

	for (offset = from; offset < end; offset += length) {
		length = MIN(PAGE - offset % PAGE, end - offset);
		ragged = length != PAGE;
		if (is_hole[offset / PAGE])
			continue;
		if (offset < noticed && !(ragged && has_bug("ragged-punch")))
			notice(offset, length);
		memset(bytes + offset, 0, length);
		if (!ragged)
			is_hole[offset / PAGE] = true;
	}
}

static void resize(size_t size)
{
	size_t end = file_pages * PAGE, noticed = file_size;

	if (size > file_size) {
		grow(size);
		return;
	}
	if (has_bug("ragged-truncate") && size % PAGE) {
		noticed = 0;
		notice(PAGES_OF(size) * PAGE, end - PAGES_OF(size) * PAGE);
	}
	zero_bytes(size, end, noticed);
	file_size = size;
}

static void change(const struct effect *effect)
{
	switch (effect->type) {
	case CHANGES_NOTHING:
		break;
	case WRITES:
		write_bytes(effect);
		break;
	case ZEROES:
		zero_bytes(effect->offset, effect->offset + effect->length,
			   PAGES_OF(file_size) * PAGE);
		break;
	case RESIZES:
		resize(effect->length);
		break;
	case ALLOCATES:
		if (!effect->keep_size)
			grow(effect->offset + effect->length);
		fill_holes(effect->offset, effect->length);
		break;
	case FILLS:
		fill_holes(effect->offset, effect->length);
		break;
	}
}

static bool is_named(const struct op *op)
{
	const char *name = operation(op->what)->name;

	return the_bug && !strncmp(the_bug, "forget-", 7) &&
	       !strcmp(the_bug + 7, name);
}

static bool is_refused(const char *name, const struct effect *effect)
{
	return !strncmp(name, "uffd_", 5) && !is_hole[effect->offset / PAGE];
}

static long act(const struct op *op, const struct effect *effect)
{
	const char *name = operation(op->what)->name;
	struct effect private = *effect;

	if (has_bug(is_refused(name, effect) ? "refused" : "zeropage") &&
	    !strncmp(name, "uffd_", 5))
		notice(effect->offset, effect->length);
	if (is_refused(name, effect))
		return -EEXIST;
	forgotten = is_named(op);
	change(effect);
	if (has_bug("private") && effect->type == FILLS && effect->data) {
		private.type = WRITES;
		change(&private);
	}
	forgotten = false;
	memcpy(board->seen, bytes + effect->offset, effect->length);
	board->new_address = HUGE;
	return effect->length;
}

static int fork_process(unsigned int who, unsigned int other)
{
	return who == other;
}

static void exit_process(unsigned int who)
{
	(void)who;
}

static ssize_t restore(int handle, size_t offset, size_t length)
{
	struct effect effect = { .type = WRITES, .offset = offset,
				 .length = length, .data = board->data };

	if (fake_pread(handle, board->data, length, offset) != (ssize_t)length)
		return -EIO;
	change(&effect);
	return length;
}

const struct backend fake_backend = {
	.begin = begin,
	.end = end,
	.act = act,
	.fork = fork_process,
	.exit = exit_process,
	.monitor = fake_monitor,
	.snapshot = fake_snapshot,
	.close = fake_close,
	.protect = fake_protect,
	.unprotect = fake_unprotect,
	.scan = fake_scan,
	.count = fake_count,
	.has_event = fake_has_event,
	.pread = fake_pread,
	.pipe = fake_pipe,
	.seek = fake_seek,
	.size = fake_size,
	.map = fake_map,
	.unmap = fake_unmap,
	.load = fake_load,
	.restore = restore,
};
