/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the tests of the kernel part share.  Nothing here decides whether a
 * test passes, and nothing here knows the harness: a function that can fail
 * returns -errno (or "error ..." where it returns text).
 */
#ifndef WPFILE_TESTS_COMMON_H
#define WPFILE_TESTS_COMMON_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <linux/wpfile.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define PAGE		((size_t)4096)
#define HUGE		((size_t)2 << 20)
#define HUGE_PAGES	(HUGE / PAGE)
#define MAX_PAGES	8192

/* --- ioctl.c: the ioctls; what they returned, or -errno --- */

int wp_call(int fd, unsigned long request, void *argument);
int wp_device(void);			/* /dev/wpfile, opened once */
int wp_query(int fd, struct wpfile_query *query);
int wp_count(int fd, __u32 mode);	/* monitors of the file by QUERY */
int wp_wait_count(int fd, __u32 mode, int wanted, int seconds);
long wp_state(int fd);		/* WPFILE_STATE_* bits by QUERY */
int wp_monitor_with(int fd, struct wpfile_monitor request);	/* but its size */
int wp_monitor(int fd, __u32 mode);
int wp_monitor_limited(int fd, __u64 capture_limit);
int wp_monitor_at(const void *address, __u32 mode);
int wp_snapshot(int fd);
int wp_snapshot_limited(int fd, __u64 capture_limit);
int wp_snapshot_at(const void *address);
int wp_protect(int monitor, __u64 offset, __u64 length);
int wp_protect_ranges(int monitor, const struct wpfile_range *ranges, __u32 nr);
int wp_protect_or_close(int monitor);	/* all of the file; the monitor */
int wp_unprotect_ranges(int monitor, const struct wpfile_range *ranges,
			__u32 nr);
int wp_unprotect(int monitor, __u64 offset, __u64 length);
int wp_scan(int monitor, struct wpfile_scan *scan, struct wpfile_range *ranges,
	    __u32 nr, __u64 offset, __u64 length, __u32 flags);

int wp_resolve(int monitor, __u64 id, __u32 verdict);
int wp_join(int fd);
int wp_forbid(int fd);

/* --- pages.c: sets of pages, and their text: "1 5-7", or "" --- */

struct pages {
	unsigned char has[MAX_PAGES];
};

const char *pages_text(const struct pages *pages);
bool pages_cover(const struct pages *outer, const struct pages *inner);
void pages_round(struct pages *pages, size_t block);

/* The pages whose bit is clear, over as many SCANs as it takes. */
int scan_pages(int monitor, __u32 flags, struct pages *pages);
const char *written(int monitor);	/* as text, and protects them again */
const char *unprotected(int monitor);	/* as text, and changes nothing */

/* --- area.c: files in shared memory, with a mapping --- */

enum kind { MEMFD, TMPFS, TMPFS_HUGE, SYSV, ANON };

struct area {
	enum kind kind;
	int fd;		/* of SYSV and ANON: through /proc/self/map_files */
	int id;		/* of SYSV */
	size_t size;
	char *map;	/* NULL, or shared and writable, HUGE-aligned */
	char *home;	/* of SYSV and ANON: a mapping that area_leave() left */
	char *before;	/* what the file should contain */
};

int area_make(struct area *area, enum kind kind, size_t size);
/* The same, with content of version 1 and a mapping. */
int area_make_filled(struct area *area, enum kind kind, size_t size);
void area_free(struct area *area);
int area_map(struct area *area);
void area_unmap(struct area *area);
void area_leave(struct area *area);	/* the next area_map() maps anew */
/* mremap(), to @shift pages behind a multiple of HUGE. */
int area_move(struct area *area, unsigned int shift);
char *map_file(int fd, size_t size, int prot);	/* shared; NULL: errno */
int map_files_open(const void *map, size_t size);
int tmpfs_new(const char *huge);	/* fd of the directory; goes with it */

/* By file descriptor, or by address where the kind has none. */
int area_monitor(const struct area *area, __u32 mode);
int area_snapshot(const struct area *area);
/* A monitor that protects all of it, however far it may grow. */
int area_protect(const struct area *area, __u32 mode);

/* The content of page @index in @version, never 0. */
void fill(void *page, size_t index, unsigned int version);
int area_fill_page(struct area *area, size_t index, unsigned int version);
int area_fill(struct area *area, unsigned int version);
/* Stores, through the mapping, what is there: all entries are writable. */
void area_touch(struct area *area);
void area_load(struct area *area);	/* reads every page */
int area_page_out(struct area *area);	/* 0 only if all of it is in swap */
bool area_is_huge(const struct area *area); /* mapped by huge entries only */
bool map_is_huge(const void *map, size_t size);

