// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#include "ledger.h"

/* The 64 bits that epoll keeps for us: uid 32, mode 2, MiB 30. */
#define MODE_SHIFT	30
#define UID_SHIFT	32
#define MAX_MIB		((1U << MODE_SHIFT) - 1)
#define MIB_SHIFT	20

int ledger_open(void)
{
	int fd = epoll_create1(EPOLL_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

static uint64_t mib_of(uint64_t bytes)
{
	uint64_t mib = (bytes >> MIB_SHIFT) + !!(bytes & ((1U << MIB_SHIFT) - 1));

	return mib < MAX_MIB ? mib : MAX_MIB;
}

uint64_t ledger_pack(const struct ledger_entry *entry)
{
	return (uint64_t)entry->uid << UID_SHIFT |
	       (uint64_t)entry->mode << MODE_SHIFT | mib_of(entry->bytes);
}

int ledger_add(int ledger, int monitor, const struct ledger_entry *entry)
{
	struct epoll_event event = { .data.u64 = ledger_pack(entry) };

	return epoll_ctl(ledger, EPOLL_CTL_ADD, monitor, &event) < 0 ? -errno : 0;
}

bool ledger_parse(const char *line, struct ledger_entry *ret_entry)
{
	unsigned long long data;

	if (sscanf(line, "tfd: %*d events: %*x data: %llx", &data) != 1)
		return false;
	ret_entry->uid = data >> UID_SHIFT;
	ret_entry->mode = data >> MODE_SHIFT & 3;
	ret_entry->bytes = (data & MAX_MIB) << MIB_SHIFT;
	return true;
}

static int each_line(FILE *file, ledger_fn fn, void *data)
{
	struct ledger_entry entry;
	char *line = NULL;
	size_t size = 0;
	int ret = 0;

	while (!ret && getline(&line, &size, file) > 0)
		if (ledger_parse(line, &entry))
			ret = fn(&entry, data);
	if (!ret && ferror(file))
		ret = -EIO;
	free(line);
	return ret;
}

int ledger_each(int ledger, ledger_fn fn, void *data)
{
	char path[64];
	FILE *file;
	int ret;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", ledger);
	file = fopen(path, "re");
	if (!file)
		return -errno;
	ret = each_line(file, fn, data);
	fclose(file);
	return ret;
}
