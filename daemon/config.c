// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The policy as people write it.  libinih finds sections, keys and values; lines
 * that it would split, or join to another, are refused before it sees them.
 */
#include <errno.h>
#include <ini.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config.h"
#include "ctl.h"

#define MAX_RULES	1024
#define MAX_SECTION	48	/* characters; libinih cuts off what is longer than 49 */

static void complain_at(struct reader *reader, const char *format, va_list args)
{
	char *text = reader->complaint->text;
	size_t size = sizeof(reader->complaint->text);
	int used;

	used = snprintf(text, size, "%s:%u: ", reader->name, reader->line);
	if (used > 0 && (size_t)used < size)
		vsnprintf(text + used, size - used, format, args);
}

bool complain(struct reader *reader, const char *format, ...)
{
	va_list args;

	if (!reader->failed) {
		va_start(args, format);
		complain_at(reader, format, args);
		va_end(args);
	}
	reader->failed = true;
	return false;
}

bool config_number(struct reader *reader, const char *key, const char *value,
		   uint32_t minimum, uint32_t *ret_number)
{
	uint64_t number;

	if (!parse_count(value, &number) || number > INT32_MAX ||
	    number < minimum)
		return complain(reader, "%s: %s is not a number from %u to %d",
				key, value, minimum, INT32_MAX);
	*ret_number = number;
	return true;
}

/* --- sections --- */

static struct rule *add_rule(struct policy *policy, const char *name)
{
	struct rule *more;

	if (policy->nr >= MAX_RULES)
		return NULL;
	more = reallocarray(policy->rule, policy->nr + 1, sizeof(*more));
	if (!more)
		return NULL;
	policy->rule = more;
	more[policy->nr] = (struct rule){
		.name = strdup(name),
		.monitors = 16,
		.subscriptions = 16,
		.queue = 4096,
		.captured = 1ULL << 30,
	};
	return more[policy->nr].name ? &more[policy->nr++] : NULL;
}

/* Another file may change some lines of a rule, which stays in its place. */
static struct rule *get_rule(struct policy *policy, const char *name)
{
	size_t i;

	for (i = 0; i < policy->nr; i++)
		if (!strcmp(policy->rule[i].name, name))
			return &policy->rule[i];
	return add_rule(policy, name);
}

/* It goes into the log as it is, where "none" is for no rule. */
static bool is_name(const char *name)
{
	return *name && strcmp(name, "none") &&
	       !name[strspn(name, "abcdefghijklmnopqrstuvwxyz_.-"
				  "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789")];
}

static bool line_of_rule(struct reader *reader, const char *name,
			 const char *key, char *value)
{
	struct rule *rule;

	if (!is_name(name))
		return complain(reader, "[rule %s]: a name is letters, digits "
				"and _.-, and not none", name);
	rule = get_rule(reader->policy, name);
	if (!rule)
		return complain(reader, "more than %d rules, or no memory",
				MAX_RULES);
	return rule_line(reader, rule, key, value);
}

static bool line_of_daemon(struct reader *reader, const char *key,
			   const char *value)
{
	struct policy *policy = reader->policy;
	const struct {
		const char *name;
		uint32_t *number;
	} keys[] = {
		{ "wait_limit_ms", &policy->wait_limit_ms },
		{ "connections", &policy->connections },
		{ "user_connections", &policy->user_connections },
		{ "requests", &policy->requests },
	};
	size_t i;

	for (i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
		if (!strcmp(keys[i].name, key))
			return config_number(reader, key, value, 1,
					     keys[i].number);
	return complain(reader, "[daemon]: the key %s is not known", key);
}

/* Called by libinih for each line with a key. */
static int take_line(void *data, const char *section, const char *key,
		     const char *value)
{
	struct reader *reader = data;
	char *copy;
	bool done;

	if (reader->failed)
		return 0;
	/* Two rules that differ in what was cut off would be one. */
	if (strlen(section) > MAX_SECTION)
		return complain(reader, "[%s...]: the name is longer than %d "
				"characters", section, MAX_SECTION);
	if (!strcmp(section, "daemon"))
		return line_of_daemon(reader, key, value);
	if (strncmp(section, "rule ", 5))
		return complain(reader, "[%s]: the section is not known", section);
	copy = strdup(value);
	if (!copy)
		return complain(reader, "no memory");
	done = line_of_rule(reader, section + 5, key, copy);
	free(copy);
	return done;
}

/* Called by libinih, as fgets(). */
static char *next_line(char *line, int size, void *data)
{
	struct reader *reader = data;
	size_t length = strcspn(reader->next, "\n");

	if (!*reader->next || reader->failed)
		return NULL;
	reader->line++;
	/* What follows a line that fills the buffer would be another line. */
	if (length + 2 >= (size_t)size) {
		complain(reader, "the line is longer than %d characters",
			 size - 3);
		return NULL;
	}
	/* A line that begins with a blank would belong to the one before. */
	reader->next += strspn(reader->next, " \t");
	length = strcspn(reader->next, "\n");
	memcpy(line, reader->next, length);
	line[length] = '\0';
	reader->next += length + (reader->next[length] == '\n');
	return line;
}

int policy_parse(struct policy *policy, const char *text, const char *name,
		 struct complaint *ret_complaint)
{
	struct reader reader = {
		.policy = policy,
		.name = name,
		.next = text,
		.complaint = ret_complaint,
	};
	int line;

	line = ini_parse_stream(next_line, &reader, take_line, &reader);
	if (line && !reader.failed) {
		reader.line = line;
		complain(&reader, "neither [section] nor key = value");
	}
	return reader.failed ? -EINVAL : 0;
}

static const char *what_lacks(const struct rule *rule)
{
	if (!rule->who.nr)
		return "who";
	if (!rule->files.nr)
		return "files";
	return rule->has_modes ? NULL : "modes";
}

int policy_check(const struct policy *policy, struct complaint *ret_complaint)
{
	const char *key;
	size_t i;

	for (i = 0; i < policy->nr; i++) {
		key = what_lacks(&policy->rule[i]);
		if (!key)
			continue;
		snprintf(ret_complaint->text, sizeof(ret_complaint->text),
			 "[rule %s]: it has no line %s = ...",
			 policy->rule[i].name, key);
		return -EINVAL;
	}
	return 0;
}

struct policy *policy_new(void)
{
	struct policy *policy = calloc(1, sizeof(*policy));

	if (!policy)
		return NULL;
	policy->wait_limit_ms = 1000;
	policy->connections = 4096;
	policy->user_connections = 256;
	policy->requests = 1000;
	return policy;
}

void policy_free(struct policy *policy)
{
	size_t i;

	if (!policy)
		return;
	for (i = 0; i < policy->nr; i++) {
		free(policy->rule[i].name);
		free(policy->rule[i].who.term);
		free(policy->rule[i].files.term);
	}
	free(policy->rule);
	free(policy);
}
