// SPDX-License-Identifier: GPL-2.0-or-later
#include <cap-ng.h>
#include <errno.h>
#include <stdbool.h>
#include <sys/prctl.h>

#include "caps.h"
#include "log.h"

static const unsigned int needed[] = { CAP_FOWNER, CAP_SYS_PTRACE };

#define NR_NEEDED (sizeof(needed) / sizeof(needed[0]))

static bool has_needed(void)
{
	bool all = true;
	size_t i;

	for (i = 0; i < NR_NEEDED; i++) {
		if (capng_have_capability(CAPNG_PERMITTED, needed[i]))
			continue;
		log_say(LOG_ERR, "the capability %s is missing: start wpfiled as "
			"root, or with AmbientCapabilities=CAP_FOWNER "
			"CAP_SYS_PTRACE", capng_capability_to_name(needed[i]));
		all = false;
	}
	return all;
}

static void choose(void)
{
	size_t i;

	capng_clear(CAPNG_SELECT_ALL);
	for (i = 0; i < NR_NEEDED; i++)
		capng_update(CAPNG_ADD,
			     CAPNG_EFFECTIVE | CAPNG_PERMITTED | CAPNG_BOUNDING_SET,
			     needed[i]);
}

/* Without CAP_SETPCAP who has started us has to have seen to the bounding set. */
static int apply(bool may_lock)
{
	choose();
	if (may_lock && (capng_lock() || capng_apply(CAPNG_SELECT_BOUNDS)))
		return -EPERM;
	return capng_apply(CAPNG_SELECT_CAPS) ||
	       capng_apply(CAPNG_SELECT_AMBIENT) ? -EPERM : 0;
}

int caps_confine(void)
{
	bool may_lock;

	if (capng_get_caps_process() || !has_needed())
		return -EPERM;
	may_lock = capng_have_capability(CAPNG_EFFECTIVE, CAP_SETPCAP);
	if (apply(may_lock)) {
		log_say(LOG_ERR, "the capabilities cannot be given up");
		return -EPERM;
	}
	if (!may_lock)
		log_say(LOG_INFO, "without CAP_SETPCAP the bounding set is left "
			"to who has started wpfiled");
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ||
	    prctl(PR_SET_DUMPABLE, 0, 0, 0, 0))
		return -errno;
	return 0;
}
