// SPDX-License-Identifier: LGPL-2.1-or-later
/* A monitor, as /proc/PID/fdinfo/FD shows it. */
#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "fdinfo.h"
#include "number.h"

/* What is to be there is told by the mode. */
enum field {
	MODE, DEV, INO, PROTECTED, PINNED, CAPTURED, FAILED, OVERFLOWS, WAITING,
	NR_FIELDS
};

static const char *const field_names[NR_FIELDS] = {
	[MODE]		= "wpfile_mode",
	[DEV]		= "wpfile_dev",
	[INO]		= "wpfile_ino",
	[PROTECTED]	= "protected_pages",
	[PINNED]	= "pinned_pages",
	[CAPTURED]	= "captured_bytes",
	[FAILED]	= "failed",
	[OVERFLOWS]	= "overflows",
	[WAITING]	= "waiting_pages",
};

#define BIT(field)	(1U << (field))
#define OF_ALL		(BIT(MODE) | BIT(DEV) | BIT(INO) | BIT(PROTECTED) | BIT(PINNED))
#define OF_CAPTURE	(OF_ALL | BIT(CAPTURED) | BIT(FAILED) | BIT(OVERFLOWS))

static const unsigned int fields_of[WPFILE_NR_MODES] = {
	[WPFILE_TRACK]		= OF_ALL,
	[WPFILE_CAPTURE]	= OF_CAPTURE,
	[WPFILE_SYNC]		= OF_CAPTURE | BIT(WAITING),
	[WPFILE_DENY]		= OF_CAPTURE,
};

struct line {
	const char *value;
	size_t size;		/* of the value */
	enum field field;	/* NR_FIELDS: none of ours */
};

/* Moves @text on; false at the end. */
static bool next_line(const char **text, struct line *line)
{
	const char *name = *text, *colon;
	size_t size = strcspn(name, "\n");
	unsigned int i;

	if (!*name)
		return false;
	*text += size + (name[size] == '\n');
	line->field = NR_FIELDS;
	colon = memchr(name, ':', size);
	if (!colon || colon[1] != '\t')
		return true;
	line->value = colon + 2;
	line->size = size - (line->value - name);
	for (i = 0; i < NR_FIELDS; i++)
		if (!strncmp(name, field_names[i], colon - name) &&
		    !field_names[i][colon - name])
			line->field = i;
	return true;
}

static bool parse_mode(const struct line *line, uint32_t *ret)
{
	unsigned int mode;

	for (mode = 0; mode < WPFILE_NR_MODES; mode++) {
		const char *name = wpfile_mode_name(mode);

		if (strlen(name) == line->size &&
		    !memcmp(name, line->value, line->size)) {
			*ret = mode;
			return true;
		}
	}
	return false;
}

static bool parse_dev(const struct line *line, struct wpfile_mon_info *info)
{
	uint64_t major, minor;
	const char *s;

	s = wpfile_expect(wpfile_parse_number(line->value, 16, &major), ':');
	if (!s || wpfile_parse_number(s, 16, &minor) != line->value + line->size)
		return false;
	info->dev_major = major;
	info->dev_minor = minor;
	return major <= UINT32_MAX && minor <= UINT32_MAX;
}

static bool parse_failed(const struct line *line, uint32_t *ret)
{
	*ret = *line->value - '0';
	return line->size == 1 && *ret <= 1;
}

static bool parse_count(const struct line *line, uint64_t *ret)
{
	return wpfile_parse_number(line->value, 10, ret) ==
	       line->value + line->size;
}

static bool parse_field(const struct line *line, struct wpfile_mon_info *info)
{
	switch (line->field) {
	case MODE:
		return parse_mode(line, &info->mode);
	case DEV:
		return parse_dev(line, info);
	case INO:
		return parse_count(line, &info->inode);
	case PROTECTED:
		return parse_count(line, &info->protected_pages);
	case PINNED:
		return parse_count(line, &info->pinned_pages);
	case CAPTURED:
		return parse_count(line, &info->captured_bytes);
	case FAILED:
		return parse_failed(line, &info->failed);
	case OVERFLOWS:
		return parse_count(line, &info->overflows);
	case WAITING:
		return parse_count(line, &info->waiting);
	case NR_FIELDS:
		break;
	}
	return true;
}

int wpfile_fdinfo_text(const char *text, struct wpfile_mon_info *ret_info)
{
	struct wpfile_mon_info info = { 0 };
	bool understood = true;
	unsigned int seen = 0;
	struct line line;

	while (next_line(&text, &line)) {
		if (line.field == NR_FIELDS)
			continue;
		if (seen & BIT(line.field) || !parse_field(&line, &info))
			understood = false;
		seen |= BIT(line.field);
	}
	/* Others may have fields of such names, but not this one. */
	if (!(seen & BIT(MODE)))
		return -ENOTTY;
	if (!understood || seen != fields_of[info.mode])
		return -EBADMSG;
	*ret_info = info;
	return 0;
}
