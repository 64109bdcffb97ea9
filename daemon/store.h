/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The fd store of systemd: descriptors that outlive the daemon.  Their names say
 * what they are:
 *
 *	ledger			the ledger
 *	watch-ID-MODE		the monitor of a watch
 *	file-ID-MODE		its file
 *
 * All else about a watch is with those who subscribe, and come again.  Without a
 * store nothing of this happens.
 */
#ifndef WPFILED_STORE_H
#define WPFILED_STORE_H

#include <stdbool.h>
#include <stdint.h>

struct watches;

void store_keep_ledger(int ledger);
void store_keep(uint64_t id, unsigned int mode, int monitor, int file);
void store_forget(uint64_t id, unsigned int mode);

/* The daemon ends: what is in the store is for the next. */
void store_close(void);

/* What was there at the start. */
struct stored {
	int listener;	/* -1: none */
	int ledger;	/* -1: none */
};

/*
 * Takes what was passed (LISTEN_FDS).  Watches go on; they end after a while if
 * nobody comes.  What is not known is closed.
 */
int store_load(struct watches *watches, struct stored *ret_stored);

/* Pure; false if it is not a name of ours. */
bool store_parse(const char *name, const char *kind, uint64_t *ret_id,
		 unsigned int *ret_mode);

#endif /* WPFILED_STORE_H */
