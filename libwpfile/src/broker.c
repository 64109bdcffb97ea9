// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The connection to wpfiled.
 *
 * One question at a time: who asks has the lock until the answer is there.  Events
 * come in between; who asks keeps them for who reads them.  Who reads events waits
 * without the lock, for the socket or for what was kept.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "broker.h"
#include "packet.h"
#include "sys.h"
#include "target.h"

int wpfile_broker_hang_up(struct wpfile_broker *broker)
{
	broker->gone = true;
	sys(shutdown(broker->socket, SHUT_RDWR));
	return -EPIPE;
}

static int check(const struct wpfile_broker *broker,
		 const struct wpfile_packet *packet)
{
	int ret = wire_check_reply(broker->message, packet->size, packet->fds);

	/* Sound, had there been room for the descriptor that is now lost. */
	if (ret && packet->cut && !packet->fds &&
	    !wire_check_reply(broker->message, packet->size, 1))
		return -EMFILE;
	return ret;
}

int wpfile_broker_receive(struct wpfile_broker *broker, int flags, int *ret_fd)
{
	struct wpfile_packet packet;
	int ret;

	if (broker->gone)
		return -EPIPE;
	ret = wpfile_packet_receive(broker->socket, broker->message,
				    sizeof(broker->message), flags, &packet);
	if (ret == -EAGAIN)
		return ret;
	if (ret)
		return wpfile_broker_hang_up(broker);
	ret = check(broker, &packet);
	if (!ret) {
		*ret_fd = packet.fd;
		return 0;
	}
	if (packet.fd >= 0)
		sys(close(packet.fd));
	return ret == -EMFILE ? ret : wpfile_broker_hang_up(broker);
}

static int keep_events(struct wpfile_broker *broker)
{
	const struct wire_header *header = (void *)broker->message;
	const struct wire_events *events = (const void *)(header + 1);

	return wpfile_kept_add(&broker->kept, events->id, events + 1,
			       header->size - sizeof(*header) - sizeof(*events));
}

/* The answer to the last request is then in @broker->message. */
static int wait_for_answer(struct wpfile_broker *broker, enum wire_type type,
			   int *ret_fd)
{
	const struct wire_header *header = (void *)broker->message;
	int ret, fd = -1;

	do {
		ret = wpfile_broker_receive(broker, 0, &fd);
		if (ret && ret != -EMFILE)
			return ret;
		if (header->type == WIRE_EVENTS && keep_events(broker))
			return wpfile_broker_hang_up(broker);
	} while (header->type == WIRE_EVENTS);
	if (header->serial == broker->serial && header->type == type) {
		*ret_fd = fd;
		return ret;
	}
	if (fd >= 0)
		sys(close(fd));
	return wpfile_broker_hang_up(broker);
}

/* What the daemon would not accept is not sent. */
static int send_request(struct wpfile_broker *broker,
			const struct wpfile_call *call)
{
	struct wire_header *header = (void *)broker->message;
	uint32_t size = wire_table[call->type].request;
	int ret;

	if (!++broker->serial)
		broker->serial++;
	*header = (struct wire_header) {
		.size = sizeof(*header) + size,
		.type = call->type,
		.serial = broker->serial,
	};
	if (size)
		memcpy(header + 1, call->body, size);
	if (wire_check_request(header, header->size, call->fd >= 0))
		return -EINVAL;
	ret = wpfile_packet_send(broker->socket, header, header->size, call->fd);
	/* What it has said before it went can still be read. */
	return ret == -ECONNRESET || ret == -ENOTCONN ? -EPIPE : ret;
}

static int call_locked(struct wpfile_broker *broker, struct wpfile_call *call)
{
	const struct wire_header *header = (void *)broker->message;
	int ret;

	call->ret_fd = -1;
	if (broker->gone)
		return -EPIPE;
	ret = send_request(broker, call);
	if (!ret)
		ret = wait_for_answer(broker, call->type, &call->ret_fd);
	if (!ret)
		ret = header->result;
	if (ret)
		return ret;
	call->ret_size = header->size - sizeof(*header);
	if (call->ret_size > call->room)
		call->ret_size = call->room;
	if (call->ret_size)
		memcpy(call->answer, header + 1, call->ret_size);
	return 0;
}

int wpfile_broker_call(struct wpfile_broker *broker, struct wpfile_call *call)
{
	int ret;

	pthread_mutex_lock(&broker->lock);
	ret = call_locked(broker, call);
	pthread_mutex_unlock(&broker->lock);
	return ret;
}

static int connect_to(int fd, const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int ret;

	if (strlen(path) >= sizeof(address.sun_path))
		return -ENAMETOOLONG;
	strcpy(address.sun_path, path);
	ret = sys_retry(connect(fd, (void *)&address, sizeof(address)));
	return ret == -EPROTOTYPE ? -EPROTO : ret;
}

static int say_hello(struct wpfile_broker *broker)
{
	const struct wire_hello hello = { .version = WIRE_VERSION };
	struct wire_hello answer;
	struct wpfile_call call = {
		.type = WIRE_HELLO,
		.body = &hello,
		.fd = -1,
		.answer = &answer,
		.room = sizeof(answer),
	};
	int ret = wpfile_broker_call(broker, &call);

	if (ret)
		return ret == -EPIPE ? -EPROTO : ret;
	return answer.version <= WIRE_VERSION ? 0 : -EPROTO;
}

static int open_ready(struct wpfile_broker *broker)
{
	struct epoll_event event = { .events = EPOLLIN };
	int ret;

	ret = broker->ready = sys(epoll_create1(EPOLL_CLOEXEC));
	if (ret >= 0)
		ret = sys(epoll_ctl(broker->ready, EPOLL_CTL_ADD, broker->socket,
				    &event));
	if (ret >= 0)
		ret = sys(epoll_ctl(broker->ready, EPOLL_CTL_ADD,
				    broker->kept.wake, &event));
	return ret;
}

static int broker_start(struct wpfile_broker *broker, const char *path)
{
	int ret;

	ret = broker->socket = sys(socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC,
					  0));
	if (ret >= 0)
		ret = connect_to(broker->socket, path);
	if (ret >= 0)
		ret = open_ready(broker);
	if (ret >= 0)
		ret = say_hello(broker);
	return ret;
}

int wpfile_broker_open(const char *path, struct wpfile_broker **ret_broker)
{
	struct wpfile_broker *broker;
	int ret;

	broker = sys_alloc(calloc(1, sizeof(*broker)));
	if (!broker)
		return -ENOMEM;
	pthread_mutex_init(&broker->lock, NULL);
	broker->socket = -1;
	broker->ready = -1;
	ret = wpfile_kept_init(&broker->kept);
	if (!ret)
		ret = broker_start(broker, path ? path : WIRE_SOCKET);
	if (ret < 0) {
		wpfile_broker_free(broker);
		return ret;
	}
	*ret_broker = broker;
	return 0;
}

/* After fork() the connection may still be the parent's: no shutdown(). */
void wpfile_broker_free(struct wpfile_broker *broker)
{
	if (!broker)
		return;
	wpfile_kept_clear(&broker->kept);
	sys(close(broker->ready));
	sys(close(broker->socket));
	free(broker);
}
