// SPDX-License-Identifier: LGPL-2.1-or-later
/* One packet on a socket, with a descriptor. */
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "packet.h"
#include "sys.h"

/* One more than is ever expected; the kernel closes what does not fit. */
#define FDS_MAX 2

union control {
	struct cmsghdr header;
	char room[CMSG_SPACE(FDS_MAX * sizeof(int))];
};

int wpfile_packet_send(int socket, const void *data, size_t size, int fd)
{
	union control control = {
		.header = {
			.cmsg_level = SOL_SOCKET,
			.cmsg_type = SCM_RIGHTS,
			.cmsg_len = CMSG_LEN(sizeof(fd)),
		},
	};
	struct iovec iov = { .iov_base = (void *)data, .iov_len = size };
	struct msghdr message = { .msg_iov = &iov, .msg_iovlen = 1 };
	int64_t ret;

	if (fd >= 0) {
		memcpy(CMSG_DATA(&control.header), &fd, sizeof(fd));
		message.msg_control = &control;
		message.msg_controllen = CMSG_SPACE(sizeof(fd));
	}
	ret = sys_retry(sendmsg(socket, &message, MSG_NOSIGNAL));
	return ret < 0 ? ret : 0;
}

static void keep_first_fd(const struct cmsghdr *header,
			  struct wpfile_packet *packet)
{
	size_t i, nr = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
	int fd;

	for (i = 0; i < nr; i++) {
		memcpy(&fd, CMSG_DATA(header) + i * sizeof(fd), sizeof(fd));
		if (packet->fds++)
			sys(close(fd));
		else
			packet->fd = fd;
	}
}

int wpfile_packet_receive(int socket, void *data, size_t room, int flags,
			  struct wpfile_packet *ret_packet)
{
	struct wpfile_packet packet = { .fd = -1 };
	union control control;
	struct iovec iov = { .iov_base = data, .iov_len = room };
	struct msghdr message = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control),
	};
	struct cmsghdr *header;
	int64_t got;

	/* A peer that dies with questions unread: told once, before what it has said. */
	got = sys_retry(recvmsg(socket, &message, flags | MSG_CMSG_CLOEXEC));
	if (got == -ECONNRESET)
		got = sys_retry(recvmsg(socket, &message,
					flags | MSG_CMSG_CLOEXEC));
	if (got < 0)
		return got == -ECONNRESET ? -EPIPE : (int)got;
	for (header = CMSG_FIRSTHDR(&message); header;
	     header = CMSG_NXTHDR(&message, header))
		if (header->cmsg_level == SOL_SOCKET &&
		    header->cmsg_type == SCM_RIGHTS)
			keep_first_fd(header, &packet);
	packet.size = got;
	packet.cut = message.msg_flags & MSG_CTRUNC;
	if (got > 0 && !(message.msg_flags & MSG_TRUNC)) {
		*ret_packet = packet;
		return 0;
	}
	if (packet.fd >= 0)
		sys(close(packet.fd));
	return got ? -EMSGSIZE : -EPIPE;
}
