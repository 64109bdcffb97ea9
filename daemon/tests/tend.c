// SPDX-License-Identifier: GPL-2.0-or-later
/* Tending, with a kernel that does as it is told: one call after the other, and what comes of it. */
#include <pthread.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "client.h"
#include "clock.h"
#include "log.h"
#include "unit.h"

#define LONG	60	/* seconds that nothing here takes */
#define PAGE	4096UL
#define MAX	32

struct call {
	bool protects;
	struct span span;
};

/* --- the kernel --- */

static pthread_mutex_t inode_lock = PTHREAD_MUTEX_INITIALIZER;
static struct call calls[MAX];
static unsigned int nr_calls;
static int lift_err, protect_err;	/* of so many to come */
static unsigned int nr_lift_errs, nr_protect_errs;
static uint64_t failed_ns;	/* when it failed last */

int __real_ioctl(int fd, unsigned long command, ...);
int __wrap_ioctl(int fd, unsigned long command, ...);

static int set_errno(int err)
{
	errno = err;
	return -1;
}

static int change(bool protects, uint64_t address, unsigned int nr)
{
	const struct wpfile_range *ranges = (const void *)(uintptr_t)address;
	unsigned int i, *nr_errs = protects ? &nr_protect_errs : &nr_lift_errs;

	pthread_mutex_lock(&inode_lock);
	pthread_mutex_unlock(&inode_lock);
	if (*nr_errs) {
		--*nr_errs;
		failed_ns = now_ns();
		return set_errno(protects ? protect_err : lift_err);
	}
	for (i = 0; i < nr && nr_calls < MAX; i++)
		calls[nr_calls++] = (struct call){
			protects, span_of(ranges[i].offset, ranges[i].length)
		};
	return 0;
}

int __wrap_ioctl(int fd, unsigned long command, ...)
{
	const struct wpfile_unprotect *unprotect;
	const struct wpfile_protect *protect;
	va_list list;
	void *args;

	va_start(list, command);
	args = va_arg(list, void *);
	va_end(list);
	protect = args;
	unprotect = args;
	switch (command) {
	case WPFILE_IOC_QUERY:
		return 0;
	case WPFILE_IOC_MONITOR:
		return eventfd(0, EFD_CLOEXEC);
	case WPFILE_IOC_PROTECT:
		return change(true, protect->ranges, protect->nr_ranges);
	case WPFILE_IOC_UNPROTECT:
		return change(false, unprotect->ranges, unprotect->nr_ranges);
	}
	return __real_ioctl(fd, command, args);
}

/* --- clients --- */

static struct watches watches;

struct answer {
	struct client *client;
	int result;
};

static struct client clients[4];
static struct answer answers[MAX];
static unsigned int nr_answers, nr_doomed;
static unsigned int nr_watches_then;	/* at the last answer */

void __wrap_client_finish(struct client *client, int result);
void __wrap_client_doom(struct client *client);

void __wrap_client_finish(struct client *client, int result)
{
	answers[nr_answers++] = (struct answer){ client, result };
	nr_watches_then = watches.nr_watches;
}

void __wrap_client_doom(struct client *client)
{
	client->doomed = true;
	nr_doomed++;
}

/* --- a daemon --- */

static struct chores chores;
static sd_event *event;
static struct user user;
static int file;

/* Workers outlive a test, and so do chores. */
static void set_up(void)
{
	if (!event) {
		rcu_register_thread();
		assert_true(sd_event_new(&event) >= 0);
		assert_int_equal(chores_init(&chores, event), 0);
		assert_int_equal(chores_begin(&chores), 0);
		assert_int_equal(watches_init(&watches, event, &chores), 0);
	}
	file = memfd_create("test", MFD_CLOEXEC);
	user = (struct user){ .connections = 1 };
	memset(clients, 0, sizeof(clients));
	nr_calls = nr_answers = nr_doomed = nr_lift_errs = nr_protect_errs = 0;
}

/* Until there are so many answers, and nothing is being done. */
static void run_until(unsigned int wanted)
{
	time_t end = time(NULL) + LONG;

	while ((nr_answers < wanted || chores.nr) && time(NULL) < end)
		sd_event_run(event, 10000);
	assert_int_equal(nr_answers, wanted);
}

