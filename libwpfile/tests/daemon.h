/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef WPFILE_TESTS_DAEMON_H
#define WPFILE_TESTS_DAEMON_H

#include "unit.h"
#include "wire.h"

/*
 * wpfiled, played by the test: the other end of a socketpair.  Answers are put into it
 * before the question is asked; serials count from 1, which is HELLO's.
 */
extern int daemon_socket;

/* The next connection comes here. */
void daemon_listen(void);

/* Hello included. */
struct wpfile_broker *daemon_connect(void);
void daemon_hang_up(void);

/* A message, with up to two copies of @fd. */
void daemon_send(unsigned int type, uint32_t serial, int result,
		 const void *body, size_t size, int fd, unsigned int fds);
void daemon_answer(unsigned int type, uint32_t serial, const void *body);
void daemon_fail(unsigned int type, uint32_t serial, int result);

/* @nr events with ids from @first on, and OVERFLOW's bytes if that is the type. */
void daemon_events(uint64_t subscription, uint64_t first, unsigned int nr,
		   unsigned int type);

struct question {
	struct wire_header header;
	uint64_t body[32];
	int fd;		/* that came along, or -1 */
};

/* Reads one, which must have come and be sound. */
void daemon_read(struct question *question);

/* A connection, and a file whose target uses it. */
struct fixture {
	struct wpfile_broker *broker;
	struct wpfile_target *target;
	struct question question;
	int file;
	unsigned int open_fds;		/* before anything was opened */
};

/* Fails if a descriptor was left behind. */
int daemon_setup(void **state);
int daemon_teardown(void **state);

unsigned int count_open_fds(void);

#endif /* WPFILE_TESTS_DAEMON_H */
