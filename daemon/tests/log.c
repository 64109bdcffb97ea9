// SPDX-License-Identifier: GPL-2.0-or-later
/* Where lines go, and what they look like. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "log.h"
#include "unit.h"

/* What is said on stderr, with JOURNAL_STREAM as it is left by somebody else. */
static void hear(const char *stream, const char *message, char *text, size_t size)
{
	int kept = dup(STDERR_FILENO), fd = memfd_create("log", 0);
	ssize_t got;

	assert_true(kept >= 0 && fd >= 0);
	assert_true(dup2(fd, STDERR_FILENO) >= 0);
	setenv("JOURNAL_STREAM", stream, 1);
	log_open(LOG_INFO);
	log_say(LOG_ERR, "%s", message);
	log_say(LOG_DEBUG, "not this");
	unsetenv("JOURNAL_STREAM");
	log_open(LOG_INFO);
	dup2(kept, STDERR_FILENO);
	got = pread(fd, text, size - 1, 0);
	assert_true(got >= 0);
	text[got] = '\0';
	close(fd);
	close(kept);
}

static void a_stderr_that_is_not_the_journal_is_written_to(void **state)
{
	char text[256];

	(void)state;
	hear("1:1", "hello", text, sizeof(text));
	assert_string_equal(text, "level=err message=\"hello\"\n");
	hear("", "hello", text, sizeof(text));
	assert_string_equal(text, "level=err message=\"hello\"\n");
}

static void whatever_is_said_is_one_line(void **state)
{
	char text[256];

	(void)state;
	hear("", "a\nlevel=err \"b\" \\", text, sizeof(text));
	assert_string_equal(text, "level=err message="
			    "\"a level=err \\\"b\\\" \\\\\"\n");
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(a_stderr_that_is_not_the_journal_is_written_to),
	cmocka_unit_test(whatever_is_said_is_one_line),
};

SUITE(log_suite, tests);
