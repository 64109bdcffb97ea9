// SPDX-License-Identifier: GPL-2.0-or-later
/* Chores: who waits holds up nobody, and is interrupted. */
#include <time.h>
#include <unistd.h>
#include <urcu/uatomic.h>

#include "chore.h"
#include "unit.h"

#define MANY	50
#define LONG	60	/* seconds that nothing here takes */

/* Workers outlive a test. */
static struct chores chores;
static sd_event *event;
static int pipe_fd[2];

struct job {
	struct chore chore;
	pthread_t thread;	/* that has run it */
	int err;
	bool done;
};

static struct job *job_of(struct chore *chore)
{
	return caa_container_of(chore, struct job, chore);
}

static void on_done(struct chore *chore)
{
	job_of(chore)->done = true;
}

static void run_short(struct chore *chore)
{
	job_of(chore)->thread = pthread_self();
}

/* Until a byte comes, or a signal. */
static void run_wait(struct chore *chore)
{
	char byte;

	job_of(chore)->err = read(pipe_fd[0], &byte, 1) < 0 ? errno : 0;
}

/* Whatever comes, but for a byte: as a file server that does not answer. */
static void run_wait_for_ever(struct chore *chore)
{
	do
		run_wait(chore);
	while (job_of(chore)->err == EINTR);
}

static void start(struct job *job, void (*run)(struct chore *chore))
{
	*job = (struct job){ .chore = { .run = run, .done = on_done } };
	chore_start(&chores, &job->chore);
}

static void wait_for(const struct job *jobs, size_t nr)
{
	time_t end = time(NULL) + LONG;
	size_t i;

	for (i = 0; i < nr; i++)
		while (!jobs[i].done && time(NULL) < end)
			sd_event_run(event, 1000);
	for (i = 0; i < nr; i++)
		assert_true(jobs[i].done);
}

static int set_up(void **state)
{
	(void)state;
	if (event)
		return 0;
	if (pipe(pipe_fd) < 0 || sd_event_new(&event) < 0 ||
	    chores_init(&chores, event) < 0)
		return -1;
	return chores_begin(&chores);
}

static void it_is_run_elsewhere_and_done_here(void **state)
{
	struct job job;

	(void)state;
	start(&job, run_short);
	usleep(200000);
	assert_false(job.done);
	wait_for(&job, 1);
	assert_false(pthread_equal(job.thread, pthread_self()));
	assert_int_equal(chores.nr, 0);
}

static void what_can_be_interrupted_ends(void **state)
{
	struct job jobs[MANY];
	size_t i;

	(void)state;
	for (i = 0; i < MANY; i++)
		start(&jobs[i], run_wait);
	wait_for(jobs, MANY);
	for (i = 0; i < MANY; i++)
		assert_int_equal(jobs[i].err, EINTR);
}

static void who_waits_holds_up_nobody(void **state)
{
	struct job stuck[MANY], job;
	size_t i;

	(void)state;
	for (i = 0; i < MANY; i++)
		start(&stuck[i], run_wait_for_ever);
	start(&job, run_short);
	wait_for(&job, 1);
	for (i = 0; i < MANY; i++)
		assert_false(stuck[i].done);
	assert_int_equal(chores.nr, MANY);
	for (i = 0; i < MANY; i++)
		assert_int_equal(write(pipe_fd[1], "x", 1), 1);
	wait_for(stuck, MANY);
}

static void few_workers_do_what_does_not_wait(void **state)
{
	struct job jobs[MANY];
	time_t end = time(NULL) + LONG;
	size_t i;

	(void)state;
	/* Those of before end, but for one. */
	while (uatomic_read(&chores.nr_workers) > 1 && time(NULL) < end)
		usleep(10000);
	assert_int_equal(uatomic_read(&chores.nr_workers), 1);
	for (i = 0; i < MANY; i++)
		start(&jobs[i], run_short);
	assert_in_range(uatomic_read(&chores.nr_workers), 1, 8);
	wait_for(jobs, MANY);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test_setup(it_is_run_elsewhere_and_done_here, set_up),
	cmocka_unit_test_setup(what_can_be_interrupted_ends, set_up),
	cmocka_unit_test_setup(who_waits_holds_up_nobody, set_up),
	cmocka_unit_test_setup(few_workers_do_what_does_not_wait, set_up),
};

SUITE(chore_suite, tests);
