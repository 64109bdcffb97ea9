// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

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
	struct request *waiting;
	int err;

	cds_list_for_each_entry(subscriber, &request->client->subscribers,
				of_client) {
		if (subscriber->id != id->id)
			continue;
		err = request_wait(request, &waiting);
		if (err)
			return err;
		watch_leave(subscriber);
		return REQUEST_WAITS;
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

static int answer(struct request *request, int result)
{
	struct wire_header *header = (struct wire_header *)request->ret_body - 1;
	size_t size = sizeof(*header) + (result ? 0 : request->ret_size);
	int fd = request->ret_fd;

	request->ret_fd = -1;
	if (result && fd >= 0) {
		client_keep(request->client, fd);
		fd = -1;
	}
	*header = (struct wire_header){
		.size = size,
		.type = request->question.type,
		.serial = request->question.serial,
		.result = result,
	};
	return client_answer(request->client, header, size, fd);
}

static void report(struct request *request, int result)
{
	struct metrics *metrics = &request->client->daemon->metrics;
	struct audit *audit = &request->audit;
	enum outcome outcome = OUTCOME_GRANTED;

	if (result)
		outcome = request->refused ? OUTCOME_REFUSED : OUTCOME_FAILED;
	metrics->requests[request->question.type][outcome]++;
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
		.question = *header,
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
	if (result == REQUEST_WAITS)
		return 0;
	report(&request, result);
	return answer(&request, result);
}

int request_run(struct client *client, const struct incoming *incoming)
{
	int err = check(client, incoming);

	return err ? err : run_checked(client, incoming);
}

/* --- those that wait --- */

#define SMALL	(sizeof(struct wire_header) + sizeof(struct wpfile_snapshot))

/* The policy may be another one by then: of the rule there is only its name. */
int request_wait(struct request *request, struct request **ret_waiting)
{
	const struct rule *rule = request->rule;
	struct request *waiting = malloc(sizeof(*waiting) + SMALL);
	char *name = rule ? strdup(rule->name) : NULL;

	if (!waiting || (rule && !name)) {
		free(waiting);
		free(name);
		return -ENOMEM;
	}
	*waiting = *request;
	waiting->rule = NULL;
	waiting->audit.rule = name;
	waiting->ret_body = (struct wire_header *)(waiting + 1) + 1;
	request->client->waiting = waiting;
	*ret_waiting = waiting;
	return 0;
}

void request_free(struct request *request)
{
	if (!request)
		return;
	if (request->ret_fd >= 0)
		close(request->ret_fd);
	free((char *)request->audit.rule);
	free(request);
}

int request_end(struct client *client)
{
	struct request *request = client->waiting;
	int err;

	client->waiting = NULL;
	report(request, request->result);
	err = answer(request, request->result);
	request_free(request);
	return err;
}

void request_abandon(struct request *request)
{
	report(request, -EPIPE);
}
