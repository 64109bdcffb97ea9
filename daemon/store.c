// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include "log.h"
#include "store.h"
#include "watch.h"

#define GRACE_USEC	10000000ULL

static bool closed;

static void keep(int fd, const char *name)
{
	char state[128];
	int ret;

	if (closed)
		return;
	/* It would be thrown out of the store if it had something to read. */
	snprintf(state, sizeof(state), "FDSTORE=1\nFDNAME=%s\nFDPOLL=0", name);
	ret = sd_pid_notify_with_fds(0, 0, state, &fd, 1);
	if (ret < 0)
		log_say(LOG_WARNING, "%s cannot be kept over a restart: %s", name,
			strerrorname_np(-ret));
}

static void forget(const char *name)
{
	if (!closed)
		sd_notifyf(0, "FDSTOREREMOVE=1\nFDNAME=%s", name);
}

static void make_name(char *name, size_t size, const char *kind, uint64_t id,
		      unsigned int mode)
{
	snprintf(name, size, "%s-%lu-%s", kind, id, wpfile_mode_name(mode));
}

void store_keep_ledger(int ledger)
{
	keep(ledger, "ledger");
}

void store_keep(uint64_t id, unsigned int mode, int monitor, int file)
{
	char name[64];

	make_name(name, sizeof(name), "watch", id, mode);
	keep(monitor, name);
	make_name(name, sizeof(name), "file", id, mode);
	keep(file, name);
}

void store_forget(uint64_t id, unsigned int mode)
{
	char name[64];

	make_name(name, sizeof(name), "watch", id, mode);
	forget(name);
	make_name(name, sizeof(name), "file", id, mode);
	forget(name);
}

void store_close(void)
{
	closed = true;
}

/* --- at the start --- */

bool store_parse(const char *name, const char *kind, uint64_t *ret_id,
		 unsigned int *ret_mode)
{
	static const unsigned int modes[] = { WPFILE_SYNC, WPFILE_DENY };
	char same[64], form[64];
	unsigned long id;
	size_t i;

	snprintf(form, sizeof(form), "%s-%%lu-", kind);
	if (sscanf(name, form, &id) != 1 || !id)
		return false;
	for (i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
		make_name(same, sizeof(same), kind, id, modes[i]);
		if (strcmp(same, name))
			continue;
		*ret_id = id;
		*ret_mode = modes[i];
		return true;
	}
	return false;
}

/* The place of a name, -1: none. */
static int find_name(char **names, int nr, const char *name)
{
	int i;

	for (i = 0; i < nr; i++)
		if (!strcmp(names[i], name))
			return i;
	return -1;
}

static void take_fd(int *fds, int i, int *ret_fd)
{
	if (*ret_fd >= 0)
		return;
	*ret_fd = fds[i];
	fds[i] = -1;
}

/* The pair of a monitor and its file. */
static void take_watch(struct watches *watches, int *fds, char **names, int nr,
		       int i)
{
	unsigned int mode;
	struct watch *watch;
	char name[64];
	uint64_t id;
	int j, err;

	if (!store_parse(names[i], "watch", &id, &mode))
		return;
	make_name(name, sizeof(name), "file", id, mode);
	j = find_name(names, nr, name);
	if (j < 0 || fds[j] < 0)
		return;
	err = watch_add(watches, id, mode, fds[i], fds[j], &watch);
	fds[i] = -1;
	fds[j] = -1;
	if (!err) {
		err = watch_wait(watch, GRACE_USEC);
		if (err < 0)
			watch_end(watch);
	}
	if (err < 0)
		log_say(LOG_WARNING, "%s does not go on: %s", names[i],
			strerrorname_np(-err));
}

static void take_all(struct watches *watches, int *fds, char **names, int nr,
		     struct stored *stored)
{
	int i;

	for (i = 0; i < nr; i++) {
		if (fds[i] < 0)
			continue;
		if (!strcmp(names[i], "ledger"))
			take_fd(fds, i, &stored->ledger);
		else if (sd_is_socket_unix(fds[i], SOCK_SEQPACKET, 1, NULL, 0) > 0)
			take_fd(fds, i, &stored->listener);
		else
			take_watch(watches, fds, names, nr, i);
	}
}

/* What is in the store under a name that nobody knows would stay for ever. */
static void drop_rest(const int *fds, char **names, int nr)
{
	int i;

	for (i = 0; i < nr; i++) {
		if (fds[i] < 0)
			continue;
		log_say(LOG_WARNING, "a descriptor named %s was passed: it is "
			"not used", names[i]);
		forget(names[i]);
		close(fds[i]);
	}
}

int store_load(struct watches *watches, struct stored *ret_stored)
{
	char **names = NULL;
	int i, nr, *fds;

	*ret_stored = (struct stored){ -1, -1 };
	nr = sd_listen_fds_with_names(true, &names);
	if (nr <= 0)
		return nr;
	fds = calloc(nr, sizeof(*fds));
	if (fds) {
		for (i = 0; i < nr; i++)
			fds[i] = SD_LISTEN_FDS_START + i;
		take_all(watches, fds, names, nr, ret_stored);
		drop_rest(fds, names, nr);
	}
	for (i = 0; i < nr; i++)
		free(names[i]);
	free(names);
	free(fds);
	return fds ? 0 : -ENOMEM;
}
