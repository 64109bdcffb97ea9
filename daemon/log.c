// SPDX-License-Identifier: GPL-2.0-or-later
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

/* The journal is told of the place of each call, which is always here. */
#define SD_JOURNAL_SUPPRESS_LOCATION
#include <systemd/sd-journal.h>

#include "log.h"

#define AUDIT_ID "a3d9c6f2e8b14f0c9d57106b42e7f815"

static int max_level = LOG_INFO;
static bool to_journal;

/* The variable is inherited by those whose stderr is something else by now. */
static bool is_journal(int fd)
{
	const char *stream = getenv("JOURNAL_STREAM");
	unsigned long dev, ino;
	struct stat stat;

	return stream && sscanf(stream, "%lu:%lu", &dev, &ino) == 2 &&
	       !fstat(fd, &stat) && stat.st_dev == dev && stat.st_ino == ino;
}

void log_open(int level)
{
	max_level = level;
	to_journal = is_journal(STDERR_FILENO);
}

static const char *level_name(int priority)
{
	static const char *const names[] = {
		"emerg", "alert", "crit", "err",
		"warning", "notice", "info", "debug",
	};

	return names[priority & 7];
}

/* One line, whatever is in it. */
static void put_quoted(FILE *file, const char *text)
{
	putc('"', file);
	for (; *text; text++) {
		if (*text == '"' || *text == '\\')
			putc('\\', file);
		putc((unsigned char)*text < ' ' ? ' ' : *text, file);
	}
	putc('"', file);
}

static void to_stderr(int priority, const char *message, const char *rest)
{
	flockfile(stderr);
	fprintf(stderr, "level=%s message=", level_name(priority));
	put_quoted(stderr, message);
	fprintf(stderr, "%s%s\n", *rest ? " " : "", rest);
	fflush(stderr);
	funlockfile(stderr);
}

void log_say(int priority, const char *format, ...)
{
	char message[1024];
	va_list args;

	if (priority > max_level)
		return;
	va_start(args, format);
	vsnprintf(message, sizeof(message), format, args);
	va_end(args);
	if (to_journal)
		sd_journal_send("MESSAGE=%s", message, "PRIORITY=%i", priority,
				"SYSLOG_IDENTIFIER=wpfiled", NULL);
	else
		to_stderr(priority, message, "");
}

static const char *errno_name(int err)
{
	return err ? strerrorname_np(-err) ?: "?" : "0";
}

static void audit_fields(const struct audit *audit, char *text, size_t size)
{
	int used;

	used = snprintf(text, size, "pid=%d uid=%u gid=%u type=%s", audit->pid,
			audit->uid, audit->gid, audit->type);
	if (audit->ino)
		used += snprintf(text + used, size - used,
				 " file=%u:%u:%lu owner=%u", major(audit->dev),
				 minor(audit->dev), audit->ino, audit->owner);
	snprintf(text + used, size - used, " rule=%s errno=%s",
		 audit->rule ?: "none", errno_name(audit->err));
}

static void audit_to_journal(const struct audit *audit, int priority,
			     const char *verb, const char *fields)
{
	sd_journal_send("MESSAGE=%s %s", verb, fields, "PRIORITY=%i", priority,
			"SYSLOG_IDENTIFIER=wpfiled", "MESSAGE_ID=" AUDIT_ID,
			"WPFILE_PEER_PID=%d", audit->pid,
			"WPFILE_PEER_UID=%u", audit->uid,
			"WPFILE_PEER_GID=%u", audit->gid,
			"WPFILE_TYPE=%s", audit->type,
			"WPFILE_DEV=%u:%u", major(audit->dev), minor(audit->dev),
			"WPFILE_INO=%lu", audit->ino,
			"WPFILE_OWNER=%u", audit->owner,
			"WPFILE_RULE=%s", audit->rule ?: "none",
			"ERRNO=%d", -audit->err, NULL);
}

void log_audit(const struct audit *audit)
{
	int priority = audit->err ? LOG_NOTICE : LOG_DEBUG;
	const char *verb = audit->err ? "refused" : "granted";
	char fields[512];

	if (priority > max_level)
		return;
	audit_fields(audit, fields, sizeof(fields));
	if (to_journal)
		audit_to_journal(audit, priority, verb, fields);
	else
		to_stderr(priority, verb, fields);
}
