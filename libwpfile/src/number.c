// SPDX-License-Identifier: LGPL-2.1-or-later
/* Numbers in the texts of /proc. */
#include <stddef.h>

#include "number.h"

static unsigned int digit_of(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f')
		return (c | 0x20) - 'a' + 10;
	return UINT32_MAX;
}

/* strtoull() would accept blanks and signs, and set errno. */
const char *wpfile_parse_number(const char *s, unsigned int base, uint64_t *ret)
{
	uint64_t value = 0;
	const char *p;

	for (p = s; digit_of(*p) < base; p++) {
		if (value > (UINT64_MAX - digit_of(*p)) / base)
			return NULL;
		value = value * base + digit_of(*p);
	}
	if (p == s)
		return NULL;
	*ret = value;
	return p;
}

const char *wpfile_expect(const char *s, char c)
{
	return s && *s == c ? s + 1 : NULL;
}
