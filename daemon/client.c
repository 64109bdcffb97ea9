// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "client.h"
#include "log.h"
#include "request.h"

#define SECOND_USEC	1000000ULL

void client_doom(struct client *client)
{
	client->doomed = true;
	sd_event_source_set_enabled(client->daemon->sweep, SD_EVENT_ONESHOT);
}

void client_has(struct client *client, struct subscriber *subscriber)
{
	cds_list_add(&subscriber->of_client, &client->subscribers);
}

/* --- chores --- */

struct client *client_of(struct chore *chore)
{
	return caa_container_of(chore, struct client, chore);
}

void client_start(struct client *client, void (*run)(struct chore *chore),
		  void (*done)(struct chore *chore))
{
	client->busy = true;
	client->chore.run = run;
	client->chore.done = done;
	chore_start(&client->daemon->chores, &client->chore);
}

/* --- how he leaves --- */

static void run_goodbye(struct chore *chore)
{
	struct client *client = client_of(chore);

	packet_free(client->out);
	request_free(client->waiting);
	incoming_drop(client->socket, &client->incoming);
	close(client->socket);
}

static void client_free(struct client *client)
{
	if (client->user)
		user_disconnect(client->user);
	peer_destroy(&client->peer);
	client->daemon->nr_clients--;
	free(client);
}

static void on_gone(struct chore *chore)
{
	client_free(client_of(chore));
}

/* What he has not read, and we have not: his place is taken until that is dropped. */
static void say_goodbye(struct client *client)
{
	client_start(client, run_goodbye, on_gone);
}

/* From here on nobody feels that he was there. */
static void client_leave(struct client *client)
{
	struct subscriber *subscriber, *next;

	cds_list_for_each_entry_safe(subscriber, next, &client->subscribers,
				     of_client)
		watch_unsubscribe(subscriber);
	client->io = sd_event_source_disable_unref(client->io);
	client->patience = sd_event_source_disable_unref(client->patience);
	cds_list_del(&client->list);
	shutdown(client->socket, SHUT_RDWR);
	if (client->waiting)
		request_abandon(client->waiting);
	client->left = true;
}

static int on_sweep(sd_event_source *source, void *data)
{
	struct daemon *daemon = data;
	struct client *client, *next;

	(void)source;
	cds_list_for_each_entry_safe(client, next, &daemon->clients, list) {
		if (!client->doomed)
			continue;
		client_leave(client);
		/* Or else when that is done. */
		if (!client->busy)
			say_goodbye(client);
	}
	return 0;
}

/* Their sockets are closed by the end of the process, which waits for nobody. */
void clients_destroy(struct daemon *daemon)
{
	struct client *client, *next;

	cds_list_for_each_entry_safe(client, next, &daemon->clients, list)
		client_leave(client);
	sd_event_source_disable_unref(daemon->sweep);
}

/* --- what he says --- */

/* Nothing new while that is to be done: then we are told only that he has gone. */
void client_listen(struct client *client)
{
	uint32_t events = client->busy || client->waiting ? 0 : EPOLLIN;

	sd_event_source_set_io_events(client->io,
				      client->out ? EPOLLOUT : events);
}

static void run_settle(struct chore *chore)
{
	struct client *client = client_of(chore);

	incoming_drop(client->socket, &client->incoming);
}

static void on_settled(struct chore *chore)
{
	struct client *client = client_of(chore);

	client->busy = false;
	if (client->left)
		say_goodbye(client);
	else
		client_listen(client);
}

/* Drops what came with a request, and went with the answer, when that has gone. */
static void settle(struct client *client)
{
	if (client->out || client->busy || client->waiting)
		return;
	if (incoming_is_light(&client->incoming)) {
		incoming_drop(client->socket, &client->incoming);
		return;
	}
	client_start(client, run_settle, on_settled);
}

/* What else was being sent goes before the answer. */
static int answer(struct client *client)
{
	int err = 0;

	if (client->waiting && client->waiting->is_over && !client->out)
		err = request_end(client);
	if (err)
		return err;
	settle(client);
	client_listen(client);
	return 0;
}

void client_finish(struct client *client, int result)
{
	client->waiting->result = result;
	client->waiting->is_over = true;
	if (client->left)
		say_goodbye(client);
	else if (answer(client))
		client_doom(client);
}

static int receive(struct client *client)
{
	int err;

	err = packet_receive(client->socket, &client->incoming);
	if (err)
		return err == -EAGAIN ? 0 : err;
	err = request_run(client, &client->incoming);
	return err ? err : answer(client);
}

static int resume(struct client *client)
{
	int err = client_go_on(client);

	return err ? err : answer(client);
}

static int on_io(sd_event_source *source, int fd, uint32_t revents, void *data)
{
	struct client *client = data;
	int err;

	(void)source;
	(void)fd;
	if (client->doomed)
		return 0;
	if ((client->out || client->busy || client->waiting) &&
	    revents & (EPOLLHUP | EPOLLERR))
		err = -EPIPE;
	else if (client->out)
		err = resume(client);
	else
		err = receive(client);
	if (err == -EBADMSG)
		log_say(LOG_NOTICE, "the client pid=%d uid=%u has sent what is not "
			"a request: dropped", client->peer.pid, client->peer.uid);
	if (err)
		client_doom(client);
	return 0;
}

/* --- how he comes --- */

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

int client_add(struct daemon *daemon, int socket, struct peer *peer_steal)
{
	struct client *client = calloc(1, sizeof(*client));
	int err;

	if (!client) {
		peer_destroy(peer_steal);
		return -ENOMEM;
	}
	client->daemon = daemon;
	client->socket = socket;
	client->peer = *peer_steal;
	*peer_steal = (struct peer){ .pid = 0 };
	CDS_INIT_LIST_HEAD(&client->subscribers);
	daemon->nr_clients++;
	err = start(client);
	if (err < 0) {
		sd_event_source_disable_unref(client->io);
		client_free(client);
		return err;
	}
	cds_list_add_tail(&client->list, &daemon->clients);
	return 0;
}
