// SPDX-License-Identifier: LGPL-2.1-or-later
/* Subscriptions, and what comes of them. */
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "broker.h"
#include "sys.h"
#include "target.h"

int wpfile_subscribe(const struct wpfile_target *target,
		     const struct wpfile_subscription *args, uint64_t *ret_id)
{
	struct wire_id id;
	struct wpfile_call call = {
		.type = WIRE_SUBSCRIBE,
		.body = args,
		.fd = target->fd,
		.answer = &id,
		.room = sizeof(id),
	};
	int ret;

	if (!target->broker)
		return -EINVAL;
	ret = wpfile_broker_call(target->broker, &call);
	if (!ret)
		*ret_id = id.id;
	return ret;
}

int wpfile_unsubscribe(struct wpfile_broker *broker, uint64_t id)
{
	const struct wire_id body = { .id = id };
	struct wpfile_call call = {
		.type = WIRE_UNSUBSCRIBE,
		.body = &body,
		.fd = -1,
	};

	return wpfile_broker_call(broker, &call);
}

int wpfile_broker_fd(const struct wpfile_broker *broker)
{
	return broker->ready;
}

/* Nobody has asked: it can only be events. */
static ssize_t receive_events(struct wpfile_broker *broker, void *buffer,
			      uint64_t *ret_id)
{
	const struct wire_header *header = (void *)broker->message;
	const struct wire_events *events = (const void *)(header + 1);
	size_t size;
	int ret, fd = -1;

	ret = wpfile_broker_receive(broker, MSG_DONTWAIT, &fd);
	if (ret == -EAGAIN)
		return ret;
	if (fd >= 0)
		sys(close(fd));
	if (ret || header->type != WIRE_EVENTS)
		return wpfile_broker_hang_up(broker);
	size = header->size - sizeof(*header) - sizeof(*events);
	memcpy(buffer, events + 1, size);
	*ret_id = events->id;
	return size;
}

static ssize_t read_ready(struct wpfile_broker *broker, void *buffer,
			  uint64_t *ret_id)
{
	ssize_t ret;

	pthread_mutex_lock(&broker->lock);
	ret = wpfile_kept_take(&broker->kept, buffer, ret_id);
	if (!ret)
		ret = receive_events(broker, buffer, ret_id);
	pthread_mutex_unlock(&broker->lock);
	return ret;
}

static int64_t now_ms(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec * INT64_C(1000) + time.tv_nsec / 1000000;
}

/* 0, -EAGAIN when it is @end_ms, -EINTR. */
static int wait_ready(const struct wpfile_broker *broker, bool for_ever,
		      int64_t end_ms)
{
	struct pollfd ready = { .fd = broker->ready, .events = POLLIN };
	int64_t left = for_ever ? -1 : end_ms - now_ms();
	int ret;

	if (!for_ever && left < 0)
		left = 0;
	ret = sys(poll(&ready, 1, left));
	if (ret < 0)
		return ret;
	return ret ? 0 : -EAGAIN;
}

/* What was ready may be gone again: the answer to another thread. */
ssize_t wpfile_broker_read(struct wpfile_broker *broker, void *buffer, size_t size,
			   int timeout_ms, uint64_t *ret_id)
{
	int64_t end_ms = now_ms() + timeout_ms;
	ssize_t ret;
	int waited;

	if (size < WPFILE_BROKER_EVENTS)
		return -EINVAL;
	for (;;) {
		ret = read_ready(broker, buffer, ret_id);
		if (ret != -EAGAIN)
			return ret;
		waited = wait_ready(broker, timeout_ms < 0, end_ms);
		if (waited)
			return waited;
	}
}
