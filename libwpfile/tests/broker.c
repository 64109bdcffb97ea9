// SPDX-License-Identifier: LGPL-2.1-or-later
/* Questions to wpfiled, and its answers. */
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon.h"

struct fixture {
	struct wpfile_broker *broker;
	struct wpfile_target *target;
	struct question question;
	int file;
	unsigned int open_fds;		/* before anything was opened */
};

static unsigned int count_open_fds(void)
{
	unsigned int nr = 0;
	int fd;

	for (fd = 0; fd < 256; fd++)
		nr += fcntl(fd, F_GETFD) >= 0;
	return nr;
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	f->open_fds = count_open_fds();
	f->question.fd = -1;
	f->broker = daemon_connect();
	f->file = memfd_create("unit", MFD_CLOEXEC);
	if (wpfile_target_dup_fd(f->file, &f->target) ||
	    wpfile_target_use_broker(f->target, f->broker))
		return -1;
	*state = f;
	return 0;
}

/* Whatever came or failed, no descriptor was left behind. */
static int teardown(void **state)
{
	struct fixture *f = *state;
	unsigned int open_fds = f->open_fds;

	wpfile_target_free(f->target);
	wpfile_broker_free(f->broker);
	close(f->file);
	close(daemon_socket);
	close(f->question.fd);
	free(f);
	return count_open_fds() == open_fds ? 0 : -1;
}

static bool is_same_file(int a, int b)
{
	struct stat x, y;

	return !fstat(a, &x) && !fstat(b, &y) && x.st_ino == y.st_ino &&
	       x.st_dev == y.st_dev;
}

static void a_query_goes_to_the_daemon_and_back(void **state)
{
	struct wpfile_query query = { .size = sizeof(query) };
	struct wpfile_query answer = { .size = sizeof(answer),
				       .ret_features = 0x1234 };
	struct fixture *f = *state;

	daemon_answer(WIRE_QUERY, 2, &answer);
	errno = 1234;
	assert_int_equal(wpfile_query(f->target, &query), 0);
	assert_int_equal(errno, 1234);
	assert_int_equal(query.ret_features, 0x1234);
	daemon_read(&f->question);
	assert_int_equal(f->question.header.type, WIRE_QUERY);
	assert_true(is_same_file(f->question.fd, f->file));
}

static void a_longer_structure_of_a_newer_program_is_served(void **state)
{
	struct {
		struct wpfile_query query;
		uint64_t more;
	} longer = { .query.size = sizeof(longer) };
	struct wpfile_query answer = { .size = sizeof(answer), .ret_max_files = 9 };
	struct fixture *f = *state;

	daemon_answer(WIRE_QUERY, 2, &answer);
	assert_int_equal(wpfile_query(f->target, &longer.query), 0);
	assert_int_equal(longer.query.ret_max_files, 9);
	assert_int_equal(longer.query.size, sizeof(longer));
	daemon_read(&f->question);
	longer.more = 1;
	assert_int_equal(wpfile_query(f->target, &longer.query), -E2BIG);
	longer.query.size = sizeof(longer.query) - 8;
	assert_int_equal(wpfile_query(f->target, &longer.query), -EINVAL);
}

static void what_the_daemon_would_refuse_is_not_sent(void **state)
{
	struct wpfile_query query = { .size = sizeof(query),
				      .flags = WPFILE_AT_ADDRESS };
	struct wpfile_monitor args = { .size = sizeof(args), .reserved = 1 };
	struct wpfile_subscription subscription = { .reserved = 1 };
	struct fixture *f = *state;
	struct wpfile_mon *mon = NULL;
	uint64_t id;
	char byte;

	assert_int_equal(wpfile_query(f->target, &query), -EINVAL);
	assert_int_equal(wpfile_mon_open(f->target, &args, &mon), -EINVAL);
	assert_int_equal(wpfile_subscribe(f->target, &subscription, &id), -EINVAL);
	assert_int_equal(recv(daemon_socket, &byte, 1, MSG_DONTWAIT), -1);
	assert_null(mon);
}

