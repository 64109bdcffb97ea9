// SPDX-License-Identifier: GPL-2.0-only
/*
 * Every error exit: each operation is done with its first allocation failing,
 * then with its second, and so on, until it asks for no more.
 *
 * Each time on a new file, of which a snapshot is open, a CAPTURE monitor knows
 * everything, and a TRACK monitor protects everything.  Whatever the operation
 * returns, afterwards
 *
 *	a write has worked: a monitor makes none fail
 *	snapshot and CAPTURE say what they said before; or EIO, if they FAILED
 *	every page that has changed was reported
 *	what failed has left neither a monitor nor a file descriptor
 *	the file can be written
 *	with all closed, no monitor is left
 */
#include "exits.h"
#include "kselftest.h"
#include <errno.h>
#include <glob.h>
#include <libgen.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

/* What operations touch, and where chunks meet: the rest is not looked at. */
static const struct part {
	size_t first, nr;
} parts[] = {
	{ 0, 12 },	{ 298, 4 }, { 510, 4 },	      { 648, 4 },
	{ MIDDLE, 4 }, { 798, 4 }, { 1022, 4 }, { LAST - 3, 4 },
};

#define MOST 12		/* pages in a part */

/* What CAPTURE is to say. */
static char held[SCENE_PAGES * PAGE];

static void leave(int signal)
{
	siglongjmp(after_fault, signal);
}

/* What the file contains now. */
static void hold(int fd)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(parts); i++)
		pread(fd, held + parts[i].first * PAGE, parts[i].nr * PAGE,
		      parts[i].first * PAGE);
}

/* --- the scene --- */

static int set_files(struct scene *scene, enum kind kind)
{
	struct area *area = &scene->area;
	size_t i;
	int ret;

	ret = area_make(&scene->other, MEMFD, 8 * PAGE) ?:
		      area_make(area, kind, SCENE_PAGES * PAGE);
	for (i = 0; i < NR_FULL && !ret; i++)
		ret = area_fill_page(area, full_pages[i], 1);
	return ret ?: area_map(area);
}

static int set_scene(struct scene *scene, enum kind kind)
{
	struct area *area = &scene->area;
	int ret;

	*scene = (struct scene){ .area.fd = -1,
				 .track = -1,
				 .capture = -1,
				 .snapshot = -1,
				 .uffd = -1,
				 .new_fd = -1 };
	ret = set_files(scene, kind);
	if (ret)
		return ret;
	hold(area->fd);
	scene->snapshot = wp_snapshot(area->fd);
	scene->capture = area_protect(area, WPFILE_CAPTURE);
	scene->track = area_protect(area, WPFILE_TRACK);
	store_to(scene, 1);
	store_to(scene, 5);
	return scene->snapshot < 0 ? scene->snapshot :
	       scene->capture < 0  ? scene->capture :
	       scene->track < 0	   ? scene->track :
				     0;
}

static void clear_scene(struct scene *scene)
{
	if (scene->uffd >= 0)
		close(scene->uffd);
	close(scene->new_fd);
	close(scene->track);
	close(scene->capture);
	close(scene->snapshot);
}

/* --- what must be so afterwards --- */

static bool has_failed(int fd)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	return file_number(path, "failed:") > 0;
}

static bool check_part(int fd, const char *expected, struct part part,
		       const char *after, const char *what)
{
	size_t page = part.first, end = part.first + part.nr;
	static char seen[MOST * PAGE];
	bool lost = false;
	ssize_t done;

	while (page < end) {
		done = pread(fd, seen, (end - page) * PAGE, page * PAGE);
		if (done < 0 && errno == EIO) {
			lost = true;
			page++;
			continue;
		}
		if (done <= 0 || done % PAGE) {
			trouble(FAILED, "%s: pread() of %s gave %zd, %s", after,
				what, done, strerrorname_np(errno));
			break;
		}
		if (memcmp(seen, expected + page * PAGE, done))
			trouble(WRONG_BYTE, "%s: %s, page %zu or behind", after,
				what, page);
		page += done / PAGE;
	}
	return lost;
}

/* Right, or lost and said so. */
static bool check_said(int fd, const char *expected, const char *after,
		       const char *what)
{
	bool lost = false;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(parts); i++)
		lost |= check_part(fd, expected, parts[i], after, what);
	if (lost && !has_failed(fd))
		trouble(FAILED, "%s: %s has pages lost, but not FAILED", after,
			what);
	return lost;
}

static bool has_changed(const struct area *area, size_t page)
{
	char now[PAGE];

	return pread(area->fd, now, PAGE, page * PAGE) != (ssize_t)PAGE ||
	       memcmp(now, area->before + page * PAGE, PAGE);
}

