// SPDX-License-Identifier: GPL-2.0-or-later
/* The files of the policy. */
#include <errno.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "policy.h"

#define MAX_TEXT	(1 << 20)	/* bytes of a file */

/* A zero byte would hide what follows it. */
static int read_text(const char *path, char **ret_text)
{
	char *text = malloc(MAX_TEXT + 1);
	FILE *file = fopen(path, "re");
	int err = file ? 0 : -errno;
	size_t size = 0;

	if (!text)
		err = -ENOMEM;
	if (!err) {
		size = fread(text, 1, MAX_TEXT + 1, file);
		if (ferror(file))
			err = -EIO;
		else if (size > MAX_TEXT)
			err = -EFBIG;
		else if (memchr(text, '\0', size))
			err = -EILSEQ;
	}
	if (file)
		fclose(file);
	if (err) {
		free(text);
		return err;
	}
	text[size] = '\0';
	*ret_text = text;
	return 0;
}

static int add_file(struct policy *policy, const char *path,
		    struct complaint *ret_complaint)
{
	char *text;
	int err;

	err = read_text(path, &text);
	if (err) {
		snprintf(ret_complaint->text, sizeof(ret_complaint->text),
			 "%s: %s", path, strerror(-err));
		return err;
	}
	err = policy_parse(policy, text, path, ret_complaint);
	free(text);
	return err;
}

/* That there is no directory is no mistake. */
static int stop_at(const char *path, int err)
{
	(void)path;
	return err != ENOENT;
}

/* What cannot be looked at may be what takes rights away. */
static int find_drop_ins(const char *path, const char *pattern, glob_t *ret_found,
			 struct complaint *ret_complaint)
{
	int err;

	errno = 0;
	switch (glob(pattern, 0, stop_at, ret_found)) {
	case 0:
	case GLOB_NOMATCH:
		return 0;
	case GLOB_NOSPACE:
		return -ENOMEM;
	}
	err = errno ?: EIO;
	snprintf(ret_complaint->text, sizeof(ret_complaint->text), "%s.d: %s",
		 path, strerror(err));
	return -err;
}

/* glob() sorts. */
static int add_drop_ins(struct policy *policy, const char *path,
			struct complaint *ret_complaint)
{
	glob_t found = { .gl_pathc = 0 };
	char *pattern;
	size_t i;
	int err;

	if (asprintf(&pattern, "%s.d/*.conf", path) < 0)
		return -ENOMEM;
	err = find_drop_ins(path, pattern, &found, ret_complaint);
	for (i = 0; i < found.gl_pathc && !err; i++)
		err = add_file(policy, found.gl_pathv[i], ret_complaint);
	globfree(&found);
	free(pattern);
	return err;
}

int policy_load(const char *path, struct policy **ret_policy,
		struct complaint *ret_complaint)
{
	struct policy *policy = policy_new();
	int err = policy ? 0 : -ENOMEM;

	snprintf(ret_complaint->text, sizeof(ret_complaint->text), "no memory");
	if (!err)
		err = add_file(policy, path, ret_complaint);
	if (!err)
		err = add_drop_ins(policy, path, ret_complaint);
	if (!err)
		err = policy_check(policy, ret_complaint);
	if (err) {
		policy_free(policy);
		return err;
	}
	*ret_policy = policy;
	return 0;
}
