/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The torture: what its processes share.
 *
 * One process each: the writers (writer.c), a cutter for each file (cutter.c),
 * the auditor (auditor.c), the disturbers (disturb_*.c), with --faults the
 * walker of error exits (exits.c).  All are children of torture.c, and know one
 * another by struct control only.
 */
#ifndef WPFILE_TORTURE_H
#define WPFILE_TORTURE_H

#include "../kernel/common.h"

#ifndef ARRAY_SIZE /* kselftest.h has it, too */
#define ARRAY_SIZE(array) (sizeof(array) / sizeof((array)[0]))
#endif

#define MAX_WRITERS	64
#define OWN_PAGES	4
#define FILES		4
#define MAX_DISTURBERS	24
#define MAX_OPERATIONS	40
#define ENOUGH_EXITS	30	/* beside all the others; --exits takes each */
#define MAX_CHILDREN	(MAX_WRITERS + FILES + MAX_DISTURBERS + 2)

/*
 * The pages of each file.  Checked are the slots (one for each writer) and the
 * writers' own pages.  Spare ones anybody writes and nobody checks.  The tail is
 * cut off, punched and filled again; it begins in the same huge page.
 */
#define SLOTS		0
#define CONTENT		MAX_WRITERS
#define CHECKED		(CONTENT + MAX_WRITERS * OWN_PAGES)
#define SPARE		CHECKED
#define TAIL		(SPARE + 64)
#define FILE_PAGES	1024

enum count {
	CUTS,		/* of which the slots were checked */
	EDGES,		/* of causes and effects in them */
	PAGES_SEEN,	/* whose every word was checked */
	AUDITS,		/* contents at a known instant */
	SCANS,
	SIGNALS,	/* handled */
	MOVES,		/* by writers, of their own mappings */
	FAILURES,	/* that injected faults explain */
	NR_COUNTS
};

/* What can be wrong: the results of the test. */
enum trouble {
	NONE,
	INVERSION,	/* an effect without its cause */
	WRONG_BYTE,	/* a page that nobody ever wrote like this */
	CHANGED,	/* what a monitor had captured is not what it was */
	LOST_WRITE,	/* TRACK did not report a written page */
	FAILED,		/* a call failed that must not */
	NR_TROUBLES
};

/* Of one operation of exits.c. */
struct exits {
	unsigned int taken;	/* an allocation failed */
	unsigned int failed;	/* the call said so */
	unsigned int lost;	/* captures FAILED */
	unsigned int told_all;	/* TRACK reported every page */
	const char *missing;	/* why it cannot be done */
};

struct control {
	bool stop;
	bool faults, by_reading;	/* options --faults, --control */
	bool exits_only;		/* option --exits, which has --faults */
	unsigned int seed;
	int nr_writers;
	bool closed[FILES];		/* no writer may begin a step there */
	int busy[MAX_WRITERS];		/* at a step, in this file; or -1 */
	uint64_t counts[NR_COUNTS];
	uint64_t did[MAX_DISTURBERS];
	bool has_teeth[FILES];		/* plain reading was found out */
	struct exits exits[MAX_OPERATIONS];
	pid_t pids[MAX_CHILDREN];	/* 0: none */
	/* Of slots: what was begun before, and finished after, the store. */
	uint64_t begun[FILES][MAX_WRITERS], finished[FILES][MAX_WRITERS];
	uint32_t troubles[NR_TROUBLES];
	char trouble[NR_TROUBLES][300];	/* the first of each */
};

extern struct control *control;
extern struct area files[FILES];
extern const char *const file_names[FILES];
extern unsigned int seed;	/* of this process */

unsigned int pick(unsigned int below);	/* a random number */
void count(enum count which, uint64_t nr);
bool stopping(void);
void rest(uint64_t ms);
/* Notes it, and lets everything end. */
void trouble(enum trouble what, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
bool is_legal(int error);	/* where an allocation has failed */
/* A call has failed: legal with injected faults, else trouble. */
void failed(const char *what, int error);

/* --- litmus.c --- */

/*
 * One page, written by its owner only.
 *
 * For every j: @seen[j] was @sequence of slot j.  For every k: the owner's page k
 * was complete in version @version[k].  These are the effects, and must not be
 * in a cut without their causes.
 */
struct slot {
	uint64_t sequence;
	uint64_t seen[MAX_WRITERS];
	uint64_t version[OWN_PAGES];
};

/* How far a writer's words may be from being written in ascending order. */
enum order { ASCENDING, ANY_ORDER, AT_ONCE };

struct bounds {
	uint64_t least[MAX_WRITERS], most[MAX_WRITERS];
};

size_t slot_offset(int id);
size_t own_page(int id, int k);
void fill_version(uint64_t *words, size_t page, uint64_t version);
void note_least(int file, struct bounds *bounds);
void note_most(int file, struct bounds *bounds);
enum trouble check_slots(const char *copy, const struct bounds *bounds,
			 char *text, size_t size);
enum trouble check_content(const char *copy, char *text, size_t size);

/* --- the processes; each returns when it is to end --- */

enum order order_of(int id);
void be_writer(int id);
void be_cutter(int file);
void be_auditor(void);

/* --- exits.c --- */

void walk_exits(void);		/* until all is to end */
uint64_t exits_taken(void);
void say_exits(void);
void report_exits(void) __attribute__((noreturn));	/* each once; exits */

/* --- faults.c --- */

const char *faults_prepare(void);	/* NULL, or why there can be none */
void faults_on(void);			/* for the caller, now and then */
void faults_off(void);
void faults_in_a_row(unsigned int nr, bool objects_only);
void fault_at(unsigned int nth);	/* the caller's nth allocation from here */
bool fault_taken(void);			/* and none any more */

/* --- disturbers.c --- */

struct disturber {
	const char *name;
	/* Does it once; returns how often that had an effect. */
	unsigned int (*act)(void);
	const char *vmstat;		/* grows with it; NULL: none does */
	const char *(*missing)(void);	/* why it cannot work; NULL: it can */
};

extern const struct disturber disturbers[];
extern const size_t nr_disturbers;
void be_disturber(int which);

/* --- results.c --- */

extern bool chosen[MAX_DISTURBERS];	/* of disturbers */

void note_beginning(void);
bool did_something(size_t disturber);
bool has_teeth(void);	/* the check, on every file */
void report(void) __attribute__((noreturn));	/* exits */

/* --- disturb_memory.c, disturb_file.c, disturb_process.c --- */

unsigned int reclaim(void);
unsigned int swap_in(void);
unsigned int compact(void);
unsigned int migrate(void);
unsigned int collapse(void);
unsigned int split(void);
const char *no_swap(void);
const char *no_nodes(void);

unsigned int truncate_tail(void);
unsigned int punch_tail(void);
unsigned int fill_tail(void);

unsigned int map_and_unmap(void);
unsigned int fork_mapper(void);
unsigned int send_signals(void);
unsigned int stop_and_continue(void);
unsigned int use_monitors(void);
unsigned int kill_holders(void);

#endif
