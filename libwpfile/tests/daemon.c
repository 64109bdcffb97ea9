// SPDX-License-Identifier: LGPL-2.1-or-later
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "daemon.h"

int daemon_socket;
static int client_socket;

/* The socket that the library made becomes an end of the pair. */
static int connect_pair(int fd)
{
	if (dup3(client_socket, fd, O_CLOEXEC) < 0)
		return -errno;
	close(client_socket);
	return 0;
}

void daemon_listen(void)
{
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0,
				    pair), 0);
	client_socket = pair[0];
	daemon_socket = pair[1];
	fake_connect = connect_pair;
}

struct wpfile_broker *daemon_connect(void)
{
	const struct wire_hello hello = { .version = 1 };
	struct wpfile_broker *broker;
	struct question question;

	daemon_listen();
	daemon_answer(WIRE_HELLO, 1, &hello);
	assert_int_equal(wpfile_broker_open(NULL, &broker), 0);
	fake_connect = NULL;
	daemon_read(&question);
	assert_int_equal(question.header.type, WIRE_HELLO);
	return broker;
}

void daemon_hang_up(void)
{
	close(daemon_socket);
	daemon_socket = -1;
}

static void send_packet(const void *data, size_t size, int fd, unsigned int fds)
{
	int copies[2] = { fd, fd };
	char control[CMSG_SPACE(sizeof(copies))] = { 0 };
	struct iovec iov = { .iov_base = (void *)data, .iov_len = size };
	struct msghdr message = { .msg_iov = &iov, .msg_iovlen = 1 };
	struct cmsghdr *header = (void *)control;

	if (fds) {
		header->cmsg_level = SOL_SOCKET;
		header->cmsg_type = SCM_RIGHTS;
		header->cmsg_len = CMSG_LEN(fds * sizeof(fd));
		memcpy(CMSG_DATA(header), copies, fds * sizeof(fd));
		message.msg_control = control;
		message.msg_controllen = CMSG_SPACE(fds * sizeof(fd));
	}
	assert_int_equal(sendmsg(daemon_socket, &message, MSG_NOSIGNAL), size);
}

void daemon_send(unsigned int type, uint32_t serial, int result,
		 const void *body, size_t size, int fd, unsigned int fds)
{
	static struct {
		struct wire_header header;
		char body[WIRE_MAX];
	} message;

	message.header = (struct wire_header) {
		.size = sizeof(message.header) + size,
		.type = type,
		.serial = serial,
		.result = result,
	};
	if (size)
		memcpy(message.body, body, size);
	send_packet(&message, message.header.size, fd, fds);
}

void daemon_answer(unsigned int type, uint32_t serial, const void *body)
{
	daemon_send(type, serial, 0, body, wire_table[type].reply, -1, 0);
}

void daemon_fail(unsigned int type, uint32_t serial, int result)
{
	daemon_send(type, serial, result, NULL, 0, -1, 0);
}

void daemon_events(uint64_t subscription, uint64_t first, unsigned int nr,
		   unsigned int type)
{
	struct {
		struct wire_events head;
		struct wpfile_event events[256];
	} body = { .head.id = subscription };
	unsigned int i;

	for (i = 0; i < nr; i++)
		body.events[i] = (struct wpfile_event) {
			.length = sizeof(body.events[i]),
			.type = type,
			.id = first + i,
			.bytes = 5,
		};
	daemon_send(WIRE_EVENTS, 0, 0, &body,
		    sizeof(body.head) + nr * sizeof(body.events[0]), -1, 0);
}

void daemon_read(struct question *question)
{
	char control[CMSG_SPACE(2 * sizeof(int))];
	struct iovec iov = { .iov_base = question,
			     .iov_len = offsetof(struct question, fd) };
	struct msghdr message = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = sizeof(control),
	};
	struct cmsghdr *header;
	unsigned int fds = 0;
	ssize_t size;

	question->fd = -1;
	size = recvmsg(daemon_socket, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	assert_true(size > 0);
	header = CMSG_FIRSTHDR(&message);
	if (header) {
		fds = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		memcpy(&question->fd, CMSG_DATA(header), sizeof(int));
	}
	assert_int_equal(wire_check_request(question, size, fds), 0);
}

unsigned int count_open_fds(void)
{
	unsigned int nr = 0;
	int fd;

	for (fd = 0; fd < 256; fd++)
		nr += fcntl(fd, F_GETFD) >= 0;
	return nr;
}

int daemon_setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	f->open_fds = count_open_fds();
	f->question.fd = -1;
	f->broker = daemon_connect();
	f->file = memfd_create("unit", MFD_CLOEXEC);
	if (wpfile_target_dup_fd(f->file, &f->target) ||
	    wpfile_target_use_broker(f->target, f->broker))
		return -1;
	*state = f;
	return 0;
}

/* Whatever came or failed, no descriptor was left behind. */
int daemon_teardown(void **state)
{
	struct fixture *f = *state;
	unsigned int open_fds = f->open_fds;

	wpfile_target_free(f->target);
	wpfile_broker_free(f->broker);
	close(f->file);
	close(daemon_socket);
	close(f->question.fd);
	free(f);
	return count_open_fds() == open_fds ? 0 : -1;
}