static void a_monitor_comes_as_a_descriptor(void **state)
{
	struct wpfile_monitor args = { .size = sizeof(args), .mode = WPFILE_SYNC,
				       .cookie = 77 };
	struct fixture *f = *state;
	struct wpfile_mon *mon;

	daemon_send(WIRE_MONITOR, 2, 0, NULL, 0, f->file, 1);
	assert_int_equal(wpfile_mon_open(f->target, &args, &mon), 0);
	assert_true(is_same_file(wpfile_mon_fd(mon), f->file));
	assert_int_equal(fcntl(wpfile_mon_fd(mon), F_GETFD), FD_CLOEXEC);
	wpfile_mon_free(mon);
	daemon_read(&f->question);
	assert_memory_equal(f->question.body, &args, sizeof(args));
}

static void a_snapshot_comes_with_its_answer(void **state)
{
	struct wpfile_snapshot args = { .size = sizeof(args) };
	struct wpfile_snapshot answer = { .size = sizeof(answer),
					  .ret_bytes = 8192 };
	struct fixture *f = *state;
	int fd;

	daemon_send(WIRE_SNAPSHOT, 2, 0, &answer, sizeof(answer), f->file, 1);
	fd = wpfile_snapshot(f->target, &args);
	assert_true(fd >= 0 && is_same_file(fd, f->file));
	assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
	assert_int_equal(args.ret_bytes, 8192);
	close(fd);
}

static void a_refusal_is_returned_and_touches_nothing(void **state)
{
	struct wpfile_snapshot args = { .size = sizeof(args), .ret_bytes = 5 };
	struct wpfile_subscription subscription = { .length = WPFILE_TO_END };
	struct fixture *f = *state;
	char *text = NULL;
	uint64_t id = 77;

	daemon_fail(WIRE_SNAPSHOT, 2, -EACCES);
	daemon_fail(WIRE_SUBSCRIBE, 3, -EDQUOT);
	daemon_fail(WIRE_METRICS, 4, -EACCES);
	daemon_fail(WIRE_RELEASE, 5, -ENOENT);
	assert_int_equal(wpfile_snapshot(f->target, &args), -EACCES);
	assert_int_equal(wpfile_subscribe(f->target, &subscription, &id), -EDQUOT);
	assert_int_equal(wpfile_broker_metrics(f->broker, &text), -EACCES);
	assert_int_equal(wpfile_broker_release(f->broker, 1), -ENOENT);
	assert_int_equal(args.ret_bytes, 5);
	assert_int_equal(id, 77);
	assert_null(text);
}

static void what_no_daemon_can_do_is_not_asked(void **state)
{
	struct fixture *f = *state;
	struct wpfile_mon *mon, *other = NULL;
	struct wpfile_subscription subscription = { .length = WPFILE_TO_END };
	struct wpfile_target *direct;
	uint64_t id;

	assert_int_equal(wpfile_mon_dup_fd(f->file, &mon), 0);
	assert_int_equal(wpfile_mon_attach(mon, f->target, 0, &other), -EOPNOTSUPP);
	assert_null(other);
	wpfile_mon_free(mon);
	assert_int_equal(wpfile_target_dup_fd(f->file, &direct), 0);
	assert_int_equal(wpfile_subscribe(direct, &subscription, &id), -EINVAL);
	wpfile_target_free(direct);
}

static void without_room_for_the_descriptor_only_that_fails(void **state)
{
	struct wpfile_snapshot args = { .size = sizeof(args) };
	struct wpfile_snapshot answer = { .size = sizeof(answer) };
	struct rlimit limit, none;
	struct fixture *f = *state;
	int fd = dup(0);

	close(fd);
	daemon_send(WIRE_SNAPSHOT, 2, 0, &answer, sizeof(answer), f->file, 1);
	daemon_send(WIRE_SNAPSHOT, 3, 0, &answer, sizeof(answer), f->file, 1);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
	none = limit;
	none.rlim_cur = fd;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	fd = wpfile_snapshot(f->target, &args);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
	assert_int_equal(fd, -EMFILE);
	fd = wpfile_snapshot(f->target, &args);
	assert_true(fd >= 0);
	close(fd);
}

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

