// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Numbers on the command line: accepted is what the grammar says and what fits,
 * no more and no less, with the right value; what is refused changes nothing.
 */
#include "ctl.h"
#include "fuzz.h"

#define UNTOUCHED 0x5a5a5a5a5a5a5a5aULL

typedef unsigned __int128 wide;

/* Digits at @s, far beyond 64 bits; NULL if there are none. */
static const char *wide_digits(const char *s, wide *ret_value)
{
	const wide enough = (wide)1 << 100;
	const char *p = s;

	for (*ret_value = 0; *p >= '0' && *p <= '9'; p++)
		if (*ret_value < enough)
			*ret_value = *ret_value * 10 + (*p - '0');
	return p == s ? NULL : p;
}

static void check_count(const char *s)
{
	uint64_t value = UNTOUCHED;
	wide expected;
	const char *end = wide_digits(s, &expected);
	bool good = end && !*end && expected <= UINT64_MAX;

	property(parse_count(s, &value) == good);
	property(value == (good ? (uint64_t)expected : UNTOUCHED));
}

static wide unit_of(const char *unit)
{
	if (*unit && unit[1])
		return 0;
	switch (*unit) {
	case '\0':
		return 1;
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

static void check_size(const char *s)
{
	uint64_t value = UNTOUCHED;
	wide expected, unit;
	const char *end = wide_digits(s, &expected);
	bool good;

	unit = end ? unit_of(end) : 0;
	good = unit && expected <= UINT64_MAX / unit;
	property(parse_size(s, &value) == good);
	property(value == (good ? (uint64_t)(expected * unit) : UNTOUCHED));
}

/* The first nine digits of a fraction count. */
static const char *fraction(const char *s, wide *ret_ns)
{
	unsigned int i = 0;

	for (*ret_ns = 0; i < 9; i++)
		*ret_ns = *ret_ns * 10 + (*s >= '0' && *s <= '9' ? *s++ - '0' : 0);
	return s + strspn(s, "0123456789");
}

static void check_seconds(const char *s)
{
	const wide second = 1000000000, year = 366 * 24 * 3600;
	uint64_t ns = UNTOUCHED;
	wide whole, part = 0;
	const char *end = wide_digits(s, &whole);
	bool good = end && whole <= year;

	if (good && *end == '.')
		good = end[1] && !*(end = fraction(end + 1, &part));
	good = good && !*end && whole * second + part >= second / 1000;
	property(parse_seconds(s, &ns) == good);
	property(ns == (good ? (uint64_t)(whole * second + part) : UNTOUCHED));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *s = fuzz_text_dup(data, size);

	check_count(s);
	check_size(s);
	check_seconds(s);
	free(s);
	return 0;
}
