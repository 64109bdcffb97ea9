// SPDX-License-Identifier: GPL-2.0-or-later
/* Text of others and times, for people and as JSON. */
#include <errno.h>
#include <time.h>

#include "ctl.h"

int print_json(FILE *to, json_t *json)
{
	int ret = CTL_OK;

	if (!json)
		return fail_errno(ENOMEM, "cannot print the result");
	if (json_dumpf(json, to, JSON_COMPACT) || putc('\n', to) == EOF)
		ret = fail_hint(CTL_FAILED, NULL, "cannot print the result");
	json_decref(json);
	return ret;
}

/* Names that others have chosen must not drive our terminal. */
void make_printable(char *s)
{
	for (; *s; s++)
		if (*s < ' ' || *s > '~')
			*s = '?';
}

/* JSON is UTF-8, which a name need not be. */
json_t *json_text(const char *s)
{
	json_t *text = s && *s ? json_string(s) : json_null();
	char copy[256];

	if (text)
		return text;
	snprintf(copy, sizeof(copy), "%s", s);
	make_printable(copy);
	return json_string(copy);
}

void format_clock(uint64_t realtime_ns, char *buffer, size_t size)
{
	time_t seconds = realtime_ns / NSEC_PER_SEC;
	struct tm tm;
	size_t len;

	localtime_r(&seconds, &tm);
	len = strftime(buffer, size, "%H:%M:%S", &tm);
	snprintf(buffer + len, size - len, ".%03u",
		 (unsigned int)(realtime_ns % NSEC_PER_SEC / NSEC_PER_MSEC));
}

uint64_t clock_ns(int clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return now.tv_sec * NSEC_PER_SEC + now.tv_nsec;
}
