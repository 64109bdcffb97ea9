// SPDX-License-Identifier: GPL-2.0-only
/*
 * What operations on shared memory cost, in instructions; see tests/cost/run.
 *
 *	cost stock|never|other|this
 *
 * stock: the kernel has no wpfile.  never: no monitor was ever made.  other: a
 * TRACK and a CAPTURE monitor protect another file.  this: both are monitors
 * of the file that is worked on, and protect nothing.
 *
 * Under "tests/vm/run --icount" a tick of the time stamp counter is an
 * instruction, of user space, kernel and interrupts alike.  One line a row:
 *
 *	row NAME MEDIAN LOWER UPPER
 *
 * per operation, over the rounds after warming up; the last two are quartiles.
 */
#include "../kernel/common.h"
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <linux/io_uring.h>
#include <linux/userfaultfd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>
#include <x86intrin.h>

#define SIZE		((size_t)64 << 20)
#define PAGES		(SIZE / PAGE)
#define SOME		2048	/* pages, where 64 MiB would take too long */
#define WARM_UP		2
#define ROUNDS		9
#define FAULT_AROUND	"/sys/kernel/debug/fault_around_bytes"

static int fd;			/* the file, SIZE bytes */
static char *map;		/* of it, or of anonymous memory */
static int uffd, ring, pipe_fds[2], null;

#define must(call) ({							\
	__typeof__(call) _ret = (call);					\
	if ((long)_ret == -1)						\
		err(1, "%s", #call);					\
	_ret;								\
})

/* --- what rows are made of --- */

static void load_each(size_t step, size_t size)
{
	for (size_t at = 0; at < size; at += step)
		*(volatile char *)(map + at);
}

static void store_each(size_t size)
{
	for (size_t at = 0; at < size; at += PAGE)
		*(volatile char *)(map + at) = 1;
}

static void map_as(int prot, int flags, int file)
{
	map = must(mmap(NULL, SIZE, prot, flags, file, 0));
}

static void map_shared(void)
{
	map_as(PROT_READ | PROT_WRITE, MAP_SHARED, fd);
}

static void map_present(void)
{
	map_shared();
	store_each(SIZE);
}

static void map_holes(void)
{
	must(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, SIZE));
	map_shared();
}

static void map_anonymous(void)
{
	map_as(PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1);
	store_each(SIZE);
}

static void unmap(void)
{
	must(munmap(map, SIZE));
}

/* A row that leaves holes behind. */
static void unmap_and_fill(void)
{
	store_each(SIZE);
	unmap();
}

static void set_fault_around(const char *bytes)
{
	if (file_write(FAULT_AROUND, bytes))
		errx(1, "%s: cannot write", FAULT_AROUND);
}

/* --- faults --- */

static void map_one_by_one(void)
{
	set_fault_around("4096");
	map_shared();
}

static void unmap_one_by_one(void)
{
	set_fault_around("65536");
	unmap();
}

static void load_pages(void)
{
	load_each(PAGE, SIZE);
}

static void load_some(void)
{
	load_each(PAGE, SOME * PAGE);
}

static void load_around(void)
{
	load_each(16 * PAGE, SIZE);
}

static void store_pages(void)
{
	store_each(SIZE);
}

static void store_some(void)
{
	store_each(SOME * PAGE);
}

/* Present entries, read-only since soft-dirty was cleared. */
static void map_soft_clean(void)
{
	map_present();
	if (file_write("/proc/self/clear_refs", "4"))
		errx(1, "/proc/self/clear_refs: cannot write");
}

static void fork_once(void)
{
	pid_t child = must(fork());

	if (!child)
		_exit(0);
	must(waitpid(child, NULL, 0));
}

/* Present entries, read-only since a child had them too. */
static void map_after_fork(void)
{
	map_anonymous();
	fork_once();
}

static void dontneed_and_store(void)
{
	must(madvise(map, SIZE, MADV_DONTNEED));
	store_each(SIZE);
}

/* --- system calls on the file --- */

static char content[PAGE] = { 1 };

static void pwrite_pages(void)
{
	for (size_t at = 0; at < SOME * PAGE; at += PAGE)
		must(pwrite(fd, content, PAGE, at));
}

