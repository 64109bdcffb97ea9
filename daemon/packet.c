// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "packet.h"

struct packet {
	size_t size;
	int fd;		/* owned, or -1 */
	char data[];
};

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

void incoming_close(struct incoming *incoming)
{
	while (incoming->nr_fds)
		close(incoming->fds[--incoming->nr_fds]);
}

/*
 * There is room for all descriptors that the kernel passes: what is missing found no
 * number.  What is cut off fills the buffer, which is longer than any request.
 */
int packet_receive(int socket, struct incoming *ret_incoming)
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

	size = recvmsg(socket, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	if (size < 0)
		return errno == EINTR ? -EAGAIN : -errno;
	ret_incoming->size = size;
	ret_incoming->nr_fds = 0;
	ret_incoming->lost_fds = msg.msg_flags & MSG_CTRUNC;
	take_fds(&msg, ret_incoming);
	if (size)
		return 0;
	incoming_close(ret_incoming);
	return -EPIPE;
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
