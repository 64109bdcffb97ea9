/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef WPFILE_KEPT_H
#define WPFILE_KEPT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

/*
 * Messages of events that nobody has read yet, in the order in which they came.  Not
 * more than KEPT_MAX: what comes then is told by an overflow, one a subscription; but
 * for FAILED, which an overflow does not tell.
 */
#define KEPT_MAX 256

STAILQ_HEAD(wpfile_kept_list, wpfile_kept_message);

struct wpfile_kept {
	int wake;		/* eventfd: readable unless empty */
	unsigned int nr;
	struct wpfile_kept_list list;
};

int wpfile_kept_init(struct wpfile_kept *kept);
void wpfile_kept_clear(struct wpfile_kept *kept);

/*
 * Adds @size bytes of events of subscription @id.  -ENOMEM; -ENOBUFS if there are too
 * many subscriptions, or failures, even for that.
 */
int wpfile_kept_add(struct wpfile_kept *kept, uint64_t id, const void *events,
		    size_t size);

/* Takes the first; @buffer has room for it.  Returns bytes, 0 if it is empty. */
size_t wpfile_kept_take(struct wpfile_kept *kept, void *buffer, uint64_t *ret_id);

#endif /* WPFILE_KEPT_H */
