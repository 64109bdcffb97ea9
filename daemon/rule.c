// SPDX-License-Identifier: GPL-2.0-or-later
/* The lines of a rule. */
#include <cap-ng.h>
#include <ctype.h>
#include <grp.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>

#include "config.h"
#include "ctl.h"

#define BLANKS		" \t,"

static bool find_id(const char *word, uint32_t *ret_id)
{
	uint64_t id;

	if (!parse_count(word, &id) || id >= UINT32_MAX)
		return false;
	*ret_id = id;
	return true;
}

static bool find_user(const char *word, uint32_t *ret_id)
{
	struct passwd *user;

	if (find_id(word, ret_id))
		return true;
	user = getpwnam(word);
	if (user)
		*ret_id = user->pw_uid;
	return user;
}

static bool find_group(const char *word, uint32_t *ret_id)
{
	struct group *group;

	if (find_id(word, ret_id))
		return true;
	group = getgrnam(word);
	if (group)
		*ret_id = group->gr_gid;
	return group;
}

/* libcap-ng knows them as "sys_admin". */
static bool find_capability(const char *word, uint32_t *ret_id)
{
	char name[64];
	size_t i;
	int id;

	if (strncasecmp(word, "CAP_", 4) || strlen(word) >= sizeof(name))
		return false;
	for (i = 0; word[4 + i]; i++)
		name[i] = tolower((unsigned char)word[4 + i]);
	name[i] = '\0';
	id = capng_name_to_capability(name);
	if (id < 0 || id > 63)
		return false;
	*ret_id = id;
	return true;
}

/* How a word begins, and who knows the rest. */
static const struct term_row {
	enum term_kind kind;
	const char *prefix;
	const char *key;	/* the only one that takes it, NULL: both */
	bool (*find)(const char *word, uint32_t *ret_id);
} term_table[] = {
	{ TERM_ANY, "any", NULL, NULL },
	{ TERM_OWN, "own", "files", NULL },
	{ TERM_USER, "user:", NULL, find_user },
	{ TERM_GROUP, "group:", NULL, find_group },
	{ TERM_CAPABILITY, "capability:", "who", find_capability },
	{ .prefix = NULL },
};

static const struct term_row *term_row(const char *key, const char *word)
{
	const struct term_row *row;

	for (row = term_table; row->prefix; row++) {
		if (row->key && strcmp(row->key, key))
			continue;
		if (row->find ? !strncmp(word, row->prefix, strlen(row->prefix)) :
				!strcmp(word, row->prefix))
			return row;
	}
	return NULL;
}

static bool add_term(struct terms *terms, struct term term)
{
	struct term *more;

	more = reallocarray(terms->term, terms->nr + 1, sizeof(*more));
	if (!more)
		return false;
	more[terms->nr++] = term;
	terms->term = more;
	return true;
}

static bool parse_term(struct reader *reader, const char *key, const char *word,
		       struct terms *terms)
{
	const struct term_row *row = term_row(key, word);
	struct term term = { .id = 0 };

	if (!row)
		return complain(reader, "%s: %s is not known", key, word);
	term.kind = row->kind;
	if (row->find && !row->find(word + strlen(row->prefix), &term.id))
		return complain(reader, "%s: %s does not exist here", key, word);
	return add_term(terms, term) || complain(reader, "no memory");
}

static bool parse_terms(struct reader *reader, const char *key, char *value,
			struct terms *terms)
{
	char *word, *rest;

	free(terms->term);
	*terms = (struct terms){ .nr = 0 };
	for (word = strtok_r(value, BLANKS, &rest); word;
	     word = strtok_r(NULL, BLANKS, &rest))
		if (!parse_term(reader, key, word, terms))
			return false;
	return terms->nr || complain(reader, "%s: nothing is named", key);
}

static bool set_who(struct reader *reader, struct rule *rule, const char *key,
		    char *value)
{
	return parse_terms(reader, key, value, &rule->who);
}

static bool set_files(struct reader *reader, struct rule *rule, const char *key,
		      char *value)
{
	return parse_terms(reader, key, value, &rule->files);
}

/* NR_RIGHTS if there is none of that name. */
static unsigned int find_right(const char *word)
{
	static const char *const names[NR_RIGHTS] = {
		[RIGHT_TRACK] = "track", [RIGHT_CAPTURE] = "capture",
		[RIGHT_SYNC] = "sync", [RIGHT_DENY] = "deny",
		[RIGHT_SNAPSHOT] = "snapshot", [RIGHT_WATCH] = "watch",
	};
	unsigned int right;

	for (right = 0; right < NR_RIGHTS; right++)
		if (!strcmp(word, names[right]))
			break;
	return right;
}

static bool set_modes(struct reader *reader, struct rule *rule, const char *key,
		      char *value)
{
	unsigned int right;
	char *word, *rest;

	rule->rights = 0;
	rule->has_modes = true;
	if (!strcmp(value, "none"))
		return true;
	for (word = strtok_r(value, BLANKS, &rest); word;
	     word = strtok_r(NULL, BLANKS, &rest)) {
		right = find_right(word);
		if (right == NR_RIGHTS)
			return complain(reader, "%s: %s is not one of track, "
					"capture, snapshot, sync, deny, watch",
					key, word);
		rule->rights |= 1U << right;
	}
	return rule->rights || complain(reader, "%s: nothing is named", key);
}

static bool set_monitors(struct reader *reader, struct rule *rule,
			 const char *key, char *value)
{
	return config_number(reader, key, value, 0, &rule->monitors);
}

static bool set_subscriptions(struct reader *reader, struct rule *rule,
			      const char *key, char *value)
{
	return config_number(reader, key, value, 0, &rule->subscriptions);
}

static bool set_queue(struct reader *reader, struct rule *rule, const char *key,
		      char *value)
{
	return config_number(reader, key, value, 1, &rule->queue);
}

static bool set_captured(struct reader *reader, struct rule *rule,
			 const char *key, char *value)
{
	return parse_size(value, &rule->captured) ||
	       complain(reader, "%s: %s is not a size: digits, and k, M, G or T",
			key, value);
}

static bool set_choice(struct reader *reader, const char *key, const char *value,
		       const char *no, const char *yes, bool *ret_chosen)
{
	if (strcmp(value, no) && strcmp(value, yes))
		return complain(reader, "%s: %s is neither %s nor %s", key,
				value, no, yes);
	*ret_chosen = !strcmp(value, yes);
	return true;
}

static bool set_release(struct reader *reader, struct rule *rule,
			const char *key, char *value)
{
	return set_choice(reader, key, value, "no", "yes", &rule->release);
}

static bool set_slow(struct reader *reader, struct rule *rule, const char *key,
		     char *value)
{
	return set_choice(reader, key, value, "overflow", "drop",
			  &rule->drop_slow);
}

static const struct key {
	const char *name;
	bool (*set)(struct reader *reader, struct rule *rule, const char *key,
		    char *value);
} keys[] = {
	{ "who", set_who },
	{ "files", set_files },
	{ "modes", set_modes },
	{ "release", set_release },
	{ "monitors", set_monitors },
	{ "captured", set_captured },
	{ "queue", set_queue },
	{ "subscriptions", set_subscriptions },
	{ "slow", set_slow },
};

bool rule_line(struct reader *reader, struct rule *rule, const char *key,
	       char *value)
{
	size_t i;

	for (i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
		if (!strcmp(keys[i].name, key))
			return keys[i].set(reader, rule, key, value);
	return complain(reader, "[rule %s]: the key %s is not known", rule->name,
			key);
}
