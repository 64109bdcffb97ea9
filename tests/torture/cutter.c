// SPDX-License-Identifier: GPL-2.0-only
/*
 * A cutter: cuts one file, checks the cut, and looks at it again later.
 *
 * First of all it reads the file plainly, page after page, and must find that
 * this is no cut: the check has teeth.
 */
#include "torture.h"
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#define KEPT 3
#define CHECKED_SIZE (CHECKED * PAGE)
#define SLOTS_SIZE (MAX_WRITERS * PAGE)

/* A snapshot that stays open for a while, and what it said. */
struct kept {
	int fd;
	size_t size;
	char *copy;
};

static int file;
static int monitor = -1;
static struct kept kept[KEPT];
static sigjmp_buf after_fault;

/* --- ways to cut and to read; negative: -errno --- */

static void leave(int signal)
{
	siglongjmp(after_fault, signal);
}

static int read_mapped(int fd, char *copy, size_t size)
{
	char *map = map_file(fd, size, PROT_READ);
	int ret = 0;

	if (!map)
		return -errno;
	if (sigsetjmp(after_fault, 1))
		ret = -EIO;
	else
		memcpy(copy, map, size);
	munmap(map, size);
	return ret;
}

static int read_plain(int fd, char *copy, size_t size)
{
	size_t used = 0;
	ssize_t done;

	while (used < size) {
		done = pread(fd, copy + used, size - used, used);
		if (done <= 0)
			return done ? -errno : -ENODATA;
		used += done;
	}
	return 0;
}

/* Keeps the snapshot. */
static int cut_by_snapshot(struct kept *kept, size_t size)
{
	int fd = area_snapshot(&files[file]);

	if (fd < 0)
		return fd;
	kept->fd = fd;
	kept->size = size;
	return 0;
}

/* One that has FAILED stays so. */
static int unless_failed(int ret)
{
	if (ret == -EIO) {
		close(monitor);
		monitor = -1;
	}
	return ret;
}

static int cut_by_monitor(void)
{
	if (monitor < 0)
		monitor = area_monitor(&files[file], WPFILE_CAPTURE);
	if (monitor < 0)
		return monitor;
	return unless_failed(wp_protect(monitor, 0, WPFILE_TO_END));
}

/* --- a cut --- */

static void drop(struct kept *kept)
{
	close(kept->fd);
	kept->fd = -1;
}

/* What it said it must say again. */
static void look_again(struct kept *kept)
{
	static char again[CHECKED_SIZE];
	const char *difference;
	int ret;

	if (kept->fd < 0)
		return;
	ret = read_plain(kept->fd, again, kept->size);
	if (ret) {
		failed("pread() of a snapshot for the second time", ret);
	} else {
		difference = compare_memory(again, kept->copy, kept->size);
		if (strcmp(difference, "same"))
			trouble(CHANGED, "a snapshot of %s, read again: %s",
				file_names[file], difference);
	}
	drop(kept);
}

static void check(const char *copy, size_t size, const struct bounds *bounds,
		  const char *how)
{
	char text[200];
	enum trouble what = check_slots(copy, bounds, text, sizeof(text));

	if (!what && size == CHECKED_SIZE)
		what = check_content(copy, text, sizeof(text));
	if (what)
		trouble(what, "%s by %s: %s", file_names[file], how, text);
	count(CUTS, 1);
	count(EDGES, control->nr_writers * control->nr_writers);
	if (size == CHECKED_SIZE)
		count(PAGES_SEEN, control->nr_writers * OWN_PAGES);
}

static void cut(unsigned long n)
{
	static const char *const how[] = { "a snapshot", "a snapshot, mapped",
					   "a monitor" };
	struct kept *here = &kept[n % KEPT];
	size_t size = n % 4 ? SLOTS_SIZE : CHECKED_SIZE;
	int way = pick(3), ret;
	struct bounds bounds;

	look_again(here);
	note_least(file, &bounds);
	ret = way == 2 ? cut_by_monitor() : cut_by_snapshot(here, size);
	note_most(file, &bounds);
	if (ret) {
		failed(how[way], ret);
		return;
	}
	ret = way == 2 ? unless_failed(read_plain(monitor, here->copy, size)) :
	      way == 1 ? read_mapped(here->fd, here->copy, size) :
			 read_plain(here->fd, here->copy, size);
	if (!ret) {
		check(here->copy, size, &bounds, how[way]);
		return;
	}
	failed("reading a cut", ret);
	if (here->fd >= 0)
		drop(here);
}

/* True if reading the file like this was found to be no cut. */
static bool cut_by_reading(void)
{
	struct bounds bounds;
	char text[200];
	int ret;

	note_least(file, &bounds);
	ret = read_plain(files[file].fd, kept[0].copy, CHECKED_SIZE);
	note_most(file, &bounds);
	if (ret)
		failed("pread() of the file", ret);
	return !ret &&
	       (check_slots(kept[0].copy, &bounds, text, sizeof(text)) ||
		check_content(kept[0].copy, text, sizeof(text)));
}

void be_cutter(int which)
{
	unsigned long n;
	int i;

	file = which;
	signal(SIGBUS, leave);
	setpriority(PRIO_PROCESS, 0, -10); /* of so many processes */
	for (i = 0; i < KEPT; i++)
		kept[i] = (struct kept){ -1, 0, malloc(CHECKED_SIZE) };
	while (!stopping() && !control->has_teeth[file])
		control->has_teeth[file] = cut_by_reading();
	faults_on();
	for (n = 0; !stopping() && !control->by_reading; n++) {
		cut(n);
		/* Nobody writes there but to come to an end. */
		if (__atomic_load_n(&control->closed[file], __ATOMIC_RELAXED))
			rest(10 + pick(50));
	}
	faults_off();
	for (i = 0; i < KEPT; i++)
		look_again(&kept[i]);
}
