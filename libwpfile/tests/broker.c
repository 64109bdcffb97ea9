// SPDX-License-Identifier: LGPL-2.1-or-later
/* Questions to wpfiled, and its answers. */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon.h"

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
				      .reserved = 1 };
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

#define TEST(name) cmocka_unit_test_setup_teardown(name, daemon_setup, daemon_teardown)

static const struct CMUnitTest tests[] = {
	TEST(a_query_goes_to_the_daemon_and_back),
	TEST(a_longer_structure_of_a_newer_program_is_served),
	TEST(what_the_daemon_would_refuse_is_not_sent),
	TEST(a_monitor_comes_as_a_descriptor),
	TEST(a_snapshot_comes_with_its_answer),
	TEST(a_refusal_is_returned_and_touches_nothing),
	TEST(what_no_daemon_can_do_is_not_asked),
	TEST(without_room_for_the_descriptor_only_that_fails),
	TEST(a_list_of_several_pages_is_walked_over),
	TEST(a_list_can_be_left),
	TEST(a_list_without_end_is_refused),
	TEST(metrics_are_a_text),
};

SUITE(broker_suite, tests);
