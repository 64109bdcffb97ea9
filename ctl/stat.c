// SPDX-License-Identifier: GPL-2.0-or-later
/* wpfilectl stat: one file, and who watches it. */
#include <errno.h>
#include <sys/stat.h>

#include "ctl.h"

static int print_text(const struct stat *st, const struct wpfile_query *query)
{
	int mode;

	printf("size %lld\nallocated %lld\ninode %llu\n",
	       (long long)st->st_size, (long long)st->st_blocks * 512,
	       (unsigned long long)st->st_ino);
	for (mode = 0; mode < WPFILE_NR_MODES; mode++)
		printf("%s-monitors %u\n", wpfile_mode_name(mode),
		       query->ret_monitors[mode]);
	printf("forbidden %s\n",
	       query->ret_state & WPFILE_STATE_FORBIDDEN ? "yes" : "no");
	printf("monitors-per-file %u\nranges-per-call %u\n",
	       query->ret_max_monitors, query->ret_max_ranges);
	return CTL_OK;
}

static int print_as_json(const struct stat *st, const struct wpfile_query *query)
{
	bool forbidden = query->ret_state & WPFILE_STATE_FORBIDDEN;
	json_t *monitors = json_object();
	int mode;

	for (mode = 0; mode < WPFILE_NR_MODES; mode++)
		json_object_set_new(monitors, wpfile_mode_name(mode),
				    json_integer(query->ret_monitors[mode]));
	return print_json(stdout,
			  json_pack("{s:I, s:I, s:I, s:o, s:b, s:I, s:I}", "size",
				    (json_int_t)st->st_size, "allocated",
				    (json_int_t)st->st_blocks * 512, "inode",
				    (json_int_t)st->st_ino, "monitors", monitors,
				    "forbidden", forbidden, "monitors_per_file",
				    (json_int_t)query->ret_max_monitors,
				    "ranges_per_call",
				    (json_int_t)query->ret_max_ranges));
}

int verb_stat(const struct args *args)
{
	struct wpfile_query query = { .size = sizeof(query) };
	struct subject subject;
	char name[256];
	struct stat st;
	int ret;

	ret = target_check(args);
	if (!ret)
		ret = subject_open(args, &subject);
	if (ret)
		return ret;
	ret = wpfile_query(subject.target, &query);
	if (!ret && fstat(wpfile_target_fd(subject.target), &st))
		ret = -errno;
	subject_close(&subject);
	if (ret)
		return fail_errno(ret, "%s",
				  target_name(args, name, sizeof(name)));
	return args->json ? print_as_json(&st, &query) : print_text(&st, &query);
}
