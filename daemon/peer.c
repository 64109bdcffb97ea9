// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The socket knows the uids and the process that connected.  Capabilities are
 * not the socket's: they are looked up by pid, and a pid may belong to another
 * process as soon as its own has ended and was reaped.  The socket's pidfd tells:
 * if that process is alive after the look-up, the number was its own throughout.
 *
 * It may still have got them after it connected, by a program that gives rights to
 * whoever executes it (set-user-ID, capabilities of the file): those are the program's.
 * The kernel takes such a process out of its user's hands, until it executes another
 * one.  That is looked at before and after: to deceive both, a process would have to
 * execute one program, and another, while we read a line of /proc.
 */
#include <cap-ng.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "peer.h"

#ifndef SO_PEERPIDFD
#define SO_PEERPIDFD 77
#endif

#define MAX_GROUPS 65536	/* NGROUPS_MAX of the kernel */

static uid_t overflow_uid(void)
{
	FILE *file = fopen("/proc/sys/kernel/overflowuid", "re");
	uid_t uid = 65534;

	if (file) {
		if (fscanf(file, "%u", &uid) != 1)
			uid = 65534;
		fclose(file);
	}
	return uid;
}

static int get_ids(int socket, struct peer *peer)
{
	struct ucred cred;
	socklen_t size = sizeof(cred);

	if (getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &cred, &size) < 0)
		return -errno;
	peer->pid = cred.pid;
	peer->uid = cred.uid;
	peer->gid = cred.gid;
	peer->nobody = cred.uid == overflow_uid();
	/* Of a pid namespace that we do not see. */
	return cred.pid > 0 ? 0 : -ESRCH;
}

static int get_pidfd(int socket)
{
	socklen_t size = sizeof(int);
	int fd;

	if (!getsockopt(socket, SOL_SOCKET, SO_PEERPIDFD, &fd, &size))
		return fd;
	switch (errno) {
	case ENOPROTOOPT:
		return -EOPNOTSUPP;
	case EINVAL:
	case ENODATA:
		return -ESRCH;
	}
	return -errno;
}

static int check_alive(int pidfd)
{
	struct pollfd pollfd = { .fd = pidfd, .events = POLLIN };

	switch (poll(&pollfd, 1, 0)) {
	case 0:
		return 0;
	case 1:
		return -ESRCH;
	}
	return -errno;
}

static int get_groups(int socket, struct peer *peer)
{
	socklen_t size = 0;
	int ret;

	ret = getsockopt(socket, SOL_SOCKET, SO_PEERGROUPS, NULL, &size);
	if (!ret)
		return 0;
	if (errno != ERANGE || size > MAX_GROUPS * sizeof(gid_t))
		return -errno;
	peer->groups = malloc(size);
	if (!peer->groups)
		return -ENOMEM;
	if (getsockopt(socket, SOL_SOCKET, SO_PEERGROUPS, peer->groups, &size) < 0)
		return -errno;
	peer->nr_groups = size / sizeof(gid_t);
	return 0;
}

/* Capabilities in a namespace of his own would say nothing about ours. */
static int is_in_our_namespace(pid_t pid)
{
	struct stat ours, his;
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/ns/user", pid);
	if (stat("/proc/self/ns/user", &ours) < 0)
		return -errno;
	if (stat(path, &his) < 0)
		return -errno;
	return ours.st_dev == his.st_dev && ours.st_ino == his.st_ino;
}

/* Who is not dumpable has his files in /proc owned by root. */
static int is_in_his_hands(const struct peer *peer)
{
	struct stat environ_stat;
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/environ", peer->pid);
	if (stat(path, &environ_stat) < 0)
		return -errno;
	return environ_stat.st_uid == peer->uid;
}

static int read_capabilities(struct peer *peer)
{
	int i;

	capng_clear(CAPNG_SELECT_BOTH);
	capng_setpid(peer->pid);
	if (capng_get_caps_process())
		return -ESRCH;
	for (i = 0; i < 64 && capng_capability_to_name(i); i++)
		if (capng_have_capability(CAPNG_EFFECTIVE, i))
			peer->capabilities |= 1ULL << i;
	return 1;
}

static int get_capabilities(struct peer *peer)
{
	int ret;

	ret = is_in_our_namespace(peer->pid);
	if (ret > 0)
		ret = is_in_his_hands(peer);
	if (ret > 0)
		ret = read_capabilities(peer);
	if (ret > 0)
		ret = is_in_his_hands(peer);
	if (ret <= 0)
		peer->capabilities = 0;
	if (ret < 0)
		return ret == -ENOENT ? -ESRCH : ret;
	return 0;
}

static int look_up(int socket, int pidfd, struct peer *peer)
{
	int ret, err;

	ret = get_groups(socket, peer);
	if (ret)
		return ret;
	ret = get_capabilities(peer);
	/* Who is alive now was so before.  Else it does not matter what was found. */
	err = check_alive(pidfd);
	return err ? err : ret;
}

int peer_identify(int socket, struct peer *ret_peer)
{
	int pidfd, ret;

	*ret_peer = (struct peer){ .pid = 0 };
	ret = get_ids(socket, ret_peer);
	if (ret)
		return ret;
	pidfd = get_pidfd(socket);
	if (pidfd < 0)
		return pidfd;
	ret = look_up(socket, pidfd, ret_peer);
	close(pidfd);
	if (ret)
		ret_peer->capabilities = 0;
	return ret;
}

void peer_destroy(struct peer *peer)
{
	free(peer->groups);
	peer->groups = NULL;
	peer->nr_groups = 0;
}
