/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a user has of the daemon's, over all his connections.  Known while he has
 * any, or a subscription; monitors that he has without one are in the ledger.
 */
#ifndef WPFILED_USER_H
#define WPFILED_USER_H

#include <stdint.h>
#include <sys/types.h>
#include <urcu/list.h>

#include "ledger.h"
#include "policy.h"

struct user {
	struct cds_list_head list;
	uid_t uid;
	unsigned int connections;
	unsigned int subscriptions;
	/* As many as that at most: those that have ended may be counted. */
	uint64_t monitors;
	uint64_t captured;	/* bytes */
	/* Of snapshots that are being made. */
	unsigned int nr_reserved;
	uint64_t reserved;	/* bytes */
};

struct users {
	struct cds_list_head list;
	int ledger;		/* owned by who made it */
};

void users_init(struct users *users, int ledger);

/* One more connection.  -ENOMEM; -EUSERS if he has as many as he may have. */
int user_connect(struct users *users, uid_t uid, unsigned int limit,
		 struct user **ret_user);
void user_disconnect(struct user *user);

/* One subscription more, or less: also of who has no connection any more. */
void user_subscribe(struct user *user);
void user_unsubscribe(struct user *user);

/*
 * May he have one more monitor?  *@bytes is its capture limit, 0: none, which becomes
 * what is left.  -EDQUOT.
 */
int user_admit(struct users *users, struct user *user, const struct rule *rule,
	       unsigned int mode, uint64_t *bytes);
/* He is to have it, and asks for more meanwhile. */
void user_reserve(struct user *user, uint64_t bytes);
void user_unreserve(struct user *user, uint64_t bytes);
/* He has it. */
int user_charge(struct users *users, struct user *user, int monitor,
		unsigned int mode, uint64_t bytes);

#endif /* WPFILED_USER_H */
