// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The kinds of writers: ways in which a process can come to a page of the file
 * and change it.
 */
#define _GNU_SOURCE
#include <err.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "demo.h"
#include "writers.h"

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25
#endif

#define FORK_EVERY	256
#define FORK_OPS	16

/* ---- through a mapping of the whole file ---- */

/* Address space to lay the file out at a multiple of the huge page size. */
void *map_file(int fd, uint64_t bytes, int prot)
{
	char *room = mmap(NULL, bytes + BLOCK_BYTES, PROT_NONE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	char *start = (char *)(((uintptr_t)room + BLOCK_BYTES - 1) & -BLOCK_BYTES);

	if (room == MAP_FAILED)
		return MAP_FAILED;
	if (start != room)
		munmap(room, start - room);
	if (start + bytes != room + bytes + BLOCK_BYTES)
		munmap(start + bytes, room + BLOCK_BYTES - start);
	return mmap(start, bytes, prot, MAP_SHARED | MAP_FIXED, fd, 0);
}

static void map_anew(struct task *t)
{
	munmap(t->map, t->m->bytes);
	t->map = map_file(t->demo->fd, t->m->bytes, PROT_READ | PROT_WRITE);
	if (t->map == MAP_FAILED)
		err(1, "%s: mmap", t->kind->name);
}

static void no_map(struct task *t)
{
	munmap(t->map, t->m->bytes);
	t->map = NULL;
}

static void keep_inherited(struct task *t)
{
	(void)t;
}

static shared_u64 *at(struct task *t, uint64_t offset)
{
	return (shared_u64 *)(t->map + offset);
}

static uint64_t load_mapped(struct task *t, uint64_t offset)
{
	return atomic_load_explicit(at(t, offset), memory_order_acquire);
}

/* Now and then slowly, so that cuts often fall into the middle of a page. */
static void store_words(shared_u64 *to, const uint64_t *from, bool slowly)
{
	for (unsigned int i = 0; i < PAGE_WORDS; i++) {
		atomic_store_explicit(&to[i], from[i], memory_order_release);
		if (slowly)
			__builtin_ia32_pause();
	}
}

static bool is_slow(uint32_t page, uint64_t version)
{
	return (page + version) % 16 == 0;
}

static void write_mapped(struct task *t, uint32_t page, uint64_t version)
{
	page_content(t->m, page, version, t->words);
	store_words(at(t, page * PAGE_BYTES), t->words, is_slow(page, version));
}

static void futex_wake(void *address)
{
	syscall(SYS_futex, address, FUTEX_WAKE, 1 << 30, NULL, NULL, 0);
}

/* The fence is the partner of the kernel's, between sleepers and the value. */
static void advance_mapped(struct task *t, uint64_t ops)
{
	shared_u64 *head = at(t, t->m->head_page[t->id] * PAGE_BYTES);

	atomic_store_explicit(head, ops, memory_order_release);
	atomic_thread_fence(memory_order_seq_cst);
	if (atomic_load(&t->self->sleepers))
		futex_wake(head);
}

/* ---- read faults come first ---- */

/* Each mapping of a page begins with a read, which also fills the holes. */
static void read_all_own(struct task *t)
{
	map_anew(t);
	for (uint32_t i = 0; i < t->m->per_writer; i++) {
		uint32_t page = t->m->data_page[t->id * t->m->per_writer + i];

		load_mapped(t, page * PAGE_BYTES);
	}
}

static void write_after_read(struct task *t, uint32_t page, uint64_t version)
{
	load_mapped(t, page * PAGE_BYTES + PAGE_BYTES - 8);
	write_mapped(t, page, version);
}

/* ---- huge mappings ---- */

/* Where the kernel has none, the report says so. */
static void advise(struct task *t, int advice)
{
	for (uint32_t i = 0; i < t->m->per_writer; i += BLOCK_PAGES) {
		uint32_t page = t->m->data_page[t->id * t->m->per_writer + i];

		madvise(t->map + page * PAGE_BYTES, BLOCK_BYTES, advice);
	}
}

static void collapse(struct task *t)
{
	advise(t, MADV_COLLAPSE);
}

static void map_huge(struct task *t)
{
	map_anew(t);
	advise(t, MADV_HUGEPAGE);
	collapse(t);
}

/* ---- no lasting mapping ---- */

/*
 * pread() may copy byte by byte while the word is counted up, and return, say,
 * the low byte of 0x00ff and the high byte of 0x0100.  A wrong value that is too
 * large would need its low byte from before and its high byte from after such a
 * step; the same value again, read from the start after that step, would need
 * the step of the high byte twice.  So of a word that only grows, two equal
 * readings in a row are no more than the value.  (Smaller ones do no harm.)
 */
static uint64_t load_pread(struct task *t, uint64_t offset)
{
	uint64_t first, again = 0;

	do {
		first = again;
		if (pread(t->demo->fd, &again, 8, offset) != 8)
			err(1, "%s: pread", t->kind->name);
	} while (again != first);
	return again;
}

static void *map_page(struct task *t, uint32_t page)
{
	void *p = mmap(NULL, PAGE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED,
		       t->demo->fd, page * PAGE_BYTES);

	if (p == MAP_FAILED)
		err(1, "%s: mmap", t->kind->name);
	return p;
}

static void write_one_page(struct task *t, uint32_t page, uint64_t version)
{
	void *p = map_page(t, page);

	page_content(t->m, page, version, t->words);
	store_words(p, t->words, is_slow(page, version));
	munmap(p, PAGE_BYTES);
}

static void advance_one_page(struct task *t, uint64_t ops)
{
	void *p = map_page(t, t->m->head_page[t->id]);

	atomic_store_explicit((shared_u64 *)p, ops, memory_order_release);
	if (atomic_load(&t->self->sleepers))
		futex_wake(p);
	munmap(p, PAGE_BYTES);
}

static void pwrite_all(struct task *t, const void *from, size_t n, uint64_t offset)
{
	if (n && pwrite(t->demo->fd, from, n, offset) != (ssize_t)n)
		err(1, "%s: pwrite", t->kind->name);
}

static void write_pwrite(struct task *t, uint32_t page, uint64_t version)
{
	unsigned int split = split_of(t->m, page, version);
	uint64_t offset = page * PAGE_BYTES;

	page_content(t->m, page, version, t->words);
	pwrite_all(t, t->words, split, offset);
	pwrite_all(t, (char *)t->words + split, PAGE_BYTES - split, offset + split);
}

static void advance_pwrite(struct task *t, uint64_t ops)
{
	pwrite_all(t, &ops, 8, t->m->head_page[t->id] * PAGE_BYTES);
}

/* ---- system calls that change the file, or sleep on it ---- */

static void write_or_punch(struct task *t, uint32_t page, uint64_t version)
{
	if (!version_is_zero(t->m, page, version))
		write_mapped(t, page, version);
	else if (fallocate(t->demo->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
			   page * PAGE_BYTES, PAGE_BYTES))
		err(1, "%s: fallocate", t->kind->name);
}

/* Where to read() from: another file, so that the kernel does the stores. */
static void map_and_source(struct task *t)
{
	map_anew(t);
	t->source = memfd_create("source", MFD_CLOEXEC);
	if (t->source < 0 || ftruncate(t->source, PAGE_BYTES))
		err(1, "%s: memfd", t->kind->name);
	t->source_page = mmap(NULL, PAGE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED,
			      t->source, 0);
	if (t->source_page == MAP_FAILED)
		err(1, "%s: mmap", t->kind->name);
}

static void write_by_read(struct task *t, uint32_t page, uint64_t version)
{
	page_content(t->m, page, version, t->source_page);
	if (pread(t->source, t->map + page * PAGE_BYTES, PAGE_BYTES, 0) !=
	    (ssize_t)PAGE_BYTES)
		err(1, "%s: pread", t->kind->name);
}

static void futex_wait(struct task *t, unsigned int writer, uint64_t seen)
{
	struct timespec timeout = { .tv_nsec = 2000000 };
	struct writer_state *other = &t->demo->ctl->w[writer];

	atomic_fetch_add(&other->sleepers, 1);
	syscall(SYS_futex, at(t, t->m->head_page[writer] * PAGE_BYTES), FUTEX_WAIT,
		(uint32_t)seen, &timeout, NULL, 0);
	atomic_fetch_sub(&other->sleepers, 1);
}

static void write_exchange(struct task *t, uint32_t page, uint64_t version)
{
	shared_u64 *to = at(t, page * PAGE_BYTES);

	page_content(t->m, page, version, t->words);
	for (unsigned int i = 0; i < PAGE_WORDS; i++)
		atomic_exchange(&to[i], t->words[i]);
}

/* ---- fork ---- */

/* The child does nothing before its pid is known: writers_stop() needs it. */
static void work_as_child(struct task *t, uint64_t op)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	while (atomic_load(&t->self->child) != getpid())
		sched_yield();
	atomic_store(&t->self->last_end, now_ns());
	for (int i = 0; i < FORK_OPS; i++)
		writer_op(t, op + i);
	_exit(0);
}

