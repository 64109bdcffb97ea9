/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef WPFILE_NUMBER_H
#define WPFILE_NUMBER_H

#include <stdint.h>

/*
 * The number at the beginning of @s, without sign or blanks, and where it ends;
 * NULL if there is none, or if it is too large.
 */
const char *wpfile_parse_number(const char *s, unsigned int base, uint64_t *ret);

/* Behind @c, if @s, which may be NULL, begins with it; else NULL. */
const char *wpfile_expect(const char *s, char c);

#endif /* WPFILE_NUMBER_H */
