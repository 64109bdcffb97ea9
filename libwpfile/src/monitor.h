/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef WPFILE_MONITOR_H
#define WPFILE_MONITOR_H

#include <pthread.h>

#include "wpfile.h"

struct wpfile_backlog;
struct wpfile_watch;

struct wpfile_mon {
	int fd;				/* owned */
	struct wpfile_watch *watch;	/* of the loop that has it, or NULL */
	pthread_mutex_t lock;		/* of the backlog */
	/* What a loop has read and not handed over; stays when the loop goes. */
	struct wpfile_backlog *backlog;
};

#endif /* WPFILE_MONITOR_H */
