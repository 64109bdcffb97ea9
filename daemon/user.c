// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <stdlib.h>

#include "user.h"

#define MIB	(1ULL << 20)

void users_init(struct users *users, int ledger)
{
	CDS_INIT_LIST_HEAD(&users->list);
	users->ledger = ledger;
}

static int count_own(const struct ledger_entry *entry, void *data)
{
	struct user *user = data;

	if (entry->uid == user->uid) {
		user->monitors++;
		user->captured += entry->bytes;
	}
	return 0;
}

/* What is alive now. */
static int count_again(struct users *users, struct user *user)
{
	user->monitors = 0;
	user->captured = 0;
	return ledger_each(users->ledger, count_own, user);
}

static struct user *find(struct users *users, uid_t uid)
{
	struct user *user;

	cds_list_for_each_entry(user, &users->list, list)
		if (user->uid == uid)
			return user;
	return NULL;
}

static int user_new(struct users *users, uid_t uid, struct user **ret_user)
{
	struct user *user = calloc(1, sizeof(*user));
	int err;

	if (!user)
		return -ENOMEM;
	user->uid = uid;
	err = count_again(users, user);
	if (err) {
		free(user);
		return err;
	}
	cds_list_add(&user->list, &users->list);
	*ret_user = user;
	return 0;
}

int user_connect(struct users *users, uid_t uid, unsigned int limit,
		 struct user **ret_user)
{
	struct user *user = find(users, uid);
	int err = 0;

	if (user && user->connections >= limit)
		return -EUSERS;
	if (!user)
		err = user_new(users, uid, &user);
	if (err)
		return err;
	user->connections++;
	*ret_user = user;
	return 0;
}

static void user_put(struct user *user)
{
	if (user->connections || user->subscriptions)
		return;
	cds_list_del(&user->list);
	free(user);
}

void user_disconnect(struct user *user)
{
	user->connections--;
	user_put(user);
}

void user_subscribe(struct user *user)
{
	user->subscriptions++;
}

void user_unsubscribe(struct user *user)
{
	user->subscriptions--;
	user_put(user);
}

static uint64_t whole_mib(uint64_t bytes)
{
	return bytes > UINT64_MAX - MIB ? UINT64_MAX :
					  (bytes + MIB - 1) / MIB * MIB;
}

static uint64_t bytes_left(const struct user *user, const struct rule *rule)
{
	uint64_t used = user->captured + user->reserved;

	return used < rule->captured ? rule->captured - used : 0;
}

/* The ledger counts MiB: so a limit below one costs one. */
static bool has_room(const struct user *user, const struct rule *rule,
		     bool keeps, uint64_t bytes)
{
	if (user->monitors + user->nr_reserved >= rule->monitors)
		return false;
	return !keeps || whole_mib(bytes ? bytes : 1) <= bytes_left(user, rule);
}

int user_admit(struct users *users, struct user *user, const struct rule *rule,
	       unsigned int mode, uint64_t *bytes)
{
	bool keeps = mode != WPFILE_TRACK;
	int err;

	/* To give what is left, it has to be known. */
	if (!has_room(user, rule, keeps, *bytes) || (keeps && !*bytes)) {
		err = count_again(users, user);
		if (err)
			return err;
		if (!has_room(user, rule, keeps, *bytes))
			return -EDQUOT;
	}
	if (keeps && !*bytes)
		*bytes = bytes_left(user, rule) / MIB * MIB;
	return 0;
}

void user_reserve(struct user *user, uint64_t bytes)
{
	user->nr_reserved++;
	user->reserved += whole_mib(bytes);
}

void user_unreserve(struct user *user, uint64_t bytes)
{
	user->nr_reserved--;
	user->reserved -= whole_mib(bytes);
}

int user_charge(struct users *users, struct user *user, int monitor,
		unsigned int mode, uint64_t bytes)
{
	const struct ledger_entry entry = {
		.uid = user->uid,
		.mode = mode,
		.bytes = bytes,
	};
	int err = ledger_add(users->ledger, monitor, &entry);

	if (!err) {
		user->monitors++;
		user->captured += mode == WPFILE_TRACK ? 0 : whole_mib(bytes);
	}
	return err;
}
