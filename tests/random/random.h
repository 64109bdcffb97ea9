/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A random differential tester: operations by several processes on one file in
 * shared memory, and after each the same question to the kernel and to a model
 * that was written from uapi/linux/wpfile.h alone.
 *
 *	gen.c, rng.c, aim.c	arguments of operations, and what they hit
 *	model.c			the file: content, size, holes
 *	watch.c			monitors and snapshots: bits, content at the cut
 *	ops_*.c, ops.c		the operations, and the table of them
 *	check.c			what must be equal afterwards
 *	kernel.c, fake.c	backends: the kernel, a stand-in with known bugs
 *	run.c, shrink.c		runs one script; makes it shorter
 *	self.c, main.c		tests the tester; options, TAP
 */
#ifndef WPFILE_TESTS_RANDOM_H
#define WPFILE_TESTS_RANDOM_H

#include "../kernel/common.h"
#include <stdio.h>

#define MAX_FILE	((size_t)2048)	/* pages, with room to grow */
#define NR_EXTENTS	(MAX_FILE / HUGE_PAGES)
#define NR_PROCESSES	4
#define NR_MAPS		3		/* of each process */
#define NR_WATCHES	9		/* monitors and snapshots */
#define NR_RANGES	3		/* of one PROTECT */
#define MAX_OPS		20000
#define TO_END_PAGES	(~0U)

#define MIN(a, b)	((a) < (b) ? (a) : (b))
#define MAX(a, b)	((a) > (b) ? (a) : (b))
#define PAGES_OF(bytes)	(((bytes) + PAGE - 1) / PAGE)

/* --- an operation: a line of a script --- */

/* The row of the table says which fields have a meaning. */
struct op {
	unsigned int what;
	unsigned int who, other;	/* processes */
	unsigned int map, to_map;	/* their mappings */
	unsigned int watch;
	unsigned int offset, length;	/* bytes of the file */
	unsigned int from, size;
	unsigned int flags;
	unsigned int seed;		/* of what is written */
	struct {
		unsigned int first, pages;	/* no pages: no range */
	} range[NR_RANGES];
};

/* Files of which a script can be about. */
struct file_kind {
	const char *name;
	enum kind kind;
	unsigned int pages, more;	/* at least; and less than that more */
	unsigned int room;		/* to grow, in pages; 0: fixed size */
	bool always_huge;
};

extern const struct file_kind file_kinds[];
extern const unsigned int nr_file_kinds;

/* @kind: an index of file_kinds. */
struct script {
	unsigned int seed, kind, pages;
	unsigned int nr;
	struct op ops[MAX_OPS];
};

/* --- rng.c --- */

struct rng {
	uint64_t state;
};

unsigned int rng_next(struct rng *rng);
unsigned int rng_below(struct rng *rng, unsigned int limit);
bool rng_one_in(struct rng *rng, unsigned int n);
void rng_fill(void *to, size_t length, unsigned int seed);

/* --- what an operation does to the file, for model and stand-in --- */

enum effect_type {
	CHANGES_NOTHING,
	WRITES,		/* @length bytes of @data at @offset */
	ZEROES,		/* a hole from @offset on, @length bytes */
	RESIZES,	/* to @length */
	ALLOCATES,	/* zero pages into holes; may grow the file */
	FILLS,		/* the same by a read fault, which never grows it */
};

struct effect {
	enum effect_type type;
	size_t offset, length;
	const char *data;
	bool mapped;	/* by stores: may reach behind the end, in its page */
	bool keep_size;	/* ALLOCATES */
	/* Extents that @mapped may write through one huge entry. */
	bool one_entry[NR_EXTENTS];
};

/* --- model.c --- */

/* Immutable once a second one refers to it; NULL is a page of zeros. */
struct content {
	unsigned int refs;
	char bytes[PAGE];
};

enum watch_type { UNUSED, TRACK, CAPTURE, SNAPSHOT };

/* What SCAN must, may or must not report: MAYBE until it has said which. */
enum bit { CLEAR, MAYBE, SET };

