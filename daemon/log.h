/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the daemon says: to the journal, or as key=value lines to stderr. */
#ifndef WPFILED_LOG_H
#define WPFILED_LOG_H

#include <stdint.h>
#include <sys/types.h>
#include <syslog.h>

/* A request that was refused, or (at debug level) granted. */
struct audit {
	pid_t pid;
	uid_t uid;
	gid_t gid;
	const char *type;	/* of the request */
	dev_t dev;		/* of the file; 0: none was concerned */
	ino_t ino;
	uid_t owner;
	const char *rule;	/* of the policy, NULL: none matched */
	int err;		/* negative errno, 0: granted */
};

/* Messages of a higher number than @level are left out. */
void log_open(int level);

/* From any thread. */
void log_say(int priority, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
void log_audit(const struct audit *audit);

#endif /* WPFILED_LOG_H */
