/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef WPFILE_TARGET_H
#define WPFILE_TARGET_H

#include "wpfile.h"

struct wpfile_target {
	int fd;			/* owned; of /dev/wpfile if by address */
	unsigned int flags;	/* 0 or WPFILE_AT_ADDRESS */
	uint64_t address;
};

#endif /* WPFILE_TARGET_H */
