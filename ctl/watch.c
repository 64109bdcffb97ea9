// SPDX-License-Identifier: GPL-2.0-or-later
/* wpfilectl watch: who writes where. */
#include "session.h"

static int start(struct session *session)
{
	const struct args *args = session->args;
	int ret;

	if (args->daemon)
		return session_subscribe(session);
	ret = session_monitor(session, args->deny ? WPFILE_DENY : WPFILE_SYNC);
	if (!ret && args->again_ns) {
		ret = wait_add_timer(&session->wait, args->again_ns);
		if (ret)
			ret = fail_errno(ret, "cannot make a timer");
	}
	return ret;
}

static int follow(struct session *session)
{
	int ret;

	do {
		ret = session_next(session);
		if (!ret && wait_fired(&session->wait, WAIT_TIMER)) {
			wait_clear_timer(&session->wait);
			ret = session_protect(session);
		}
	} while (!ret && !session_ended(session));
	return ret;
}

int verb_watch(const struct args *args)
{
	struct session session = {};
	char name[256];
	int ret;

	ret = target_check(args);
	if (ret)
		return ret;
	if (args->daemon && args->limit)
		return fail_usage("--limit goes without --daemon, whose policy sets it");
	if (args->daemon && args->again_ns / NSEC_PER_MSEC > UINT32_MAX)
		return fail_usage("--again goes up to 49 days with --daemon");
	target_name(args, name, sizeof(name));
	ret = session_open(&session, args, name, true);
	if (!ret)
		ret = start(&session);
	if (!ret)
		ret = follow(&session);
	return session_close(&session, ret);
}
