/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What is counted, as OpenMetrics text. */
#ifndef WPFILED_METRICS_H
#define WPFILED_METRICS_H

#include <stddef.h>
#include <stdint.h>

#include "wire.h"

struct daemon;

enum outcome {
	OUTCOME_GRANTED,
	OUTCOME_REFUSED,	/* by policy */
	OUTCOME_FAILED,
	NR_OUTCOMES
};

struct metrics {
	uint64_t requests[WIRE_NR_TYPES][NR_OUTCOMES];
	uint64_t connections;
	uint64_t connections_refused;
	uint64_t reloads;
	uint64_t reloads_failed;
};

int metrics_print(struct daemon *daemon, char *text, size_t size,
		  size_t *ret_used);

#endif /* WPFILED_METRICS_H */
