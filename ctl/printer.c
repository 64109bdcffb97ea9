// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Lines for stdout, written by a process of their own.
 *
 * stdout may block for as long as a pager is not scrolled, while writers wait for
 * our answer.  O_NONBLOCK would be seen by all who share stdout with us.  So a
 * child copies a pipe to it: the pipe is the bounded buffer, our end of it does not
 * block, and a line, which is shorter than PIPE_BUF, fits whole or not at all.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "session.h"

#define BUFFER_SIZE (256 << 10)	/* bytes; some thousand lines */

/* Who shares stdout with us may have made it O_NONBLOCK. */
static void wait_for_room(void)
{
	struct pollfd room = { .fd = STDOUT_FILENO, .events = POLLOUT };

	poll(&room, 1, -1);
}

static int write_all(const char *data, size_t size)
{
	ssize_t done;

	while (size) {
		done = write(STDOUT_FILENO, data, size);
		if (done < 0 && errno == EAGAIN) {
			wait_for_room();
			continue;
		}
		if (done < 0)
			return fail_hint(CTL_FAILED, NULL,
					 "cannot write to stdout");
		data += done;
		size -= done;
	}
	return CTL_OK;
}

/* Ends when its parent has closed the pipe, or is dead; a signal is not for it. */
static void copy_lines(int from)
{
	char data[65536];
	int ret = CTL_OK;
	ssize_t size;

	signal(SIGINT, SIG_IGN);
	signal(SIGTERM, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	while (!ret && (size = read(from, data, sizeof(data))) > 0)
		ret = write_all(data, size);
	_exit(ret);
}

int printer_start(struct printer *ret_printer)
{
	struct printer printer;
	int ends[2];

	if (pipe2(ends, O_CLOEXEC))
		return fail_errno(errno, "cannot print");
	fcntl(ends[1], F_SETPIPE_SZ, BUFFER_SIZE);
	fcntl(ends[1], F_SETFL, O_NONBLOCK);
	fflush(stdout);
	printer = (struct printer){ .fd = ends[1], .pid = fork() };
	if (!printer.pid) {
		close(ends[1]);
		copy_lines(ends[0]);
	}
	close(ends[0]);
	if (printer.pid < 0) {
		close(ends[1]);
		return fail_errno(errno, "cannot print");
	}
	signal(SIGPIPE, SIG_IGN);
	*ret_printer = printer;
	return CTL_OK;
}

/* False if there is no room. */
bool printer_line(struct printer *printer, const char *line, size_t size)
{
	return write(printer->fd, line, size) == (ssize_t)size;
}

/* Waits until all is printed.  A reader who has gone has seen enough. */
int printer_end(struct printer *printer)
{
	int status = 0;

	close(printer->fd);
	while (waitpid(printer->pid, &status, 0) < 0 && errno == EINTR)
		;
	return WIFEXITED(status) ? WEXITSTATUS(status) : CTL_OK;
}
