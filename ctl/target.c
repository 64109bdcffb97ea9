// SPDX-License-Identifier: GPL-2.0-or-later
/* Which file: --pid with --fd or --map, or --path; and whom to ask: --daemon. */
#include <errno.h>

#include "ctl.h"

#define CANDIDATES 20

int target_check(const struct args *args)
{
	bool by_pid = args->pid >= 0 || args->fd >= 0 || args->map;

	if (!by_pid && !args->path)
		return fail_usage("no file: use --pid with --fd or --map, or --path");
	if (by_pid && args->path)
		return fail_usage("--path goes without --pid, --fd and --map");
	if (by_pid && args->pid < 0)
		return fail_usage("--fd and --map need --pid");
	if (by_pid && (args->fd >= 0) == !!args->map)
		return fail_usage("--pid needs one of --fd and --map");
	return CTL_OK;
}

const char *target_name(const struct args *args, char *buffer, size_t size)
{
	if (args->path)
		snprintf(buffer, size, "%s", args->path);
	else if (args->map)
		snprintf(buffer, size, "process %d, mapping %s", args->pid,
			 args->map);
	else
		snprintf(buffer, size, "process %d, descriptor %d", args->pid,
			 args->fd);
	return buffer;
}

static int list_candidate(const struct wpfile_map *map, void *data)
{
	unsigned int *nr = data;

	if ((*nr)++ == CANDIDATES) {
		fprintf(stderr, "  ...\n");
		return 1;
	}
	fprintf(stderr, "  %llx-%llx  device %02x:%02x  inode %llu  %s\n",
		(unsigned long long)map->start, (unsigned long long)map->end,
		map->dev_major, map->dev_minor, (unsigned long long)map->inode,
		map->name);
	return 0;
}

static int fail_ambiguous(const struct args *args, const char *name)
{
	unsigned int nr = 0;
	int code;

	code = fail_hint(CTL_FAILED, "choose one by its address, --map START-END",
			 "%s: several files have this name", name);
	wpfile_each_map(args->pid, args->map, list_candidate, &nr);
	return code;
}

static int fail_open(const struct args *args, int err)
{
	char buffer[256];
	const char *name = target_name(args, buffer, sizeof(buffer));

	if (err == -ENOTUNIQ)
		return fail_ambiguous(args, name);
	if (err == -ENOENT && args->map)
		return fail_hint(CTL_NOT_FOUND,
				 "/proc/PID/maps shows the names of mappings",
				 "%s: no such shared mapping", name);
	if (err == -ENOENT && args->fd >= 0)
		return fail_hint(CTL_NOT_FOUND,
				 "/proc/PID/fd shows the descriptors",
				 "%s: no such descriptor", name);
	if (err == -EPERM && args->map)
		return fail_hint(CTL_NOT_PERMITTED,
				 "needs CAP_CHECKPOINT_RESTORE or CAP_SYS_ADMIN: run as root",
				 "%s: not permitted", name);
	return fail_errno(err, "%s", name);
}

static int target_open(const struct args *args, struct wpfile_target **ret_target)
{
	int ret;

	if (args->path)
		ret = wpfile_target_open_path(args->path, ret_target);
	else if (args->map)
		ret = wpfile_target_open_pid_map(args->pid, args->map,
						 ret_target);
	else
		ret = wpfile_target_open_pid_fd(args->pid, args->fd,
						ret_target);
	return ret ? fail_open(args, ret) : CTL_OK;
}

int broker_open(const struct args *args, struct wpfile_broker **ret_broker)
{
	int ret = wpfile_broker_open(args->socket, ret_broker);

	if (!ret)
		return CTL_OK;
	if (ret == -ENOENT || ret == -ECONNREFUSED)
		return fail_hint(CTL_NOT_FOUND,
				 "start it (systemctl start wpfiled.socket), or name its socket, --daemon=SOCKET",
				 "%s: no wpfiled there",
				 args->socket ? args->socket : "usual socket");
	if (ret == -EACCES || ret == -EPERM)
		return fail_hint(CTL_NOT_PERMITTED,
				 "join the group of its socket, or run as root",
				 "not permitted to talk to wpfiled");
	if (ret == -EPROTO)
		return fail_hint(CTL_FAILED, "name the socket of wpfiled",
				 "%s: is not wpfiled",
				 args->socket ? args->socket : "usual socket");
	return fail_errno(ret, "wpfiled");
}

static int use_broker(const struct args *args, struct subject *subject)
{
	char name[256];
	int ret;

	ret = broker_open(args, &subject->broker);
	if (ret)
		return ret;
	report_daemon = true;
	ret = wpfile_target_use_broker(subject->target, subject->broker);
	return ret ? fail_errno(ret, "%s", target_name(args, name, sizeof(name))) :
		     CTL_OK;
}

int subject_open(const struct args *args, struct subject *ret_subject)
{
	struct subject subject = {};
	int ret;

	ret = target_open(args, &subject.target);
	if (!ret && args->daemon)
		ret = use_broker(args, &subject);
	if (ret) {
		subject_close(&subject);
		return ret;
	}
	*ret_subject = subject;
	return CTL_OK;
}

/* The broker has to outlive those who use it. */
void subject_close(struct subject *subject)
{
	wpfile_target_free(subject->target);
	wpfile_broker_free(subject->broker);
}
