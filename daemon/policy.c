// SPDX-License-Identifier: GPL-2.0-or-later
#include "policy.h"

static bool is_in_group(const struct peer *peer, gid_t gid)
{
	size_t i;

	if (peer->gid == gid)
		return true;
	for (i = 0; i < peer->nr_groups; i++)
		if (peer->groups[i] == gid)
			return true;
	return false;
}

/* Nobody knows who he is whose uid has no translation: he has to be named. */
static bool names_peer(const struct term *term, const struct peer *peer)
{
	if (term->kind == TERM_USER)
		return peer->uid == term->id;
	if (peer->nobody)
		return false;
	switch (term->kind) {
	case TERM_ANY:
		return true;
	case TERM_GROUP:
		return is_in_group(peer, term->id);
	case TERM_CAPABILITY:
		return peer->capabilities & (1ULL << term->id);
	default:
		return false;
	}
}

static bool names_file(const struct term *term, const struct peer *peer,
		       const struct owner *file)
{
	if (term->kind == TERM_ANY)
		return true;
	if (!file)
		return false;
	switch (term->kind) {
	case TERM_OWN:
		return file->uid == peer->uid && !peer->nobody;
	case TERM_USER:
		return file->uid == term->id;
	case TERM_GROUP:
		return file->gid == term->id;
	default:
		return false;
	}
}

static bool rule_matches(const struct rule *rule, const struct peer *peer,
			 const struct owner *file)
{
	bool who = false, files = false;
	size_t i;

	for (i = 0; i < rule->who.nr && !who; i++)
		who = names_peer(&rule->who.term[i], peer);
	for (i = 0; i < rule->files.nr && !files; i++)
		files = names_file(&rule->files.term[i], peer, file);
	return who && files;
}

const struct rule *policy_match(const struct policy *policy,
				const struct peer *peer,
				const struct owner *file)
{
	size_t i;

	for (i = 0; i < policy->nr; i++)
		if (rule_matches(&policy->rule[i], peer, file))
			return &policy->rule[i];
	return NULL;
}

bool rule_gives(const struct rule *rule, enum right right)
{
	return rule && rule->rights & (1U << right);
}
