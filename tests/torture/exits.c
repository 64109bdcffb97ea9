// SPDX-License-Identifier: GPL-2.0-only
/*
 * Every error exit: each operation is done with its first allocation failing,
 * then with its second, and so on, until it asks for no more.
 *
 * Each time on a new file, of which a snapshot is open and a TRACK monitor
 * protects everything.  Whatever the operation returns, afterwards the snapshot
 * shows what it did before, or EIO; every page that has changed was reported;
 * and the file can be written.
 */
#include "torture.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define SCENE_PAGES 600
#define FULL_PAGES 8 /* what is behind them is a hole, but for the last */

struct scene {
	struct area area;
	int track, snapshot;
	struct pages reported;
	int new_fd; /* what the operation made */
};

static sigjmp_buf after_fault;

static void leave(int signal)
{
	siglongjmp(after_fault, signal);
}

/* --- operations --- */

static void store_to(struct scene *scene, size_t page)
{
	scene->area.map[page * PAGE + 7]++;
}

static int store_to_full(struct scene *scene)
{
	store_to(scene, 2);
	return 0;
}

static int store_to_hole(struct scene *scene)
{
	store_to(scene, 300);
	return 0;
}

static int write_file(struct scene *scene)
{
	char bytes[3 * PAGE] = { 1 };

	return pwrite(scene->area.fd, bytes, sizeof(bytes), 2 * PAGE + 5) < 0 ?
		       -errno :
		       0;
}

static int punch(struct scene *scene)
{
	return fallocate(scene->area.fd,
			 FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
			 2 * PAGE + 9, 4 * PAGE) ?
		       -errno :
		       0;
}

static int allocate(struct scene *scene)
{
	return fallocate(scene->area.fd, 0, 6 * PAGE, 8 * PAGE) ? -errno : 0;
}

static int cut_off(struct scene *scene)
{
	return ftruncate(scene->area.fd, 3 * PAGE + 9) ? -errno : 0;
}

static int extend(struct scene *scene)
{
	return ftruncate(scene->area.fd, 2 * SCENE_PAGES * PAGE) ? -errno : 0;
}

static int make_track(struct scene *scene)
{
	return scene->new_fd = wp_monitor(scene->area.fd, WPFILE_TRACK);
}

static int make_capture(struct scene *scene)
{
	return scene->new_fd = area_protect(&scene->area, WPFILE_CAPTURE);
}

static int make_snapshot(struct scene *scene)
{
	return scene->new_fd = wp_snapshot(scene->area.fd);
}

static int protect_ranges(struct scene *scene)
{
	struct wpfile_range ranges[] = { { 1 * PAGE, 3 * PAGE },
					 { 5 * PAGE, 500 * PAGE },
					 { 550 * PAGE, WPFILE_TO_END } };

	return wp_protect_ranges(scene->track, ranges, 3);
}

static int unprotect_range(struct scene *scene)
{
	return wp_unprotect(scene->track, 3 * PAGE, 520 * PAGE);
}

static int scan(struct scene *scene)
{
	return scan_pages(scene->track, WPFILE_SCAN_PROTECT, &scene->reported);
}

static int read_snapshot(struct scene *scene)
{
	static char buffer[SCENE_PAGES * PAGE];

	return pread(scene->snapshot, buffer, sizeof(buffer), 0) < 0 ? -errno :
								       0;
}

static int seek_in_snapshot(struct scene *scene)
{
	return lseek(scene->snapshot, FULL_PAGES * PAGE, SEEK_DATA) < 0 ?
		       -errno :
		       0;
}

static int load_from_snapshot(struct scene *scene)
{
	char *map = map_file(scene->snapshot, SCENE_PAGES * PAGE, PROT_READ);
	int ret = 0;

	if (!map)
		return -errno;
	if (sigsetjmp(after_fault, 1)) {
		ret = -EIO;
	} else {
		*(volatile char *)map; /* captured, or live */
		*(volatile char *)(map + PAGE);
		*(volatile char *)(map + 400 * PAGE); /* a hole */
	}
	munmap(map, SCENE_PAGES * PAGE);
	return ret;
}

