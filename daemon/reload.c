// SPDX-License-Identifier: GPL-2.0-or-later
/* SIGHUP. */
#include <systemd/sd-daemon.h>

#include "clock.h"
#include "daemon.h"
#include "log.h"

/* What was granted stays: the new policy is for what is asked from here on. */
void reload_policy(struct daemon *daemon)
{
	struct complaint complaint;
	struct policy *policy;

	sd_notifyf(0, "RELOADING=1\nMONOTONIC_USEC=%llu",
		   now_ns() / NSEC_PER_USEC);
	if (policy_load(daemon->config, &policy, &complaint)) {
		daemon->metrics.reloads_failed++;
		log_say(LOG_ERR, "the policy stays as it was: %s",
			complaint.text);
		sd_notifyf(0, "READY=1\nSTATUS=The old policy stays: %s",
			   complaint.text);
		return;
	}
	policy_free(daemon->policy);
	daemon->policy = policy;
	daemon->metrics.reloads++;
	log_say(LOG_INFO, "the policy was read anew: %zu rules", policy->nr);
	sd_notifyf(0, "READY=1\nSTATUS=%zu rules", policy->nr);
}
