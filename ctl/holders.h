/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Who has monitors: what /proc tells of all processes that we may look at. */
#ifndef WPFILECTL_HOLDERS_H
#define WPFILECTL_HOLDERS_H

#include "ctl.h"

/* filter.c: which monitors are asked for. */
struct filter {
	pid_t pid;		/* who has them; 0: anybody */
	bool by_file;
	uint32_t dev_major;
	uint32_t dev_minor;
	uint64_t inode;
};

/* A target is a file; --pid alone is who has them; nothing is the system. */
int filter_make(const struct args *args, struct filter *ret_filter);
bool filter_matches(const struct filter *filter, uint32_t dev_major,
		    uint32_t dev_minor, uint64_t inode);

/* A descriptor of a monitor or a snapshot. */
struct holder {
	pid_t pid;
	int fd;
	struct wpfile_mon_info info;
	char command[COMMAND_SIZE];
	char *file;		/* a name of the file, NULL: not known */
};

struct holders {
	struct holder *list;
	size_t nr;
};

int holders_find(const struct filter *filter, struct holders *ret_holders);
void holders_free(struct holders *holders);
json_t *holder_json(const struct holder *holder);

/* names.c: looks for names of the files, among all that is open or mapped. */
void holders_name(struct holders *holders);

/*
 * take.c: lifts the protection of somebody else's monitor, of the whole file if @nr
 * is 0, and audits it.  0 or -errno.
 */
int holder_unprotect(struct holder *holder, const struct wpfile_range *ranges,
		     size_t nr);

/* audit.c: a line in the journal for what we did to it, @err: 0 or -errno. */
void audit(const struct holder *holder, int err);
void audit_id(uint64_t id, int err);

#endif /* WPFILECTL_HOLDERS_H */
