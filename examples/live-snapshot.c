// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Saves the shared memory of a running process, as it stands at one instant, to
 * a sparse file.  The processes that have it mapped go on writing meanwhile.
 *
 *	live-snapshot PID MAPPING OUTPUT	"/dev/zero", "memfd:pool", an address
 *	live-snapshot PATH OUTPUT
 */
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <wpfile.h>

/* What to do about an error; the errno's own text says what it is. */
static const char *hint(int error)
{
	static const struct wpfile_query none = { .size = sizeof(none) };
	struct wpfile_query query = none;

	switch (error) {
	case -ESRCH:
		return "is the process still there?";
	case -ENOENT:
		return "look for it: shared mappings are the lines with 's' in /proc/PID/maps";
	case -ENOTUNIQ:
		return "name one of them by its address, START-END in /proc/PID/maps";
	case -EACCES:
	case -EPERM:
		return "try as root";
	case -EBUSY:
		return "close a snapshot of it; 'wpfilectl stat' tells how many there are";
	case -EIO:
		return "memory for what writers changed meanwhile ran out, or the disk is broken";
	case -EEXIST:
		return "choose another name, or remove it";
	case -ENOSPC:
	case -EDQUOT:
		return "choose an output on a larger file system";
	case -ENOTTY:
		if (wpfile_query_system(&query) == -ENOSYS)
			return "this kernel has no wpfile: boot one that has";
		return "only memory of memfd, tmpfs, SysV and MAP_ANONYMOUS is shared memory";
	}
	return "see libwpfile(3)";
}

static int complain(int error, const char *what)
{
	fprintf(stderr, "live-snapshot: %s: %s; %s\n", what, strerror(-error),
		hint(error));
	return error;
}

/* On a terminal only, and only when the number changes. */
static int show_progress(uint64_t done, uint64_t total, void *data)
{
	int *shown = data, percent = done * 100 / total;

	if (isatty(STDERR_FILENO) && percent != *shown)
		fprintf(stderr, "\r%3d %%", percent);
	*shown = percent;
	return 0;
}

static int save(int snapshot, const char *output, const struct wpfile_snapshot *cut)
{
	int out, ret, shown = -1;
	uint64_t bytes;

	out = open(output, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (out < 0)
		return complain(-errno, output);
	ret = wpfile_save(snapshot, out, 0, show_progress, &shown, &bytes);
	if (isatty(STDERR_FILENO))
		fprintf(stderr, "\r      \r");
	/* A full disk may be told as late as here. */
	if (!ret && fsync(out))
		ret = -errno;
	if (close(out) && !ret)
		ret = -errno;
	if (ret) {
		unlink(output);
		return complain(ret, output);
	}
	fprintf(stderr, "%s: %llu bytes, %llu of them data; writers were held for at most %llu us\n",
		output, (unsigned long long)cut->ret_bytes, (unsigned long long)bytes,
		(unsigned long long)cut->ret_cut_ns / 1000);
	if (cut->ret_pinned_pages)
		fprintf(stderr, "%s: %llu pages were in use by devices and may be newer\n",
			output, (unsigned long long)cut->ret_pinned_pages);
	return 0;
}

static int take(const struct wpfile_target *target, const char *name, const char *output)
{
	struct wpfile_snapshot cut = { .size = sizeof(cut) };
	int snapshot, ret;

	snapshot = wpfile_snapshot(target, &cut);
	if (snapshot < 0)
		return complain(snapshot, name);
	ret = save(snapshot, output, &cut);
	close(snapshot);
	return ret;
}

static pid_t pid_of(const char *arg)
{
	char *end;
	long pid = strtol(arg, &end, 10);

	if (*end || pid <= 0 || pid > INT32_MAX)
		errx(2, "%s is not a process id", arg);
	return pid;
}

int main(int argc, char **argv)
{
	struct wpfile_target *target;
	const char *name;
	int ret;

	if (argc != 3 && argc != 4) {
		fprintf(stderr, "usage: live-snapshot PID MAPPING OUTPUT\n"
				"       live-snapshot PATH OUTPUT\n");
		return 2;
	}
	name = argv[argc - 2];
	if (argc == 4)
		ret = wpfile_target_open_pid_map(pid_of(argv[1]), name, &target);
	else
		ret = wpfile_target_open_path(name, &target);
	if (ret) {
		complain(ret, name);
		return 1;
	}
	ret = take(target, name, argv[argc - 1]);
	wpfile_target_free(target);
	return ret ? 1 : 0;
}
