// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What the daemon has to say about monitors: those that it reads, by number; then
 * those that it has handed out, in the order of the ledger.  A page of the answer ends
 * with where to go on.
 */
#include <errno.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "request.h"

#define LEDGER		(1ULL << 63)	/* where it begins, in the order of pages */
#define MAX_HOLDINGS	((MAX_BODY - sizeof(struct wire_list)) /	\
			 sizeof(struct wpfile_holding))

struct page {
	struct client *client;
	uint64_t begin;		/* those above it */
	uint64_t at;		/* of the ledger */
	bool sees_all;		/* of the ledger */
	struct wire_list *list;
	struct wpfile_holding *holding;
};

static bool may_release(const struct client *client, const struct owner *owner)
{
	const struct rule *rule;

	rule = policy_match(client->daemon->policy, &client->peer, owner);
	return rule && rule->release;
}

/* Only he has subscribed.  One that waits for its subscribers is nobody's. */
static bool is_his(const struct watch *watch, uid_t uid)
{
	const struct subscriber *subscriber;

	cds_list_for_each_entry(subscriber, &watch->subscribers, siblings)
		if (subscriber->user->uid != uid)
			return false;
	return watch->nr;
}

static bool has_subscribed(const struct watch *watch, uid_t uid)
{
	const struct subscriber *subscriber;

	cds_list_for_each_entry(subscriber, &watch->subscribers, siblings)
		if (subscriber->user->uid == uid)
			return true;
	return false;
}

static bool may_release_watch(const struct client *client,
			      const struct watch *watch)
{
	struct owner owner;
	struct stat stat;

	if (fstat(watch->file, &stat) < 0)
		return false;
	owner = (struct owner){ stat.st_uid, stat.st_gid };
	return may_release(client, &owner);
}

static uint64_t dropped(const struct watch *watch)
{
	const struct subscriber *subscriber;
	uint64_t sum = watch->dropped;

	cds_list_for_each_entry(subscriber, &watch->subscribers, siblings)
		sum += queue_dropped(&subscriber->queue);
	return sum;
}

static void put_watch(struct page *page, const struct watch *watch)
{
	page->holding[page->list->nr++] = (struct wpfile_holding){
		.id = watch->id,
		.inode = watch->ino,
		.dev_major = major(watch->dev),
		.dev_minor = minor(watch->dev),
		.uid = watch->uid,
		.pid = watch->pid,
		.mode = watch->mode,
		.subscribers = watch->nr,
		.overflows = dropped(watch),
	};
	page->list->next = watch->id;
}

static bool is_visible(struct page *page, const struct watch *watch)
{
	return has_subscribed(watch, page->client->peer.uid) ||
	       may_release_watch(page->client, watch);
}

/* By number; the greatest goes where there are more than a page, and one, of them. */
static size_t insert(struct watch **least, size_t nr, struct watch *watch)
{
	size_t i = nr;

	for (; i && least[i - 1]->id > watch->id; i--)
		if (i <= MAX_HOLDINGS)
			least[i] = least[i - 1];
	least[i] = watch;
	return nr <= MAX_HOLDINGS ? nr + 1 : nr;
}

/* True: the page is full. */
static bool put_watches(struct page *page)
{
	struct watches *watches = &page->client->daemon->watches;
	struct watch *watch = NULL, *least[MAX_HOLDINGS + 1];
	size_t nr = 0, i;

	while ((watch = watch_next(watches, watch))) {
		if (watch->id <= page->begin ||
		    (nr > MAX_HOLDINGS && watch->id > least[nr - 1]->id))
			continue;
		if (is_visible(page, watch))
			nr = insert(least, nr, watch);
	}
	for (i = 0; i < nr && i < MAX_HOLDINGS; i++)
		put_watch(page, least[i]);
	return nr > MAX_HOLDINGS;
}

static int put_handed_out(const struct ledger_entry *entry, void *data)
{
	struct page *page = data;

	page->at++;
	if (LEDGER + page->at <= page->begin)
		return 0;
	if (entry->uid != page->client->peer.uid && !page->sees_all)
		return 0;
	if (page->list->nr == MAX_HOLDINGS)
		return 1;
	page->holding[page->list->nr++] = (struct wpfile_holding){
		.uid = entry->uid,
		.mode = entry->mode,
		.capture_limit = entry->bytes,
	};
	page->list->next = LEDGER + page->at;
	return 0;
}

int request_list(struct request *request)
{
	const struct wire_id *id = request->body;
	struct client *client = request->client;
	struct page page = {
		.client = client,
		.begin = id->id,
		/* Nobody knows whose files they are. */
		.sees_all = may_release(client, NULL),
		.list = request->ret_body,
	};
	int full = 0;

	page.holding = (void *)(page.list + 1);
	*page.list = (struct wire_list){ .nr = 0 };
	if (page.begin < LEDGER)
		full = put_watches(&page);
	if (!full)
		full = ledger_each(client->daemon->ledger, put_handed_out, &page);
	if (full < 0)
		return full;
	if (!full)
		page.list->next = 0;
	request->ret_size = sizeof(*page.list) +
			    page.list->nr * sizeof(struct wpfile_holding);
	return 0;
}

static void tell_file(struct request *request, const struct watch *watch)
{
	struct audit *audit = &request->audit;
	struct stat stat;

	if (fstat(watch->file, &stat) < 0)
		return;
	audit->dev = stat.st_dev;
	audit->ino = stat.st_ino;
	audit->owner = stat.st_uid;
}

/* Who has subscribed learns it by the end of his connection. */
int request_release(struct request *request)
{
	const struct wire_id *id = request->body;
	struct client *client = request->client;
	struct subscriber *subscriber;
	struct watch *watch;

	watch = watch_find(&client->daemon->watches, id->id);
	if (!watch)
		return -ENOENT;
	tell_file(request, watch);
	if (!is_his(watch, client->peer.uid) && !may_release_watch(client, watch))
		return request_refuse(request, -EACCES);
	watch->grace = sd_event_source_disable_unref(watch->grace);
	cds_list_for_each_entry(subscriber, &watch->subscribers, siblings)
		client_doom(subscriber->client);
	watch_tend(watch);
	return 0;
}
