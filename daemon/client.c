// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#include "client.h"
#include "log.h"
#include "packet.h"
#include "request.h"
#include "wire.h"

#define PATIENCE_USEC	10000000ULL
#define SECOND_USEC	1000000ULL
#define MAX_EVENTS	(WPFILE_BROKER_EVENTS / sizeof(struct wpfile_event))
#define ROUND		64	/* messages of events before requests have their turn */

void client_doom(struct client *client)
{
	client->doomed = true;
	sd_event_source_set_enabled(client->daemon->sweep, SD_EVENT_ONESHOT);
}

/* --- sending --- */

static void listen_for(struct client *client, uint32_t events)
{
	sd_event_source_set_io_events(client->io, events);
}

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
	listen_for(client, EPOLLOUT);
	if (answer)
		err = sd_event_add_time_relative(client->daemon->event,
						 &client->patience,
						 CLOCK_MONOTONIC, PATIENCE_USEC, 0,
						 on_patience, client);
	return err < 0 ? err : 0;
}

int client_answer(struct client *client, const void *data, size_t size,
		  int fd_take)
{
	int err = packet_send(client->socket, data, size, fd_take);

	if (err == -EAGAIN)
		return put_off(client, packet_new(data, size, fd_take), true);
	if (fd_take >= 0)
		close(fd_take);
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

	if (client->doomed)
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
	const uint64_t one = 1;
	uint64_t count;
	int i;

	(void)source;
	(void)revents;
	/* Before the list is looked at: what comes later says so again. */
	(void)!read(fd, &count, sizeof(count));
	for (i = 0; i < ROUND; i++) {
		subscriber = subscriber_next(&daemon->watches);
		if (!subscriber)
			return 0;
		tell_client(subscriber->client, subscriber);
	}
	(void)!write(fd, &one, sizeof(one));
	return 0;
}

/* What was put off can go. */
static int go_on(struct client *client)
{
	struct packet *packet = client->out;
	struct subscriber *subscriber;
	const uint64_t one = 1;
	int err;

	err = packet_send_again(client->socket, packet);
	if (err)
		return err == -EAGAIN ? 0 : err;
	packet_free(packet);
	client->out = NULL;
	client->patience = sd_event_source_disable_unref(client->patience);
	listen_for(client, EPOLLIN);
	cds_list_for_each_entry(subscriber, &client->subscribers, of_client)
		subscriber_schedule(subscriber);
	(void)!write(client->daemon->watches.tell, &one, sizeof(one));
	return 0;
}

/* --- the connection --- */

static int receive(struct client *client)
{
	struct incoming incoming;
	int err;

	err = packet_receive(client->socket, &incoming);
	if (err)
		return err == -EAGAIN ? 0 : err;
	return request_run(client, &incoming);
}

static int on_io(sd_event_source *source, int fd, uint32_t revents, void *data)
{
	struct client *client = data;
	int err = 0;

	(void)source;
	(void)fd;
	if (client->doomed)
		return 0;
	if (client->out && revents & (EPOLLHUP | EPOLLERR))
		err = -EPIPE;
	else if (client->out)
		err = go_on(client);
	else
		err = receive(client);
	if (err == -EBADMSG)
		log_say(LOG_NOTICE, "the client pid=%d uid=%u has sent what is not "
			"a request: dropped", client->peer.pid, client->peer.uid);
	if (err)
		client_doom(client);
	return 0;
}

void client_has(struct client *client, struct subscriber *subscriber)
{
	cds_list_add(&subscriber->of_client, &client->subscribers);
	client->user->subscriptions++;
}

void client_unsubscribe(struct subscriber *subscriber)
{
	subscriber->client->user->subscriptions--;
	watch_unsubscribe(subscriber);
}

static void client_drop(struct client *client)
{
	struct subscriber *subscriber, *next;
	struct daemon *daemon = client->daemon;

	cds_list_for_each_entry_safe(subscriber, next, &client->subscribers,
				     of_client)
		client_unsubscribe(subscriber);
	sd_event_source_disable_unref(client->io);
	sd_event_source_disable_unref(client->patience);
	packet_free(client->out);
	if (client->user)
		user_disconnect(client->user);
	peer_destroy(&client->peer);
	close(client->socket);
	cds_list_del(&client->list);
	daemon->nr_clients--;
	free(client);
}

static int on_sweep(sd_event_source *source, void *data)
{
	struct daemon *daemon = data;
	struct client *client, *next;

	(void)source;
	cds_list_for_each_entry_safe(client, next, &daemon->clients, list)
		if (client->doomed)
			client_drop(client);
	return 0;
}

int clients_init(struct daemon *daemon)
{
	int err;

	CDS_INIT_LIST_HEAD(&daemon->clients);
	err = sd_event_add_defer(daemon->event, &daemon->sweep, on_sweep, daemon);
	if (err < 0)
		return err;
	sd_event_source_set_enabled(daemon->sweep, SD_EVENT_OFF);
	return sd_event_add_io(daemon->event, NULL, daemon->watches.tell, EPOLLIN,
			       clients_tell, daemon);
}

void clients_destroy(struct daemon *daemon)
{
	struct client *client, *next;

	cds_list_for_each_entry_safe(client, next, &daemon->clients, list)
		client_drop(client);
	sd_event_source_disable_unref(daemon->sweep);
}

/* Each of his connections, as often in a second as policy allows. */
static int start(struct client *client)
{
	struct daemon *daemon = client->daemon;
	int err;

	err = user_connect(&daemon->users, client->peer.uid,
			   daemon->policy->user_connections, &client->user);
	if (err)
		return err;
	err = sd_event_add_io(daemon->event, &client->io, client->socket, EPOLLIN,
			      on_io, client);
	if (err < 0)
		return err;
	return sd_event_source_set_ratelimit(client->io, SECOND_USEC,
					     daemon->policy->requests);
}

int client_add(struct daemon *daemon, int socket_take, struct peer *peer_steal)
{
	struct client *client = calloc(1, sizeof(*client));
	int err;

	if (!client) {
		close(socket_take);
		peer_destroy(peer_steal);
		return -ENOMEM;
	}
	client->daemon = daemon;
	client->socket = socket_take;
	client->peer = *peer_steal;
	*peer_steal = (struct peer){ .pid = 0 };
	CDS_INIT_LIST_HEAD(&client->subscribers);
	cds_list_add_tail(&client->list, &daemon->clients);
	daemon->nr_clients++;
	err = start(client);
	if (err < 0) {
		client_drop(client);
		return err;
	}
	return 0;
}
