// SPDX-License-Identifier: GPL-2.0-or-later
/* Who has monitors of a file, of a process, of the system. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "holders.h"

struct search {
	const struct filter *filter;
	struct holders *holders;
	size_t room;
};

static bool grow(struct search *search)
{
	size_t room = search->room ? 2 * search->room : 16;
	struct holder *list;

	if (search->holders->nr < search->room)
		return true;
	list = reallocarray(search->holders->list, room, sizeof(*list));
	if (!list)
		return false;
	search->holders->list = list;
	search->room = room;
	return true;
}

static int add(pid_t pid, int fd, const struct wpfile_mon_info *info, void *data)
{
	struct search *search = data;
	struct holder *holder;

	if (!filter_matches(search->filter, info->dev_major, info->dev_minor,
			    info->inode))
		return 0;
	if (!grow(search))
		return -ENOMEM;
	holder = &search->holders->list[search->holders->nr++];
	*holder = (struct holder){ .pid = pid, .fd = fd, .info = *info };
	read_command(pid, holder->command);
	return 0;
}

/* There are none in a kernel that does not know of them. */
static int check_kernel(void)
{
	struct wpfile_query query = { .size = sizeof(query) };

	return wpfile_query_system(&query) == -ENOSYS ? -ENOSYS : 0;
}

int holders_find(const struct filter *filter, struct holders *ret_holders)
{
	struct holders holders = {};
	struct search search = { .filter = filter, .holders = &holders };
	int ret;

	ret = wpfile_each_mon(filter->pid, add, &search);
	if (!ret && !holders.nr)
		ret = check_kernel();
	if (ret) {
		holders_free(&holders);
		return fail_errno(ret, "cannot look at the monitors");
	}
	*ret_holders = holders;
	return CTL_OK;
}

void holders_free(struct holders *holders)
{
	size_t i;

	for (i = 0; i < holders->nr; i++)
		free(holders->list[i].file);
	free(holders->list);
}

json_t *holder_json(const struct holder *holder)
{
	const struct wpfile_mon_info *info = &holder->info;
	char device[24];

	snprintf(device, sizeof(device), "%02x:%02x", info->dev_major,
		 info->dev_minor);
	return json_pack("{s:i, s:i, s:o, s:s, s:s, s:I, s:o, s:I, s:I, s:I, s:I, s:I, s:b}",
			 "pid", (int)holder->pid, "fd", holder->fd, "command",
			 json_text(holder->command), "mode",
			 wpfile_mode_name(info->mode), "device", device, "inode",
			 (json_int_t)info->inode, "file", json_text(holder->file),
			 "protected_pages", (json_int_t)info->protected_pages,
			 "pinned_pages", (json_int_t)info->pinned_pages,
			 "captured_bytes", (json_int_t)info->captured_bytes,
			 "waiting", (json_int_t)info->waiting, "overflows",
			 (json_int_t)info->overflows, "failed",
			 (int)info->failed);
}