/* True if everything was. */
static bool check_reported(struct scene *scene, const char *after)
{
	struct pages reported;
	size_t i, page, nr = 0;

	store_to(scene, 2);
	if (scan_pages(scene->track, WPFILE_SCAN_PROTECT, &reported))
		trouble(FAILED, "%s: SCAN", after);
	for (page = 0; page < SCENE_PAGES; page++)
		nr += reported.has[page];
	for (i = 0; i < ARRAY_SIZE(parts); i++)
		for (page = parts[i].first;
		     page < parts[i].first + parts[i].nr; page++)
			if (!reported.has[page] &&
			    !scene->reported.has[page] &&
			    has_changed(&scene->area, page))
				trouble(LOST_WRITE, "%s: page %zu", after,
					page);
	return nr == SCENE_PAGES;
}

static int next_fd(void)
{
	int fd = dup(0);

	close(fd);
	return fd;
}

/* Nothing is left of what failed. */
static void check_made(struct scene *scene, int next, const char *after)
{
	struct wpfile_query here, there;
	unsigned int monitors;
	bool made = scene->new_fd >= 0;

	if (wp_query(scene->area.fd, &here) || wp_query(scene->other.fd, &there))
		trouble(FAILED, "%s: QUERY", after);
	monitors = here.ret_monitors[WPFILE_TRACK] +
		   here.ret_monitors[WPFILE_CAPTURE] +
		   there.ret_monitors[WPFILE_TRACK] +
		   there.ret_monitors[WPFILE_CAPTURE];
	if (monitors != 3 && !(made && monitors == 4))
		trouble(FAILED, "%s: %u monitors", after, monitors);
	if (made != (scene->new_fd == next) || next_fd() != next + made)
		trouble(FAILED, "%s: made %d, and %d is the next, before %d",
			after, scene->new_fd, next_fd(), next);
}

static void check_end(struct scene *scene, const char *after)
{
	size_t i;

	if (wp_wait_count(scene->area.fd, WPFILE_TRACK, 0, 20) ||
	    wp_wait_count(scene->area.fd, WPFILE_CAPTURE, 0, 20) ||
	    wp_wait_count(scene->other.fd, WPFILE_TRACK, 0, 20) ||
	    wp_wait_count(scene->other.fd, WPFILE_CAPTURE, 0, 20))
		trouble(FAILED, "%s: a monitor is left", after);
	for (i = 0; i < ARRAY_SIZE(parts); i++)
		store_to(scene, parts[i].first);
	area_free(&scene->area);
	area_free(&scene->other);
}

/* --- the walk --- */

static void check_scene(struct scene *scene, const struct operation *operation,
			const char *after, struct exits *exits, int ret)
{
	bool lost;

	if (ret < 0 && (operation->expected & WORKS || !is_legal(-ret)))
		trouble(FAILED, "%s", after);
	lost = check_said(scene->snapshot, scene->area.before, after,
			     "the snapshot");
	lost |= check_said(scene->capture, held, after, "CAPTURE");
	/* What has been cut off cannot be stored to. */
	if (ftruncate(scene->area.fd, SCENE_PAGES * PAGE))
		trouble(FAILED, "%s: ftruncate: %m", after);
	exits->told_all += check_reported(scene, after);
	exits->failed += ret < 0;
	exits->lost += lost;
}

/* On a new scene.  True if there was an allocation to fail. */
static bool fail_nth(const struct operation *operation, unsigned int nth,
		     struct scene *scene, struct exits *exits)
{
	struct exits last = {}; /* that has nothing failing */
	int next = next_fd(), ret = -EIO;
	char after[80];
	bool taken;

	fault_at(nth);
	if (control->exits_only)
		faults_on(); /* after the nth */
	if (!sigsetjmp(after_fault, 1))
		ret = operation->act(scene);
	taken = fault_taken();
	if (control->exits_only)
		faults_off();
	if (scene->cut_again)
		hold(scene->area.fd);
	snprintf(after, sizeof(after), "%s, allocation %u %s, %s",
		 operation->name, nth, taken ? "failed" : "not made",
		 ret < 0 ? strerrorname_np(-ret) : "ok");
	check_made(scene, next, after);
	check_scene(scene, operation, after, taken ? exits : &last, ret);
	clear_scene(scene);
	check_end(scene, after);
	if (taken)
		exits->taken++;
	else if (ret < 0 || last.lost)
		trouble(FAILED, "%s", after);
	return taken;
}

/* @row and @objects_only: as in faults_in_a_row(), if alone. */
static void walk(const struct operation *operation, struct exits *exits,
		 unsigned int row, bool objects_only)
{
	/* How many pages are asked for varies: a few more, to be sure. */
	unsigned int sure = objects_only ? 1 : 4, untaken = 0, nth;
	struct scene scene;
	int ret;

	/* Both have their files opened before any are counted. */
	faults_off();
	fault_at(0);
	for (nth = 1; untaken < sure && !stopping(); nth++) {
		ret = set_scene(&scene, operation->kind);
		if (ret) {
			trouble(FAILED, "no scene for %s: %s", operation->name,
				strerrorname_np(-ret));
			return;
		}
		if (operation->before)
			exits->missing = operation->before(&scene);
		if (exits->missing) {
			clear_scene(&scene);
			check_end(&scene, operation->name);
			return;
		}
		if (control->exits_only)
			faults_in_a_row(row, objects_only);
		if (fail_nth(operation, nth, &scene, exits))
			untaken = 0;
		else
			untaken++;
	}
}

