// SPDX-License-Identifier: GPL-2.0-or-later
/* wpfilectl stat: one file, and who watches it. */
#include <errno.h>
#include <sys/stat.h>

#include "ctl.h"

static int print_text(const struct stat *st, const struct wpfile_query *query)
{
	printf("size %lld\nallocated %lld\ninode %llu\n",
	       (long long)st->st_size, (long long)st->st_blocks * 512,
	       (unsigned long long)st->st_ino);
	printf("track-monitors %u\ncapture-monitors %u\n",
	       query->ret_monitors[WPFILE_TRACK],
	       query->ret_monitors[WPFILE_CAPTURE]);
	printf("monitors-per-file %u\nranges-per-call %u\n",
	       query->ret_max_monitors, query->ret_max_ranges);
	return CTL_OK;
}

static int print_as_json(const struct stat *st, const struct wpfile_query *query)
{
	json_t *monitors;

	monitors = json_pack("{s:I, s:I}", "track",
			     (json_int_t)query->ret_monitors[WPFILE_TRACK],
			     "capture",
			     (json_int_t)query->ret_monitors[WPFILE_CAPTURE]);
	return print_json(stdout,
			  json_pack("{s:I, s:I, s:I, s:o, s:I, s:I}", "size",
				    (json_int_t)st->st_size, "allocated",
				    (json_int_t)st->st_blocks * 512, "inode",
				    (json_int_t)st->st_ino, "monitors", monitors,
				    "monitors_per_file",
				    (json_int_t)query->ret_max_monitors,
				    "ranges_per_call",
				    (json_int_t)query->ret_max_ranges));
}

int verb_stat(const struct args *args)
{
	struct wpfile_query query = { .size = sizeof(query) };
	struct wpfile_target *target;
	char name[256];
	struct stat st;
	int ret;

	ret = target_check(args);
	if (!ret)
		ret = target_open(args, &target);
	if (ret)
		return ret;
	ret = wpfile_query(target, &query);
	if (!ret && fstat(wpfile_target_fd(target), &st))
		ret = -errno;
	wpfile_target_free(target);
	if (ret)
		return fail_errno(ret, "%s",
				  target_name(args, name, sizeof(name)));
	return args->json ? print_as_json(&st, &query) : print_text(&st, &query);
}