static uint64_t fork_for_a_while(struct task *t, uint64_t op)
{
	pid_t pid;
	int status;

	if (op % FORK_EVERY)
		return 0;
	pid = fork();
	if (pid < 0)
		err(1, "%s: fork", t->kind->name);
	if (!pid)
		work_as_child(t, op);
	atomic_store(&t->self->child, pid);
	if (waitpid(pid, &status, 0) != pid || status)
		err(1, "%s: the child failed", t->kind->name);
	atomic_store(&t->self->child, 0);
	writer_quit_if_told(t);
	atomic_store(&t->self->last_end, now_ns());
	return FORK_OPS;
}

/* ---- the table ---- */

#define MAPPED	.load = load_mapped, .advance = advance_mapped

const struct kind kinds[] = {
	{ "early", "mapped before the first picture",
	  .start = map_anew, .write = write_mapped, MAPPED },
	{ "child", "a mapping inherited by fork",
	  .start = keep_inherited, .write = write_mapped, MAPPED },
	{ "pwrite", "only pwrite(), no mapping", .grain = GRAIN_CALL,
	  .start = no_map, .write = write_pwrite, .load = load_pread,
	  .advance = advance_pwrite },
	{ "late", "maps anew after each picture",
	  .start = map_anew, .picture_taken = map_anew,
	  .write = write_mapped, MAPPED },
	{ "reader", "pages mapped by read faults first",
	  .start = read_all_own, .write = write_after_read, MAPPED },
	{ "huge", "huge mappings", .huge = true,
	  .start = map_huge, .rest = collapse, .write = write_mapped, MAPPED },
	{ "onepage", "maps one page at a time",
	  .start = no_map, .write = write_one_page, .load = load_pread,
	  .advance = advance_one_page },
	{ "futex", "atomic operations, sleeps in futexes in the file",
	  .start = map_anew, .write = write_exchange, .wait = futex_wait, MAPPED },
	{ "puncher", "stores, and punches holes", .punches = true,
	  .start = map_anew, .write = write_or_punch, MAPPED },
	{ "forker", "forks again and again; the child writes",
	  .start = map_anew, .delegate = fork_for_a_while,
	  .write = write_mapped, MAPPED },
	{ "kernel", "read() into the mapping: the kernel stores",
	  .grain = GRAIN_BYTE,
	  .start = map_and_source, .write = write_by_read, MAPPED },
};

const unsigned int nr_kinds = sizeof(kinds) / sizeof(kinds[0]);
