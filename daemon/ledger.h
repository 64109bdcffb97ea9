/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The monitors and snapshots that were handed out and are alive, and whose they are.
 *
 * The daemon keeps none of them, since one that it kept would not end with the
 * client.  The ledger is an epoll instance that nobody waits on: what is added to
 * it is taken out by the kernel with the last descriptor of it anywhere, and
 * /proc lists what is left.  So it needs no other state, and outlives the daemon
 * in the fd store.
 */
#ifndef WPFILED_LEDGER_H
#define WPFILED_LEDGER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* A descriptor, or a negative errno. */
int ledger_open(void);

struct ledger_entry {
	uid_t uid;
	unsigned int mode;	/* WPFILE_TRACK ...; a snapshot is a capture */
	uint64_t bytes;		/* capture limit, rounded up to MiB */
};

int ledger_add(int ledger, int monitor, const struct ledger_entry *entry);

/* Returns 0 to go on; anything else stops, and is returned to the caller. */
typedef int (*ledger_fn)(const struct ledger_entry *entry, void *data);

int ledger_each(int ledger, ledger_fn fn, void *data);

/* Pure; false if the line of fdinfo is of something else. */
bool ledger_parse(const char *line, struct ledger_entry *ret_entry);
uint64_t ledger_pack(const struct ledger_entry *entry);

#endif /* WPFILED_LEDGER_H */
