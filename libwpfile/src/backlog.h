/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef WPFILE_BACKLOG_H
#define WPFILE_BACKLOG_H

#include <stdbool.h>

#include "monitor.h"

/* Events that were read together; only the loop that has the monitor reads more. */

/* If it has none.  The others but _take are for one that has. */
int wpfile_backlog_new(struct wpfile_mon *mon);
bool wpfile_backlog_empty(struct wpfile_mon *mon);

/* Reads when it is empty.  0, or an error: -EAGAIN, if there is nothing. */
int wpfile_backlog_fill(struct wpfile_mon *mon);

/* 1 with the next event, which stays until it is filled again; 0; -EBADMSG. */
int wpfile_backlog_next(struct wpfile_mon *mon,
			const struct wpfile_event **ret_event);

/* Whole events, as many as fit.  0 if there are none; -EINVAL. */
ssize_t wpfile_backlog_take(struct wpfile_mon *mon, void *buffer, size_t size);

#endif /* WPFILE_BACKLOG_H */
