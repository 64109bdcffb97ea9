// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "packet.h"

struct packet {
	size_t size;
	int fd;		/* owned, or -1 */
	char data[];
};

#define LIGHT_BYTES	(16 << 20)	/* pages that are freed in no time */

static void take_fds(struct msghdr *msg, struct incoming *incoming)
{
	struct cmsghdr *cmsg;
	unsigned int nr;

	for (cmsg = CMSG_FIRSTHDR(msg); cmsg; cmsg = CMSG_NXTHDR(msg, cmsg)) {
		if (cmsg->cmsg_level != SOL_SOCKET ||
		    cmsg->cmsg_type != SCM_RIGHTS)
			continue;
		nr = (cmsg->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		memcpy(incoming->fds + incoming->nr_fds, CMSG_DATA(cmsg),
		       nr * sizeof(int));
		incoming->nr_fds += nr;
	}
}

static ssize_t receive(int socket, int flags, struct incoming *ret_incoming)
{
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(int) * MAX_PASSED)];
	struct iovec iov = { ret_incoming->data, sizeof(ret_incoming->data) };
	struct msghdr msg = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = sizeof(control),
	};
	ssize_t size;

	size = recvmsg(socket, &msg, flags | MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	if (size < 0)
		return errno == EINTR ? -EAGAIN : -errno;
	take_fds(&msg, ret_incoming);
	ret_incoming->lost_fds = msg.msg_flags & MSG_CTRUNC &&
				 ret_incoming->nr_fds < MAX_PASSED;
	ret_incoming->unread = flags & MSG_PEEK && msg.msg_flags & MSG_CTRUNC;
	return size;
}

/* Takes it out of the socket, with all its descriptors. */
static void discard(int socket)
{
	while (recv(socket, NULL, 0, MSG_DONTWAIT) < 0 && errno == EINTR)
		;
}

/*
 * What is in the socket has its files, too: to look drops the last of none.  A
 * message whose descriptors we all have is then taken out of it, and has not the
 * last of any.  What is cut off fills the buffer, which is longer than any request;
 * descriptors that are cut off are more than any request has, or have found no
 * number.  None may be shown for lack of memory: they come when it is taken.
 */
int packet_receive(int socket, struct incoming *ret_incoming)
{
	ssize_t size;

	ret_incoming->nr_fds = 0;
	ret_incoming->unread = false;
	size = receive(socket, MSG_PEEK, ret_incoming);
	if (size < 0)
		return size;
	if (!ret_incoming->nr_fds && !ret_incoming->unread)
		size = receive(socket, 0, ret_incoming);
	else if (!ret_incoming->unread)
		discard(socket);
	if (size < 0)
		return size;
	ret_incoming->size = size;
	return size ? 0 : -EPIPE;
}

void incoming_drop(int socket, struct incoming *incoming)
{
	if (incoming->unread)
		discard(socket);
	incoming->unread = false;
	while (incoming->nr_fds)
		close(incoming->fds[--incoming->nr_fds]);
}

/* That of the kernel's own mount, which is never put with the last file of it. */
static dev_t memfd_device(void)
{
	static dev_t device;
	struct stat stat;
	int fd;

	if (device)
		return device;
	fd = memfd_create("wpfiled", MFD_CLOEXEC);
	if (fd < 0)
		return 0;
	if (!fstat(fd, &stat))
		device = stat.st_dev;
	close(fd);
	return device;
}

/*
 * Memory, which waits for nobody, and not much of it.  A snapshot, which is sealed,
 * may hold the last of the file that it was taken of.
 */
static bool is_light(int fd)
{
	int seals = fcntl(fd, F_GET_SEALS);
	struct stat stat;

	return seals >= 0 && !(seals & F_SEAL_WRITE) && !fstat(fd, &stat) &&
	       stat.st_dev == memfd_device() &&
	       stat.st_blocks <= LIGHT_BYTES / 512;
}

bool incoming_is_light(const struct incoming *incoming)
{
	unsigned int i;

	for (i = 0; i < incoming->nr_fds; i++)
		if (!is_light(incoming->fds[i]))
			return false;
	return !incoming->unread;
}

int packet_send(int socket, const void *data, size_t size, int fd)
{
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(int))] = { 0 };
	struct iovec iov = { (void *)data, size };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
	struct cmsghdr *cmsg;

	if (fd >= 0) {
		msg.msg_control = control;
		msg.msg_controllen = sizeof(control);
		cmsg = CMSG_FIRSTHDR(&msg);
		cmsg->cmsg_level = SOL_SOCKET;
		cmsg->cmsg_type = SCM_RIGHTS;
		cmsg->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(cmsg), &fd, sizeof(int));
	}
	if (sendmsg(socket, &msg, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
		return errno == EINTR ? -EAGAIN : -errno;
	return 0;
}

struct packet *packet_new(const void *data, size_t size, int fd_take)
{
	struct packet *packet = malloc(sizeof(*packet) + size);

	if (!packet) {
		if (fd_take >= 0)
			close(fd_take);
		return NULL;
	}
	packet->size = size;
	packet->fd = fd_take;
	memcpy(packet->data, data, size);
	return packet;
}

int packet_send_again(int socket, const struct packet *packet)
{
	return packet_send(socket, packet->data, packet->size, packet->fd);
}

void packet_free(struct packet *packet)
{
	if (packet && packet->fd >= 0)
		close(packet->fd);
	free(packet);
}
