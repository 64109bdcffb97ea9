// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A file that appears under its name when it is complete and not before.  It is
 * other people's memory: only the caller may read it.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ctl.h"

/* Never put a file in the place of a device, a pipe or a directory. */
static int check_name(const char *path)
{
	struct stat st;

	if (stat(path, &st))
		return errno == ENOENT ? CTL_OK : fail_errno(errno, "%s", path);
	if (S_ISREG(st.st_mode))
		return CTL_OK;
	return fail_hint(CTL_FAILED, "use -o - and redirect",
			 "%s: exists, and is not a regular file", path);
}

static int temporary_name(const char *path, char **ret_name)
{
	const char *slash = strrchr(path, '/');
	int dir = slash ? slash - path + 1 : 0;

	return asprintf(ret_name, "%.*s.%.200s.XXXXXX", dir, path, path + dir);
}

static int stream_open(struct output *ret_output)
{
	if (isatty(STDOUT_FILENO))
		return fail_usage("-o -: stdout is a terminal: redirect it");
	*ret_output = (struct output){ .path = "stdout", .fd = STDOUT_FILENO };
	return CTL_OK;
}

int output_open(const char *path, struct output *ret_output)
{
	struct output output = { .path = path };
	int ret;

	if (!strcmp(path, "-"))
		return stream_open(ret_output);
	ret = check_name(path);
	if (ret)
		return ret;
	if (temporary_name(path, &output.temporary) < 0)
		return fail_errno(ENOMEM, "%s", path);
	output.fd = mkostemp(output.temporary, O_CLOEXEC);
	if (output.fd < 0) {
		ret = fail_errno(errno, "%s", output.temporary);
		free(output.temporary);
		return ret;
	}
	*ret_output = output;
	return CTL_OK;
}

/* Some file systems tell that there is no room when they must write, not before. */
static int finish(const struct output *output)
{
	if (fsync(output->fd) && errno != EINVAL)
		return -errno;
	return rename(output->temporary, output->path) ? -errno : 0;
}

int output_commit(struct output *output)
{
	int err;

	if (!output->temporary)
		return CTL_OK;
	err = finish(output);
	if (err) {
		output_discard(output);
		return fail_errno(err, "%s", output->path);
	}
	close(output->fd);
	free(output->temporary);
	return CTL_OK;
}

void output_discard(struct output *output)
{
	if (!output->temporary)
		return;
	unlink(output->temporary);
	close(output->fd);
	free(output->temporary);
}
