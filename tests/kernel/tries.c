// SPDX-License-Identifier: GPL-2.0-only
/* Writes that may be refused. */
#include "watch.h"
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <unistd.h>

static _Thread_local sigjmp_buf refused;
static _Thread_local struct fault seen;

static void note(int signal, siginfo_t *info, void *context)
{
	(void)context;
	seen = (struct fault){ signal, info->si_code, info->si_addr };
	siglongjmp(refused, 1);
}

/*
 * The handlers stay: threads that try at the same time share them.  SA_NODEFER
 * spares the jump two system calls.
 */
int try_store(void *at, char byte, struct fault *fault)
{
	struct sigaction action = {
		.sa_sigaction = note,
		.sa_flags = SA_SIGINFO | SA_NODEFER,
	};

	sigaction(SIGSEGV, &action, NULL);
	sigaction(SIGBUS, &action, NULL);
	seen = (struct fault){};
	if (!sigsetjmp(refused, 0))
		*(volatile char *)at = byte;
	if (fault)
		*fault = seen;
	return seen.signal;
}

int try_kernel_store(void *at, char byte)
{
	int fds[2], ret = 0;

	if (pipe(fds))
		return -errno;
	if (write(fds[1], &byte, 1) != 1 || read(fds[0], at, 1) != 1)
		ret = -errno;
	close(fds[0]);
	close(fds[1]);
	return ret;
}

int try_write(int fd, char byte, off_t offset)
{
	ssize_t done = pwrite(fd, &byte, 1, offset);

	return done == 1 ? 0 : done < 0 ? -errno : -EIO;
}
