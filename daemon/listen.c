// SPDX-License-Identifier: GPL-2.0-or-later
/* The socket that clients come to. */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "client.h"
#include "log.h"

#define BACKLOG		1024
#define SECOND_USEC	1000000ULL
#define MAX_ACCEPTS	1000	/* in a second */

/* --- making it --- */

static int make_address(const char *path, struct sockaddr_un *ret_address)
{
	*ret_address = (struct sockaddr_un){ .sun_family = AF_UNIX };
	if (!*path || strlen(path) >= sizeof(ret_address->sun_path))
		return -ENAMETOOLONG;
	strcpy(ret_address->sun_path, path);
	return 0;
}

/* What is left of a daemon that is gone; never what somebody answers at. */
static int remove_stale(const struct sockaddr_un *address)
{
	struct stat stat;
	int fd, err = 0;

	if (lstat(address->sun_path, &stat) < 0)
		return errno == ENOENT ? 0 : -errno;
	if (!S_ISSOCK(stat.st_mode))
		return -EEXIST;
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	if (!connect(fd, (const void *)address, sizeof(*address)) ||
	    errno != ECONNREFUSED)
		err = -EADDRINUSE;
	close(fd);
	if (!err && unlink(address->sun_path) < 0)
		err = -errno;
	return err;
}

/* Who is not in @group finds it closed; without one, all but us do. */
static int admit_group(const char *path, const char *group)
{
	struct group *entry;

	if (!group)
		return 0;
	entry = getgrnam(group);
	if (!entry)
		return -EINVAL;
	if (chown(path, -1, entry->gr_gid) < 0 || chmod(path, 0660) < 0)
		return -errno;
	return 0;
}

static int bind_at(int fd, const struct sockaddr_un *address, const char *group)
{
	mode_t mask = umask(0177);
	int err = 0;

	if (bind(fd, (const void *)address, sizeof(*address)) < 0)
		err = -errno;
	umask(mask);
	if (err)
		return err;
	err = admit_group(address->sun_path, group);
	if (!err && listen(fd, BACKLOG) < 0)
		err = -errno;
	if (err)
		unlink(address->sun_path);
	return err;
}

int listen_at(const char *path, const char *group)
{
	struct sockaddr_un address;
	int fd, err;

	err = make_address(path, &address);
	if (!err)
		err = remove_stale(&address);
	if (err)
		return err;
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	err = bind_at(fd, &address, group);
	if (err) {
		close(fd);
		return err;
	}
	return fd;
}

/* --- who comes --- */

static void welcome(struct daemon *daemon, int socket)
{
	struct peer peer;
	struct peer known;
	int err;

	err = peer_identify(socket, &peer);
	known = peer;
	if (!err && daemon->nr_clients >= daemon->policy->connections)
		err = -EUSERS;
	if (err)
		peer_destroy(&peer);
	else
		err = client_add(daemon, socket, &peer);
	if (err < 0)
		refuse(daemon, socket, &known, err);
	else
		daemon->metrics.connections++;
}

static int on_listener(sd_event_source *source, int fd, uint32_t revents,
		       void *data)
{
	struct daemon *daemon = data;
	int socket;

	(void)source;
	(void)revents;
	socket = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (socket >= 0)
		welcome(daemon, socket);
	else if (errno == EMFILE || errno == ENFILE)
		turn_away(daemon);
	return 0;
}

int listen_start(struct daemon *daemon)
{
	int flags = fcntl(daemon->listener, F_GETFL);
	int err;

	/* Who has come may have gone again. */
	if (flags < 0 || fcntl(daemon->listener, F_SETFL, flags | O_NONBLOCK) < 0)
		return -errno;
	refusals_init(daemon);
	err = sd_event_add_io(daemon->event, &daemon->listening,
			      daemon->listener, EPOLLIN, on_listener, daemon);
	if (err < 0)
		return err;
	/* A second without descriptors is not to be a busy one. */
	return sd_event_source_set_ratelimit(daemon->listening, SECOND_USEC,
					     MAX_ACCEPTS);
}
