// SPDX-License-Identifier: GPL-2.0-only
/* What is done with allocations failing; exits.c does it. */
#include "exits.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/userfaultfd.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/uio.h>
#include <unistd.h>

const int full_pages[NR_FULL] = { 0, 1, 2, 3, 4, 5, 6, 7, MIDDLE, LAST };
sigjmp_buf after_fault;

static int result(ssize_t ret)
{
	return ret < 0 ? -errno : 0;
}

/* --- writes --- */

void store_to(struct scene *scene, size_t page)
{
	scene->area.map[page * PAGE + 7]++;
}

static int store_to_full(struct scene *scene)
{
	store_to(scene, 2);
	return 0;
}

static int store_to_middle(struct scene *scene)
{
	store_to(scene, MIDDLE);
	return 0;
}

static int store_to_hole(struct scene *scene)
{
	store_to(scene, 300);
	return 0;
}

static int store_to_middle_hole(struct scene *scene)
{
	store_to(scene, MIDDLE + 100);
	return 0;
}

static int write_file(struct scene *scene)
{
	char bytes[3 * PAGE] = { 1 };

	return result(pwrite(scene->area.fd, bytes, sizeof(bytes),
			     2 * PAGE + 5));
}

static int write_middle(struct scene *scene)
{
	return result(pwrite(scene->area.fd, "some", 4, MIDDLE * PAGE + 5));
}

static int write_beyond(struct scene *scene)
{
	return result(pwrite(scene->area.fd, "some", 4,
			     2 * SCENE_PAGES * PAGE));
}

static int write_memory(struct scene *scene)
{
	struct iovec local = { "some", 4 };
	struct iovec remote = { scene->area.map + MIDDLE * PAGE, 4 };

	return result(process_vm_writev(getpid(), &local, 1, &remote, 1, 0));
}

static int punch(struct scene *scene)
{
	return result(fallocate(scene->area.fd,
				FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
				2 * PAGE + 9, (SCENE_PAGES - 4) * PAGE));
}

static int allocate(struct scene *scene)
{
	return result(fallocate(scene->area.fd, 0, 6 * PAGE, 8 * PAGE));
}

static int cut_off(struct scene *scene)
{
	return result(ftruncate(scene->area.fd, 3 * PAGE + 9));
}

static int extend(struct scene *scene)
{
	return result(ftruncate(scene->area.fd, 2 * SCENE_PAGES * PAGE));
}

static int fill_hole(struct scene *scene)
{
	struct uffdio_copy copy = {
		.dst = (uintptr_t)scene->area.map + (MIDDLE + 100) * PAGE,
		.src = (uintptr_t)scene->area.before,
		.len = PAGE,
	};

	return result(ioctl(scene->uffd, UFFDIO_COPY, &copy));
}

/* --- ioctls --- */

static int make_track(struct scene *scene)
{
	return scene->new_fd = wp_monitor(scene->area.fd, WPFILE_TRACK);
}

static int make_capture(struct scene *scene)
{
	return scene->new_fd = wp_monitor(scene->area.fd, WPFILE_CAPTURE);
}

static int make_snapshot(struct scene *scene)
{
	return scene->new_fd = wp_snapshot(scene->area.fd);
}

static int make_first(struct scene *scene)
{
	return scene->new_fd = wp_monitor(scene->other.fd, WPFILE_TRACK);
}

static int make_first_snapshot(struct scene *scene)
{
	return scene->new_fd = wp_snapshot(scene->other.fd);
}

static const struct wpfile_range some_ranges[] = {
	{ 1 * PAGE, 3 * PAGE },
	{ 5 * PAGE, 600 * PAGE },
	{ 650 * PAGE, WPFILE_TO_END },
};

/* What is protected anew counts as known: nobody wants to hear of it. */
static int protect_and_forget(struct scene *scene,
			      const struct wpfile_range *ranges, size_t nr)
{
	int ret = wp_protect_ranges(scene->track, ranges, nr);
	size_t i, page;

	for (i = 0; i < nr && !ret; i++)
		for (page = ranges[i].offset / PAGE;
		     page < SCENE_PAGES &&
		     (page * PAGE - ranges[i].offset) < ranges[i].length;
		     page++)
			scene->reported.has[page] = true;
	return ret;
}

