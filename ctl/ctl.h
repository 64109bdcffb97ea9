/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef WPFILECTL_H
#define WPFILECTL_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include <jansson.h>

#include "wpfile.h"

#define NSEC_PER_SEC 1000000000ULL
#define NSEC_PER_MSEC 1000000ULL
#define MAX_RANGES 64

/* Exit codes; wpfilectl(1) documents them. */
enum {
	CTL_OK = 0,
	CTL_FAILED = 1,
	CTL_USAGE = 2,
	CTL_NO_KERNEL = 3,
	CTL_NOT_PERMITTED = 4,
	CTL_NOT_FOUND = 5,
};

/* What was on the command line; NULL and -1, otherwise 0: was not. */
struct args {
	int pid;
	int fd;
	const char *map;
	const char *path;
	const char *output;
	const char *socket;	/* of the daemon; NULL: the usual one */
	uint64_t limit;		/* bytes, 0: none */
	uint64_t interval_ns;
	uint64_t again_ns;	/* 0: never */
	uint64_t for_ns;	/* 0: no end */
	uint64_t count;		/* 0: no end */
	uint64_t id;
	struct wpfile_range ranges[MAX_RANGES];
	size_t nr_ranges;	/* 0: the whole file */
	char **command;
	bool daemon;
	bool deny;
	bool events;
	bool all;
	bool yes;
	bool json;
	bool help;
};

/* What the value of an option is, for those who complete it. */
enum takes {
	VALUE_NONE,		/* there is none */
	VALUE_OPTIONAL,		/* a file; may be left out, otherwise behind = */
	VALUE_FILE,
	VALUE_PID,
	VALUE_OTHER,
	VALUE_MANY,		/* the same, may be given again */
};

/* An option; verbs name the ones that they take by their keys. */
struct option_row {
	char key;
	bool is_short;		/* the key is a short option, too */
	const char *name;
	enum takes takes;
	const char *value;	/* what to call it in the help */
	const char *help;
};

extern const struct option_row option_table[];

/* A verb.  The table in main.c is the index of everything that there is. */
struct verb {
	const char *name;
	const char *options;	/* keys of option_table */
	const char *usage;	/* what is not optional, or no option */
	const char *summary;
	int (*run)(const struct args *args);
	bool takes_command;	/* behind -- */
};

extern const struct verb verb_table[];

int verb_check(const struct args *args);
int verb_list(const struct args *args);
int verb_metrics(const struct args *args);
int verb_protect(const struct args *args);
int verb_release(const struct args *args);
int verb_snapshot(const struct args *args);
int verb_stat(const struct args *args);
int verb_track(const struct args *args);
int verb_unprotect(const struct args *args);
int verb_watch(const struct args *args);

/* options.c: returns 0 or CTL_USAGE, after a message. */
int options_parse(const struct verb *verb, int argc, char **argv,
		  struct args *ret_args);

/* complete.c: what @shell reads to complete verbs and options. */
int complete_print(const char *shell);

/* parse.c: pure; false if @s is not one. */
bool parse_count(const char *s, uint64_t *ret_value);
bool parse_size(const char *s, uint64_t *ret_bytes);
bool parse_seconds(const char *s, uint64_t *ret_ns);
/* Returns NULL, or what is wrong with it. */
const char *parse_range(const char *s, uint64_t page_size,
			struct wpfile_range *ret_range);

/* report.c: one line on stderr; the return value is the exit code. */
extern const char *report_verb;
extern bool report_daemon;	/* it is wpfiled that answers */

const char *error_text(int err);

int fail_usage(const char *format, ...) __attribute__((format(printf, 1, 2)));
int fail_hint(int code, const char *hint, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
int fail_errno(int err, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* names.c: the command of a thread, or "". */
#define COMMAND_SIZE 17
void read_command(pid_t tid, char command[COMMAND_SIZE]);

/* text.c */
int print_json(FILE *to, json_t *json);	/* on one line, and drops it */
json_t *json_text(const char *s);	/* whatever bytes @s has */
void make_printable(char *s);
void format_clock(uint64_t realtime_ns, char *buffer, size_t size);
uint64_t clock_ns(int clock);

/* target.c: the file, and who makes its monitors. */
struct subject {
	struct wpfile_target *target;
	struct wpfile_broker *broker;	/* NULL: the kernel */
};

int target_check(const struct args *args);
const char *target_name(const struct args *args, char *buffer, size_t size);
int subject_open(const struct args *args, struct subject *ret_subject);
void subject_close(struct subject *subject);
int broker_open(const struct args *args, struct wpfile_broker **ret_broker);

/* output.c: a file that appears under its name when it is complete. */
struct output {
	const char *path;
	char *temporary;	/* NULL: a stream, nothing to rename or remove */
	int fd;
};

int output_open(const char *path, struct output *ret_output);
int output_commit(struct output *output);
void output_discard(struct output *output);

#endif /* WPFILECTL_H */
