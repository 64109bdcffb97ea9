// SPDX-License-Identifier: GPL-2.0-or-later
/* Numbers and ranges as people write them; strtoull() takes signs and blanks. */
#include <stdlib.h>
#include <string.h>

#include "ctl.h"

#define MAX_SECONDS (366ULL * 24 * 3600)

static const char *digits(const char *s, uint64_t *ret_value)
{
	uint64_t value = 0;
	const char *p;

	for (p = s; *p >= '0' && *p <= '9'; p++) {
		unsigned int digit = *p - '0';

		if (value > (UINT64_MAX - digit) / 10)
			return NULL;
		value = value * 10 + digit;
	}
	if (p == s)
		return NULL;
	*ret_value = value;
	return p;
}

bool parse_count(const char *s, uint64_t *ret_value)
{
	uint64_t value;

	s = digits(s, &value);
	if (!s || *s)
		return false;
	*ret_value = value;
	return true;
}

/* Digits, and one of k, M, G, T for powers of 1024. */
bool parse_size(const char *s, uint64_t *ret_bytes)
{
	static const char units[] = "kmgt";
	unsigned int shift = 0;
	const char *unit;
	uint64_t value;

	s = digits(s, &value);
	if (!s)
		return false;
	if (*s) {
		unit = strchr(units, *s | 0x20);
		if (!unit || !*unit || s[1])
			return false;
		shift = 10 * (unit - units + 1);
	}
	if (value > UINT64_MAX >> shift)
		return false;
	*ret_bytes = value << shift;
	return true;
}

/* As people write them, or in hexadecimal, as this command prints them. */
static bool parse_offset(const char *s, size_t len, uint64_t *ret_bytes)
{
	static const char hex[] = "0123456789abcdefABCDEF";
	char text[24];

	if (!len || len >= sizeof(text))
		return false;
	memcpy(text, s, len);
	text[len] = '\0';
	if (text[0] != '0' || text[1] != 'x')
		return parse_size(text, ret_bytes);
	/* strtoull() would take another 0x. */
	if (len < 3 || len > 2 + 16 || 2 + strspn(text + 2, hex) != len)
		return false;
	*ret_bytes = strtoull(text + 2, NULL, 16);
	return true;
}

/* What is wrong with it, or NULL. */
static const char *set_length(struct wpfile_range *range, char sign, uint64_t value)
{
	if (sign == '-' && value <= range->offset)
		return "ends where it begins, or before";
	range->length = sign == '-' ? value - range->offset : value;
	if (!range->length)
		return "is empty";
	if (range->length > INT64_MAX - range->offset)
		return "ends beyond the largest file";
	return NULL;
}

const char *parse_range(const char *s, uint64_t page_size,
			struct wpfile_range *ret_range)
{
	const char *sign = strpbrk(s, "+-"), *wrong = NULL;
	struct wpfile_range range = { .length = WPFILE_TO_END };
	bool to_end = sign && *sign == '-' && !sign[1];
	uint64_t offset, value;

	if (!sign || !parse_offset(s, sign - s, &offset) ||
	    (!to_end && !parse_offset(sign + 1, strlen(sign + 1), &value)))
		return "write OFFSET+LENGTH, OFFSET-END or OFFSET-";
	range.offset = offset;
	if (offset > INT64_MAX)
		wrong = "begins beyond the largest file";
	else if (!to_end)
		wrong = set_length(&range, *sign, value);
	if (wrong)
		return wrong;
	if (range.offset % page_size || (!to_end && range.length % page_size))
		return "must be whole pages: getconf PAGESIZE tells their size";
	*ret_range = range;
	return NULL;
}

/* Seconds with a fraction, from a millisecond to a year. */
bool parse_seconds(const char *s, uint64_t *ret_ns)
{
	uint64_t seconds, ns, unit = NSEC_PER_SEC / 10;

	s = digits(s, &seconds);
	if (!s || seconds > MAX_SECONDS)
		return false;
	ns = seconds * NSEC_PER_SEC;
	if (*s == '.' && !s[1])
		return false;
	if (*s == '.')
		for (s++; *s >= '0' && *s <= '9'; s++, unit /= 10)
			ns += unit * (*s - '0');
	if (*s || ns < NSEC_PER_SEC / 1000)
		return false;
	*ret_ns = ns;
	return true;
}
