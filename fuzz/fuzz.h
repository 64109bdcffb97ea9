/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef WPFILE_FUZZ_H
#define WPFILE_FUZZ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What a target is: libFuzzer calls it, or replay.c. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What must hold for every input. */
#define property(condition)						\
	do {								\
		if (!(condition)) {					\
			fprintf(stderr, "%s:%d: %s: does not hold: %s\n", \
				__FILE__, __LINE__, __func__, #condition); \
			abort();					\
		}							\
	} while (0)

/*
 * A copy of exactly @size bytes, aligned for anything, so that AddressSanitizer
 * sees the first byte that is read behind it.  The caller frees it.
 */
static inline void *fuzz_dup(const void *data, size_t size)
{
	void *copy = malloc(size);

	if (size && !copy)
		abort();
	if (size)
		memcpy(copy, data, size);
	return copy;
}

/* The same with a zero byte behind it. */
static inline char *fuzz_text_dup(const void *data, size_t size)
{
	char *text = malloc(size + 1);

	if (!text)
		abort();
	if (size)
		memcpy(text, data, size);
	text[size] = '\0';
	return text;
}

#endif /* WPFILE_FUZZ_H */
