/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Who asks: the process that connected, as it was when it was accepted. */
#ifndef WPFILED_PEER_H
#define WPFILED_PEER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct peer {
	pid_t pid;
	uid_t uid;
	gid_t gid;
	bool nobody;		/* the uid stands for all that have none here */
	size_t nr_groups;
	gid_t *groups;		/* owned */
	/* Effective; 0 in another user namespace, or if a program may have given them. */
	uint64_t capabilities;
};

/*
 * Asks the kernel who is at the other end of @socket.  -ESRCH: the process has
 * ended, and its number says nothing any more; -EOPNOTSUPP: this kernel cannot
 * tell.  What is known by then is in @ret_peer, for the log, also on failure;
 * peer_destroy() ends it in any case.
 */
int peer_identify(int socket, struct peer *ret_peer);
void peer_destroy(struct peer *peer);

#endif /* WPFILED_PEER_H */
