// SPDX-License-Identifier: GPL-2.0-only
/* Random numbers that a seed repeats (splitmix64). */
#include "random.h"
#include <string.h>

static uint64_t step(uint64_t *state)
{
	uint64_t x = *state += 0x9e3779b97f4a7c15ULL;

	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9ULL;
	x = (x ^ x >> 27) * 0x94d049bb133111ebULL;
	return x ^ x >> 31;
}

unsigned int rng_next(struct rng *rng)
{
	return step(&rng->state) >> 32;
}

unsigned int rng_below(struct rng *rng, unsigned int limit)
{
	return (uint64_t)rng_next(rng) * limit >> 32;
}

bool rng_one_in(struct rng *rng, unsigned int n)
{
	return !rng_below(rng, n);
}

/* Never a zero: each byte that is written can be told from a hole. */
void rng_fill(void *to, size_t length, unsigned int seed)
{
	uint64_t state = (uint64_t)seed << 32, word;
	unsigned char *bytes = to;
	size_t i;

	for (i = 0; i + sizeof(word) <= length; i += sizeof(word)) {
		word = step(&state) | 0x0101010101010101ULL;
		memcpy(bytes + i, &word, sizeof(word));
	}
	for (; i < length; i++)
		bytes[i] = step(&state) | 1;
}