static int protect_track(struct scene *scene)
{
	return protect_and_forget(scene, some_ranges, ARRAY_SIZE(some_ranges));
}

static int protect_capture(struct scene *scene)
{
	int ret = wp_protect_ranges(scene->capture, some_ranges, 3);

	scene->cut_again = !ret;
	return ret;
}

/* As many ranges as do not fit into a page. */
static int protect_many(struct scene *scene)
{
	struct wpfile_range ranges[SCENE_PAGES / 2];
	size_t i;

	for (i = 0; i < ARRAY_SIZE(ranges); i++)
		ranges[i] = (struct wpfile_range){ 2 * i * PAGE, PAGE };
	return protect_and_forget(scene, ranges, ARRAY_SIZE(ranges));
}

static int unprotect_track(struct scene *scene)
{
	return wp_unprotect(scene->track, 3 * PAGE, 1000 * PAGE);
}

/* What it does not touch it must still know: only holes are given up. */
static int unprotect_capture(struct scene *scene)
{
	return wp_unprotect(scene->capture, (LAST + 5) * PAGE, 1000 * PAGE);
}

static int scan(struct scene *scene)
{
	return scan_pages(scene->track, 0, &scene->reported);
}

static int scan_and_protect(struct scene *scene)
{
	return scan_pages(scene->track, WPFILE_SCAN_PROTECT, &scene->reported);
}

/* --- readers --- */

/* What cannot be read ends it, in silence if something could. */
static int read_some(int fd)
{
	char buffer[12 * PAGE];
	ssize_t done = pread(fd, buffer, sizeof(buffer), 0);

	return done >= 0 && done < (ssize_t)sizeof(buffer) ? -ENOMEM :
							      result(done);
}

static int read_snapshot(struct scene *scene)
{
	return read_some(scene->snapshot);
}

static int read_capture(struct scene *scene)
{
	return read_some(scene->capture);
}

static int send_snapshot(struct scene *scene)
{
	off_t offset = 0;

	return result(sendfile(scene->other.fd, scene->snapshot, &offset,
			       8 * PAGE));
}

static int open_again(struct scene *scene)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", scene->snapshot);
	scene->new_fd = open(path, O_RDONLY | O_CLOEXEC);
	/* So says procfs without memory for what it is to find. */
	if (scene->new_fd < 0 && errno == ENOENT)
		return -ENOMEM;
	return result(scene->new_fd);
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
		*(volatile char *)(map + MIDDLE * PAGE);
	}
	/* It splits a VMA, for which it needs memory, and holds the snapshot. */
	while (munmap(map, SCENE_PAGES * PAGE))
		;
	return ret;
}

/* --- what comes before --- */

static const char *page_out(struct scene *scene)
{
	size_t i;
	bool swapped = false;
	int tries;

	if (!has_swap())
		return "swap";
	for (tries = 0; tries < 50 && !swapped; tries++) {
		if (drain_batches())
			break;
		for (i = 0; i < NR_FULL; i++)
			*(volatile char *)(scene->area.map + full_pages[i] * PAGE);
		madvise(scene->area.map, SCENE_PAGES * PAGE, MADV_PAGEOUT);
		swapped = smaps_kib(scene->area.map, "Swap:") >=
			  (long)NR_FULL * 4;
		if (!swapped)
			sleep_ms(20);
	}
	if (control->exits_only && !swapped)
		trouble(FAILED, "pages are not swapped out");
	/* From the swap cache, too: there, nothing needs memory. */
	reclaim_memory("1M");
	return NULL;
}

static const char *watch_holes(struct scene *scene)
{
	scene->uffd = uffd_open(0);
	return scene->uffd < 0 ||
			       uffd_register(scene->uffd,
					     scene->area.map +
						     (MIDDLE + 100) * PAGE,
					     PAGE, UFFDIO_REGISTER_MODE_MISSING) ?
		       "userfaultfd" :
		       NULL;
}