static struct subscriber *subscribe(struct client *client, uint64_t page,
				    uint64_t nr)
{
	const struct wpfile_subscription args = {
		.offset = page * PAGE,
		.length = nr ? nr * PAGE : WPFILE_TO_END,
	};
	const struct wish wish = { .args = &args, .queue_limit = 1, .user = &user };
	struct subscriber *subscriber;

	assert_int_equal(watch_subscribe(&watches, client, file, &wish,
					 &subscriber), 0);
	return subscriber;
}

static struct subscriber *subscribed(struct client *client, uint64_t page,
				     uint64_t nr)
{
	struct subscriber *subscriber = subscribe(client, page, nr);
	unsigned int wanted = nr_answers + 1;

	run_until(wanted);
	assert_ptr_equal(answers[wanted - 1].client, client);
	assert_int_equal(answers[wanted - 1].result, 0);
	return subscriber;
}

static void assert_call(unsigned int i, bool protects, uint64_t page,
			uint64_t nr)
{
	const struct span span = span_of(page * PAGE,
					 nr ? nr * PAGE : WPFILE_TO_END);

	assert_true(i < nr_calls);
	assert_int_equal(calls[i].protects, protects);
	assert_int_equal(calls[i].span.first, span.first);
	assert_int_equal(calls[i].span.last, span.last);
}

static void tear_down(void)
{
	run_until(nr_answers);
	assert_null(watch_next(&watches, NULL));
	assert_int_equal(user.subscriptions, 0);
	close(file);
}

static void who_leaves_takes_along_what_nobody_else_has(void **state)
{
	struct subscriber *stays, *leaves;

	(void)state;
	set_up();
	stays = subscribed(&clients[0], 1, 1);
	leaves = subscribed(&clients[1], 0, 4);
	watch_leave(leaves);
	assert_int_equal(nr_answers, 2);
	run_until(3);
	assert_int_equal(nr_calls, 4);
	assert_call(2, false, 0, 1);
	assert_call(3, false, 2, 2);
	watch_leave(stays);
	assert_int_equal(nr_calls, 4);
	assert_int_equal(nr_answers, 4);
	assert_int_equal(nr_watches_then, 0);
	tear_down();
}

static void what_cannot_be_lifted_is_lifted_later(void **state)
{
	struct subscriber *stays;
	time_t end = time(NULL) + LONG;

	(void)state;
	set_up();
	stays = subscribed(&clients[0], 1, 1);
	lift_err = ENOMEM;
	nr_lift_errs = 2;
	watch_unsubscribe(subscribed(&clients[1], 0, 2));
	while ((nr_calls < 4 || chores.nr) && time(NULL) < end)
		sd_event_run(event, 100000);
	assert_int_equal(nr_lift_errs, 0);
	assert_call(2, false, 0, 1);
	assert_call(3, false, 2, 0);
	watch_unsubscribe(stays);
	tear_down();
}

/* Behind what is the longest file nothing is protected, nor lifted. */
static void what_can_never_be_lifted_is_not_tried(void **state)
{
	struct subscriber *stays;

	(void)state;
	set_up();
	stays = subscribed(&clients[0], 0, 1UL << 51);
	watch_unsubscribe(subscribed(&clients[1], 0, 0));
	run_until(2);
	assert_int_equal(nr_calls, 2);
	watch_unsubscribe(subscribed(&clients[1], 1, 0));
	watch_unsubscribe(stays);
	tear_down();
}

static void who_comes_meanwhile_is_seen_to_next(void **state)
{
	struct subscriber *first, *second, *third;

	(void)state;
	set_up();
	first = subscribed(&clients[0], 0, 4);
	pthread_mutex_lock(&inode_lock);
	second = subscribe(&clients[1], 8, 1);
	watch_leave(first);
	third = subscribe(&clients[2], 2, 1);
	assert_int_equal(nr_answers, 1);
	pthread_mutex_unlock(&inode_lock);
	run_until(4);
	assert_ptr_equal(answers[1].client, &clients[1]);
	assert_int_equal(nr_calls, 5);
	assert_call(1, true, 8, 1);
	assert_call(2, false, 0, 2);
	assert_call(3, false, 3, 1);
	assert_call(4, true, 2, 1);
	watch_unsubscribe(second);
	watch_unsubscribe(third);
	run_until(4);
	tear_down();
}

