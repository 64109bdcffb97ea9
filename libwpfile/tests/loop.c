// SPDX-License-Identifier: LGPL-2.1-or-later
/* The loop, with pipes for monitors: events are what is written into them. */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

#include "unit.h"

#define MONS 20

static struct fixture {
	struct wpfile_loop *loop;
	struct wpfile_mon *mons[MONS];
	int feeds[MONS];
	/* What the callback saw and does. */
	uint64_t seen[256];
	unsigned int nr_seen;
	unsigned int stop_at;
	int stop_with;
	void (*act)(struct wpfile_mon *mon);
} f;

static void feed(unsigned int mon, uint64_t first, unsigned int nr)
{
	struct wpfile_event event = { .length = sizeof(event) };

	for (event.id = first; nr--; event.id++)
		assert_int_equal(write(f.feeds[mon], &event, sizeof(event)),
				 sizeof(event));
}

static int see(struct wpfile_mon *mon, const struct wpfile_event *event, void *data)
{
	assert_ptr_equal(data, &f);
	f.seen[f.nr_seen++] = event->id;
	if (f.act)
		f.act(mon);
	return f.nr_seen == f.stop_at ? f.stop_with : 0;
}

static int add(unsigned int mon)
{
	return wpfile_loop_add(f.loop, f.mons[mon], see, &f);
}

static int setup(void **state)
{
	unsigned int i;
	int fds[2];

	(void)state;
	memset(&f, 0, sizeof(f));
	if (wpfile_loop_new(&f.loop))
		return -1;
	for (i = 0; i < MONS; i++) {
		if (pipe2(fds, O_CLOEXEC) ||
		    wpfile_mon_dup_fd(fds[0], &f.mons[i]))
			return -1;
		close(fds[0]);
		f.feeds[i] = fds[1];
	}
	return 0;
}

static int teardown(void **state)
{
	unsigned int i;

	(void)state;
	wpfile_loop_free(f.loop);
	for (i = 0; i < MONS; i++) {
		wpfile_mon_free(f.mons[i]);
		close(f.feeds[i]);
	}
	return 0;
}

static bool is_ready(void)
{
	struct pollfd fd = { .fd = wpfile_loop_fd(f.loop), .events = POLLIN };

	return poll(&fd, 1, 0) == 1;
}

static void events_of_all_monitors_are_handed_over(void **state)
{
	unsigned int i;
	uint64_t sum = 0;
	int got;

	(void)state;
	for (i = 0; i < MONS; i++) {
		assert_int_equal(add(i), 0);
		feed(i, 100 * i, 3);
	}
	assert_true(is_ready());
	while ((got = wpfile_loop_run(f.loop, 0)) > 0)
		sum += got;
	assert_int_equal(got, 0);
	assert_int_equal(sum, 3 * MONS);
	assert_int_equal(f.nr_seen, 3 * MONS);
	assert_false(is_ready());
}

static void more_than_one_read_brings_come_in_order(void **state)
{
	unsigned int i;

	(void)state;
	assert_int_equal(add(0), 0);
	feed(0, 0, 200);
	while (wpfile_loop_run(f.loop, 0) > 0)
		;
	assert_int_equal(f.nr_seen, 200);
	for (i = 0; i < 200; i++)
		assert_int_equal(f.seen[i], i);
}

static void what_was_read_before_a_stop_comes_in_the_next_run(void **state)
{
	(void)state;
	assert_int_equal(add(0), 0);
	feed(0, 0, 5);
	f.stop_at = 2;
	f.stop_with = -77;
	assert_int_equal(wpfile_loop_run(f.loop, 0), -77);
	assert_int_equal(f.nr_seen, 2);
	assert_true(is_ready());
	f.stop_at = 0;
	assert_int_equal(wpfile_loop_run(f.loop, -1), 3);
	assert_int_equal(f.seen[4], 4);
	assert_false(is_ready());
	assert_int_equal(wpfile_loop_run(f.loop, 0), 0);
}

static void a_positive_stop_is_returned(void **state)
{
	(void)state;
	assert_int_equal(add(0), 0);
	feed(0, 0, 1);
	f.stop_at = 1;
	f.stop_with = 5;
	assert_int_equal(wpfile_loop_run(f.loop, -1), 5);
	assert_int_equal(wpfile_loop_run(f.loop, 0), 0);
	assert_false(is_ready());
}

static void a_monitor_is_in_one_loop_once(void **state)
{
	struct wpfile_loop *other;

	(void)state;
	assert_int_equal(wpfile_loop_remove(f.loop, f.mons[0]), -ENOENT);
	assert_int_equal(add(0), 0);
	assert_int_equal(add(0), -EEXIST);
	assert_int_equal(wpfile_loop_new(&other), 0);
	assert_int_equal(wpfile_loop_add(other, f.mons[0], see, &f), -EEXIST);
	assert_int_equal(wpfile_loop_remove(other, f.mons[0]), -ENOENT);
	assert_int_equal(wpfile_loop_remove(f.loop, f.mons[0]), 0);
	assert_int_equal(wpfile_loop_add(other, f.mons[0], see, &f), 0);
	wpfile_loop_free(other);
	/* It goes with its loop. */
	assert_int_equal(add(0), 0);
}

static void it_becomes_non_blocking(void **state)
{
	(void)state;
	assert_false(fcntl(wpfile_mon_fd(f.mons[0]), F_GETFL) & O_NONBLOCK);
	assert_int_equal(add(0), 0);
	assert_true(fcntl(wpfile_mon_fd(f.mons[0]), F_GETFL) & O_NONBLOCK);
}

static void remove_all(struct wpfile_mon *mon)
{
	unsigned int i;

	(void)mon;
	for (i = 0; i < MONS; i++)
		wpfile_loop_remove(f.loop, f.mons[i]);
}