static void punch_pages(void)
{
	for (size_t at = 0; at < SOME * PAGE; at += PAGE)
		must(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
			       at, PAGE));
}

static void truncate_and_grow(void)
{
	for (int i = 0; i < SOME / 2; i++) {
		must(ftruncate(fd, SIZE - PAGE));
		must(ftruncate(fd, SIZE));
	}
}

/* --- mappings as a whole --- */

static void forks(void)
{
	for (int i = 0; i < 100; i++)
		fork_once();
}

static void map_read_only(void)
{
	map_present();
	must(mprotect(map, SIZE, PROT_READ));
}

static void map_anonymous_read_only(void)
{
	map_anonymous();
	must(mprotect(map, SIZE, PROT_READ));
}

static void protect(void)
{
	must(mprotect(map, SIZE, PROT_READ));
}

static void unprotect(void)
{
	must(mprotect(map, SIZE, PROT_READ | PROT_WRITE));
}

/* --- references to pages --- */

static void wake(void)
{
	for (int i = 0; i < 10000; i++)
		must(syscall(SYS_futex, map, FUTEX_WAKE, 1, NULL, NULL, 0));
}

/* Into other pages of the same process: pin_user_pages_remote(FOLL_WRITE). */
static void vm_write(void)
{
	static struct iovec remote[512];
	struct iovec local = { content, 512 };

	for (size_t page = 0; page < PAGES; page += 512) {
		for (int i = 0; i < 512; i++)
			remote[i] = (struct iovec){ map + (page + i) * PAGE, 1 };
		must(process_vm_writev(getpid(), &local, 1, remote, 512, 0));
	}
}

static void splice_pages(void)
{
	for (size_t at = 0; at < SIZE; at += 16 * PAGE) {
		struct iovec pages = { map + at, 16 * PAGE };

		must(vmsplice(pipe_fds[1], &pages, 1, 0));
		must(splice(pipe_fds[0], NULL, null, NULL, 16 * PAGE, 0));
	}
}

/* pin_user_pages(FOLL_WRITE | FOLL_LONGTERM) */
static void pin_pages(void)
{
	struct iovec pages = { map, SIZE };

	must(syscall(SYS_io_uring_register, ring, IORING_REGISTER_BUFFERS,
		     &pages, 1));
	must(syscall(SYS_io_uring_register, ring, IORING_UNREGISTER_BUFFERS,
		     NULL, 0));
}

/* --- userfaultfd --- */

static void map_for_uffd(void)
{
	map_holes();
	if (uffd_register(uffd, map, SIZE, UFFDIO_REGISTER_MODE_MISSING))
		errx(1, "userfaultfd: cannot register");
}

static void copy_to_holes(void)
{
	for (size_t at = 0; at < SOME * PAGE; at += PAGE) {
		struct uffdio_copy copy = {
			.dst = (uintptr_t)map + at,
			.src = (uintptr_t)content,
			.len = PAGE,
		};

		must(ioctl(uffd, UFFDIO_COPY, &copy));
	}
}

static void unmap_uffd(void)
{
	unmap();
	map_shared();
	unmap_and_fill();
}

/* --- the table --- */

static const struct row {
	const char *name;
	size_t operations;
	void (*before)(void);
	void (*run)(void);
	void (*after)(void);
} rows[] = {
	{ "read_fault", PAGES, map_one_by_one, load_pages, unmap_one_by_one },
	{ "read_fault_16", PAGES / 16, map_shared, load_around, unmap },
	{ "read_fault_hole", SOME, map_holes, load_some, unmap_and_fill },
	{ "write_fault", PAGES, map_shared, store_pages, unmap },
	{ "write_fault_hole", SOME, map_holes, store_some, unmap_and_fill },
	{ "write_fault_upgrade", PAGES, map_soft_clean, store_pages, unmap },
	{ "write_fault_anon", PAGES, map_after_fork, store_pages, unmap },
	{ "dontneed_and_fault", PAGES, map_present, dontneed_and_store, unmap },
	{ "pwrite_4k", SOME, map_present, pwrite_pages, unmap },
	{ "fork_64m", 100, map_present, forks, unmap },
	{ "mprotect_ro_page", PAGES, map_present, protect, unmap },
	{ "mprotect_rw_page", PAGES, map_read_only, unprotect, unmap },
	{ "mprotect_anon_page", PAGES, map_anonymous_read_only, unprotect, unmap },
	{ "futex_wake", 10000, map_present, wake, unmap },
	{ "vm_writev_page", PAGES, map_present, vm_write, unmap },
	{ "vmsplice_page", PAGES, map_present, splice_pages, unmap },
	{ "pin_page", PAGES, map_present, pin_pages, unmap },
	{ "punch_page", SOME, map_present, punch_pages, unmap_and_fill },
	{ "truncate_and_grow", SOME / 2, map_present, truncate_and_grow,
	  unmap_and_fill },
	{ "uffd_copy", SOME, map_for_uffd, copy_to_holes, unmap_uffd },
};

