/* SPDX-License-Identifier: GPL-2.0-only */
/* Processes of other users, with other capabilities, in other namespaces. */
#ifndef WPFILE_TESTS_WHO_H
#define WPFILE_TESTS_WHO_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct who {
	uid_t uid, euid;
	gid_t gid, egid;
	uint64_t permitted;	/* of one who is not root */
	uint64_t effective;
	bool undumpable;
	uid_t suid;		/* 0: as euid */
	gid_t sgid;		/* 0: as egid */
};

/* Nothing but the user @_id. */
#define WHO_USER(_id)                                                          \
	{ .uid = (_id), .euid = (_id), .gid = (_id), .egid = (_id) }

#define CAP_BIT(cap) (1ULL << (cap))

/* Root becomes @who, for good, in the user namespace @ns unless that is -1. */
int who_become(const struct who *who, int ns);
int who_drop(uint64_t caps);	/* the caller, for good */
uint64_t who_permitted(void);	/* of the caller; all bits if unknown */

/* What Landlock keeps a process from doing to those outside of its sandbox. */
#define WHO_SCOPE_SOCKETS	(1ULL << 0)	/* connect() to abstract ones */
#define WHO_SCOPE_SIGNALS	(1ULL << 1)

/* The caller, and its children, for good, in a sandbox of their own. */
int who_sandbox(uint64_t scopes);
bool who_can_sandbox(void);

/*
 * A user namespace made by @uid, in which all ids are those outside; as a file
 * descriptor.
 */
int userns_new(uid_t uid);

/* The running program as the file @path, of @uid and @gid. */
int program_copy(const char *path, uid_t uid, gid_t gid, mode_t mode);
int program_add_caps(const char *path, uint64_t permitted, bool effective);

#endif
