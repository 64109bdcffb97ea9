// SPDX-License-Identifier: GPL-2.0-or-later
/* What went wrong, and what to do: one line, and the exit code. */
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "ctl.h"

struct meaning {
	int err;
	int code;
	const char *hint;
};

static const struct meaning meanings[] = {
	{ ENOSYS, CTL_NO_KERNEL,
	  "boot a kernel built with CONFIG_WPFILE=y; wpfilectl check tells" },
	{ EACCES, CTL_NOT_PERMITTED,
	  "run as root, or as the owner of the process and the file" },
	{ EPERM, CTL_NOT_PERMITTED,
	  "run as root, or as the owner of the process and the file" },
	{ ESRCH, CTL_NOT_FOUND, "name a running process" },
	{ ENOENT, CTL_NOT_FOUND, "check the name" },
	{ ENOTTY, CTL_FAILED,
	  "name a memfd, a file on tmpfs, or a shared mapping" },
	{ EOPNOTSUPP, CTL_FAILED, "this kernel cannot do it for this file" },
	{ EDQUOT, CTL_FAILED,
	  "end other monitors, or raise the quota: sysctl user.max_wpfile_monitors, or wpfiled.conf(5)" },
	{ EBUSY, CTL_FAILED,
	  "the file has all the monitors that it may have; see wpfilectl stat" },
	{ EIO, CTL_FAILED, "the kernel's log may tell more" },
	{ ENOMEM, CTL_FAILED, "free some memory and try again" },
	{ ENOSPC, CTL_FAILED, "free some space and try again" },
	{ EBADMSG, CTL_FAILED, "wpfilectl list shows monitors" },
	{ ESTALE, CTL_FAILED, "it changed meanwhile: try again" },
};

const char *report_verb;
bool report_daemon;

const char *error_text(int err)
{
	if (err < 0)
		err = -err;
	if (err == ENOSYS)
		return "this kernel has no wpfile";
	if (err == ENOTTY)
		return "not shared memory";
	if (err == EBADMSG)
		return "not a monitor";
	return strerror(err);
}

/* In one write, so that lines of several programs do not mix. */
static void print_line(const char *text, const char *hint, const char *format,
		       va_list ap)
{
	char *what = NULL;

	if (vasprintf(&what, format, ap) < 0)
		what = NULL;
	fprintf(stderr, "wpfilectl: %s%s%s%s%s%s%s\n",
		report_verb ? report_verb : "", report_verb ? ": " : "",
		what ? what : format, text ? ": " : "", text ? text : "",
		hint ? ": " : "", hint ? hint : "");
	free(what);
}

int fail_usage(const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	print_line(NULL, NULL, format, ap);
	va_end(ap);
	return CTL_USAGE;
}

int fail_hint(int code, const char *hint, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	print_line(NULL, hint, format, ap);
	va_end(ap);
	return code;
}

/*
 * A file that is no shared memory and a kernel that has no wpfile answer alike.
 */
static int which_enotty(void)
{
	struct wpfile_query query = { .size = sizeof(query) };

	return wpfile_query_system(&query) == -ENOSYS ? ENOSYS : ENOTTY;
}

static const struct meaning *meaning_of(int err)
{
	static const struct meaning refused = {
		EACCES, CTL_NOT_PERMITTED,
		"no rule of wpfiled's policy allows it, see wpfiled.conf(5)"
	};
	static const struct meaning unknown = { 0, CTL_FAILED, NULL };
	size_t i;

	if (report_daemon && err == EACCES)
		return &refused;
	for (i = 0; i < sizeof(meanings) / sizeof(meanings[0]); i++)
		if (meanings[i].err == err)
			return &meanings[i];
	return &unknown;
}

int fail_errno(int err, const char *format, ...)
{
	const struct meaning *meaning;
	va_list ap;

	if (err < 0)
		err = -err;
	if (err == ENOTTY)
		err = which_enotty();
	meaning = meaning_of(err);
	va_start(ap, format);
	print_line(error_text(err), meaning->hint, format, ap);
	va_end(ap);
	return meaning->code;
}