static int compare_numbers(const void *a, const void *b)
{
	const unsigned long *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

static unsigned long measure(const struct row *row)
{
	unsigned long start, ticks;

	row->before();
	start = __rdtsc();
	row->run();
	ticks = __rdtsc() - start;
	row->after();
	return ticks;
}

static void report(const struct row *row)
{
	unsigned long ticks[ROUNDS];
	double ops = row->operations;

	for (int i = -WARM_UP; i < ROUNDS; i++)
		ticks[i < 0 ? 0 : i] = measure(row);
	qsort(ticks, ROUNDS, sizeof(*ticks), compare_numbers);
	printf("row %s %.3f %.3f %.3f\n", row->name, ticks[ROUNDS / 2] / ops,
	       ticks[ROUNDS / 4] / ops, ticks[ROUNDS * 3 / 4] / ops);
	fflush(stdout);
}

/* --- before --- */

/* A loop of two instructions, as often as not interrupted. */
static void check_that_ticks_are_instructions(void)
{
	for (int tries = 0; tries < 10; tries++) {
		unsigned long start = __rdtsc(), left = 100000, ticks;

		asm volatile("1: dec %0; jnz 1b" : "+r"(left));
		ticks = __rdtsc() - start;
		if (ticks >= 200000 && ticks < 200020)
			return;
	}
	errx(1, "the time stamp counter does not count instructions: run this with tests/vm/run --icount");
}

static void make_monitors(int file, __u64 protect)
{
	int track = wp_monitor(file, WPFILE_TRACK);
	int capture = wp_monitor(file, WPFILE_CAPTURE);

	if (track < 0 || capture < 0 ||
	    (protect && (wp_protect(track, 0, protect) ||
			 wp_protect(capture, 0, protect))))
		errx(1, "cannot make the monitors");
}

static void enter(const char *state)
{
	struct wpfile_query query;
	int other = must(memfd_create("other", MFD_CLOEXEC));
	bool known = !wp_query(fd, &query);

	must(ftruncate(other, 16 * PAGE));
	for (int i = 0; i < 16; i++)
		must(pwrite(other, content, PAGE, i * PAGE));
	if (known != !!strcmp(state, "stock"))
		errx(1, "%s: the kernel %s wpfile", state,
		     known ? "knows" : "does not know");
	if (!strcmp(state, "other"))
		make_monitors(other, 16 * PAGE);
	else if (!strcmp(state, "this"))
		make_monitors(fd, 0);
	else if (strcmp(state, "stock") && strcmp(state, "never"))
		errx(1, "usage: cost stock|never|other|this");
}

static void open_everything(void)
{
	struct io_uring_params params = {};

	fd = must(memfd_create("cost", MFD_CLOEXEC));
	must(ftruncate(fd, SIZE));
	map_present();
	unmap();
	null = must(open("/dev/null", O_WRONLY | O_CLOEXEC));
	must(pipe2(pipe_fds, O_CLOEXEC));
	ring = must(syscall(SYS_io_uring_setup, 1, &params));
	uffd = uffd_open(0);
	if (uffd < 0)
		errx(1, "userfaultfd: %s", strerror(-uffd));
}

int main(int argc, char **argv)
{
	check_that_ticks_are_instructions();
	open_everything();
	enter(argc == 2 ? argv[1] : "");
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
		report(&rows[i]);
	return 0;
}
