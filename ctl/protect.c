// SPDX-License-Identifier: GPL-2.0-or-later
/* wpfilectl protect: refuses writes for a while. */
#include <errno.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include "session.h"

static int check_arguments(const struct args *args)
{
	int ret = target_check(args);

	if (ret)
		return ret;
	if (args->command && (args->for_ns || args->count))
		return fail_usage("--for and --count go without a command, which ends by itself");
	if (args->json && !args->events)
		return fail_usage("--json is for --events");
	return CTL_OK;
}

/* The command gets signals as we found them. */
static int spawn(char **command, pid_t *ret_pid)
{
	posix_spawnattr_t attributes;
	sigset_t none, pipe;
	int ret;

	sigemptyset(&none);
	sigemptyset(&pipe);
	sigaddset(&pipe, SIGPIPE);
	ret = posix_spawnattr_init(&attributes);
	if (ret)
		return ret;
	posix_spawnattr_setsigmask(&attributes, &none);
	posix_spawnattr_setsigdefault(&attributes, &pipe);
	posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK |
						      POSIX_SPAWN_SETSIGDEF);
	ret = posix_spawnp(ret_pid, command[0], NULL, &attributes, command,
			   environ);
	posix_spawnattr_destroy(&attributes);
	return ret;
}

static int start(struct session *session, pid_t *ret_pid)
{
	const struct args *args = session->args;
	int ret;

	ret = session_monitor(session, WPFILE_DENY);
	if (ret)
		return ret;
	if (args->command) {
		ret = spawn(args->command, ret_pid);
		if (ret)
			return fail_errno(ret, "%s", args->command[0]);
		ret = wait_add_process(&session->wait, WAIT_COMMAND, *ret_pid);
	} else if (args->for_ns) {
		ret = wait_add_timer(&session->wait, args->for_ns);
	}
	if (ret)
		return fail_errno(ret, "cannot wait");
	if (!args->command && isatty(STDERR_FILENO))
		fprintf(stderr, "writes are refused; Ctrl-C ends it\n");
	return CTL_OK;
}

static int follow(struct session *session)
{
	bool end;
	int ret;

	do {
		ret = session_next(session);
		end = wait_fired(&session->wait, WAIT_TIMER) ||
		      session_ended(session);
	} while (!ret && !end);
	return ret;
}

/* It ends when the command does, and with nothing else. */
static int follow_command(struct session *session, pid_t pid)
{
	int ret;

	wait_forget(&session->wait, WAIT_PROCESS);
	do {
		ret = session_next(session);
		if (session->signal)
			kill(pid, session->signal);
		if (wait_fired(&session->wait, WAIT_PRINTER)) {
			wait_forget(&session->wait, WAIT_PRINTER);
			session->events.quiet = true;
		}
	} while (!ret && !wait_fired(&session->wait, WAIT_COMMAND));
	return ret;
}

/* As a shell has it. */
static int exit_status(pid_t pid)
{
	int status;

	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return fail_errno(errno, "cannot wait");
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

int verb_protect(const struct args *args)
{
	struct session session = {};
	pid_t command = 0;
	char name[256];
	int ret;

	ret = check_arguments(args);
	if (ret)
		return ret;
	target_name(args, name, sizeof(name));
	ret = session_open(&session, args, name, args->events);
	if (!ret)
		ret = start(&session, &command);
	if (!ret)
		ret = command ? follow_command(&session, command) :
				follow(&session);
	ret = session_close(&session, ret);
	return command && !ret ? exit_status(command) : ret;
}