static void a_callback_may_remove_any_monitor(void **state)
{
	unsigned int i;

	(void)state;
	for (i = 0; i < MONS; i++) {
		assert_int_equal(add(i), 0);
		feed(i, 0, 3);
	}
	f.act = remove_all;
	assert_int_equal(wpfile_loop_run(f.loop, -1), 1);
	assert_int_equal(f.nr_seen, 1);
	assert_false(is_ready());
	assert_int_equal(wpfile_loop_run(f.loop, 0), 0);
}

static void free_own(struct wpfile_mon *mon)
{
	unsigned int i;

	for (i = 0; i < MONS; i++)
		if (f.mons[i] == mon)
			f.mons[i] = NULL;
	assert_int_equal(wpfile_loop_remove(f.loop, mon), 0);
	wpfile_mon_free(mon);
}

static void a_callback_may_free_its_own_monitor(void **state)
{
	(void)state;
	assert_int_equal(add(0), 0);
	assert_int_equal(add(1), 0);
	feed(0, 10, 3);
	feed(1, 20, 3);
	f.act = free_own;
	assert_int_equal(wpfile_loop_run(f.loop, -1), 2);
	assert_null(f.mons[0]);
	assert_null(f.mons[1]);
}

static void add_another(struct wpfile_mon *mon)
{
	(void)mon;
	f.act = NULL;
	assert_int_equal(add(1), 0);
}

static void a_callback_may_add_a_monitor(void **state)
{
	(void)state;
	feed(0, 10, 1);
	feed(1, 20, 1);
	assert_int_equal(add(0), 0);
	f.act = add_another;
	assert_int_equal(wpfile_loop_run(f.loop, -1), 1);
	assert_int_equal(wpfile_loop_run(f.loop, -1), 1);
	assert_int_equal(f.seen[1], 20);
}

static void remove_own(struct wpfile_mon *mon)
{
	assert_int_equal(wpfile_loop_remove(f.loop, mon), 0);
}

/* A writer may wait for the answer to what was read and not handed over. */
static void nothing_is_lost_with_a_loop(void **state)
{
	struct wpfile_event events[2];

	(void)state;
	feed(0, 10, 5);
	assert_int_equal(add(0), 0);
	f.act = remove_own;
	assert_int_equal(wpfile_loop_run(f.loop, -1), 1);
	assert_int_equal(wpfile_read_events(f.mons[0], events, 8), -EINVAL);
	assert_int_equal(wpfile_read_events(f.mons[0], events, sizeof(events)),
			 sizeof(events));
	assert_int_equal(events[0].id, 11);
	assert_int_equal(events[1].id, 12);
	f.act = NULL;
	assert_int_equal(add(0), 0);
	assert_true(is_ready());
	assert_int_equal(wpfile_loop_run(f.loop, -1), 2);
	assert_int_equal(f.seen[1], 13);
	assert_int_equal(f.seen[2], 14);
	assert_int_equal(wpfile_read_events(f.mons[0], events, sizeof(events)),
			 -EAGAIN);
}

static int nested;

static void run_again(struct wpfile_mon *mon)
{
	(void)mon;
	nested = wpfile_loop_run(f.loop, 0);
}

static void a_run_in_a_run_is_refused(void **state)
{
	(void)state;
	assert_int_equal(add(0), 0);
	feed(0, 0, 1);
	f.act = run_again;
	assert_int_equal(wpfile_loop_run(f.loop, 0), 1);
	assert_int_equal(nested, -EBUSY);
}

static void what_is_no_event_is_refused(void **state)
{
	const struct wpfile_event wrong = { .length = 8 };

	(void)state;
	assert_int_equal(add(0), 0);
	assert_int_equal(write(f.feeds[0], &wrong, sizeof(wrong)), sizeof(wrong));
	assert_int_equal(wpfile_loop_run(f.loop, 0), -EBADMSG);
	feed(0, 5, 1);
	assert_int_equal(wpfile_loop_run(f.loop, 0), 1);
	assert_int_equal(f.seen[0], 5);
}

static void on_alarm(int number)
{
	(void)number;
}

static void a_signal_ends_the_wait(void **state)
{
	const struct itimerval soon = { .it_value.tv_usec = 20000,
					.it_interval.tv_usec = 20000 };
	const struct itimerval never = { 0 };
	const struct sigaction action = { .sa_handler = on_alarm };
	struct sigaction old;

	(void)state;
	assert_int_equal(add(0), 0);
	assert_int_equal(sigaction(SIGALRM, &action, &old), 0);
	assert_int_equal(setitimer(ITIMER_REAL, &soon, NULL), 0);
	errno = 1234;
	assert_int_equal(wpfile_loop_run(f.loop, -1), -EINTR);
	assert_int_equal(errno, 1234);
	setitimer(ITIMER_REAL, &never, NULL);
	sigaction(SIGALRM, &old, NULL);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

static const struct CMUnitTest tests[] = {
	TEST(events_of_all_monitors_are_handed_over),
	TEST(more_than_one_read_brings_come_in_order),
	TEST(what_was_read_before_a_stop_comes_in_the_next_run),
	TEST(a_positive_stop_is_returned),
	TEST(a_monitor_is_in_one_loop_once),
	TEST(it_becomes_non_blocking),
	TEST(a_callback_may_remove_any_monitor),
	TEST(a_callback_may_free_its_own_monitor),
	TEST(a_callback_may_add_a_monitor),
	TEST(nothing_is_lost_with_a_loop),
	TEST(a_run_in_a_run_is_refused),
	TEST(what_is_no_event_is_refused),
	TEST(a_signal_ends_the_wait),
};

SUITE(loop_suite, tests);
