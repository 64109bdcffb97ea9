// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The policy file of wpfiled.  What is refused has a complaint with a line that
 * there is; what is accepted keeps its bounds, is accepted line by line, read twice
 * it is the same, and so is what is written anew from it.
 */
#include <ctype.h>
#include <errno.h>
#include <ini.h>

#include "fuzz.h"
#include "policy.h"

#define NAME "fuzz"

static int parse(struct policy **ret_policy, const char *text, unsigned int times)
{
	struct complaint complaint = { "" };
	int ret = 0;

	*ret_policy = policy_new();
	property(*ret_policy);
	while (!ret && times--)
		ret = policy_parse(*ret_policy, text, NAME, &complaint);
	property(!ret == !*complaint.text);
	return ret;
}

static unsigned int count_lines(const char *text)
{
	unsigned int nr = 0;

	for (; *text; nr++) {
		text += strcspn(text, "\n");
		text += *text == '\n';
	}
	return nr;
}

static void check_complaint(const char *text)
{
	struct complaint complaint;
	struct policy *policy = policy_new();
	unsigned int line = 0;
	int ret;

	memset(&complaint, 'x', sizeof(complaint));
	ret = policy_parse(policy, text, NAME, &complaint);
	property(ret == -EINVAL);
	property(memchr(complaint.text, '\0', sizeof(complaint.text)));
	property(sscanf(complaint.text, NAME ":%u: ", &line) == 1);
	property(line >= 1 && line <= count_lines(text));
	policy_free(policy);
}

/* --- bounds --- */

static void check_terms(const struct terms *terms, enum term_kind forbidden)
{
	size_t i;

	for (i = 0; i < terms->nr; i++) {
		const struct term *term = &terms->term[i];

		property(term->kind <= TERM_CAPABILITY);
		property(term->kind != forbidden);
		if (term->kind == TERM_CAPABILITY)
			property(term->id < 64);
		else if (term->kind == TERM_ANY || term->kind == TERM_OWN)
			property(term->id == 0);
		else
			property(term->id != UINT32_MAX);
	}
}

static void check_rule(const struct policy *policy, size_t i)
{
	const struct rule *rule = &policy->rule[i];
	const char *s;
	size_t k;

	property(*rule->name && strcmp(rule->name, "none"));
	for (s = rule->name; *s; s++)
		property(isalnum((unsigned char)*s) || strchr("_.-", *s));
	for (k = 0; k < i; k++)
		property(strcmp(rule->name, policy->rule[k].name));
	property(rule->rights < 1U << NR_RIGHTS);
	property(rule->has_modes || !rule->rights);
	property(rule->monitors <= INT32_MAX);
	property(rule->subscriptions <= INT32_MAX);
	property(rule->queue >= 1 && rule->queue <= INT32_MAX);
	check_terms(&rule->who, TERM_OWN);
	check_terms(&rule->files, TERM_CAPABILITY);
}

static void check_bounds(const struct policy *policy)
{
	struct complaint complaint = { "" };
	bool complete = true;
	size_t i;

	property(policy->wait_limit_ms >= 1 && policy->wait_limit_ms <= INT32_MAX);
	property(policy->connections >= 1 && policy->connections <= INT32_MAX);
	property(policy->user_connections >= 1 &&
		 policy->user_connections <= INT32_MAX);
	property(policy->requests >= 1 && policy->requests <= INT32_MAX);
	property(policy->nr <= 1024);
	for (i = 0; i < policy->nr; i++) {
		check_rule(policy, i);
		complete = complete && policy->rule[i].who.nr &&
			   policy->rule[i].files.nr && policy->rule[i].has_modes;
	}
	property(!policy_check(policy, &complaint) == complete);
	property(!*complaint.text == complete);
}

/* libinih would take what follows for another line, and has no redzone for ASan. */
static void check_lines(const char *text)
{
	while (*text) {
		size_t length = strcspn(text, "\n");

		property(length + 2 < INI_MAX_LINE);
		text += length + (text[length] == '\n');
	}
}

/* --- the same again --- */

static bool same_terms(const struct terms *a, const struct terms *b)
{
	size_t i;

	for (i = 0; a->nr == b->nr && i < a->nr; i++)
		if (a->term[i].kind != b->term[i].kind ||
		    a->term[i].id != b->term[i].id)
			return false;
	return a->nr == b->nr;
}

static bool same_rule(const struct rule *a, const struct rule *b)
{
	return !strcmp(a->name, b->name) && same_terms(&a->who, &b->who) &&
	       same_terms(&a->files, &b->files) && a->rights == b->rights &&
	       a->has_modes == b->has_modes && a->release == b->release &&
	       a->drop_slow == b->drop_slow && a->monitors == b->monitors &&
	       a->subscriptions == b->subscriptions && a->queue == b->queue &&
	       a->captured == b->captured;
}

static void check_same(const struct policy *a, const struct policy *b)
{
	size_t i;

	property(a->nr == b->nr && a->wait_limit_ms == b->wait_limit_ms);
	property(a->connections == b->connections && a->requests == b->requests);
	property(a->user_connections == b->user_connections);
	for (i = 0; i < a->nr; i++)
		property(same_rule(&a->rule[i], &b->rule[i]));
}

