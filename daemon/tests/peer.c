// SPDX-License-Identifier: GPL-2.0-or-later
/* Who is at the other end, with poll() of his pidfd played by the test. */
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "peer.h"
#include "unit.h"

static int polls;	/* until he has ended; -1: he does not */

int __real_poll(struct pollfd *fds, nfds_t nr, int timeout);
int __wrap_poll(struct pollfd *fds, nfds_t nr, int timeout);

int __wrap_poll(struct pollfd *fds, nfds_t nr, int timeout)
{
	if (polls < 0)
		return __real_poll(fds, nr, timeout);
	return polls-- > 0 ? 0 : 1;
}

static int identify(int until, struct peer *ret_peer)
{
	int pair[2], ret;

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair), 0);
	polls = until;
	ret = peer_identify(pair[0], ret_peer);
	polls = -1;
	close(pair[0]);
	close(pair[1]);
	return ret;
}

static void we_are_who_we_are(void **state)
{
	struct peer peer;

	(void)state;
	if (identify(-1, &peer) == -EOPNOTSUPP)
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
	ret = identify(1, &peer);
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
	ret = identify(0, &peer);
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
