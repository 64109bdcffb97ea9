// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "request.h"

int request_refuse(struct request *request, int err)
{
	request->refused = true;
	return err;
}

/* --- the file --- */

/*
 * Is it shared memory?  Seals are asked for, since only that kind of file knows them:
 * the kernel answers by itself, where fstat() and ioctl() would ask a driver, or the
 * server of a file system, who might take his time or another meaning.
 */
static int check_file(struct request *request, struct owner *ret_owner)
{
	struct audit *audit = &request->audit;
	struct stat stat;

	if (fcntl(request->file, F_GET_SEALS) < 0)
		return -ENOTTY;
	if (fstat(request->file, &stat) < 0)
		return -errno;
	audit->dev = stat.st_dev;
	audit->ino = stat.st_ino;
	audit->owner = stat.st_uid;
	*ret_owner = (struct owner){ stat.st_uid, stat.st_gid };
	return 0;
}

/* Finds the rule for that file, and asks it. */
static int allow(struct request *request, enum right right)
{
	struct client *client = request->client;
	struct owner owner;
	int err;

	err = check_file(request, &owner);
	if (err)
		return err;
	request->rule = policy_match(client->daemon->policy, &client->peer, &owner);
	if (!rule_gives(request->rule, right))
		return request_refuse(request, -EACCES);
	return 0;
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

	err = check_file(request, &owner);
	if (err)
		return err;
	memcpy(args, request->body, sizeof(*args));
	if (ioctl(request->file, WPFILE_IOC_QUERY, args) < 0)
		return -errno;
	/* That would be the daemon. */
	args->ret_state &= ~WPFILE_STATE_JOINED;
	request->ret_size = sizeof(*args);
	return 0;
}

/* A new monitor becomes the client's, on his account. */
static int hand_over(struct request *request, int fd, unsigned int mode,
		     uint64_t bytes)
{
	struct client *client = request->client;
	int err;

	if (fd < 0)
		return fd;
	err = user_charge(&client->daemon->users, client->user, fd, mode, bytes);
	if (err) {
		close(fd);
		return err;
	}
	request->ret_fd = fd;
	return 0;
}

static int admit(struct request *request, unsigned int mode,
		 __u64 *capture_limit)
{
	struct client *client = request->client;
	uint64_t bytes = *capture_limit;
	int err;

	err = user_admit(&client->daemon->users, client->user, request->rule, mode,
			 &bytes);
	*capture_limit = bytes;
	return err == -EDQUOT ? request_refuse(request, err) : err;
}

static int issue(int file, unsigned long command, void *args)
{
	int fd = ioctl(file, command, args);

	return fd < 0 ? -errno : fd;
}

/* What the system allows a queue, whatever policy does. */
static uint32_t system_queue(void)
{
	FILE *file = fopen("/proc/sys/vm/wpfile/max_queued_events", "re");
	uint32_t events = 1;

	if (file) {
		if (fscanf(file, "%u", &events) != 1)
			events = 1;
		fclose(file);
	}
	return events;
}

static int limit_queue(struct request *request, struct wpfile_monitor *args)
{
	uint32_t limit = request->rule->queue;

	if (args->mode == WPFILE_TRACK)
		return 0;
	if (args->queue_limit > limit)
		return request_refuse(request, -EDQUOT);
	if (!args->queue_limit) {
		args->queue_limit = system_queue();
		if (args->queue_limit > limit)
			args->queue_limit = limit;
	}
	return 0;
}

static int monitor(struct request *request)
{
	struct wpfile_monitor args;
	int err, fd;

	memcpy(&args, request->body, sizeof(args));
	if (args.mode >= WPFILE_NR_MODES)
		return -EINVAL;
	err = allow(request, (enum right)args.mode);
	if (!err)
		err = limit_queue(request, &args);
	if (!err)
		err = admit(request, args.mode, &args.capture_limit);
	if (err)
		return err;
	fd = issue(request->file, WPFILE_IOC_MONITOR, &args);
	return hand_over(request, fd, args.mode, args.capture_limit);
}

static int snapshot(struct request *request)
{
	struct wpfile_snapshot *args = request->ret_body;
	int err, fd;

	memcpy(args, request->body, sizeof(*args));
	err = allow(request, RIGHT_SNAPSHOT);
	if (!err)
		err = admit(request, WPFILE_CAPTURE, &args->capture_limit);
	if (err)
		return err;
	request->ret_size = sizeof(*args);
	fd = issue(request->file, WPFILE_IOC_SNAPSHOT, args);
	return hand_over(request, fd, WPFILE_CAPTURE, args->capture_limit);
}

static int allow_subscription(struct request *request)
{
	const struct wpfile_subscription *args = request->body;
	struct user *user = request->client->user;
	int err;

	if (args->flags & ~WPFILE_SUBSCRIBE_DENY)
		return -EINVAL;
	err = allow(request, RIGHT_WATCH);
	if (err)
		return err;
	if (args->flags && !rule_gives(request->rule, RIGHT_DENY))
		return request_refuse(request, -EACCES);
	if (args->queue_limit > request->rule->queue ||
	    user->subscriptions >= request->rule->subscriptions)
		return request_refuse(request, -EDQUOT);
	return 0;
}

static int subscribe(struct request *request)
{
	const struct wpfile_subscription *args = request->body;
	struct client *client = request->client;
	struct daemon *daemon = client->daemon;
	struct wire_id *id = request->ret_body;
	struct subscriber *subscriber;
	struct wish wish = { .args = args };
	int err;

	err = allow_subscription(request);
	if (err)
		return err;
	wish.wait_limit_ms = daemon->policy->wait_limit_ms;
	wish.queue_limit = args->queue_limit ? args->queue_limit :
					       request->rule->queue;
	wish.uid = client->peer.uid;
	wish.pid = client->peer.pid;
	wish.sees_all = request->rule->release;
	wish.drop_slow = request->rule->drop_slow;
	err = watch_subscribe(&daemon->watches, client, request->file, &wish,
			      &subscriber);
	if (err)
		return err;
	client_has(client, subscriber);
	id->id = subscriber->id;
	request->ret_size = sizeof(*id);
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
	[WIRE_MONITOR] = monitor,
	[WIRE_SNAPSHOT] = snapshot,
	[WIRE_SUBSCRIBE] = subscribe,
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