void walk_exits(void)
{
	size_t i;

	signal(SIGBUS, leave);
	setpriority(PRIO_PROCESS, 0, -10); /* of so many processes */
	while (!stopping())
		for (i = 0; i < nr_operations; i++)
			walk(&operations[i], &control->exits[i], 1, false);
}

uint64_t exits_taken(void)
{
	uint64_t taken = 0;
	size_t i;

	for (i = 0; i < nr_operations; i++)
		taken += control->exits[i].taken;
	return taken;
}

/* --- the results --- */

void say_exits(void)
{
	const struct exits *exits;
	size_t i;

	for (i = 0; i < nr_operations; i++) {
		exits = &control->exits[i];
		ksft_print_msg(
			"%s: %u exits: %u calls failed, %u captures FAILED, %u told of every page\n",
			operations[i].name, exits->taken, exits->failed,
			exits->lost, exits->told_all);
	}
}

static bool as_expected(const struct operation *operation,
			const struct exits *exits)
{
	int expected = operation->expected;

	return (exits->taken || expected & IN_MEMORY) &&
	       (!(expected & NEEDS) || exits->failed) &&
	       (!(expected & LOSES) || exits->lost) &&
	       (!(expected & TELLS_ALL) || exits->told_all);
}

static void report_operation(size_t i)
{
	const struct operation *operation = &operations[i];
	struct exits *exits = &control->exits[i];
	int what;

	/* Some ask twice, and in another way, before they give up. */
	walk(operation, exits, 3, true);
	walk(operation, exits, 1, false);
	for (what = NONE + 1; what < NR_TROUBLES; what++)
		if (control->troubles[what])
			ksft_print_msg("%s\n", control->trouble[what]);
	if (exits->missing)
		ksft_test_result_skip("%s: no %s\n", operation->name,
				      exits->missing);
	else
		ksft_test_result(!stopping() && as_expected(operation, exits),
				 "%s\n", operation->name);
	/* The next one is a matter of its own. */
	memset(control->troubles, 0, sizeof(control->troubles));
	control->stop = false;
}

/*
 * Objects of a cache that have wpfile in the stack of their allocation, as SLUB
 * notes it: "   COUNT CALLER ...", and below it, further to the right, the stack.
 */
static int objects_in(const char *cache, bool say)
{
	char path[200], made[200] = "", *line = NULL;
	size_t length = 0;
	int left = 0;
	FILE *file;

	/* KASAN keeps what has been freed, for a while: not after this. */
	snprintf(path, sizeof(path), "/sys/kernel/slab/%s/shrink", cache);
	file_write(path, "1");
	snprintf(path, sizeof(path), "/sys/kernel/debug/slab/%s/alloc_traces",
		 cache);
	file = fopen(path, "re");
	while (file && getline(&line, &length, file) > 0) {
		if (strncmp(line, "        ", 8))
			snprintf(made, sizeof(made), "%s", line);
		if (!strstr(line, "wpfile_") || strstr(line, "_init+"))
			continue;
		if (say && made[0])
			ksft_print_msg("%s: %s", cache, made);
		left += atoi(made);
		made[0] = 0; /* counted */
	}
	if (file)
		fclose(file);
	free(line);
	return left;
}

/* Of those that wpfile uses.  -1: SLUB takes no notes. */
static int objects_left(bool say)
{
	static const char *const patterns[] = { "kmalloc-cg-*", "maple_node",
						"filp", "shmem_inode_cache" };
	int left = 0, flags = 0;
	glob_t caches;
	char path[200];
	size_t i;

	for (i = 0; i < ARRAY_SIZE(patterns); i++, flags = GLOB_APPEND) {
		snprintf(path, sizeof(path),
			 "/sys/kernel/debug/slab/%s/alloc_traces", patterns[i]);
		if (glob(path, flags, NULL, &caches))
			return -1;
	}
	for (i = 0; i < caches.gl_pathc; i++)
		left += objects_in(basename(dirname(caches.gl_pathv[i])), say);
	globfree(&caches);
	return left;
}

/* They go after grace periods. */
static void report_objects(void)
{
	int tries, left;

	for (tries = 0; tries < 5; tries++) {
		left = objects_left(tries == 4);
		if (left <= 0)
			break;
		sleep_ms(1000);
	}
	if (left < 0)
		ksft_test_result_skip("no object is left: no slab_debug=U\n");
	else
		ksft_test_result(!left, "no object is left\n");
}

/* --exits: once each, in quiet; exits. */
void report_exits(void)
{
	size_t i;

	signal(SIGBUS, leave);
	ksft_set_plan(nr_operations + 1);
	for (i = 0; i < nr_operations; i++)
		report_operation(i);
	say_exits();
	report_objects();
	ksft_finished();
}