static int sum_ids(const struct wpfile_holding *holding, void *data)
{
	uint64_t *sum = data;

	*sum += holding->id;
	return holding->id == 4 ? 9 : 0;
}

static void send_list(uint32_t serial, uint64_t first, uint32_t nr, uint64_t next)
{
	struct {
		struct wire_list list;
		struct wpfile_holding holdings[8];
	} body = { .list = { .nr = nr, .next = next } };
	uint32_t i;

	for (i = 0; i < nr; i++)
		body.holdings[i].id = first + i;
	daemon_send(WIRE_LIST, serial, 0, &body,
		    sizeof(body.list) + nr * sizeof(body.holdings[0]), -1, 0);
}

static void a_list_of_several_pages_is_walked_over(void **state)
{
	struct fixture *f = *state;
	uint64_t sum = 0;

	send_list(2, 10, 3, 12);
	send_list(3, 20, 1, 0);
	assert_int_equal(wpfile_broker_each(f->broker, sum_ids, &sum), 0);
	assert_int_equal(sum, 10 + 11 + 12 + 20);
	daemon_read(&f->question);
	daemon_read(&f->question);
	assert_int_equal(f->question.body[0], 12);
}

static void a_list_can_be_left(void **state)
{
	struct fixture *f = *state;
	uint64_t sum = 0;

	send_list(2, 3, 3, 5);
	assert_int_equal(wpfile_broker_each(f->broker, sum_ids, &sum), 9);
	assert_int_equal(sum, 7);
}

static void a_list_without_end_is_refused(void **state)
{
	struct fixture *f = *state;
	uint64_t sum = 0;

	send_list(2, 10, 1, 10);
	send_list(3, 10, 1, 10);
	assert_int_equal(wpfile_broker_each(f->broker, sum_ids, &sum), -EBADMSG);
}

static void metrics_are_a_text(void **state)
{
	struct fixture *f = *state;
	char *text;

	daemon_send(WIRE_METRICS, 2, 0, "# EOF\n", 6, -1, 0);
	assert_int_equal(wpfile_broker_metrics(f->broker, &text), 0);
	assert_string_equal(text, "# EOF\n");
	free(text);
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

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

static const struct CMUnitTest tests[] = {
	TEST(a_query_goes_to_the_daemon_and_back),
	TEST(a_longer_structure_of_a_newer_program_is_served),
	TEST(what_the_daemon_would_refuse_is_not_sent),
	TEST(a_monitor_comes_as_a_descriptor),
	TEST(a_snapshot_comes_with_its_answer),
	TEST(a_refusal_is_returned_and_touches_nothing),
	TEST(what_no_daemon_can_do_is_not_asked),
	TEST(without_room_for_the_descriptor_only_that_fails),
	TEST(a_daemon_that_is_gone_is_epipe),
	TEST(the_answer_to_another_question_ends_it),
	TEST(an_answer_of_another_type_ends_it),
	TEST(an_unsound_answer_ends_it),
	TEST(an_unexpected_descriptor_is_closed_and_ends_it),
	TEST(two_descriptors_for_one_are_closed_and_end_it),
	TEST(a_descriptor_that_nobody_asked_for_is_closed),
	TEST(a_list_of_several_pages_is_walked_over),
	TEST(a_list_can_be_left),
	TEST(a_list_without_end_is_refused),
	TEST(metrics_are_a_text),
	cmocka_unit_test(a_connection_that_is_none_says_so),
	cmocka_unit_test(a_daemon_that_speaks_otherwise_says_so),
};

SUITE(broker_suite, tests);
