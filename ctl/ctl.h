/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef WPFILECTL_H
#define WPFILECTL_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include <jansson.h>

#include "wpfile.h"

/* Exit codes; wpfilectl(1) documents them. */
enum {
	CTL_OK = 0,
	CTL_FAILED = 1,
	CTL_USAGE = 2,
	CTL_NO_KERNEL = 3,
	CTL_NOT_PERMITTED = 4,
	CTL_NOT_FOUND = 5,
};

/* What was on the command line; NULL and -1: was not. */
struct args {
	int pid;
	int fd;
	const char *map;
	const char *path;
	const char *output;
	uint64_t limit;		/* bytes, 0: none */
	uint64_t interval_ns;
	uint64_t count;		/* 0: no end */
	bool json;
	bool help;
};

/* An option; verbs name the ones that they take by their keys. */
struct option_row {
	char key;
	bool is_short;		/* the key is a short option, too */
	const char *name;
	const char *value;	/* what to call it in the help, NULL: none */
	const char *help;
};

extern const struct option_row option_table[];

/* A verb.  The table in main.c is the index of everything that there is. */
struct verb {
	const char *name;
	const char *options;	/* keys of option_table */
	const char *summary;
	int (*run)(const struct args *args);
};

int verb_check(const struct args *args);
int verb_snapshot(const struct args *args);
int verb_stat(const struct args *args);
int verb_track(const struct args *args);

/* options.c: returns 0 or CTL_USAGE, after a message. */
int options_parse(const struct verb *verb, int argc, char **argv,
		  struct args *ret_args);

/* parse.c: pure; false if @s is not one. */
bool parse_count(const char *s, uint64_t *ret_value);
bool parse_size(const char *s, uint64_t *ret_bytes);
bool parse_seconds(const char *s, uint64_t *ret_ns);

/* report.c: one line on stderr; the return value is the exit code. */
extern const char *report_verb;

int fail_usage(const char *format, ...) __attribute__((format(printf, 1, 2)));
int fail_hint(int code, const char *hint, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
int fail_errno(int err, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* Prints @json on one line, and drops it. */
int print_json(FILE *to, json_t *json);

/* target.c */
int target_check(const struct args *args);
int target_open(const struct args *args, struct wpfile_target **ret_target);
const char *target_name(const struct args *args, char *buffer, size_t size);

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
