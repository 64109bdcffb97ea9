// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The text of /proc/PID/fdinfo/FD.  What is accepted says each thing once, in
 * whatever order, and means what strtoull() reads there; written anew as the kernel
 * does, it means the same.
 */
#include <errno.h>

#include "fdinfo.h"
#include "fuzz.h"

static bool same(const struct wpfile_mon_info *a, const struct wpfile_mon_info *b)
{
	return a->mode == b->mode && a->failed == b->failed &&
	       a->inode == b->inode && a->dev_major == b->dev_major &&
	       a->dev_minor == b->dev_minor && a->waiting == b->waiting &&
	       a->protected_pages == b->protected_pages &&
	       a->pinned_pages == b->pinned_pages &&
	       a->captured_bytes == b->captured_bytes &&
	       a->overflows == b->overflows;
}

/* As wpfile_show_fdinfo() of the kernel. */
static char *write_anew(const struct wpfile_mon_info *info)
{
	char *text = NULL;
	size_t size;
	FILE *file = open_memstream(&text, &size);

	property(file);
	fprintf(file, "pos:\t0\nflags:\t02\nmnt_id:\t16\nino:\t9\n");
	fprintf(file, "wpfile_mode:\t%s\n", wpfile_mode_name(info->mode));
	fprintf(file, "wpfile_dev:\t%02x:%02x\n", info->dev_major, info->dev_minor);
	fprintf(file, "wpfile_ino:\t%lu\n", info->inode);
	fprintf(file, "protected_pages:\t%lu\n", info->protected_pages);
	fprintf(file, "pinned_pages:\t%lu\n", info->pinned_pages);
	if (info->mode != WPFILE_TRACK) {
		fprintf(file, "captured_bytes:\t%lu\n", info->captured_bytes);
		fprintf(file, "failed:\t%d\n", info->failed);
		fprintf(file, "cut_ns:\t17\noverflows:\t%lu\n", info->overflows);
	}
	if (info->mode == WPFILE_SYNC)
		fprintf(file, "waiting_pages:\t%lu\n", info->waiting);
	property(!fclose(file));
	return text;
}

static void check_written_anew(const struct wpfile_mon_info *info)
{
	struct wpfile_mon_info again;
	char *text = write_anew(info);

	property(!wpfile_fdinfo_text(text, &again) && same(info, &again));
	free(text);
}

/* What follows "NAME:\t" in the only line that begins so; NULL: there is none. */
static const char *find(const char *text, const char *name)
{
	const char *found = NULL, *line = text;
	size_t size = strlen(name);

	while (*line) {
		if (!strncmp(line, name, size) && !strncmp(line + size, ":\t", 2)) {
			property(!found);
			found = line + size + 2;
		}
		line += strcspn(line, "\n");
		line += *line == '\n';
	}
	return found;
}

static uint64_t number(const char *s, int base, char after, const char **ret_end)
{
	uint64_t value;
	char *end;

	property(*s != ' ' && *s != '-' && *s != '+' && *s != '\t');
	errno = 0;
	value = strtoull(s, &end, base);
	property(!errno && end > s);
	property(*end == after || (after == '\n' && !*end));
	*ret_end = end;
	return value;
}

static void check_number(const char *text, const char *name, bool expected,
			 uint64_t value)
{
	const char *s = find(text, name);

	property(!s == !expected);
	property(value == (s ? number(s, 10, '\n', &s) : 0));
}

static void check_fields(const char *text, const struct wpfile_mon_info *info)
{
	bool captures = info->mode != WPFILE_TRACK;
	const char *s = find(text, "wpfile_mode"), *name;

	property(s && info->mode < WPFILE_NR_MODES && info->failed <= 1);
	name = wpfile_mode_name(info->mode);
	property(!strncmp(s, name, strlen(name)));
	property(!s[strlen(name)] || s[strlen(name)] == '\n');
	s = find(text, "wpfile_dev");
	property(s && number(s, 16, ':', &s) == info->dev_major);
	property(number(s + 1, 16, '\n', &s) == info->dev_minor);
	check_number(text, "wpfile_ino", true, info->inode);
	check_number(text, "protected_pages", true, info->protected_pages);
	check_number(text, "pinned_pages", true, info->pinned_pages);
	check_number(text, "captured_bytes", captures, info->captured_bytes);
	check_number(text, "failed", captures, info->failed);
	check_number(text, "overflows", captures, info->overflows);
	check_number(text, "waiting_pages", info->mode == WPFILE_SYNC, info->waiting);
}

/* The lines from the last to the first. */
static char *turn_around(const char *text)
{
	size_t size = strlen(text), end = size, begin;
	char *turned = fuzz_text_dup("", 0), *at;

	turned = realloc(turned, size + 2);
	property(turned);
	at = turned;
	while (end) {
		for (begin = end; begin && text[begin - 1] != '\n'; begin--)
			;
		memcpy(at, text + begin, end - begin);
		at += end - begin;
		*at++ = '\n';
		end = begin ? begin - 1 : 0;
	}
	*at = '\0';
	return turned;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct wpfile_mon_info info, untouched, other;
	char *text = fuzz_text_dup(data, size), *turned = turn_around(text);
	int ret;

	memset(&info, 0x5a, sizeof(info));
	untouched = other = info;
	ret = wpfile_fdinfo_text(text, &info);
	property(ret == 0 || ret == -ENOTTY || ret == -EBADMSG);
	property(wpfile_fdinfo_text(turned, &other) == ret);
	property(same(&info, &other));
	if (ret) {
		property(!memcmp(&info, &untouched, sizeof(info)));
	} else {
		check_fields(text, &info);
		check_written_anew(&info);
	}
	free(turned);
	free(text);
	return 0;
}
