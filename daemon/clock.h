/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The time of events. */
#ifndef WPFILED_CLOCK_H
#define WPFILED_CLOCK_H

#include <stdint.h>
#include <time.h>

#define NSEC_PER_USEC	1000ULL
#define NSEC_PER_SEC	1000000000ULL

/* CLOCK_MONOTONIC. */
static inline uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * NSEC_PER_SEC + now.tv_nsec;
}

#endif /* WPFILED_CLOCK_H */