static const struct operation {
	const char *name;
	int (*act)(struct scene *scene);
} operations[] = {
	{ "store", store_to_full },
	{ "store to a hole", store_to_hole },
	{ "pwrite()", write_file },
	{ "punching", punch },
	{ "allocating", allocate },
	{ "truncating", cut_off },
	{ "extending", extend },
	{ "TRACK", make_track },
	{ "CAPTURE", make_capture },
	{ "SNAPSHOT", make_snapshot },
	{ "PROTECT", protect_ranges },
	{ "UNPROTECT", unprotect_range },
	{ "SCAN", scan },
	{ "read() of a snapshot", read_snapshot },
	{ "SEEK_DATA", seek_in_snapshot },
	{ "load from a snapshot", load_from_snapshot },
};

/* --- the scene --- */

static int set_scene(struct scene *scene)
{
	struct area *area = &scene->area;
	int ret, page;

	*scene = (struct scene){ .track = -1, .snapshot = -1, .new_fd = -1 };
	ret = area_make(area, MEMFD, SCENE_PAGES * PAGE);
	for (page = 0; page < FULL_PAGES && !ret; page++)
		ret = area_fill_page(area, page, 1);
	if (!ret)
		ret = area_fill_page(area, SCENE_PAGES - 1, 1);
	if (!ret)
		ret = area_map(area);
	if (ret)
		return ret;
	scene->snapshot = wp_snapshot(area->fd);
	scene->track = area_protect(area, WPFILE_TRACK);
	store_to(scene, 1);
	store_to(scene, 5);
	return scene->snapshot < 0 ? scene->snapshot :
	       scene->track < 0	   ? scene->track :
				     0;
}

static void clear_scene(struct scene *scene)
{
	close(scene->new_fd);
	close(scene->track);
	close(scene->snapshot);
	area_free(&scene->area);
}

/* Right, or lost and said so. */
static void check_snapshot(struct scene *scene, const char *after)
{
	char seen[PAGE];
	ssize_t done;
	size_t page;

	for (page = 0; page < SCENE_PAGES; page++) {
		done = pread(scene->snapshot, seen, PAGE, page * PAGE);
		if (done < 0 && errno == EIO)
			continue;
		if (done != (ssize_t)PAGE)
			trouble(FAILED, "%s: pread() of a snapshot gave %zd",
				after, done);
		else if (memcmp(seen, scene->area.before + page * PAGE, PAGE))
			trouble(WRONG_BYTE, "%s: page %zu of a snapshot", after,
				page);
	}
}

static void check_reported(struct scene *scene, const char *after)
{
	struct pages changed, reported;
	size_t page;

	store_to(scene, 2);
	if (scan_pages(scene->track, WPFILE_SCAN_PROTECT, &reported))
		trouble(FAILED, "%s: SCAN", after);
	changed_pages(&scene->area, &changed);
	for (page = 0; page < SCENE_PAGES; page++)
		if (changed.has[page] && !reported.has[page] &&
		    !scene->reported.has[page])
			trouble(LOST_WRITE, "%s: page %zu", after, page);
}

static void check_scene(struct scene *scene, const struct operation *operation,
			unsigned int nth, int ret)
{
	char after[80];

	snprintf(after, sizeof(after), "%s, allocation %u failed, %s",
		 operation->name, nth, ret < 0 ? strerrorname_np(-ret) : "ok");
	if (ret < 0 && ret != -ENOMEM && ret != -EIO)
		trouble(FAILED, "%s", after);
	check_snapshot(scene, after);
	/* What has been cut off cannot be stored to. */
	if (ftruncate(scene->area.fd, SCENE_PAGES * PAGE))
		trouble(FAILED, "%s: ftruncate: %m", after);
	check_reported(scene, after);
}

static void walk(const struct operation *operation)
{
	struct scene scene;
	unsigned int nth;
	bool taken = true;
	int ret;

	for (nth = 1; taken && !stopping(); nth++) {
		ret = set_scene(&scene);
		if (ret) {
			trouble(FAILED, "no scene for %s: %s", operation->name,
				strerrorname_np(-ret));
			return;
		}
		fault_at(nth);
		ret = operation->act(&scene);
		taken = fault_taken();
		check_scene(&scene, operation, nth, ret);
		clear_scene(&scene);
		__atomic_add_fetch(&control->exits, taken, __ATOMIC_RELAXED);
	}
}

void walk_exits(void)
{
	size_t i;

	signal(SIGBUS, leave);
	while (!stopping())
		for (i = 0; i < ARRAY_SIZE(operations); i++)
			walk(&operations[i]);
}
