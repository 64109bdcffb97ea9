// SPDX-License-Identifier: GPL-2.0-or-later
/* The journal, or whoever else reads syslog, is told what was done to others. */
#include <string.h>
#include <syslog.h>
#include <unistd.h>

#include "holders.h"

/* Who has logged in, whatever he has become since. */
static uint32_t login_uid(void)
{
	FILE *file = fopen("/proc/self/loginuid", "re");
	uint32_t uid = UINT32_MAX;

	if (!file)
		return uid;
	if (fscanf(file, "%u", &uid) != 1)
		uid = UINT32_MAX;
	fclose(file);
	return uid;
}

static void tell(const char *what, int err)
{
	openlog("wpfilectl", LOG_PID, LOG_AUTHPRIV);
	syslog(LOG_NOTICE, "%s uid=%u loginuid=%d %s result=%s", report_verb,
	       getuid(), (int)login_uid(), what, err ? error_text(err) : "ok");
	closelog();
}

/* A holder of inode 0 had no monitor there. */
void audit(const struct holder *holder, int err)
{
	const struct wpfile_mon_info *info = &holder->info;
	char command[COMMAND_SIZE], what[256], *quote;
	int size;

	memcpy(command, holder->command, sizeof(command));
	make_printable(command);
	while ((quote = strchr(command, '"')))
		*quote = '?';
	size = snprintf(what, sizeof(what), "holder=%d fd=%d command=\"%s\"",
			(int)holder->pid, holder->fd, command);
	if (info->inode)
		snprintf(what + size, sizeof(what) - size,
			 " mode=%s device=%02x:%02x inode=%llu",
			 wpfile_mode_name(info->mode), info->dev_major,
			 info->dev_minor, (unsigned long long)info->inode);
	tell(what, err);
}

void audit_id(uint64_t id, int err)
{
	char what[64];

	snprintf(what, sizeof(what), "wpfiled=%llu", (unsigned long long)id);
	tell(what, err);
}
