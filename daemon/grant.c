// SPDX-License-Identifier: GPL-2.0-or-later
/* Requests that policy decides: monitors, snapshots, subscriptions. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "request.h"

/*
 * Is it shared memory?  Seals are asked for, since only that kind of file knows them:
 * the kernel answers by itself, where fstat() and ioctl() would ask a driver, or the
 * server of a file system, who might take his time or another meaning.
 */
int request_file(struct request *request, struct owner *ret_owner)
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

	err = request_file(request, &owner);
	if (err)
		return err;
	request->rule = policy_match(client->daemon->policy, &client->peer, &owner);
	if (request->rule)
		request->audit.rule = request->rule->name;
	if (!rule_gives(request->rule, right))
		return request_refuse(request, -EACCES);
	return 0;
}

/* A new monitor becomes the client's, on his account. */
static int hand_over(struct request *request, int fd, unsigned int mode,
		     uint64_t bytes)
{
	struct client *client = request->client;

	if (fd < 0)
		return fd;
	/* What cannot be charged is closed as the answer would be. */
	request->ret_fd = fd;
	return user_charge(&client->daemon->users, client->user, fd, mode, bytes);
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

/* A queue as policy says, or what the system allows: then that is less. */
static int open_monitor(struct request *request, struct wpfile_monitor *args)
{
	int fd;

	if (args->mode == WPFILE_TRACK || args->queue_limit)
		return issue(request->file, WPFILE_IOC_MONITOR, args);
	args->queue_limit = request->rule->queue;
	fd = issue(request->file, WPFILE_IOC_MONITOR, args);
	if (fd != -EINVAL)
		return fd;
	args->queue_limit = 0;
	return issue(request->file, WPFILE_IOC_MONITOR, args);
}

int request_monitor(struct request *request)
{
	struct wpfile_monitor args;
	int err, fd;

	memcpy(&args, request->body, sizeof(args));
	if (args.mode >= WPFILE_NR_MODES)
		return -EINVAL;
	err = allow(request, (enum right)args.mode);
	if (!err && args.queue_limit > request->rule->queue)
		err = request_refuse(request, -EDQUOT);
	if (!err)
		err = admit(request, args.mode, &args.capture_limit);
	if (err)
		return err;
	fd = open_monitor(request, &args);
	return hand_over(request, fd, args.mode, args.capture_limit);
}

/* Waits for whoever writes the file, and for the cut. */
static void run_snapshot(struct chore *chore)
{
	struct request *request = client_of(chore)->waiting;

	request->result = issue(request->file, WPFILE_IOC_SNAPSHOT,
				request->ret_body);
}

static void on_snapshot(struct chore *chore)
{
	struct client *client = client_of(chore);
	struct request *request = client->waiting;
	struct wpfile_snapshot *args = request->ret_body;

	user_unreserve(client->user, request->reserved);
	client->busy = false;
	client_finish(client, hand_over(request, request->result, WPFILE_CAPTURE,
					args->capture_limit));
}

int request_snapshot(struct request *request)
{
	struct wpfile_snapshot args;
	struct request *waiting;
	int err;

	memcpy(&args, request->body, sizeof(args));
	err = allow(request, RIGHT_SNAPSHOT);
	if (!err)
		err = admit(request, WPFILE_CAPTURE, &args.capture_limit);
	if (!err)
		err = request_wait(request, &waiting);
	if (err)
		return err;
	memcpy(waiting->ret_body, &args, sizeof(args));
	waiting->ret_size = sizeof(args);
	waiting->reserved = args.capture_limit;
	user_reserve(request->client->user, waiting->reserved);
	client_start(request->client, run_snapshot, on_snapshot);
	return REQUEST_WAITS;
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

int request_subscribe(struct request *request)
{
	const struct wpfile_subscription *args = request->body;
	struct client *client = request->client;
	struct daemon *daemon = client->daemon;
	struct subscriber *subscriber;
	struct request *waiting;
	struct wire_id *id;
	struct wish wish = { .args = args };
	int err;

	err = allow_subscription(request);
	if (err)
		return err;
	wish.wait_limit_ms = daemon->policy->wait_limit_ms;
	wish.queue_limit = args->queue_limit ? args->queue_limit :
					       request->rule->queue;
	wish.user = client->user;
	wish.pid = client->peer.pid;
	wish.sees_all = request->rule->release;
	wish.drop_slow = request->rule->drop_slow;
	err = watch_subscribe(&daemon->watches, client, request->file, &wish,
			      &subscriber);
	if (err)
		return err;
	client_has(client, subscriber);
	err = request_wait(request, &waiting);
	if (err) {
		watch_unsubscribe(subscriber);
		return err;
	}
	id = waiting->ret_body;
	id->id = subscriber->id;
	waiting->ret_size = sizeof(*id);
	return REQUEST_WAITS;
}
