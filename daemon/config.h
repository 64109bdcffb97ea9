/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A policy that is being read: shared by those who know its lines. */
#ifndef WPFILED_CONFIG_H
#define WPFILED_CONFIG_H

#include "policy.h"

struct reader {
	struct policy *policy;
	const char *name;	/* of the file */
	const char *next;	/* of the text */
	unsigned int line;
	bool failed;
	struct complaint *complaint;
};

/* Says the place, too; only the first counts.  Returns false. */
bool complain(struct reader *reader, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

bool config_number(struct reader *reader, const char *key, const char *value,
		   uint32_t minimum, uint32_t *ret_number);

/* rule.c: a line of [rule NAME].  @value may be changed. */
bool rule_line(struct reader *reader, struct rule *rule, const char *key,
	       char *value);

#endif /* WPFILED_CONFIG_H */
