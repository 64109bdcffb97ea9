// SPDX-License-Identifier: GPL-2.0-or-later
/* What the daemon gives up, in a child that does not come back. */
#include <linux/securebits.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "caps.h"
#include "unit.h"

static int confine(void)
{
	const int locked = SECBIT_NOROOT | SECBIT_NOROOT_LOCKED |
			   SECBIT_NO_SETUID_FIXUP | SECBIT_NO_SETUID_FIXUP_LOCKED;

	if (caps_confine())
		return 1;
	if ((prctl(PR_GET_SECUREBITS) & locked) != locked)
		return 2;
	if (prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1)
		return 3;
	return prctl(PR_GET_DUMPABLE) ? 4 : 0;
}

static void what_is_given_up_is_gone_for_ever(void **state)
{
	int status;
	pid_t pid;

	(void)state;
	if (geteuid())
		skip();
	pid = fork();
	assert_true(pid >= 0);
	if (!pid)
		_exit(confine());
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(what_is_given_up_is_gone_for_ever),
};

SUITE(caps_suite, tests);
