// SPDX-License-Identifier: LGPL-2.1-or-later
/* broker WPFILED: the library and the daemon, with a kernel. */
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "vm.h"

static const char policy[] =
	"[rule all]\n"
	"who = any\n"
	"files = any\n"
	"modes = track capture sync snapshot watch\n"
	"release = yes\n";

static char *program;
static char directory[] = "/tmp/wpfile-broker.XXXXXX";
static char config[64], path[64];
static pid_t daemon_pid;
static struct wpfile_broker *broker;
static struct file file;

static int write_policy(void)
{
	int fd = open(config, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	bool written = write(fd, policy, strlen(policy)) == (ssize_t)strlen(policy);

	close(fd);
	return written ? 0 : -1;
}

static int start_daemon(void **state)
{
	char *args[] = { program, "--config", config, "--socket", path, NULL };
	unsigned int tries;

	(void)state;
	if (!mkdtemp(directory))
		return -1;
	snprintf(config, sizeof(config), "%s/policy", directory);
	snprintf(path, sizeof(path), "%s/socket", directory);
	if (write_policy() ||
	    posix_spawn(&daemon_pid, program, NULL, NULL, args, environ))
		return -1;
	for (tries = 0; tries < 600; tries++) {
		if (!wpfile_broker_open(path, &broker)) {
			wpfile_broker_free(broker);
			return 0;
		}
		usleep(100000);
	}
	return -1;
}

static int stop_daemon(void **state)
{
	(void)state;
	kill(daemon_pid, SIGKILL);
	waitpid(daemon_pid, NULL, 0);
	unlink(path);
	unlink(config);
	rmdir(directory);
	return 0;
}

static int setup(void **state)
{
	(void)state;
	if (wpfile_broker_open(path, &broker))
		return -1;
	file_open(&file);
	return wpfile_target_use_broker(file.target, broker);
}

static int teardown(void **state)
{
	(void)state;
	file_close(&file);
	wpfile_broker_free(broker);
	return 0;
}

static void a_monitor_of_the_daemons_works(void **state)
{
	struct wpfile_query query = { .size = sizeof(query) };
	struct wpfile_mon *mon = mon_open(&file, WPFILE_CAPTURE, 0);
	char byte;

	(void)state;
	assert_int_equal(wpfile_query(file.target, &query), 0);
	assert_int_equal(query.ret_monitors[WPFILE_CAPTURE], 1);
	assert_int_equal(wpfile_protect_all(mon, NULL), 0);
	file.map[2 * page] = 'w';
	assert_int_equal(wpfile_pread(mon, &byte, 1, 2 * page), 1);
	assert_int_equal(byte, 2);
	wpfile_mon_free(mon);
}

static void a_snapshot_of_the_daemons_has_the_content(void **state)
{
	struct wpfile_snapshot args = { .size = sizeof(args) };
	int fd = wpfile_snapshot(file.target, &args);
	char byte;

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(args.ret_bytes, PAGES * page);
	file.map[3 * page] = 'w';
	assert_int_equal(pread(fd, &byte, 1, 3 * page), 1);
	assert_int_equal(byte, 3);
	close(fd);
}

static void what_no_rule_allows_is_refused(void **state)
{
	struct wpfile_monitor args = { .size = sizeof(args), .mode = WPFILE_DENY };
	struct wpfile_mon *mon = NULL;

	(void)state;
	assert_int_equal(wpfile_mon_open(file.target, &args, &mon), -EACCES);
	assert_null(mon);
}

static const struct wpfile_event *read_one(uint64_t id)
{
	static uint64_t buffer[WPFILE_BROKER_EVENTS / sizeof(uint64_t)];
	const struct wpfile_event *event;
	uint64_t from;
	size_t pos = 0;
	ssize_t got;

	got = wpfile_broker_read(broker, buffer, sizeof(buffer), 60000, &from);
	assert_true(got > 0);
	assert_int_equal(from, id);
	assert_int_equal(wpfile_event_next(buffer, got, &pos, &event), 1);
	return event;
}

static void a_subscriber_is_told_of_writes(void **state)
{
	const struct wpfile_subscription args = { .length = WPFILE_TO_END,
						  .cookie = 77 };
	const struct wpfile_event *event;
	uint64_t id;

	(void)state;
	assert_int_equal(wpfile_subscribe(file.target, &args, &id), 0);
	file.map[page] = 'w';
	event = read_one(id);
	assert_int_equal(event->type, WPFILE_EVENT_STORE);
	assert_int_equal(event->offset, page);
	assert_int_equal(event->cookie, 77);
	assert_int_equal(pwrite(file.fd, "w", 1, 4 * page), 1);
	assert_int_equal(read_one(id)->offset, 4 * page);
	assert_int_equal(wpfile_unsubscribe(broker, id), 0);
	assert_int_equal(wpfile_unsubscribe(broker, id), -ENOENT);
}

struct found {
	unsigned int nr;
	struct wpfile_holding last;
};

static int note(const struct wpfile_holding *holding, void *data)
{
	struct found *found = data;

	found->nr++;
	found->last = *holding;
	return 0;
}

static unsigned int monitors_of(const struct wpfile_query *query)
{
	unsigned int mode, nr = 0;

	for (mode = 0; mode < WPFILE_NR_MODES; mode++)
		nr += query->ret_monitors[mode];
	return nr;
}

static void what_is_held_is_listed_and_released(void **state)
{
	const struct wpfile_subscription args = { .length = WPFILE_TO_END };
	struct wpfile_query query = { .size = sizeof(query) };
	struct wpfile_broker *other;
	struct found found = { 0 };
	char buffer[WPFILE_BROKER_EVENTS];
	uint64_t id;

	(void)state;
	assert_int_equal(wpfile_broker_open(path, &other), 0);
	assert_int_equal(wpfile_subscribe(file.target, &args, &id), 0);
	assert_int_equal(wpfile_query(file.target, &query), 0);
	assert_int_equal(monitors_of(&query), 1);
	assert_int_equal(wpfile_broker_each(other, note, &found), 0);
	assert_int_equal(found.nr, 1);
	assert_int_equal(found.last.subscribers, 1);
	assert_int_not_equal(found.last.id, 0);
	assert_int_equal(wpfile_broker_release(other, found.last.id), 0);
	/* Who has subscribed learns it. */
	assert_int_equal(wpfile_broker_read(broker, buffer, sizeof(buffer), 60000,
					    &id), -EPIPE);
	assert_int_equal(wpfile_broker_release(other, found.last.id), -ENOENT);
	assert_int_equal(wpfile_target_use_broker(file.target, NULL), 0);
	assert_int_equal(wpfile_query(file.target, &query), 0);
	assert_int_equal(monitors_of(&query), 0);
	wpfile_broker_free(other);
}

static void metrics_end_as_the_format_demands(void **state)
{
	size_t size;
	char *text;

	(void)state;
	assert_int_equal(wpfile_broker_metrics(broker, &text), 0);
	size = strlen(text);
	assert_true(size > 6);
	assert_string_equal(text + size - 6, "# EOF\n");
	free(text);
}

/* The last test: there is no daemon behind it. */
static void the_end_of_the_daemon_is_epipe(void **state)
{
	struct wpfile_query query = { .size = sizeof(query) };

	(void)state;
	kill(daemon_pid, SIGKILL);
	waitpid(daemon_pid, NULL, 0);
	assert_int_equal(wpfile_query(file.target, &query), -EPIPE);
	assert_int_equal(wpfile_target_use_broker(file.target, NULL), 0);
	assert_int_equal(wpfile_query(file.target, &query), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

static const struct CMUnitTest tests[] = {
	TEST(a_monitor_of_the_daemons_works),
	TEST(a_snapshot_of_the_daemons_has_the_content),
	TEST(what_no_rule_allows_is_refused),
	TEST(a_subscriber_is_told_of_writes),
	TEST(what_is_held_is_listed_and_released),
	TEST(metrics_end_as_the_format_demands),
	TEST(the_end_of_the_daemon_is_epipe),
};

int main(int argc, char *argv[])
{
	need_kernel();
	if (argc != 2 || access(argv[1], X_OK)) {
		printf("1..0 # SKIP no daemon, which is the argument\n");
		return 4;
	}
	program = argv[1];
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("broker", tests, start_daemon,
					   stop_daemon) != 0;
}
