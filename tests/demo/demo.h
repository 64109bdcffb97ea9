/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The causal demo: what its parts share.  The argument is in model.c.
 */
#ifndef DEMO_H
#define DEMO_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define PAGE_BYTES	4096UL
#define PAGE_WORDS	(PAGE_BYTES / 8)
#define BLOCK_BYTES	(2UL << 20)	/* a huge page */
#define BLOCK_PAGES	(BLOCK_BYTES / PAGE_BYTES)
#define MAX_WRITERS	64
#define WINDOW		64		/* chains in flight, and block of operations */
#define LOG_SLOTS	65536		/* stamps kept for each writer */

typedef _Atomic uint64_t shared_u64;

/* ---- model.c: the states that the file can be in ---- */

/* How finely a write of a page by this kind of writer can be cut. */
enum grain {
	GRAIN_WORD,	/* 8-byte stores in ascending order */
	GRAIN_BYTE,	/* the kernel copies into the mapping, ascending */
	GRAIN_CALL,	/* system calls on the file: two pwrite(), see split_of() */
};

enum role { ROLE_UNUSED, ROLE_HOLE_BLOCK, ROLE_HUGE_REST, ROLE_HEAD, ROLE_DATA };

struct page_owner {
	uint8_t role;		/* enum role */
	uint8_t writer;
	uint16_t reserved;
	uint32_t index;		/* of the writer's data pages */
};

struct model {
	uint64_t seed;
	uint64_t bytes;
	uint64_t pages;
	unsigned int writers;
	uint32_t per_writer;		/* data pages of each, a power of two */
	uint32_t *head_page;		/* [writer] */
	uint32_t *data_page;		/* [writer * per_writer + index] */
	struct page_owner *owner;	/* [page] */
	const struct kind **kind;	/* [writer] */
};

/* The operation that must be complete before another one may begin. */
struct cause {
	bool exists;
	unsigned int writer;
	uint64_t op;
};

uint64_t mix(uint64_t x);
int model_new(struct model *m, uint64_t bytes, unsigned int writers, uint64_t seed);
uint32_t op_page(const struct model *m, unsigned int writer, uint64_t op);
uint64_t op_version(const struct model *m, uint64_t op);
uint64_t page_op(const struct model *m, uint32_t page, uint64_t version);
uint64_t page_version_at(const struct model *m, uint32_t page, uint64_t ops);
struct cause op_cause(const struct model *m, unsigned int writer, uint64_t op);
bool version_is_zero(const struct model *m, uint32_t page, uint64_t version);
uint64_t word0_of(const struct model *m, uint32_t page, uint64_t version);
uint64_t version_of_word0(const struct model *m, uint32_t page, uint64_t word);
unsigned int split_of(const struct model *m, uint32_t page, uint64_t version);
void page_content(const struct model *m, uint32_t page, uint64_t version,
		  uint64_t *words);

/* ---- writers.c: the processes ---- */

struct stamp {
	shared_u64 started;	/* op + 1, after start is set */
	shared_u64 start;
	shared_u64 ended;	/* op + 1, after end is set */
	shared_u64 end;
};

enum phase { PHASE_OTHER, PHASE_BEFORE, PHASE_DURING, NR_PHASES };

struct writer_state {
	_Atomic pid_t pid;
	_Atomic pid_t child;		/* of the kind that forks */
	_Atomic uint32_t sleepers;	/* in FUTEX_WAIT on our head */
	shared_u64 errors;		/* live content was not what it must be */
	shared_u64 ops;
	shared_u64 last_end;		/* CLOCK_MONOTONIC of the last write's end */
	shared_u64 longest_gap[NR_PHASES];
	shared_u64 longest_write[NR_PHASES];
	struct stamp log[LOG_SLOTS];
};

/* Not in the monitored file: the demo's own shared memory. */
struct control {
	_Atomic uint32_t ready, go, quit;
	_Atomic uint32_t phase;		/* enum phase */
	_Atomic uint32_t pictures;	/* taken so far */
	_Atomic uint32_t rests;		/* times that nothing was measured */
	struct writer_state w[];
};

struct task;

