// SPDX-License-Identifier: LGPL-2.1-or-later
/* The handle of a monitor. */
#include <fcntl.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "monitor.h"
#include "sys.h"
#include "target.h"

/* Allocated first: a monitor that cannot be handed over is never made. */
static struct wpfile_mon *mon_new(void)
{
	struct wpfile_mon *mon = sys_alloc(calloc(1, sizeof(*mon)));

	if (mon)
		pthread_mutex_init(&mon->lock, NULL);
	return mon;
}

static int mon_take_fd(struct wpfile_mon *mon, int fd,
		       struct wpfile_mon **ret_mon)
{
	if (fd < 0) {
		free(mon);
		return fd;
	}
	mon->fd = fd;
	*ret_mon = mon;
	return 0;
}

int wpfile_mon_open(const struct wpfile_target *target,
		    struct wpfile_monitor *args, struct wpfile_mon **ret_mon)
{
	struct wpfile_mon *mon = mon_new();

	if (!mon)
		return -ENOMEM;
	return mon_take_fd(mon, wpfile_target_request(target, WPFILE_IOC_MONITOR,
						      args), ret_mon);
}

int wpfile_mon_dup_fd(int fd, struct wpfile_mon **ret_mon)
{
	struct wpfile_mon *mon = mon_new();

	if (!mon)
		return -ENOMEM;
	return mon_take_fd(mon, sys(fcntl(fd, F_DUPFD_CLOEXEC, 0)), ret_mon);
}

int wpfile_mon_attach(struct wpfile_mon *mon, const struct wpfile_target *target,
		      uint64_t cookie, struct wpfile_mon **ret_mon)
{
	struct wpfile_attach args = {
		.size = sizeof(args),
		.flags = target->flags,
		.address = target->address,
		.cookie = cookie,
		.fd = target->flags & WPFILE_AT_ADDRESS ? -1 : target->fd,
	};
	struct wpfile_mon *other;

	if (target->broker)
		return -EOPNOTSUPP;
	other = mon_new();
	if (!other)
		return -ENOMEM;
	return mon_take_fd(other, sys(ioctl(mon->fd, WPFILE_IOC_ATTACH, &args)),
			   ret_mon);
}

int wpfile_mon_fd(const struct wpfile_mon *mon)
{
	return mon->fd;
}

void wpfile_mon_free(struct wpfile_mon *mon)
{
	if (!mon)
		return;
	sys(close(mon->fd));
	free(mon->backlog);
	free(mon);
}
