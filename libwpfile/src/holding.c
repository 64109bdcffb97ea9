// SPDX-License-Identifier: LGPL-2.1-or-later
/* What wpfiled holds, and what it says of itself. */
#include <stdlib.h>

#include "broker.h"
#include "sys.h"

/* A page of the list, below WIRE_MAX bytes. */
static int ask_list(struct wpfile_broker *broker, uint64_t above,
		    struct wire_list *ret_list)
{
	const struct wire_id id = { .id = above };
	struct wpfile_call call = {
		.type = WIRE_LIST,
		.body = &id,
		.fd = -1,
		.answer = ret_list,
		.room = WIRE_MAX,
	};
	int ret = wpfile_broker_call(broker, &call);

	/* Going on there must come to an end. */
	if (!ret && ret_list->next && ret_list->next <= above)
		return -EBADMSG;
	return ret;
}

static int hand_over(const struct wire_list *list, wpfile_holding_fn fn,
		     void *data)
{
	const struct wpfile_holding *holdings = (const void *)(list + 1);
	uint32_t i;
	int ret = 0;

	for (i = 0; !ret && i < list->nr; i++)
		ret = fn(&holdings[i], data);
	return ret;
}

/* A copy of each page, since @fn may ask the daemon, too. */
int wpfile_broker_each(struct wpfile_broker *broker, wpfile_holding_fn fn,
		       void *data)
{
	struct wire_list *list = sys_alloc(malloc(WIRE_MAX));
	uint64_t above = 0;
	int ret;

	if (!list)
		return -ENOMEM;
	do {
		ret = ask_list(broker, above, list);
		if (ret)
			break;
		above = list->next;
		ret = hand_over(list, fn, data);
	} while (!ret && above);
	free(list);
	return ret;
}

int wpfile_broker_release(struct wpfile_broker *broker, uint64_t id)
{
	const struct wire_id body = { .id = id };
	struct wpfile_call call = {
		.type = WIRE_RELEASE,
		.body = &body,
		.fd = -1,
	};

	return wpfile_broker_call(broker, &call);
}

int wpfile_broker_metrics(struct wpfile_broker *broker, char **ret_text)
{
	struct wpfile_call call = {
		.type = WIRE_METRICS,
		.fd = -1,
		.answer = sys_alloc(malloc(WIRE_MAX)),
		.room = WIRE_MAX - 1,
	};
	char *text = call.answer;
	int ret;

	if (!text)
		return -ENOMEM;
	ret = wpfile_broker_call(broker, &call);
	if (ret) {
		free(text);
		return ret;
	}
	text[call.ret_size] = '\0';
	*ret_text = text;
	return 0;
}