struct watch {
	enum watch_type type;
	int handle;		/* -1: only the mapping is left */
	const char *map;	/* of a snapshot, or NULL */
	unsigned char bit[MAX_FILE];
	/* Not of TRACK: */
	bool known[MAX_FILE];
	bool hole[MAX_FILE];	/* was one, and must be told as one */
	struct content *kept[MAX_FILE];
	unsigned short length[MAX_FILE]; /* bytes of the page before the end */
	bool has_cut;			 /* once one was protected */
	size_t size;			 /* where pread() ends */
};

#define MAPPED		1
#define WRITABLE	2

/* A mapping of a process: whole pages, each with its rights. */
struct mapping {
	uintptr_t address;
	size_t first, pages;	/* no pages: no mapping */
	bool shared;
	unsigned char rights[MAX_FILE];
};

struct process {
	bool alive;
	struct mapping map[NR_MAPS];
};

struct model {
	size_t size;			/* bytes */
	size_t room;			/* pages, to grow into */
	bool fixed_size;
	bool always_huge;
	struct content *page[MAX_FILE];
	bool hole[MAX_FILE];		/* for certain */
	bool huge[NR_EXTENTS];		/* may be one folio */
	struct process process[NR_PROCESSES];
	struct watch watch[NR_WATCHES];
	unsigned long over_reported;	/* pages that only MAYBE allowed */
};

extern struct model model;

void model_init(size_t pages, size_t room, bool always_huge);
void model_change(const struct effect *effect);
const char *model_bytes(size_t page);
void model_copy(char *to, size_t offset, size_t length);
bool is_zero(const char *bytes, size_t length);
struct content *content_get(struct content *content);
void content_put(struct content *content);
struct mapping *map_of(unsigned int who, unsigned int map);
/* All pages of @offset, @length are in the file, and mapped with @rights. */
bool map_has(const struct mapping *map, size_t offset, size_t length,
	     unsigned int rights);
uintptr_t map_at(const struct mapping *map, size_t offset);

/* --- watch.c --- */

void watch_protect(struct watch *watch, const struct op *op);
void watch_unprotect(struct watch *watch, const struct op *op);
void watch_snapshot(struct watch *watch);
void watch_forget(struct watch *watch);
void watch_copy(const struct watch *watch, char *to, size_t offset,
		size_t length);
/* A write to the page; @changed: SCAN must say so. */
void watch_written(size_t page, bool changed);
/* The end of the file moves over it; @changed: what it shows is not zero. */
void watch_grown(size_t page, bool changed);
/* A hole is filled with zeros, or may be. */
void watch_filled(size_t page);

/* --- backends --- */

struct backend {
	int (*begin)(struct script *script);
	void (*end)(void);
	/* A row's act(), which changes the file; its result, or -errno. */
	long (*act)(const struct op *op, const struct effect *effect);
	int (*fork)(unsigned int who, unsigned int other);
	void (*exit)(unsigned int who);

	int (*monitor)(enum watch_type type);	/* handles, or -errno */
	int (*snapshot)(size_t *size);
	void (*close)(int handle);
	int (*protect)(int handle, const struct wpfile_range *ranges,
		       unsigned int nr);
	int (*unprotect)(int handle, const struct wpfile_range *range);
	int (*scan)(int handle, struct wpfile_scan *scan,
		    struct wpfile_range *ranges, __u32 nr, __u64 offset,
		    __u64 length, __u32 flags);
	int (*count)(enum watch_type type);
	bool (*has_event)(int handle);

	/* FILE_HANDLE is the file itself. */
	ssize_t (*pread)(int handle, char *to, size_t length, size_t offset);
	ssize_t (*pipe)(int handle, char *to, size_t length, size_t offset,
			bool sendfile);
	off_t (*seek)(int handle, off_t offset, int whence);
	off_t (*size)(int handle);
	const char *(*map)(int handle, size_t size);
	void (*unmap)(const char *map, size_t size);
	int (*load)(const char *from, char *to, size_t length);
	/* From a snapshot into the file. */
	ssize_t (*restore)(int handle, size_t offset, size_t length);
};

#define FILE_HANDLE	-2

extern const struct backend *backend;
extern const struct backend kernel_backend, fake_backend;

/* What the operation that is under way means to the process that does it. */
struct board {
	struct op op;
	uintptr_t at;		/* an address in it */
	size_t offset, length;
	uintptr_t new_address;	/* a result */
	pid_t other_pid;
	struct worker forked;	/* a result */
	char data[MAX_FILE * PAGE];
	char seen[MAX_FILE * PAGE];
};