/* He pays until that is done, or somebody else is there to pay. */
static void who_leaves_meanwhile_is_told_nothing(void **state)
{
	(void)state;
	set_up();
	pthread_mutex_lock(&inode_lock);
	watch_unsubscribe(subscribe(&clients[0], 0, 1));
	assert_non_null(watch_next(&watches, NULL));
	assert_int_equal(user.subscriptions, 1);
	watch_unsubscribe(subscribe(&clients[0], 0, 1));
	assert_int_equal(watches.nr_watches, 1);
	assert_int_equal(user.subscriptions, 1);
	pthread_mutex_unlock(&inode_lock);
	run_until(0);
	assert_int_equal(nr_calls, 1);
	tear_down();
}

static void each_has_his_own_errno(void **state)
{
	struct subscriber *stays;

	(void)state;
	set_up();
	stays = subscribed(&clients[0], 0, 1);
	protect_err = ENOMEM;
	nr_protect_errs = 1;
	subscribe(&clients[1], 1, 1);
	run_until(2);
	assert_int_equal(answers[1].result, -ENOMEM);
	assert_int_equal(nr_doomed, 0);
	assert_int_equal(watches.nr_subscribers, 1);
	watch_unsubscribe(stays);
	tear_down();
}

/* Who is protected last has lost nothing by a cut that was given up before. */
static void what_was_lost_before_is_not_his(void **state)
{
	struct subscriber *first, *last;

	(void)state;
	set_up();
	first = subscribed(&clients[0], 0, 1);
	protect_err = ETIMEDOUT;
	nr_protect_errs = 1;
	subscribe(&clients[1], 1, 1);
	last = subscribe(&clients[2], 2, 1);
	run_until(3);
	assert_int_equal(answers[1].result, -ETIMEDOUT);
	assert_int_equal(answers[2].result, 0);
	assert_in_range(failed_ns, first->queue.since_ns, last->queue.since_ns);
	watch_unsubscribe(first);
	watch_unsubscribe(last);
	tear_down();
}

/* Lines on stderr, if all is lost now. */
static unsigned int say_losses(struct watch *watch)
{
	int kept = dup(STDERR_FILENO), fd = memfd_create("log", 0);
	char text[1024];
	ssize_t i, got;
	unsigned int nr = 0;

	uatomic_set(&watch->lost, 1);
	uatomic_inc(&watches.losses);
	dup2(fd, STDERR_FILENO);
	watches_log_losses(&watches);
	dup2(kept, STDERR_FILENO);
	got = pread(fd, text, sizeof(text), 0);
	for (i = 0; i < got; i++)
		nr += text[i] == '\n';
	close(fd);
	close(kept);
	return nr;
}

static void losses_are_logged_not_more_than_once_a_second(void **state)
{
	struct subscriber *subscriber;
	struct watch *watch;

	(void)state;
	set_up();
	log_open(LOG_INFO);
	subscriber = subscribed(&clients[0], 0, 1);
	watch = subscriber->watch;
	assert_int_equal(say_losses(watch), 1);
	assert_int_equal(say_losses(watch), 0);
	watch->logged_ns -= NSEC_PER_SEC;
	assert_int_equal(say_losses(watch), 1);
	watch_unsubscribe(subscriber);
	tear_down();
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(who_leaves_takes_along_what_nobody_else_has),
	cmocka_unit_test(what_cannot_be_lifted_is_lifted_later),
	cmocka_unit_test(what_can_never_be_lifted_is_not_tried),
	cmocka_unit_test(who_comes_meanwhile_is_seen_to_next),
	cmocka_unit_test(who_leaves_meanwhile_is_told_nothing),
	cmocka_unit_test(each_has_his_own_errno),
	cmocka_unit_test(what_was_lost_before_is_not_his),
	cmocka_unit_test(losses_are_logged_not_more_than_once_a_second),
};

SUITE(tend_suite, tests);
