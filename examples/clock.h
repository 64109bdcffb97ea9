/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A clock for measurements.  In a virtual machine whose time is a count of
 * instructions (QEMU's -icount: tests/vm/run --icount) a nanosecond is one of them;
 * that is proved by counting some whose number is known.
 */
#ifndef CLOCK_H
#define CLOCK_H

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

static inline uint64_t clock_ticks_per_second(void)
{
	return 1000000000;
}

static inline uint64_t clock_ticks(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * clock_ticks_per_second() + now.tv_nsec;
}

#ifdef __x86_64__
/* Two instructions a round. */
static inline void clock_spin(uint64_t rounds)
{
	__asm__ volatile("1: dec %0; jnz 1b" : "+r"(rounds) : : "cc");
}

/* Three times in a row, to a per cent, is no accident. */
static inline bool clock_counts_instructions(void)
{
	const uint64_t rounds = 4000000;
	int i;

	for (i = 0; i < 3; i++) {
		uint64_t ticks = clock_ticks();

		clock_spin(rounds);
		ticks = clock_ticks() - ticks;
		if (ticks < 2 * rounds || ticks > 2 * rounds + 2 * rounds / 100)
			return false;
	}
	return true;
}
#else
static inline bool clock_counts_instructions(void)
{
	return false;
}
#endif

#endif /* CLOCK_H */
