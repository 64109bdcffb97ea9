// SPDX-License-Identifier: GPL-2.0-or-later
/* Who is at the other end; when he ends is up to the test. */
#include <cap-ng.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "peer.h"
#include "unit.h"

static enum { LIVES, ENDS_WHEN_LOOKED_UP, HAS_ENDED } peer_state;

int __real_poll(struct pollfd *fds, nfds_t nr, int timeout);
int __wrap_poll(struct pollfd *fds, nfds_t nr, int timeout);
int __real_capng_get_caps_process(void);
int __wrap_capng_get_caps_process(void);

int __wrap_poll(struct pollfd *fds, nfds_t nr, int timeout)
{
	return peer_state == HAS_ENDED ? 1 : __real_poll(fds, nr, timeout);
}

int __wrap_capng_get_caps_process(void)
{
	if (peer_state == ENDS_WHEN_LOOKED_UP)
		peer_state = HAS_ENDED;
	return __real_capng_get_caps_process();
}

static int identify(int peers_state, struct peer *ret_peer)
{
	int pair[2], ret;

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair), 0);
	peer_state = peers_state;
	ret = peer_identify(pair[0], ret_peer);
	peer_state = LIVES;
	close(pair[0]);
	close(pair[1]);
	return ret;
}

static void we_are_who_we_are(void **state)
{
	struct peer peer;

	(void)state;
	if (identify(LIVES, &peer) == -EOPNOTSUPP)
		skip();
	assert_int_equal(peer.pid, getpid());
	assert_int_equal(peer.uid, geteuid());
	assert_int_equal(peer.gid, getegid());
	assert_int_equal(peer.nr_groups, getgroups(0, NULL));
	peer_destroy(&peer);
}

/* The pid may have been somebody else's when the capabilities were looked up. */
static void who_ends_meanwhile_is_refused(void **state)
{
	struct peer peer;
	int ret;

	(void)state;
	ret = identify(ENDS_WHEN_LOOKED_UP, &peer);
	peer_destroy(&peer);
	if (ret == -EOPNOTSUPP)
		skip();
	assert_int_equal(ret, -ESRCH);
	assert_int_equal(peer.capabilities, 0);
}

static void who_has_ended_is_refused(void **state)
{
	struct peer peer;
	int ret;

	(void)state;
	ret = identify(HAS_ENDED, &peer);
	peer_destroy(&peer);
	if (ret == -EOPNOTSUPP)
		skip();
	assert_int_equal(ret, -ESRCH);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(we_are_who_we_are),
	cmocka_unit_test(who_ends_meanwhile_is_refused),
	cmocka_unit_test(who_has_ended_is_refused),
};

SUITE(peer_suite, tests);