/* "same", or where the first @size bytes of @fd differ from @expected. */
const char *compare(int fd, const char *expected, size_t size);
const char *compare_memory(const char *seen, const char *expected, size_t size);
void changed_pages(const struct area *area, struct pages *pages);

/* --- system.c: what /proc, /sys and cgroups say --- */

int file_write(const char *path, const char *text);
int file_read(const char *path, char *text, size_t size);
long file_number(const char *path, const char *key);	/* "key N", or -1 */
long fdinfo_number(int fd, const char *key);		/* of the caller */
long smaps_kib(const void *map, const char *key);
#define PM_SOFT_DIRTY	(1ULL << 55)
#define PM_UFFD_WP	(1ULL << 57)
#define PM_PRESENT	(1ULL << 63)
uint64_t pagemap(const void *page);	/* of the caller; 0 if it fails */
bool is_mapped(const void *page);	/* an entry of the caller is present */
unsigned long frame_of(const void *page);	/* 0 if none */
int open_fds(void);
long minor_faults(void);	/* of the calling thread */
void sleep_ms(unsigned int ms);
uint64_t now_ns(void);
bool can_be_preempted(void);	/* one CPU, and CONFIG_PREEMPT */
int nr_nodes(void);		/* with memory */
int try_to_move(const void *page, int node);	/* 0 if it is there now */
int move_to_node(const void *page, int node);	/* the same, with patience */
int seconds_to_run(int normal);	/* WPFILE_SECONDS, or normal */
unsigned int random_next(unsigned int *state);	/* not 0, nor the state */

/* --- hint.c: NUMA hinting --- */

/* Until a read of page @index was a hinting fault, made for this. */
int numa_hint(struct area *area, size_t index);

/* --- loop.c: loop devices --- */

int loop_attach(int file, int flags);	/* the device, open */
void loop_detach(int loop);

/* --- overlay.c: a file of tmpfs with overlayfs on top --- */

struct overlay {
	char top[32];
};

int overlay_mount(struct overlay *overlay);
/* Its "file" in "merged", or in "upper", where that one's content is. */
int overlay_open(const struct overlay *overlay, const char *layer);
void overlay_unmount(const struct overlay *overlay);

/* A memory cgroup; -1 in limits: none. */
int cgroup_make(char *path, size_t size, long memory_max, long swap_max);
int cgroup_enter(const char *path);
void cgroup_remove(const char *path);

/* --- memory.c: what is done to memory behind the back of its users --- */

bool has_swap(void);
int reclaim_memory(const char *amount);	/* of the caller's cgroup */
/*
 * All CPUs give back the pages that they have in batches for the LRU: until then
 * those have a reference more, and are neither moved nor swapped out.
 */
int drain_batches(void);
int compact_memory(void);
int collapse_memory(void *map, size_t size);	/* to huge pages */
int split_memory(const void *map, size_t size);	/* huge pages */

/* --- uffd.c --- */

int uffd_open(__u64 features);
int uffd_register(int uffd, const void *map, size_t size, __u64 mode);
int uffd_writeprotect(int uffd, const void *map, size_t size, bool on);
int uffd_continue(int uffd, const void *page);
int uffd_zeropage(int uffd, const void *page);
int uffd_copy(int uffd, const void *page, const void *from);
/*
 * A thread that answers: lifts uffd-wp, fills holes with zeros, maps what is
 * there (MINOR), lets fork() go on.
 */
int uffd_serve(int uffd);
unsigned int uffd_served(void);		/* faults, so far */
int uffd_register_for_fork(const void *map, size_t size);

/* --- worker.c: another process that does what it is told --- */

struct worker {
	pid_t pid;
	int fd;
};

typedef long (*worker_fn)(void *argument, long value);

int worker_start(struct worker *worker);
int worker_start_thread(struct worker *worker);	/* one of the caller's */
long worker_call(struct worker *worker, worker_fn fn, void *arg, long value);
void worker_begin(struct worker *worker, worker_fn fn, void *arg, long value);
long worker_end(struct worker *worker);
int worker_take_fd(struct worker *worker, int fd);
void worker_stop(struct worker *worker);

#endif
