// SPDX-License-Identifier: GPL-2.0-or-later
/* What is sent to clients: answers and events. */
#include <errno.h>
#include <fcntl.h>
#include <time.h>
#include <unistd.h>

#include "client.h"
#include "log.h"
#include "packet.h"
#include "wire.h"

#define PATIENCE_USEC	10000000ULL
#define MAX_EVENTS	(WPFILE_BROKER_EVENTS / sizeof(struct wpfile_event))
#define ROUND		64	/* messages of events before requests have their turn */

static int on_patience(sd_event_source *source, uint64_t usec, void *data)
{
	struct client *client = data;

	(void)source;
	(void)usec;
	log_say(LOG_NOTICE, "the client pid=%d uid=%u does not read its answers: "
		"dropped", client->peer.pid, client->peer.uid);
	client_doom(client);
	return 0;
}

/* What the kernel does not take now; @packet is taken over. */
static int put_off(struct client *client, struct packet *packet, bool answer)
{
	int err = 0;

	if (!packet)
		return -ENOMEM;
	client->out = packet;
	client_listen(client);
	if (answer)
		err = sd_event_add_time_relative(client->daemon->event,
						 &client->patience,
						 CLOCK_MONOTONIC, PATIENCE_USEC, 0,
						 on_patience, client);
	return err < 0 ? err : 0;
}

static struct packet *copy_of(const void *data, size_t size, int fd)
{
	int copy = fd < 0 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, 0);

	return fd < 0 || copy >= 0 ? packet_new(data, size, copy) : NULL;
}

/* There is room: no request comes with two. */
void client_keep(struct client *client, int fd_take)
{
	struct incoming *incoming = &client->incoming;

	incoming->fds[incoming->nr_fds++] = fd_take;
}

int client_answer(struct client *client, const void *data, size_t size,
		  int fd_take)
{
	int err = packet_send(client->socket, data, size, fd_take);

	if (err == -EAGAIN)
		err = put_off(client, copy_of(data, size, fd_take), true);
	/* He may close his at once: then ours is the last. */
	if (fd_take >= 0)
		client_keep(client, fd_take);
	return err;
}

/* One message of events.  1: there may be more. */
static int tell(struct client *client, struct subscriber *subscriber)
{
	struct {
		struct wire_header header;
		struct wire_events events;
		struct wpfile_event event[MAX_EVENTS];
	} message;
	size_t nr, size;
	int err;

	nr = queue_take(&subscriber->queue, message.event, MAX_EVENTS);
	if (!nr)
		return 0;
	size = sizeof(message.header) + sizeof(message.events) +
	       nr * sizeof(message.event[0]);
	message.header = (struct wire_header){ .size = size, .type = WIRE_EVENTS };
	message.events.id = subscriber->id;
	client->daemon->watches.events_out += nr;
	err = packet_send(client->socket, &message, size, -1);
	if (err == -EAGAIN)
		err = put_off(client, packet_new(&message, size, -1), false);
	return err ? err : nr == MAX_EVENTS;
}

static void tell_client(struct client *client, struct subscriber *subscriber)
{
	int ret;

	/* Who is fresh does not know his number yet, and is scheduled when he does. */
	if (client->doomed || subscriber->fresh)
		return;
	if (subscriber->drop_slow && queue_dropped(&subscriber->queue)) {
		log_say(LOG_NOTICE, "the subscriber pid=%d uid=%u is too slow: "
			"dropped", client->peer.pid, client->peer.uid);
		client_doom(client);
		return;
	}
	/* They are all scheduled when that has gone. */
	if (client->out)
		return;
	ret = tell(client, subscriber);
	if (ret > 0)
		subscriber_schedule(subscriber);
	if (ret < 0)
		client_doom(client);
}

int clients_tell(sd_event_source *source, int fd, uint32_t revents, void *data)
{
	struct daemon *daemon = data;
	struct subscriber *subscriber;
	uint64_t count;
	int i;

	(void)source;
	(void)revents;
	/* Before the list is looked at: what comes later says so again. */
	(void)!read(fd, &count, sizeof(count));
	watches_log_losses(&daemon->watches);
	for (i = 0; i < ROUND; i++) {
		subscriber = subscriber_next(&daemon->watches);
		if (!subscriber)
			return 0;
		tell_client(subscriber->client, subscriber);
	}
	watches_tell(&daemon->watches);
	return 0;
}

int client_go_on(struct client *client)
{
	struct packet *packet = client->out;
	struct subscriber *subscriber;
	int err;

	err = packet_send_again(client->socket, packet);
	if (err)
		return err == -EAGAIN ? 0 : err;
	packet_free(packet);
	client->out = NULL;
	client->patience = sd_event_source_disable_unref(client->patience);
	client_listen(client);
	cds_list_for_each_entry(subscriber, &client->subscribers, of_client)
		subscriber_schedule(subscriber);
	watches_tell(&client->daemon->watches);
	return 0;
}
