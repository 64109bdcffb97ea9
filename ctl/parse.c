// SPDX-License-Identifier: GPL-2.0-or-later
/* Numbers as people write them; strtoull() takes signs and blanks. */
#include <string.h>

#include "ctl.h"

#define NSEC_PER_SEC 1000000000ULL
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
