// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>

#include "request.h"

int request_refuse(struct request *request, int err)
{
	request->refused = true;
	return err;
}

/* --- types --- */

static int hello(struct request *request)
{
	const struct wire_hello *theirs = request->body;
	struct wire_hello *ours = request->ret_body;

	if (request->client->greeted)
		return -EBADMSG;
	request->client->greeted = true;
	*ours = (struct wire_hello){
		.version = theirs->version < WIRE_VERSION ? theirs->version :
							    WIRE_VERSION,
	};
	request->ret_size = sizeof(*ours);
	return 0;
}

/* Tells nothing that the descriptor does not tell anybody. */
static int query(struct request *request)
{
	struct wpfile_query *args = request->ret_body;
	struct owner owner;
	int err;

	err = request_file(request, &owner);
	if (err)
		return err;
	memcpy(args, request->body, sizeof(*args));
	if (ioctl(request->file, WPFILE_IOC_QUERY, args) < 0)
		return -errno;
	request->ret_size = sizeof(*args);
	return 0;
}

static int unsubscribe(struct request *request)
{
	const struct wire_id *id = request->body;
	struct subscriber *subscriber;

	cds_list_for_each_entry(subscriber, &request->client->subscribers,
				of_client) {
		if (subscriber->id != id->id)
			continue;
		client_unsubscribe(subscriber);
		return 0;
	}
	return -ENOENT;
}

static int metrics(struct request *request)
{
	return metrics_print(request->client->daemon, request->ret_body, MAX_BODY,
			     &request->ret_size);
}

static int (*const run[WIRE_NR_TYPES])(struct request *request) = {
	[WIRE_HELLO] = hello,
	[WIRE_QUERY] = query,
	[WIRE_MONITOR] = request_monitor,
	[WIRE_SNAPSHOT] = request_snapshot,
	[WIRE_SUBSCRIBE] = request_subscribe,
	[WIRE_UNSUBSCRIBE] = unsubscribe,
	[WIRE_LIST] = request_list,
	[WIRE_RELEASE] = request_release,
	[WIRE_METRICS] = metrics,
};

/* --- one after the other --- */

/* A message whose descriptors did not find room is a request that failed. */
static int check(const struct client *client, const struct incoming *incoming)
{
	const struct wire_header *header = (const void *)incoming->data;
	unsigned int fds = incoming->nr_fds;

	if (incoming->size < sizeof(*header) || header->type >= WIRE_NR_TYPES)
		return -EBADMSG;
	if (incoming->lost_fds && wire_table[header->type].fds_in)
		fds = wire_table[header->type].fds_in;
	if (!client->greeted && header->type != WIRE_HELLO)
		return -EBADMSG;
	return wire_check_request(header, incoming->size, fds);
}

static int answer(struct request *request, const struct wire_header *question,
		  struct wire_header *header, int result)
{
	size_t size = sizeof(*header) + (result ? 0 : request->ret_size);

	*header = (struct wire_header){
		.size = size,
		.type = question->type,
		.serial = question->serial,
		.result = result,
	};
	return client_answer(request->client, header, size, request->ret_fd);
}

static void report(struct request *request, unsigned int type, int result)
{
	struct metrics *metrics = &request->client->daemon->metrics;
	struct audit *audit = &request->audit;
	enum outcome outcome = OUTCOME_GRANTED;

	if (result)
		outcome = request->refused ? OUTCOME_REFUSED : OUTCOME_FAILED;
	metrics->requests[type][outcome]++;
	audit->rule = request->rule ? request->rule->name : NULL;
	audit->err = result;
	log_audit(audit);
}

static int run_checked(struct client *client, const struct incoming *incoming)
{
	static uint64_t room[WIRE_MAX / sizeof(uint64_t)];
	struct wire_header *ret_header = (void *)room;
	const struct wire_header *header = (const void *)incoming->data;
	const struct peer *peer = &client->peer;
	struct request request = {
		.client = client,
		.body = header + 1,
		.file = incoming->nr_fds ? incoming->fds[0] : -1,
		.audit = { .pid = peer->pid, .uid = peer->uid, .gid = peer->gid,
			   .type = wire_table[header->type].name },
		.ret_body = ret_header + 1,
		.ret_fd = -1,
	};
	int result;

	if (incoming->lost_fds)
		result = -EMFILE;
	else
		result = run[header->type](&request);
	if (result == -EBADMSG)
		return result;
	report(&request, header->type, result);
	return answer(&request, header, ret_header, result);
}

int request_run(struct client *client, struct incoming *incoming)
{
	int err = check(client, incoming);

	if (!err)
		err = run_checked(client, incoming);
	incoming_close(incoming);
	return err;
}
