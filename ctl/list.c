// SPDX-License-Identifier: GPL-2.0-or-later
/* wpfilectl list: the monitors that there are. */
#include <string.h>

#include "held.h"
#include "holders.h"

static void print_holder(const struct holder *holder)
{
	const struct wpfile_mon_info *info = &holder->info;
	char command[COMMAND_SIZE], file[256];

	memcpy(command, holder->command, sizeof(command));
	make_printable(command);
	if (holder->file)
		snprintf(file, sizeof(file), "%s", holder->file);
	else
		snprintf(file, sizeof(file), "device %02x:%02x inode %llu",
			 info->dev_major, info->dev_minor,
			 (unsigned long long)info->inode);
	make_printable(file);
	printf("%-7d %-16s %4d %-8s %10llu %12llu %8llu %8llu  %s%s\n",
	       (int)holder->pid, *command ? command : "?", holder->fd,
	       wpfile_mode_name(info->mode),
	       (unsigned long long)info->protected_pages,
	       (unsigned long long)info->captured_bytes,
	       (unsigned long long)info->waiting,
	       (unsigned long long)info->overflows, file,
	       info->failed ? " (failed)" : "");
}

static int print_text(const struct holders *holders)
{
	size_t i;

	printf("%-7s %-16s %4s %-8s %10s %12s %8s %8s  %s\n", "PID", "COMMAND",
	       "FD", "MODE", "PROTECTED", "CAPTURED", "WAITING", "DROPPED",
	       "FILE");
	for (i = 0; i < holders->nr; i++)
		print_holder(&holders->list[i]);
	return CTL_OK;
}

static int print_as_json(const struct holders *holders)
{
	json_t *list = json_array();
	size_t i;

	for (i = 0; i < holders->nr; i++)
		json_array_append_new(list, holder_json(&holders->list[i]));
	return print_json(stdout, json_pack("{s:o}", "monitors", list));
}

int verb_list(const struct args *args)
{
	struct holders holders;
	struct filter filter;
	int ret;

	ret = filter_make(args, &filter);
	if (ret)
		return ret;
	if (args->daemon)
		return held_list(args, &filter);
	ret = holders_find(&filter, &holders);
	if (ret)
		return ret;
	holders_name(&holders);
	ret = args->json ? print_as_json(&holders) : print_text(&holders);
	holders_free(&holders);
	return ret;
}
