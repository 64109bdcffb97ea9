// SPDX-License-Identifier: GPL-2.0-or-later
/* What wpfiled holds: shown, counted, released. */
#include <errno.h>
#include <stdlib.h>

#include "held.h"

struct listing {
	const struct filter *filter;
	json_t *json;		/* an array; NULL: for people */
};

static json_t *held_json(const struct wpfile_holding *held)
{
	char device[24];

	snprintf(device, sizeof(device), "%02x:%02x", held->dev_major,
		 held->dev_minor);
	return json_pack("{s:I, s:I, s:I, s:s, s:I, s:I, s:s, s:I, s:I}",
			 "id", (json_int_t)held->id, "uid", (json_int_t)held->uid,
			 "pid", (json_int_t)held->pid, "mode",
			 wpfile_mode_name(held->mode), "subscribers",
			 (json_int_t)held->subscribers, "capture_limit",
			 (json_int_t)held->capture_limit, "device", device,
			 "inode", (json_int_t)held->inode, "overflows",
			 (json_int_t)held->overflows);
}

static void print_held(const struct wpfile_holding *held)
{
	printf("%-8llu %7u %7u %-8s %11u %14llu %8llu  ",
	       (unsigned long long)held->id, held->uid, held->pid,
	       wpfile_mode_name(held->mode), held->subscribers,
	       (unsigned long long)held->capture_limit,
	       (unsigned long long)held->overflows);
	if (held->inode)
		printf("device %02x:%02x inode %llu\n", held->dev_major,
		       held->dev_minor, (unsigned long long)held->inode);
	else
		puts("?");
}

static int show(const struct wpfile_holding *held, void *data)
{
	const struct listing *listing = data;
	const struct filter *filter = listing->filter;

	if (!filter_matches(filter, held->dev_major, held->dev_minor,
			    held->inode) ||
	    (filter->pid && filter->pid != (pid_t)held->pid))
		return 0;
	if (listing->json)
		return json_array_append_new(listing->json, held_json(held)) ?
			       -ENOMEM : 0;
	print_held(held);
	return 0;
}

static int list(struct wpfile_broker *broker, const struct filter *filter,
		bool json)
{
	struct listing listing = {
		.filter = filter,
		.json = json ? json_array() : NULL,
	};
	int ret;

	if (!json)
		printf("%-8s %7s %7s %-8s %11s %14s %8s  %s\n", "ID", "UID",
		       "PID", "MODE", "SUBSCRIBERS", "LIMIT", "DROPPED", "FILE");
	ret = wpfile_broker_each(broker, show, &listing);
	if (!ret && json)
		return print_json(stdout, json_pack("{s:o}", "monitors",
						    listing.json));
	json_decref(listing.json);
	return ret ? fail_errno(ret, "wpfiled") : CTL_OK;
}

int held_list(const struct args *args, const struct filter *filter)
{
	struct wpfile_broker *broker;
	int ret;

	ret = broker_open(args, &broker);
	if (ret)
		return ret;
	ret = list(broker, filter, args->json);
	wpfile_broker_free(broker);
	return ret;
}

int held_metrics(const struct args *args)
{
	struct wpfile_broker *broker;
	char *text;
	int ret;

	ret = broker_open(args, &broker);
	if (ret)
		return ret;
	ret = wpfile_broker_metrics(broker, &text);
	wpfile_broker_free(broker);
	if (ret)
		return fail_errno(ret, "wpfiled");
	fputs(text, stdout);
	free(text);
	return CTL_OK;
}

static int fail_release(uint64_t id, int err)
{
	if (err == -ENOENT)
		return fail_hint(CTL_NOT_FOUND,
				 "wpfilectl list --daemon shows what it has",
				 "wpfiled: has nothing with id %llu",
				 (unsigned long long)id);
	if (err == -EACCES)
		return fail_hint(CTL_NOT_PERMITTED,
				 "its policy says who may: wpfiled.conf(5)",
				 "wpfiled: id %llu is not yours to release",
				 (unsigned long long)id);
	return fail_errno(err, "wpfiled");
}

int held_release(const struct args *args)
{
	struct wpfile_broker *broker;
	int ret;

	ret = broker_open(args, &broker);
	if (ret)
		return ret;
	ret = wpfile_broker_release(broker, args->id);
	wpfile_broker_free(broker);
	audit_id(args->id, ret);
	if (ret)
		return fail_release(args->id, ret);
	if (args->json)
		return print_json(stdout, json_pack("{s:[{s:I, s:n}]}",
						    "released", "id",
						    (json_int_t)args->id,
						    "error"));
	printf("wpfiled, id %llu: released\n", (unsigned long long)args->id);
	return CTL_OK;
}
