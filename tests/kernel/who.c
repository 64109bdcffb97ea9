// SPDX-License-Identifier: GPL-2.0-only
/* Credentials: of processes, of programs, of user namespaces. */
#include "who.h"
#include "common.h"
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <sched.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <unistd.h>

static int set_caps(uint64_t permitted, uint64_t effective)
{
	struct __user_cap_header_struct header = {
		.version = _LINUX_CAPABILITY_VERSION_3,
	};
	struct __user_cap_data_struct data[2] = {
		{ .effective = effective, .permitted = permitted },
		{ .effective = effective >> 32, .permitted = permitted >> 32 },
	};

	return syscall(SYS_capset, &header, data) ? -errno : 0;
}

uint64_t who_permitted(void)
{
	struct __user_cap_header_struct header = {
		.version = _LINUX_CAPABILITY_VERSION_3,
	};
	struct __user_cap_data_struct data[2];

	if (syscall(SYS_capget, &header, data))
		return ~0ULL;
	return data[0].permitted | (uint64_t)data[1].permitted << 32;
}

int who_drop(uint64_t caps)
{
	uint64_t left = who_permitted() & ~caps;

	return set_caps(left, left);
}

int who_become(const struct who *who, int ns)
{
	if (ns >= 0 && setns(ns, CLONE_NEWUSER))
		return -errno;
	if (setgroups(0, NULL) ||
	    setresgid(who->gid, who->egid, who->sgid ?: who->egid) ||
	    prctl(PR_SET_KEEPCAPS, 1) ||
	    setresuid(who->uid, who->euid, who->suid ?: who->euid))
		return -errno;
	if (who->uid && set_caps(who->permitted, who->effective))
		return -errno;
	/* A process that changes its ids is not dumpable. */
	return prctl(PR_SET_DUMPABLE, !who->undumpable) ? -errno : 0;
}

/* Older headers have less of it than 6.12. */
struct ruleset {
	uint64_t handled_access_fs;
	uint64_t handled_access_net;
	uint64_t scoped;
};

int who_sandbox(uint64_t scopes)
{
	struct ruleset rules = { .scoped = scopes };
	int fd = syscall(SYS_landlock_create_ruleset, &rules, sizeof(rules), 0);
	int ret;

	if (fd < 0)
		return -errno;
	ret = prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ||
			      syscall(SYS_landlock_restrict_self, fd, 0) ?
		      -errno :
		      0;
	close(fd);
	return ret;
}

bool who_can_sandbox(void)
{
	const unsigned int ask_version = 1;

	/* The first that knows scopes. */
	return syscall(SYS_landlock_create_ruleset, NULL, 0, ask_version) >= 6;
}

static int map_ids(pid_t pid, const char *file)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/%s", pid, file);
	return file_write(path, "0 0 65536\n");
}

static long unshare_as(void *argument, long uid)
{
	(void)argument;
	return setresuid(uid, uid, uid) || unshare(CLONE_NEWUSER) ? -errno : 0;
}

int userns_new(uid_t uid)
{
	struct worker worker;
	char path[64];
	int ret, fd;

	ret = worker_start(&worker);
	if (ret)
		return ret;
	ret = worker_call(&worker, unshare_as, NULL, uid);
	if (!ret)
		ret = map_ids(worker.pid, "uid_map") ?:
			      map_ids(worker.pid, "gid_map");
	snprintf(path, sizeof(path), "/proc/%d/ns/user", worker.pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		fd = -errno;
	worker_stop(&worker);
	if (ret && fd >= 0)
		close(fd);
	return ret ?: fd;
}

int program_copy(const char *path, uid_t uid, gid_t gid, mode_t mode)
{
	int from = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	int to = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0755);
	int ret = 0;

	/* The mode comes last: chown() takes the setuid bit away. */
	if (from < 0 || to < 0 || sendfile(to, from, NULL, 1 << 26) <= 0 ||
	    fchown(to, uid, gid) || fchmod(to, mode))
		ret = -errno;
	close(from);
	close(to);
	return ret;
}

int program_add_caps(const char *path, uint64_t permitted, bool effective)
{
	struct vfs_cap_data data = {
		.magic_etc = VFS_CAP_REVISION_2 |
			     (effective ? VFS_CAP_FLAGS_EFFECTIVE : 0),
		.data = { { .permitted = permitted },
			  { .permitted = permitted >> 32 } },
	};

	return setxattr(path, "security.capability", &data, sizeof(data), 0) ?
		       -errno :
		       0;
}
