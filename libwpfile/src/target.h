/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef WPFILE_TARGET_H
#define WPFILE_TARGET_H

#include "wpfile.h"

struct wpfile_target {
	int fd;			/* owned; of /dev/wpfile if by address */
	unsigned int flags;	/* 0 or WPFILE_AT_ADDRESS */
	uint64_t address;
	struct wpfile_broker *broker;	/* lent, or NULL: the kernel */
};

/*
 * An ioctl on the file, with flags and address filled in; or the same of the broker.
 * Returns what the ioctl does.
 */
int wpfile_target_request(const struct wpfile_target *target,
			  unsigned long request, void *args);

#endif /* WPFILE_TARGET_H */
