// SPDX-License-Identifier: GPL-2.0-only
/* Disturbers that map, fork, signal and kill. */
#include "torture.h"
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

static struct area *any_area(void)
{
	return &files[pick(FILES)];
}

static pid_t fork_bound(void)
{
	pid_t pid = fork();

	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		seed = seed * 31 + getpid();
	}
	return pid;
}

/* Entries of checked pages by reading, of spare ones by writing. */
static void touch(char *map)
{
	size_t page;

	for (page = 0; page < CHECKED; page += 1 + pick(4))
		*(volatile char *)(map + page * PAGE);
	for (; page < TAIL; page += 1 + pick(4))
		*(volatile char *)(map + page * PAGE) = 'm';
}

unsigned int map_and_unmap(void)
{
	char *map =
		map_file(any_area()->fd, TAIL * PAGE, PROT_READ | PROT_WRITE);

	if (!map)
		return 0;
	touch(map);
	mprotect(map + 7 * PAGE, pick(TAIL - 8) * PAGE + PAGE, PROT_READ);
	mprotect(map, TAIL * PAGE, PROT_READ | PROT_WRITE);
	touch(map);
	munmap(map, TAIL * PAGE);
	return 1;
}

unsigned int fork_mapper(void)
{
	pid_t pid = fork_bound();

	if (!pid) {
		touch(any_area()->map);
		if (pick(2))
			touch(any_area()->map);
		_exit(0);
	}
	return pid > 0 && waitpid(pid, NULL, 0) == pid;
}

/* Writers, cutters and the auditor have a handler. */
static pid_t any_victim(void)
{
	return control->pids[pick(control->nr_writers + FILES + 1)];
}

unsigned int send_signals(void)
{
	unsigned int sent = 0, i;

	for (i = 0; i < 8; i++)
		sent += !kill(any_victim(), SIGUSR1);
	return sent;
}

unsigned int stop_and_continue(void)
{
	pid_t pid = any_victim();
	unsigned int done = !kill(pid, SIGSTOP);

	sleep_ms(pick(30));
	return done + !kill(pid, SIGCONT);
}

/* What those do who only watch. */
static void look_at(int monitor)
{
	struct pollfd events = { .fd = monitor, .events = POLLIN };
	char path[64], text[1024];

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", monitor);
	file_read(path, text, sizeof(text));
	poll(&events, 1, 0);
}

/* More monitors than a file may have: EBUSY is an answer, too. */
static void use(struct area *area)
{
	int track = area_protect(area, WPFILE_TRACK);
	int capture = area_monitor(area, WPFILE_CAPTURE);
	struct pages seen;
	char page[PAGE];

	wp_protect(capture, pick(CHECKED) * PAGE, (1 + pick(700)) * PAGE);
	pread(capture, page, PAGE, pick(TAIL) * PAGE);
	scan_pages(track, WPFILE_SCAN_PROTECT, &seen);
	look_at(track);
	look_at(capture);
	wp_unprotect(capture, pick(CHECKED) * PAGE, (1 + pick(90)) * PAGE);
	wp_unprotect(track, pick(CHECKED) * PAGE, (1 + pick(90)) * PAGE);
	scan_pages(track, pick(2) ? WPFILE_SCAN_PROTECT : 0, &seen);
	close(track);
	close(capture);
}

unsigned int use_monitors(void)
{
	use(any_area());
	return 1;
}

/* A snapshot, mapped; its file descriptor goes, the mapping stays. */
static void hold_snapshot(struct area *area)
{
	int fd = area_snapshot(area);
	char *map = map_file(fd, TAIL * PAGE, PROT_READ);
	size_t page;

	close(fd);
	for (page = 0; map && page < TAIL; page += 1 + pick(16))
		*(volatile char *)(map + page * PAGE);
}

/* Some only: a file has at most so many monitors, and others need theirs. */
static void hold_and_use(void)
{
	int i;

	for (i = 0; i < 3; i++) {
		hold_snapshot(any_area());
		area_protect(any_area(), pick(2));
	}
	for (;;)
		use(any_area());
}

unsigned int kill_holders(void)
{
	pid_t pid = fork_bound();

	if (!pid)
		hold_and_use();
	if (pid < 0)
		return 0;
	sleep_ms(pick(pick(8) ? 20 : 300));
	kill(pid, SIGKILL);
	return waitpid(pid, NULL, 0) == pid;
}