static void write_terms(FILE *file, const char *key, const struct terms *terms)
{
	static const char *const names[] = {
		[TERM_ANY] = "any", [TERM_OWN] = "own", [TERM_USER] = "user:%u",
		[TERM_GROUP] = "group:%u",
	};
	size_t i;

	for (i = 0; i < terms->nr; i++) {
		fprintf(file, "%s", i ? "," : key);
		fprintf(file, names[terms->term[i].kind], terms->term[i].id);
	}
	fprintf(file, "\n");
}

static void write_rights(FILE *file, const struct rule *rule)
{
	static const char *const names[NR_RIGHTS] = {
		"track", "capture", "sync", "deny", "snapshot", "watch",
	};
	unsigned int i;

	if (!rule->has_modes)
		return;
	fprintf(file, "modes = %s", rule->rights ? "" : "none");
	for (i = 0; i < NR_RIGHTS; i++)
		if (rule->rights & 1U << i)
			fprintf(file, " %s", names[i]);
	fprintf(file, "\n");
}

static void write_rule(FILE *file, const struct rule *rule)
{
	fprintf(file, "[rule %s]\n", rule->name);
	write_terms(file, "who=", &rule->who);
	write_terms(file, "files=", &rule->files);
	write_rights(file, rule);
	fprintf(file, "monitors = %u\nsubscriptions = %u\nqueue = %u\n"
		      "captured = %lu\nrelease = %s\nslow = %s\n",
		rule->monitors, rule->subscriptions, rule->queue, rule->captured,
		rule->release ? "yes" : "no",
		rule->drop_slow ? "drop" : "overflow");
}

/* With no more blanks than were there: the length of a line is limited. */
static char *write_anew(const struct policy *policy)
{
	char *text = NULL;
	size_t size, i;
	FILE *file = open_memstream(&text, &size);

	property(file);
	fprintf(file, "[daemon]\nwait_limit_ms = %u\nconnections = %u\n"
		      "user_connections = %u\nrequests = %u\n",
		policy->wait_limit_ms, policy->connections,
		policy->user_connections, policy->requests);
	for (i = 0; i < policy->nr; i++)
		write_rule(file, &policy->rule[i]);
	property(!fclose(file));
	return text;
}

/* Capabilities have names that this file does not know. */
static bool can_write(const struct policy *policy)
{
	size_t i, k;

	for (i = 0; i < policy->nr; i++)
		for (k = 0; k < policy->rule[i].who.nr; k++)
			if (policy->rule[i].who.term[k].kind == TERM_CAPABILITY)
				return false;
	return true;
}

static void check_again(const struct policy *policy, const char *text,
			unsigned int times)
{
	struct policy *again;

	property(!parse(&again, text, times));
	check_same(policy, again);
	policy_free(again);
}

/* A file that ends at the end of any line of it is as good. */
static void check_beginnings(const char *text)
{
	size_t size = strlen(text), end = size / 2;
	struct policy *policy;
	char *begin;

	end += strcspn(text + end, "\n");
	begin = fuzz_text_dup(text, end);
	property(!parse(&policy, begin, 1));
	policy_free(policy);
	free(begin);
}

/* --- who is meant --- */

/* The first rule that matches if it is the only one. */
static void check_first(const struct policy *policy, const struct peer *peer,
			const struct owner *file)
{
	const struct rule *found = policy_match(policy, peer, file);
	size_t i;

	for (i = 0; i < policy->nr; i++) {
		struct policy alone = { .rule = &policy->rule[i], .nr = 1 };

		if (policy_match(&alone, peer, file))
			break;
	}
	property(found == (i < policy->nr ? &policy->rule[i] : NULL));
}

static void check_matches(const struct policy *policy)
{
	gid_t groups[] = { 4, 24 };
	struct peer peers[] = {
		{ .uid = 0, .capabilities = ~0ULL },
		{ .uid = 1000, .gid = 1000, .groups = groups, .nr_groups = 2 },
		{ .uid = 65534, .gid = 65534, .nobody = true },
	};
	const struct owner files[] = { { 0, 0 }, { 1000, 24 }, { 65534, 65534 } };
	size_t i, k;

	for (i = 0; i < sizeof(peers) / sizeof(*peers); i++) {
		check_first(policy, &peers[i], NULL);
		for (k = 0; k < sizeof(files) / sizeof(*files); k++)
			check_first(policy, &peers[i], &files[k]);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = fuzz_text_dup(data, size), *anew;
	struct policy *policy;

	if (parse(&policy, text, 1)) {
		check_complaint(text);
	} else {
		check_bounds(policy);
		check_lines(text);
		check_matches(policy);
		check_again(policy, text, 2);
		check_beginnings(text);
		if (can_write(policy)) {
			anew = write_anew(policy);
			check_again(policy, anew, 1);
			free(anew);
		}
	}
	policy_free(policy);
	free(text);
	return 0;
}