extern struct board *board;	/* in memory that all processes share */

/* For act(), in the process that does it. */
extern int the_file;
extern char the_cgroup[128];	/* in which all of them are, if any */
int guarded_copy(void *to, const void *from, size_t length);

/* --- fake.c --- */

struct bug {
	const char *name;
	const char *what;
};

extern const struct bug bugs[];
extern const char *the_bug;	/* NULL: none */

/* --- ops.c: the table --- */

struct operation {
	const char *name;
	unsigned int weight;
	/* "who map offset ...": what a line of a script has */
	const char *fields;
	void (*generate)(struct op *op, struct rng *rng);

	/* Either all by itself, with the monitors, in the central process: */
	int (*direct)(const struct op *op);

	/* Or: what it will do; false if there is nothing that it could do. */
	bool (*aim)(const struct op *op, struct effect *effect);
	/* Does it, in process @who, with what the board says. */
	long (*act)(void);
	/* If success alone is not what it must say; may alter the effect. */
	int (*done)(const struct op *op, struct effect *effect, long result);
};

/* What direct() and op_run() return: done, or one of these. */
#define NOTHING_TO_DO	1
#define DIFFERS		(-1)

extern const struct operation file_operations[], store_operations[];
extern const struct operation map_operations[], process_operations[];
extern const struct operation watch_operations[];

/* What was read must be what the model has there. */
int done_read(const struct op *op, struct effect *effect, long result);

const struct operation *operation(unsigned int what);
void op_generate(struct op *op, struct rng *rng);
int op_run(const struct op *op);
int op_find(const char *name);
void op_print(const struct op *op, char *text, size_t size);
int op_parse(struct op *op, char *line);

/* --- gen.c: arguments --- */

size_t gen_offset(struct rng *rng, size_t end);
size_t gen_length(struct rng *rng, size_t offset, size_t end);
size_t gen_page(struct rng *rng, size_t end);
void gen_pages(struct rng *rng, size_t end, size_t *first, size_t *pages);
unsigned int gen_process(struct rng *rng);
bool gen_map(struct op *op, struct rng *rng);
void gen_mapped_bytes(struct op *op, struct rng *rng);
void gen_mapped_pages(struct op *op, struct rng *rng);

/* --- aim.c --- */

bool aim_at(unsigned int who, const struct op *op, struct effect *effect,
	    unsigned int rights);
bool aim_at_pages(const struct op *op, struct effect *effect);

/* --- check.c --- */

int fail(const char *format, ...) __attribute__((format(printf, 1, 2)));
int check_after(const struct effect *effect);
int check_all(bool by_loads);
int check_scan(struct watch *watch, size_t first, size_t pages,
	       unsigned int nr, unsigned int flags);
int check_capture(struct watch *watch, size_t offset, size_t length);
int check_loads(struct watch *watch, size_t offset, size_t length);
int check_piped(struct watch *watch, size_t offset, size_t length,
		bool sendfile);
int check_seeks(struct watch *watch);

/* --- run.c --- */

enum verdict { PASSED, DIFFERED, CANNOT };

/* What a run tells; it is a process of its own. */
struct outcome {
	unsigned int nr_run;		/* operations, with the last */
	unsigned int nr_done;		/* that found something to do */
	unsigned long over_reported;	/* pages that only MAYBE allowed */
	char text[1000];		/* why it failed */
};

extern struct outcome *outcome;
extern unsigned int hang_seconds;
extern bool only_the_file;	/* no monitors, no snapshots */

int run_init(void);
struct script *script_new(void);
void script_init(struct script *script, unsigned int seed, unsigned int kind);
/* Runs it, after adding operations until there are @wanted. */
enum verdict run(struct script *script, unsigned int wanted);
void script_print(const struct script *script, FILE *to, const char *prefix);
int script_read(struct script *script, const char *path);

/* --- shrink.c --- */

/* Leaves operations that still fail; the number of runs that it took. */
unsigned int shrink(struct script *script, unsigned int seconds);

/* --- self.c --- */

/* Without a kernel that can: does the tester find the bugs of fake.c? */
int self_test(void);

#endif
