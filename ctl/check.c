// SPDX-License-Identifier: GPL-2.0-or-later
/* wpfilectl check: what this kernel can do. */
#include <errno.h>

#include "ctl.h"

static const struct feature {
	uint64_t bit;
	bool needed;		/* by this command */
	const char *name;
	const char *key;	/* in JSON */
} features[] = {
	{ WPFILE_FEATURE_TRACK, true, "track", "track" },
	{ WPFILE_FEATURE_CAPTURE, true, "capture", "capture" },
	{ WPFILE_FEATURE_SNAPSHOT, true, "snapshot", "snapshot" },
	{ WPFILE_FEATURE_SCAN_PROTECT, true, "scan-protect", "scan_protect" },
	{ WPFILE_FEATURE_ADDRESS, false, "address", "address" },
	{ WPFILE_FEATURE_HUGE, false, "huge", "huge" },
	{ WPFILE_FEATURE_PINNED, false, "pinned", "pinned" },
	{ WPFILE_FEATURE_SYNC, false, "sync", "sync" },
	{ WPFILE_FEATURE_DENY, false, "deny", "deny" },
	{ WPFILE_FEATURE_ATTACH, false, "attach", "attach" },
};

#define NR_FEATURES (sizeof(features) / sizeof(features[0]))

static bool has_all_needed(const struct wpfile_query *query)
{
	size_t i;

	for (i = 0; i < NR_FEATURES; i++)
		if (features[i].needed &&
		    !(query->ret_features & features[i].bit))
			return false;
	return true;
}

static int print_text(const struct wpfile_query *query, bool present)
{
	size_t i;

	printf("wpfile %s\n", present ? "yes" : "no");
	for (i = 0; i < NR_FEATURES; i++)
		printf("%s %s\n", features[i].name,
		       query->ret_features & features[i].bit ? "yes" : "no");
	if (present)
		printf("monitors-per-file %u\nranges-per-call %u\nfiles-per-monitor %u\nwait-ms %u\n",
		       query->ret_max_monitors, query->ret_max_ranges,
		       query->ret_max_files, query->ret_max_wait_ms);
	return CTL_OK;
}

static int print_as_json(const struct wpfile_query *query, bool present)
{
	json_t *list = json_object();
	size_t i;

	for (i = 0; i < NR_FEATURES; i++)
		json_object_set_new(list, features[i].key,
				    json_boolean(query->ret_features &
						 features[i].bit));
	return print_json(stdout,
			  json_pack("{s:b, s:o, s:I, s:I, s:I, s:I}", "wpfile", present,
				    "features", list, "monitors_per_file",
				    (json_int_t)query->ret_max_monitors,
				    "ranges_per_call",
				    (json_int_t)query->ret_max_ranges,
				    "files_per_monitor",
				    (json_int_t)query->ret_max_files, "wait_ms",
				    (json_int_t)query->ret_max_wait_ms));
}

/* The daemon answers, which is all that it has to say to this. */
static int check_daemon(const struct args *args)
{
	struct wpfile_broker *broker;
	int ret = broker_open(args, &broker);

	if (!ret)
		wpfile_broker_free(broker);
	return ret;
}

int verb_check(const struct args *args)
{
	struct wpfile_query query = { .size = sizeof(query) };
	int err, ret;

	err = wpfile_query_system(&query);
	if (err && err != -ENOSYS)
		return fail_errno(err, "cannot ask the kernel");
	ret = args->json ? print_as_json(&query, !err) : print_text(&query, !err);
	if (ret)
		return ret;
	if (err)
		return fail_hint(CTL_NO_KERNEL,
				 "boot one built with CONFIG_WPFILE=y",
				 "this kernel has no wpfile");
	if (!has_all_needed(&query))
		return fail_hint(CTL_NO_KERNEL, "use a newer kernel",
				 "this kernel lacks features");
	return args->daemon ? check_daemon(args) : CTL_OK;
}
