// SPDX-License-Identifier: LGPL-2.1-or-later
/* How a connection to wpfiled begins, and how it ends. */
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "daemon.h"

static void a_daemon_that_is_gone_is_epipe(void **state)
{
	struct wpfile_query query = { .size = sizeof(query) };
	char buffer[WPFILE_BROKER_EVENTS];
	struct fixture *f = *state;
	uint64_t id;

	/* Whoever started the test may have it ignored. */
	signal(SIGPIPE, SIG_DFL);
	daemon_hang_up();
	assert_int_equal(wpfile_query(f->target, &query), -EPIPE);
	assert_int_equal(wpfile_query(f->target, &query), -EPIPE);
	assert_int_equal(wpfile_broker_read(f->broker, buffer, sizeof(buffer), -1,
					    &id), -EPIPE);
}

static void expect_broken(struct fixture *f)
{
	struct wpfile_query query = { .size = sizeof(query), .ret_max_files = 77 };

	assert_int_equal(wpfile_query(f->target, &query), -EPIPE);
	assert_int_equal(query.ret_max_files, 77);
	/* And for good. */
	assert_int_equal(wpfile_query(f->target, &query), -EPIPE);
}

static void the_answer_to_another_question_ends_it(void **state)
{
	const struct wpfile_query answer = { .size = sizeof(answer) };

	daemon_answer(WIRE_QUERY, 3, &answer);
	expect_broken(*state);
}

static void an_answer_of_another_type_ends_it(void **state)
{
	struct fixture *f = *state;

	daemon_send(WIRE_MONITOR, 2, 0, NULL, 0, f->file, 1);
	expect_broken(f);
}

static void an_unsound_answer_ends_it(void **state)
{
	const uint64_t rubbish[4] = { 1, 2, 3, 4 };

	daemon_send(WIRE_QUERY, 2, 0, rubbish, sizeof(rubbish), -1, 0);
	expect_broken(*state);
}

static void an_unexpected_descriptor_is_closed_and_ends_it(void **state)
{
	const struct wpfile_query answer = { .size = sizeof(answer) };
	struct fixture *f = *state;

	daemon_send(WIRE_QUERY, 2, 0, &answer, sizeof(answer), f->file, 1);
	expect_broken(f);
}

static void two_descriptors_for_one_are_closed_and_end_it(void **state)
{
	struct wpfile_monitor args = { .size = sizeof(args) };
	struct wpfile_mon *mon = NULL;
	struct fixture *f = *state;

	daemon_send(WIRE_MONITOR, 2, 0, NULL, 0, f->file, 2);
	assert_int_equal(wpfile_mon_open(f->target, &args, &mon), -EPIPE);
	assert_null(mon);
	expect_broken(f);
}

static void a_descriptor_that_nobody_asked_for_is_closed(void **state)
{
	char buffer[WPFILE_BROKER_EVENTS];
	struct fixture *f = *state;
	uint64_t id;

	daemon_send(WIRE_MONITOR, 2, 0, NULL, 0, f->file, 1);
	assert_int_equal(wpfile_broker_read(f->broker, buffer, sizeof(buffer), -1,
					    &id), -EPIPE);
	expect_broken(f);
}

static void a_connection_that_is_none_says_so(void **state)
{
	struct wpfile_broker *broker = NULL;
	struct wpfile_target *target;
	char name[200];

	(void)state;
	memset(name, 'a', sizeof(name));
	name[sizeof(name) - 1] = '\0';
	errno = 1234;
	assert_int_equal(wpfile_broker_open("/no/such", &broker), -ENOENT);
	assert_int_equal(wpfile_broker_open("/dev/null", &broker), -ECONNREFUSED);
	assert_int_equal(wpfile_broker_open(name, &broker), -ENAMETOOLONG);
	assert_int_equal(errno, 1234);
	assert_null(broker);
	wpfile_broker_free(NULL);
	if (wpfile_target_at_address(name, &target))
		return;
	assert_int_equal(wpfile_target_use_broker(target, NULL), -EINVAL);
	wpfile_target_free(target);
}

static int open_with_answer(const struct wire_hello *hello, int result)
{
	struct wpfile_broker *broker = NULL;
	int ret;

	daemon_listen();
	if (hello)
		daemon_answer(WIRE_HELLO, 1, hello);
	else if (result)
		daemon_fail(WIRE_HELLO, 1, result);
	else
		shutdown(daemon_socket, SHUT_WR);
	ret = wpfile_broker_open("a path", &broker);
	fake_connect = NULL;
	assert_null(broker);
	close(daemon_socket);
	return ret;
}

static void a_daemon_that_speaks_otherwise_says_so(void **state)
{
	unsigned int open_fds = count_open_fds();

	(void)state;
	assert_int_equal(open_with_answer(&(struct wire_hello){ .version = 2 }, 0),
			 -EPROTO);
	assert_int_equal(open_with_answer(&(struct wire_hello){ .version = 0 }, 0),
			 -EPROTO);
	assert_int_equal(open_with_answer(NULL, 0), -EPROTO);
	assert_int_equal(open_with_answer(NULL, -EACCES), -EACCES);
	assert_int_equal(count_open_fds(), open_fds);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, daemon_setup, daemon_teardown)

static const struct CMUnitTest tests[] = {
	TEST(a_daemon_that_is_gone_is_epipe),
	TEST(the_answer_to_another_question_ends_it),
	TEST(an_answer_of_another_type_ends_it),
	TEST(an_unsound_answer_ends_it),
	TEST(an_unexpected_descriptor_is_closed_and_ends_it),
	TEST(two_descriptors_for_one_are_closed_and_end_it),
	TEST(a_descriptor_that_nobody_asked_for_is_closed),
	cmocka_unit_test(a_connection_that_is_none_says_so),
	cmocka_unit_test(a_daemon_that_speaks_otherwise_says_so),
};

SUITE(connection_suite, tests);
