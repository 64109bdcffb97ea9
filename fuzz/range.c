// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Ranges on the command line: accepted is what the grammar says, with the right
 * ends, whole pages, within the largest file; written anew it is the same; what is
 * refused changes nothing, and has a reason.
 */
#include <ctype.h>

#include "ctl.h"
#include "fuzz.h"

/* Longer numbers may be refused. */
#define LONGEST 18

typedef unsigned __int128 wide;

static wide unit_of(char c)
{
	switch (c) {
	case 'k': case 'K':
		return (wide)1 << 10;
	case 'm': case 'M':
		return (wide)1 << 20;
	case 'g': case 'G':
		return (wide)1 << 30;
	case 't': case 'T':
		return (wide)1 << 40;
	}
	return 0;
}

static int digit_of(char c, int base)
{
	if (base == 16 && isxdigit((unsigned char)c))
		return isdigit((unsigned char)c) ? c - '0' : tolower(c) - 'a' + 10;
	return isdigit((unsigned char)c) ? c - '0' : -1;
}

/* @s, all of its @len characters, as a number; false if it is none that fits. */
static bool number(const char *s, size_t len, wide *ret_value)
{
	int base = len > 2 && s[0] == '0' && s[1] == 'x' ? 16 : 10;
	size_t i = base == 16 ? 2 : 0, first = i;
	wide value = 0;

	for (; i < len && digit_of(s[i], base) >= 0; i++) {
		value = value * base + digit_of(s[i], base);
		if (value > UINT64_MAX)
			return false;
	}
	if (i == first)
		return false;
	if (base == 10 && i == len - 1 && unit_of(s[i]))
		value *= unit_of(s[i++]);
	*ret_value = value;
	return i == len && value <= UINT64_MAX;
}

/* What @s means, by the grammar; false: nothing. */
static bool expect(const char *s, uint64_t page, struct wpfile_range *ret_range)
{
	size_t len = strcspn(s, "+-");
	wide begin, end, most = INT64_MAX;
	const char *rest = s + len;

	if (!*rest || !number(s, len, &begin) || begin > most || begin % page)
		return false;
	ret_range->offset = begin;
	ret_range->length = WPFILE_TO_END;
	if (*rest == '-' && !rest[1])
		return true;
	if (!number(rest + 1, strlen(rest + 1), &end))
		return false;
	if (*rest == '+')
		end += begin;
	if (end <= begin || end > most || end % page)
		return false;
	ret_range->length = end - begin;
	return true;
}

static bool same(const struct wpfile_range *a, const struct wpfile_range *b)
{
	return a->offset == b->offset && a->length == b->length;
}

static void check_written(const struct wpfile_range *range, uint64_t page,
			  const char *format)
{
	struct wpfile_range again;
	char text[64];

	snprintf(text, sizeof(text), format, range->offset,
		 range->length + (strchr(format, '-') ? range->offset : 0));
	property(!parse_range(text, page, &again) && same(range, &again));
}

static void check_anew(const struct wpfile_range *range, uint64_t page)
{
	if (range->length == WPFILE_TO_END) {
		check_written(range, page, "%lu-");
		check_written(range, page, "0x%010lx-");
		return;
	}
	property(range->length && range->length % page == 0);
	property(range->length <= INT64_MAX - range->offset);
	check_written(range, page, "%lu+%lu");
	check_written(range, page, "0x%lx-%lu");
	check_written(range, page, "0x%010lx+0x%lX");
}

static bool is_short(const char *s)
{
	size_t len = strcspn(s, "+-");

	return len <= LONGEST && strlen(s + len) <= LONGEST + 1;
}

static void check_range(const char *s, uint64_t page)
{
	struct wpfile_range range = { 0x5a5a, 0xa5a5 }, untouched = range, expected;
	const char *wrong = parse_range(s, page, &range);
	bool good = expect(s, page, &expected);

	if (wrong) {
		property(*wrong && same(&range, &untouched));
		property(!good || !is_short(s));
	} else {
		property(good && same(&range, &expected));
		property(range.offset % page == 0);
		check_anew(&range, page);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *s = fuzz_text_dup(data, size);

	check_range(s, 4096);
	check_range(s, 65536);
	free(s);
	return 0;
}