/* --- the operations --- */

const struct operation operations[] = {
	{ "store", store_to_full, WORKS | LOSES, MEMFD, NULL },
	{ "first store", store_to_middle, WORKS | LOSES | TELLS_ALL, MEMFD,
	  NULL },
	{ "store to a hole", store_to_hole, WORKS, MEMFD, NULL },
	{ "first store to a hole", store_to_middle_hole,
	  WORKS | LOSES | TELLS_ALL, MEMFD, NULL },
	{ "store to swap", store_to_full, WORKS | LOSES, MEMFD, page_out },
	{ "store to a huge page", store_to_middle, WORKS | LOSES | TELLS_ALL,
	  TMPFS_HUGE, NULL },
	{ "pwrite()", write_file, WORKS | LOSES, MEMFD, NULL },
	{ "first pwrite()", write_middle, WORKS | LOSES | TELLS_ALL, MEMFD,
	  NULL },
	{ "pwrite() beyond the end", write_beyond, MAY_FAIL | TELLS_ALL, MEMFD,
	  NULL },
	{ "pwrite() to swap", write_file, MAY_FAIL | LOSES, MEMFD, page_out },
	{ "process_vm_writev()", write_memory, MAY_FAIL | LOSES | TELLS_ALL,
	  MEMFD, NULL },
	{ "punching", punch, WORKS | LOSES | TELLS_ALL, MEMFD, NULL },
	{ "punching swap", punch, MAY_FAIL | LOSES | TELLS_ALL, MEMFD,
	  page_out },
	{ "allocating", allocate, MAY_FAIL, MEMFD, NULL },
	{ "truncating", cut_off, WORKS | LOSES | TELLS_ALL, MEMFD, NULL },
	{ "extending", extend, WORKS | TELLS_ALL, MEMFD, NULL },
	{ "UFFDIO_COPY", fill_hole, MAY_FAIL | LOSES | TELLS_ALL, MEMFD,
	  watch_holes },
	{ "TRACK", make_track, NEEDS, MEMFD, NULL },
	{ "CAPTURE", make_capture, NEEDS, MEMFD, NULL },
	{ "SNAPSHOT", make_snapshot, NEEDS, MEMFD, NULL },
	{ "the first TRACK", make_first, NEEDS, MEMFD, NULL },
	{ "the first SNAPSHOT", make_first_snapshot, NEEDS, MEMFD, NULL },
	{ "PROTECT of TRACK", protect_track, NEEDS, MEMFD, NULL },
	{ "PROTECT of CAPTURE", protect_capture, NEEDS, MEMFD, NULL },
	{ "PROTECT of many ranges", protect_many, NEEDS, MEMFD, NULL },
	{ "UNPROTECT of TRACK", unprotect_track, NEEDS, MEMFD, NULL },
	{ "UNPROTECT of CAPTURE", unprotect_capture, NEEDS, MEMFD, NULL },
	{ "SCAN", scan, NEEDS, MEMFD, NULL },
	{ "SCAN that protects", scan_and_protect, NEEDS, MEMFD, NULL },
	{ "read() of a snapshot", read_snapshot, MAY_FAIL | IN_MEMORY, MEMFD,
	  NULL },
	{ "read() of swap by a snapshot", read_snapshot, MAY_FAIL, MEMFD,
	  page_out },
	{ "pread() of CAPTURE", read_capture, MAY_FAIL | IN_MEMORY, MEMFD,
	  NULL },
	{ "sendfile() of a snapshot", send_snapshot, NEEDS, MEMFD, NULL },
	{ "open() of a snapshot", open_again, NEEDS, MEMFD, NULL },
	{ "load from a snapshot", load_from_snapshot, NEEDS, MEMFD, NULL },
};

const size_t nr_operations = ARRAY_SIZE(operations);

_Static_assert(ARRAY_SIZE(operations) <= MAX_OPERATIONS,
	       "struct control has too few");
