// SPDX-License-Identifier: GPL-2.0-or-later
/* What a verb that runs on waits for, each a descriptor. */
#include <errno.h>
#include <signal.h>
#include <sys/pidfd.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "session.h"

void wait_init(struct wait *wait)
{
	int i;

	for (i = 0; i < NR_WAITS; i++)
		wait->fds[i] = (struct pollfd){ .fd = -1, .events = POLLIN };
	wait->fds[WAIT_PRINTER].events = 0;
}

void wait_forget(struct wait *wait, int which)
{
	struct pollfd *poll = &wait->fds[which];

	if (poll->fd >= 0 && which < WAIT_SOURCE)
		close(poll->fd);
	poll->fd = -1;
	poll->revents = 0;
}

static void our_signals(sigset_t *ret_set, bool also_stop)
{
	sigemptyset(ret_set);
	sigaddset(ret_set, SIGINT);
	sigaddset(ret_set, SIGTERM);
	sigaddset(ret_set, SIGHUP);
	if (also_stop)
		sigaddset(ret_set, SIGTSTP);
}

/* From now on a signal ends us at once, also if stdout blocks. */
void wait_close(struct wait *wait)
{
	sigset_t set;
	int i;

	for (i = 0; i < NR_WAITS; i++)
		wait_forget(wait, i);
	our_signals(&set, true);
	sigprocmask(SIG_UNBLOCK, &set, NULL);
}

static int add(struct wait *wait, int which, int fd)
{
	if (fd < 0)
		return -errno;
	wait->fds[which].fd = fd;
	return 0;
}

int wait_add_process(struct wait *wait, int which, pid_t pid)
{
	return add(wait, which, pidfd_open(pid, 0));
}

int wait_add_signals(struct wait *wait, bool also_stop)
{
	sigset_t set;

	our_signals(&set, also_stop);
	sigprocmask(SIG_BLOCK, &set, NULL);
	return add(wait, WAIT_SIGNALS, signalfd(-1, &set, SFD_CLOEXEC));
}

int wait_add_timer(struct wait *wait, uint64_t ns)
{
	struct itimerspec spec = {
		.it_interval = { ns / NSEC_PER_SEC, ns % NSEC_PER_SEC },
	};
	int ret;

	spec.it_value = spec.it_interval;
	ret = add(wait, WAIT_TIMER, timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC));
	if (!ret && timerfd_settime(wait->fds[WAIT_TIMER].fd, 0, &spec, NULL))
		ret = -errno;
	return ret;
}

int wait_next(struct wait *wait)
{
	while (poll(wait->fds, NR_WAITS, -1) < 0)
		if (errno != EINTR)
			return fail_errno(errno, "cannot wait");
	return CTL_OK;
}

bool wait_fired(const struct wait *wait, int which)
{
	return wait->fds[which].revents;
}

void wait_clear_timer(struct wait *wait)
{
	uint64_t late;

	read(wait->fds[WAIT_TIMER].fd, &late, sizeof(late));
}

int wait_signal(struct wait *wait)
{
	struct signalfd_siginfo info = {};

	read(wait->fds[WAIT_SIGNALS].fd, &info, sizeof(info));
	return info.ssi_signo;
}
