/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Who may do what to whose files.
 *
 * Rules are tried in order; the first that names both the peer and the file
 * decides, and gives limits.  None: refused.
 */
#ifndef WPFILED_POLICY_H
#define WPFILED_POLICY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "peer.h"
#include "wpfile.h"

/* What a rule gives; the first four are the modes of monitors. */
enum right {
	RIGHT_TRACK = WPFILE_TRACK,
	RIGHT_CAPTURE = WPFILE_CAPTURE,
	RIGHT_SYNC = WPFILE_SYNC,
	RIGHT_DENY = WPFILE_DENY,
	RIGHT_SNAPSHOT,
	RIGHT_WATCH,
	NR_RIGHTS
};

enum term_kind {
	TERM_ANY,
	TERM_OWN,		/* files: of the peer */
	TERM_USER,
	TERM_GROUP,
	TERM_CAPABILITY,	/* who */
};

struct term {
	enum term_kind kind;
	uint32_t id;
};

struct terms {
	struct term *term;
	size_t nr;
};

struct rule {
	char *name;
	struct terms who;
	struct terms files;
	uint32_t rights;	/* 1 << enum right */
	bool has_modes;		/* a line said so */
	bool release;		/* everybody's */
	bool drop_slow;		/* subscribers */
	uint32_t monitors;	/* at once, per user */
	uint32_t subscriptions;	/* per user */
	uint32_t queue;		/* events kept for a subscriber */
	uint64_t captured;	/* bytes: the sum of limits, per user */
};

struct policy {
	struct rule *rule;
	size_t nr;
	uint32_t wait_limit_ms;		/* of monitors that the daemon reads */
	uint32_t connections;
	uint32_t user_connections;	/* per user */
	uint32_t requests;		/* per second and connection */
};

/* Who has the file. */
struct owner {
	uid_t uid;
	gid_t gid;
};

/* @file: NULL if it is not known, which only "any" matches.  May return NULL. */
const struct rule *policy_match(const struct policy *policy,
				const struct peer *peer,
				const struct owner *file);
bool rule_gives(const struct rule *rule, enum right right);

/* What is wrong with a policy, for people. */
struct complaint {
	char text[512];
};

/*
 * Reads @path, and @path.d/<any>.conf in the order of their names.  -EINVAL, or why
 * a file cannot be read, with a complaint.
 */
int policy_load(const char *path, struct policy **ret_policy,
		struct complaint *ret_complaint);
void policy_free(struct policy *policy);	/* NULL is allowed */

/* For policy_load() and tests: adds what @text says.  @name is for complaints. */
struct policy *policy_new(void);
int policy_parse(struct policy *policy, const char *text, const char *name,
		 struct complaint *ret_complaint);
/* When all has been read: does each rule say enough? */
int policy_check(const struct policy *policy, struct complaint *ret_complaint);

#endif /* WPFILED_POLICY_H */