struct kind {
	const char *name;
	const char *what;
	enum grain grain;
	bool punches;
	bool huge;
	void (*start)(struct task *t);
	void (*picture_taken)(struct task *t);	/* once after each picture */
	void (*rest)(struct task *t);		/* once after each measurement */
	uint64_t (*delegate)(struct task *t, uint64_t op);	/* returns how many */
	uint64_t (*load)(struct task *t, uint64_t offset);
	void (*wait)(struct task *t, unsigned int writer, uint64_t seen);
	void (*write)(struct task *t, uint32_t page, uint64_t version);
	void (*advance)(struct task *t, uint64_t ops);
};

extern const struct kind kinds[];
extern const unsigned int nr_kinds;

struct demo {
	struct model model;
	struct control *ctl;
	int fd;			/* the file that all write */
	void *map;		/* of it, made before any writer was forked */
	pid_t group;		/* process group of the writers */
	bool quiet;
	bool stopped;		/* between writers_stop() and writers_continue() */
	int spoil;		/* enum spoil, spoil.c */
};

struct task {
	struct demo *demo;
	const struct model *m;
	const struct kind *kind;
	struct writer_state *self;
	unsigned int id;
	uint32_t pictures, rests;	/* of struct control, last seen */
	char *map;		/* NULL where the kind maps no more than a page */
	int source;		/* the kind that lets the kernel copy */
	void *source_page;
	uint64_t words[PAGE_WORDS];
};

int writers_start(struct demo *d);
int writers_alive(struct demo *d);
int writers_stop(struct demo *d);
void writers_continue(struct demo *d);
int writers_end(struct demo *d);
uint64_t now_ns(void);
void *map_file(int fd, uint64_t bytes, int prot);
long huge_kib(pid_t pid);

/* ---- engine.c: ways to take a picture ---- */

/* Of the operation that is next by the head, and of the one before; 0: unknown. */
struct op_times {
	uint64_t start, end, start_before;
};

struct picture {
	int fd;			/* content: a snapshot, or a copy */
	bool is_snapshot;
	uint64_t cut_ns;	/* how long writers were held, if they were */
	uint64_t bytes;
	uint64_t called, returned;		/* CLOCK_MONOTONIC */
	uint64_t *ops_before, *ops_after;	/* [writer], heads around the call */
	struct page_state *state;		/* [page], filled by the check */
	uint64_t *ops;				/* [writer], heads in the picture */
	struct op_times *times;			/* [writer], check_note_times() */
};

struct engine {
	const char *name;
	int (*take)(struct demo *d, struct picture *p);
};

const struct engine *engine_find(const char *name);
extern const struct engine *const engine_pread, *const engine_memcpy;
int picture_take(struct demo *d, const struct engine *e, struct picture *p);
void read_heads(struct demo *d, uint64_t *ops);
void picture_free(struct picture *p);
long picture_captured(const struct picture *p);

/* ---- check.c ---- */

struct page_state {
	uint64_t version;	/* PAGE_BAD: none that the page can have */
	uint32_t bytes;		/* written of it, from the page's start; the rest
				 * is of the version before */
};

#define PAGE_BAD	(~0ULL)

struct verdict {
	uint64_t pages;		/* looked at */
	uint64_t edges;
	uint64_t inversions;	/* an effect without its cause */
	uint64_t wrong_pages;	/* a byte is not what it was at the cut */
	uint64_t torn_pages;	/* cut in the middle of a write: must be exact */
	uint64_t hole_pages;	/* told to be holes by SEEK_HOLE */
	uint64_t wrong_holes;	/* never written, and not zero, or not a hole */
	uint64_t unwritten;	/* data pages that were still holes at the cut */
	uint64_t outside;	/* heads that are not of the time of the call */
	int64_t instant_ns;	/* T is known to so many ns; < 0: there is none */
};

int check_note_times(struct demo *d, struct picture *p);
int check_picture(struct demo *d, struct picture *p, bool trust_holes,
		  struct verdict *v);
int check_again_mapped(struct demo *d, struct picture *p, uint64_t *ret_pages,
		       uint64_t *ret_differ);
int check_same_bytes(int a, int b, uint64_t bytes, uint64_t *ret_differ);

/* ---- spoil.c: damage a copy, to see that the check finds it ---- */

int spoil_find(const char *name);
int spoil_picture(struct demo *d, struct picture *p);

void say(const struct demo *d, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

#endif
