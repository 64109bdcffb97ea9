// SPDX-License-Identifier: GPL-2.0-only
/*
 * What happens to a task while it waits for the answer of a SYNC monitor:
 * signals, death, stops, tracing, the freezer; and to the threads beside it.
 */
#include "harness.h"
#include "wait.h"
#include <fcntl.h>
#include <linux/falloc.h>
#include <setjmp.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>

#define PAGES 16
#define DATA 64
#define THE_PAGE 3
#define OTHER_PAGE 5

/* What is told across processes. */
struct shared {
	volatile int signals;	/* that a handler has seen */
	volatile pid_t tid;	/* of him who waits */
	volatile int done;	/* writes */
};

/* clang-format off */
FIXTURE(tasks) {
	struct area area;
	int monitor;
	struct worker writer, other;
};

/* Two ways to wait: in a fault, and at the return of a system call. */
FIXTURE_VARIANT(tasks) {
	worker_fn write;
	long call;
};
/* clang-format on */

static struct shared *shared;

static long do_store(void *argument, long page)
{
	struct area *area = argument;

	area->map[page * PAGE + DATA] = 'N';
	shared->done++;
	return 0;
}

static long do_pwrite(void *argument, long page)
{
	struct area *area = argument;
	ssize_t done = pwrite(area->fd, "N", 1, page * PAGE + DATA);

	shared->done++;
	return done == 1 ? 0 : -errno;
}

static long do_punch(void *argument, long page)
{
	struct area *area = argument;
	int ret = fallocate(area->fd,
			    FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
			    page * PAGE, PAGE);

	shared->done++;
	return ret ? -errno : 0;
}

/* clang-format off */
FIXTURE_VARIANT_ADD(tasks, store) { .write = do_store, .call = IN_NO_CALL };
FIXTURE_VARIANT_ADD(tasks, pwrite) { .write = do_pwrite, .call = SYS_pwrite64 };
FIXTURE_VARIANT_ADD(tasks, punch) { .write = do_punch, .call = SYS_fallocate };
/* clang-format on */

/* The workers come first: they do not inherit the monitor. */
FIXTURE_SETUP(tasks)
{
	shared = mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, shared);
	ASSERT_EQ(0, area_make_filled(&self->area, MEMFD, PAGES * PAGE));
	area_touch(&self->area);
	ASSERT_EQ(0, worker_start(&self->writer));
	ASSERT_EQ(0, worker_start(&self->other));
	self->monitor = sync_protect(&self->area);
	ASSERT_LE(0, self->monitor);
}

FIXTURE_TEARDOWN(tasks)
{
	close(self->monitor);
	kill(self->writer.pid, SIGCONT);
	worker_stop(&self->writer);
	worker_stop(&self->other);
	area_free(&self->area);
}

/* The writer waits for THE_PAGE, and this is the event. */
static void make_wait(struct __test_metadata *const _metadata,
		      FIXTURE_DATA(tasks) *self,
		      const FIXTURE_VARIANT(tasks) *variant,
		      struct wpfile_event *event)
{
	worker_begin(&self->writer, variant->write, &self->area, THE_PAGE);
	ASSERT_EQ(0, event_expect(self->monitor, event, WPFILE_WAITING,
				  THE_PAGE));
	ASSERT_TRUE(comes_to_sleep_in(self->writer.pid, variant->call));
	ASSERT_FALSE(worker_has_ended(&self->writer, MOMENT));
}

/* He still does, for the same event. */
static void expect_waiting(struct __test_metadata *const _metadata,
			   FIXTURE_DATA(tasks) *self,
			   const FIXTURE_VARIANT(tasks) *variant)
{
	EXPECT_FALSE(worker_has_ended(&self->writer, MOMENT));
	EXPECT_TRUE(comes_to_sleep_in(self->writer.pid, variant->call));
	EXPECT_FALSE(event_is_there(self->monitor, 0));
	EXPECT_EQ(0, shared->done);
}

static void allow(struct __test_metadata *const _metadata,
		  FIXTURE_DATA(tasks) *self, const struct wpfile_event *event)
{
	EXPECT_EQ(0, sync_allow(self->monitor, event));
	EXPECT_EQ(0, worker_result(&self->writer));
	EXPECT_EQ(1, shared->done);
	EXPECT_NE(self->area.before[THE_PAGE * PAGE + DATA],
		  self->area.map[THE_PAGE * PAGE + DATA]);
}

static void expect_unwritten(struct __test_metadata *const _metadata,
			     FIXTURE_DATA(tasks) *self)
{
	EXPECT_STREQ("", unprotected(self->monitor));
	EXPECT_STREQ("same", compare(self->area.fd, self->area.before,
				     self->area.size));
}

/* --- in the writer: how it takes signals --- */

static void count_signal(int sig)
{
	(void)sig;
	shared->signals++;
}

static long catch_signals(void *argument, long flags)
{
	struct sigaction action = { .sa_handler = count_signal,
				    .sa_flags = flags };

	(void)argument;
	return sigaction(SIGUSR1, &action, NULL);
}

static long ignore_signals(void *argument, long value)
{
	(void)argument;
	(void)value;
	return signal(SIGUSR1, SIG_IGN) == SIG_ERR ? -errno : 0;
}

static struct area *signal_area;

static void store_other_page(int sig)
{
	(void)sig;
	shared->signals++;
	signal_area->map[OTHER_PAGE * PAGE + DATA] = 'N';
	shared->signals++;
}

static long store_in_signals(void *argument, long value)
{
	(void)value;
	signal_area = argument;
	return signal(SIGUSR1, store_other_page) == SIG_ERR ? -errno : 0;
}

static bool comes_to(volatile int *counter, int value)
{
	uint64_t end = now_ns() + SOON * 1000000000ULL;

	while (*counter < value && now_ns() < end)
		sleep_ms(1);
	return *counter >= value;
}

/* --- signals --- */

/* It runs at once; the write is tried again, whatever the handler's flags. */
TEST_F(tasks, signal_handler_runs_and_the_write_is_tried_again)
{
	struct wpfile_event event;

	ASSERT_EQ(0, worker_call(&self->writer, catch_signals, NULL, 0));
	make_wait(_metadata, self, variant, &event);
	kill(self->writer.pid, SIGUSR1);
	EXPECT_TRUE(comes_to(&shared->signals, 1));
	expect_waiting(_metadata, self, variant);
	kill(self->writer.pid, SIGUSR1);
	EXPECT_TRUE(comes_to(&shared->signals, 2));
	expect_waiting(_metadata, self, variant);
	expect_unwritten(_metadata, self);
	allow(_metadata, self, &event);
}

TEST_F(tasks, restarting_handler_is_no_different)
{
	struct wpfile_event event;

	ASSERT_EQ(0, worker_call(&self->writer, catch_signals, NULL,
				 SA_RESTART));
	make_wait(_metadata, self, variant, &event);
	kill(self->writer.pid, SIGUSR1);
	EXPECT_TRUE(comes_to(&shared->signals, 1));
	expect_waiting(_metadata, self, variant);
	allow(_metadata, self, &event);
}

TEST_F(tasks, ignored_signal_changes_nothing)
{
	struct wpfile_event event;

	ASSERT_EQ(0, worker_call(&self->writer, ignore_signals, NULL, 0));
	make_wait(_metadata, self, variant, &event);
	kill(self->writer.pid, SIGUSR1);
	expect_waiting(_metadata, self, variant);
	allow(_metadata, self, &event);
}

/* He waits within a handler that interrupted his waiting. */
TEST_F(tasks, signal_handler_waits_too)
{
	struct wpfile_event event, inner;

	ASSERT_EQ(0, worker_call(&self->writer, store_in_signals, &self->area,
				 0));
	make_wait(_metadata, self, variant, &event);
	kill(self->writer.pid, SIGUSR1);
	ASSERT_EQ(0, event_expect(self->monitor, &inner, WPFILE_WAITING,
				  OTHER_PAGE));
	EXPECT_EQ(1, shared->signals);
	EXPECT_EQ(0, sync_allow(self->monitor, &inner));
	EXPECT_TRUE(comes_to(&shared->signals, 2));
	expect_waiting(_metadata, self, variant);
	EXPECT_STREQ("5", unprotected(self->monitor));
	allow(_metadata, self, &event);
}

static sigjmp_buf before_write;

static void leave_write(int sig)
{
	(void)sig;
	siglongjmp(before_write, 1);
}

/* *@argument: what else to do. */
struct leaving {
	struct area *area;
	worker_fn write;
};

static long write_or_leave(void *argument, long page)
{
	struct leaving *leaving = argument;

	signal(SIGUSR1, leave_write);
	if (sigsetjmp(before_write, 1))
		return -EINTR;
	return leaving->write(leaving->area, page);
}

TEST_F(tasks, signal_handler_leaves_the_write)
{
	struct leaving *leaving = (void *)(shared + 1);
	struct wpfile_event event;

	*leaving = (struct leaving){ &self->area, variant->write };
	worker_begin(&self->writer, write_or_leave, leaving, THE_PAGE);
	ASSERT_EQ(0, event_expect(self->monitor, &event, WPFILE_WAITING,
				  THE_PAGE));
	ASSERT_TRUE(comes_to_sleep_in(self->writer.pid, variant->call));
	kill(self->writer.pid, SIGUSR1);
	EXPECT_EQ(-EINTR, worker_result(&self->writer));
	expect_unwritten(_metadata, self);

	/* And comes back, for the same answer. */
	worker_begin(&self->writer, variant->write, &self->area, THE_PAGE);
	expect_waiting(_metadata, self, variant);
	allow(_metadata, self, &event);
}

static long write_under_timer(void *argument, long page)
{
	struct itimerval timer = { { 0, 3000 }, { 0, 3000 } }, off = {};
	struct sigaction action = { .sa_handler = count_signal };
	struct leaving *leaving = argument;
	long ret;

	sigaction(SIGALRM, &action, NULL);
	setitimer(ITIMER_REAL, &timer, NULL);
	ret = leaving->write(leaving->area, page);
	setitimer(ITIMER_REAL, &off, NULL);
	return ret;
}

/* Interrupted all the time, he gets there once he is allowed to. */
TEST_F(tasks, storm_of_signals)
{
	struct leaving *leaving = (void *)(shared + 1);
	size_t page;

	*leaving = (struct leaving){ &self->area, variant->write };
	for (page = 0; page < PAGES; page++) {
		shared->signals = 0;
		worker_begin(&self->writer, write_under_timer, leaving, page);
		EXPECT_TRUE(comes_to(&shared->signals, 5));
		EXPECT_FALSE(worker_has_ended(&self->writer, 0));
		ASSERT_EQ(0, worker_result_allowing(&self->writer,
						    self->monitor));
	}
	EXPECT_STREQ("0-15", unprotected(self->monitor));
}

/* --- stopped, frozen, traced --- */

static char state_of(pid_t pid)
{
	char path[64], text[512], *end;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	if (file_read(path, text, sizeof(text)))
		return 0;
	end = strrchr(text, ')');
	return end ? end[2] : 0;
}

static bool comes_to_state(pid_t pid, char state)
{
	uint64_t end = now_ns() + SOON * 1000000000ULL;

	while (state_of(pid) != state && now_ns() < end)
		sleep_ms(1);
	return state_of(pid) == state;
}

TEST_F(tasks, stopped_and_continued)
{
	struct wpfile_event event;

	make_wait(_metadata, self, variant, &event);
	kill(self->writer.pid, SIGSTOP);
	EXPECT_TRUE(comes_to_state(self->writer.pid, 'T'));
	kill(self->writer.pid, SIGCONT);
	expect_waiting(_metadata, self, variant);
	expect_unwritten(_metadata, self);
	allow(_metadata, self, &event);
}

/* The answer comes while he is stopped; he goes on when he can. */
TEST_F(tasks, allowed_while_stopped)
{
	struct wpfile_event event;

	make_wait(_metadata, self, variant, &event);
	kill(self->writer.pid, SIGSTOP);
	ASSERT_TRUE(comes_to_state(self->writer.pid, 'T'));
	EXPECT_EQ(0, sync_allow(self->monitor, &event));
	EXPECT_EQ(0, shared->done);
	kill(self->writer.pid, SIGCONT);
	EXPECT_EQ(0, worker_result(&self->writer));
	EXPECT_EQ(1, shared->done);
}

/* A stopped waiter does not hold up who waits for the same page. */
TEST_F(tasks, stopped_beside_another)
{
	struct wpfile_event event;

	make_wait(_metadata, self, variant, &event);
	worker_begin(&self->other, do_store, &self->area, THE_PAGE);
	ASSERT_TRUE(comes_to_sleep_in(self->other.pid, IN_NO_CALL));
	kill(self->writer.pid, SIGSTOP);
	ASSERT_TRUE(comes_to_state(self->writer.pid, 'T'));
	EXPECT_FALSE(event_is_there(self->monitor, 0));
	EXPECT_EQ(0, sync_allow(self->monitor, &event));
	EXPECT_EQ(0, worker_result(&self->other));
	kill(self->writer.pid, SIGCONT);
	EXPECT_EQ(0, worker_result(&self->writer));
}

TEST_F(tasks, ptrace_stops_a_waiter)
{
	pid_t pid = self->writer.pid;
	struct wpfile_event event;
	int status;

	make_wait(_metadata, self, variant, &event);
	ASSERT_EQ(0, ptrace(PTRACE_SEIZE, pid, NULL, NULL));
	ASSERT_EQ(0, ptrace(PTRACE_INTERRUPT, pid, NULL, NULL));
	ASSERT_TRUE(comes_to_state(pid, 't'));
	ASSERT_EQ(pid, waitpid(pid, &status, __WALL));
	EXPECT_TRUE(WIFSTOPPED(status));
	ASSERT_EQ(0, ptrace(PTRACE_CONT, pid, NULL, NULL));
	expect_waiting(_metadata, self, variant);
	ASSERT_EQ(0, ptrace(PTRACE_INTERRUPT, pid, NULL, NULL));
	ASSERT_EQ(pid, waitpid(pid, &status, __WALL));
	ASSERT_EQ(0, ptrace(PTRACE_DETACH, pid, NULL, NULL));
	expect_waiting(_metadata, self, variant);
	expect_unwritten(_metadata, self);
	allow(_metadata, self, &event);
}

/* The signal stops the write for the tracer, who takes it away. */
TEST_F(tasks, ptrace_suppresses_a_signal)
{
	pid_t pid = self->writer.pid;
	struct wpfile_event event;
	int status;

	make_wait(_metadata, self, variant, &event);
	ASSERT_EQ(0, ptrace(PTRACE_SEIZE, pid, NULL, NULL));
	kill(pid, SIGUSR1); /* would kill it */
	ASSERT_TRUE(comes_to_state(pid, 't'));
	ASSERT_EQ(pid, waitpid(pid, &status, __WALL));
	EXPECT_EQ(SIGUSR1, WSTOPSIG(status));
	ASSERT_EQ(0, ptrace(PTRACE_DETACH, pid, NULL, NULL));
	expect_waiting(_metadata, self, variant);
	allow(_metadata, self, &event);
}

static int freeze(const char *path, bool on)
{
	char name[256];
	uint64_t end = now_ns() + SOON * 1000000000ULL;

	snprintf(name, sizeof(name), "%s/cgroup.freeze", path);
	if (file_write(name, on ? "1" : "0"))
		return -errno;
	snprintf(name, sizeof(name), "%s/cgroup.events", path);
	while (file_number(name, "frozen ") != on && now_ns() < end)
		sleep_ms(1);
	return file_number(name, "frozen ") == on ? 0 : -ETIMEDOUT;
}

static long enter_cgroup(void *argument, long value)
{
	(void)value;
	return cgroup_enter(argument);
}

TEST_F(tasks, frozen_while_waiting)
{
	char *path = (char *)(shared + 1);
	struct wpfile_event event;
	int ret;

	ret = cgroup_make(path, 256, -1, -1);
	SKIP_UNLESS(!ret, "cannot make a cgroup: %s", strerror(-ret));
	ASSERT_EQ(0, worker_call(&self->writer, enter_cgroup, path, 0));
	make_wait(_metadata, self, variant, &event);
	EXPECT_EQ(0, freeze(path, true));
	EXPECT_EQ(0, freeze(path, false));
	expect_waiting(_metadata, self, variant);
	expect_unwritten(_metadata, self);

	/* The answer comes while he is frozen. */
	EXPECT_EQ(0, freeze(path, true));
	EXPECT_EQ(0, sync_allow(self->monitor, &event));
	EXPECT_FALSE(worker_has_ended(&self->writer, MOMENT));
	EXPECT_EQ(0, freeze(path, false));
	EXPECT_EQ(0, worker_result(&self->writer));
	EXPECT_EQ(1, shared->done);
	EXPECT_EQ(0, kill(self->writer.pid, SIGKILL));
	waitpid(self->writer.pid, NULL, 0);
	cgroup_remove(path);
}

/* --- death --- */

static bool dies(pid_t pid, int *status)
{
	uint64_t end = now_ns() + SOON * 1000000000ULL;
	pid_t ret;

	while (!(ret = waitpid(pid, status, WNOHANG)) && now_ns() < end)
		sleep_ms(1);
	return ret == pid;
}

/* Of him who is gone: the next one waits for the same answer. */
static void expect_event_alone(struct __test_metadata *const _metadata,
			       FIXTURE_DATA(tasks) *self,
			       const FIXTURE_VARIANT(tasks) *variant,
			       const struct wpfile_event *event)
{
	EXPECT_EQ(0, shared->done);
	expect_unwritten(_metadata, self);
	worker_begin(&self->other, variant->write, &self->area, THE_PAGE);
	EXPECT_TRUE(comes_to_sleep_in(self->other.pid, variant->call));
	EXPECT_FALSE(worker_has_ended(&self->other, MOMENT));
	EXPECT_FALSE(event_is_there(self->monitor, 0));
	EXPECT_EQ(0, sync_allow(self->monitor, event));
	EXPECT_EQ(0, worker_result(&self->other));
	EXPECT_EQ(-ENOENT, sync_allow(self->monitor, event));
	EXPECT_STREQ("3", unprotected(self->monitor));
}

TEST_F(tasks, killed)
{
	struct wpfile_event event;
	int status;

	make_wait(_metadata, self, variant, &event);
	kill(self->writer.pid, SIGKILL);
	ASSERT_TRUE(dies(self->writer.pid, &status));
	EXPECT_EQ(SIGKILL, WTERMSIG(status));
	expect_event_alone(_metadata, self, variant, &event);
}

/* Nobody has read his event yet. */
TEST_F(tasks, killed_before_the_event_is_read)
{
	struct wpfile_event event;
	int status;

	worker_begin(&self->writer, variant->write, &self->area, THE_PAGE);
	ASSERT_TRUE(comes_to_sleep_in(self->writer.pid, variant->call));
	ASSERT_TRUE(event_is_there(self->monitor, SOON * 1000));
	kill(self->writer.pid, SIGKILL);
	ASSERT_TRUE(dies(self->writer.pid, &status));
	ASSERT_EQ(0, event_expect(self->monitor, &event, WPFILE_WAITING,
				  THE_PAGE));
	expect_event_alone(_metadata, self, variant, &event);
}

/* The answers to an event that nobody waits for. */
TEST_F(tasks, answers_after_death)
{
	struct wpfile_event first, second;
	struct worker third;
	int status;

	ASSERT_EQ(0, worker_start(&third));
	make_wait(_metadata, self, variant, &first);
	kill(self->writer.pid, SIGKILL);
	ASSERT_TRUE(dies(self->writer.pid, &status));
	EXPECT_EQ(0, sync_fail(self->monitor, &first));
	EXPECT_EQ(-ENOENT, sync_allow(self->monitor, &first));
	expect_unwritten(_metadata, self);

	/* It has failed nobody: the next one is a new question. */
	worker_begin(&self->other, variant->write, &self->area, THE_PAGE);
	ASSERT_EQ(0, event_expect(self->monitor, &second, WPFILE_WAITING,
				  THE_PAGE));
	EXPECT_NE(first.id, second.id);
	kill(self->other.pid, SIGKILL);
	ASSERT_TRUE(dies(self->other.pid, &status));
	EXPECT_EQ(0, sync_allow(self->monitor, &second));
	EXPECT_STREQ("3", unprotected(self->monitor));
	worker_begin(&third, variant->write, &self->area, THE_PAGE);
	EXPECT_EQ(0, worker_result(&third));
	EXPECT_FALSE(event_is_there(self->monitor, MOMENT));
	worker_stop(&third);
}

/* The monitor goes before the event is answered, or even read. */
TEST_F(tasks, monitor_closed_after_death)
{
	int status;

	worker_begin(&self->writer, variant->write, &self->area, THE_PAGE);
	ASSERT_TRUE(event_is_there(self->monitor, SOON * 1000));
	kill(self->writer.pid, SIGKILL);
	ASSERT_TRUE(dies(self->writer.pid, &status));
	close(self->monitor);
	self->monitor = -1;
	EXPECT_EQ(0, wp_count(self->area.fd, WPFILE_SYNC));
	worker_begin(&self->other, variant->write, &self->area, THE_PAGE);
	EXPECT_EQ(0, worker_result(&self->other));
}

/* Who comes later does not wait longer than the first one would have. */
TEST_F(tasks, limit_counts_from_the_first)
{
	struct wpfile_monitor request = { .wait_limit_ms = 6000 };
	uint64_t start = now_ns();
	struct wpfile_event event;
	int monitor, status;

	ASSERT_EQ(0, wp_unprotect(self->monitor, 0, WPFILE_TO_END));
	monitor = sync_monitor(&self->area, request);
	ASSERT_LE(0, monitor);
	ASSERT_EQ(0, wp_protect(monitor, 0, WPFILE_TO_END));
	worker_begin(&self->writer, variant->write, &self->area, THE_PAGE);
	ASSERT_EQ(0, event_expect(monitor, &event, WPFILE_WAITING, THE_PAGE));
	kill(self->writer.pid, SIGKILL);
	ASSERT_TRUE(dies(self->writer.pid, &status));
	sleep_ms(4000);
	worker_begin(&self->other, variant->write, &self->area, THE_PAGE);
	EXPECT_EQ(0, worker_result(&self->other));
	EXPECT_GT(9 * 1000000000ULL, now_ns() - start);
	EXPECT_EQ(0, event_expect(monitor, &event, WPFILE_PASSED, THE_PAGE));
	EXPECT_STREQ("same", compare(monitor, self->area.before,
				     self->area.size));
	close(monitor);
}

TEST_F(tasks, terminated_by_an_unhandled_signal)
{
	struct wpfile_event event;
	int status;

	make_wait(_metadata, self, variant, &event);
	kill(self->writer.pid, SIGTERM);
	ASSERT_TRUE(dies(self->writer.pid, &status));
	EXPECT_EQ(SIGTERM, WTERMSIG(status));
	expect_event_alone(_metadata, self, variant, &event);
}

TEST_F(tasks, killed_beside_another_who_waits_on)
{
	struct wpfile_event event;
	int status;

	make_wait(_metadata, self, variant, &event);
	worker_begin(&self->other, variant->write, &self->area, THE_PAGE);
	ASSERT_TRUE(comes_to_sleep_in(self->other.pid, variant->call));
	kill(self->writer.pid, SIGKILL);
	ASSERT_TRUE(dies(self->writer.pid, &status));
	EXPECT_FALSE(worker_has_ended(&self->other, MOMENT));
	expect_unwritten(_metadata, self);
	EXPECT_EQ(0, sync_allow(self->monitor, &event));
	EXPECT_EQ(0, worker_result(&self->other));
}

TEST_F(tasks, killed_while_stopped)
{
	struct wpfile_event event;
	int status;

	make_wait(_metadata, self, variant, &event);
	kill(self->writer.pid, SIGSTOP);
	ASSERT_TRUE(comes_to_state(self->writer.pid, 'T'));
	kill(self->writer.pid, SIGKILL);
	ASSERT_TRUE(dies(self->writer.pid, &status));
	expect_event_alone(_metadata, self, variant, &event);
}

/* --- threads beside a waiter, in a process of their own --- */

struct process {
	struct area *area;
	worker_fn write;
};

static void *write_in_thread(void *argument)
{
	struct process *process = argument;

	shared->tid = gettid();
	process->write(process->area, THE_PAGE);
	return NULL;
}

/* A process with a thread that waits; the first one goes on with @end. */
static pid_t start_process(struct process *process, void (*end)(void))
{
	pid_t pid = fork();
	pthread_t thread;

	if (pid)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	shared->tid = 0;
	if (pthread_create(&thread, NULL, write_in_thread, process))
		_exit(100);
	while (!shared->tid || sleeps_in(shared->tid) == RUNS)
		sleep_ms(1);
	/* He waits, and the event is read. */
	while (!shared->signals)
		sleep_ms(1);
	end();
	_exit(101);
}

static void end_exit(void)
{
	_exit(7);
}

static void end_exec(void)
{
	execl("/bin/sh", "sh", "-c", "exit 8", NULL);
}

static void end_abort(void)
{
	struct rlimit none = {};

	setrlimit(RLIMIT_CORE, &none);
	abort();
}

static void end_pthread_exit(void)
{
	pthread_exit(NULL);
}

static pid_t make_process_wait(struct __test_metadata *const _metadata,
			       FIXTURE_DATA(tasks) *self,
			       const FIXTURE_VARIANT(tasks) *variant,
			       void (*end)(void), struct wpfile_event *event)
{
	static struct process process;
	pid_t pid;

	process = (struct process){ &self->area, variant->write };
	pid = start_process(&process, end);
	ASSERT_LT(0, pid);
	ASSERT_EQ(0, event_expect(self->monitor, event, WPFILE_WAITING,
				  THE_PAGE));
	EXPECT_EQ((__u32)pid, event->tgid);
	EXPECT_EQ((__u32)shared->tid, event->tid);
	EXPECT_NE(event->tgid, event->tid);
	ASSERT_TRUE(comes_to_sleep_in(shared->tid, variant->call));
	shared->signals = 1;
	return pid;
}

/* The process inherited the monitor, which must not be what it hangs on. */
static void another_thread_ends(struct __test_metadata *const _metadata,
				FIXTURE_DATA(tasks) *self,
				const FIXTURE_VARIANT(tasks) *variant,
				void (*end)(void), int expected)
{
	struct wpfile_event event;
	int status = 0;
	pid_t pid;

	pid = make_process_wait(_metadata, self, variant, end, &event);
	ASSERT_TRUE(dies(pid, &status));
	EXPECT_EQ(expected, status);
	expect_event_alone(_metadata, self, variant, &event);
}

TEST_F(tasks, another_thread_exits_the_process)
{
	another_thread_ends(_metadata, self, variant, end_exit, 7 << 8);
}

TEST_F(tasks, another_thread_executes_a_program)
{
	another_thread_ends(_metadata, self, variant, end_exec, 8 << 8);
}

TEST_F(tasks, another_thread_aborts)
{
	another_thread_ends(_metadata, self, variant, end_abort, SIGABRT);
}

/* The first thread is gone, the waiter is the process now. */
TEST_F(tasks, first_thread_exits)
{
	struct wpfile_event event;
	int status = 0;
	pid_t pid;

	pid = make_process_wait(_metadata, self, variant, end_pthread_exit,
				&event);
	EXPECT_TRUE(comes_to_state(pid, 'Z'));
	EXPECT_EQ(0, waitpid(pid, &status, WNOHANG));
	EXPECT_EQ(0, sync_allow(self->monitor, &event));
	ASSERT_TRUE(dies(pid, &status));
	EXPECT_EQ(0, status);
	EXPECT_EQ(1, shared->done);
}

/* --- vfork --- */

static long write_in_vfork(void *argument, long page)
{
	struct process *process = argument;
	pid_t pid;
	int status;

	pid = vfork();
	if (!pid) {
		shared->tid = getpid();
		_exit(process->write(process->area, page) ? 1 : 0);
	}
	return waitpid(pid, &status, 0) == pid ? status : -errno;
}

TEST_F(tasks, vfork_child_waits)
{
	struct process *process = (void *)(shared + 1);
	struct wpfile_event event;

	*process = (struct process){ &self->area, variant->write };
	worker_begin(&self->writer, write_in_vfork, process, THE_PAGE);
	ASSERT_EQ(0, event_expect(self->monitor, &event, WPFILE_WAITING,
				  THE_PAGE));
	EXPECT_EQ((__u32)shared->tid, event.tid);
	ASSERT_TRUE(comes_to_sleep_in(shared->tid, variant->call));
	EXPECT_FALSE(worker_has_ended(&self->writer, MOMENT));
	EXPECT_EQ(0, sync_allow(self->monitor, &event));
	EXPECT_EQ(0, worker_result(&self->writer));
	EXPECT_EQ(1, shared->done);
}

/* The child waits on when its parent is killed. */
TEST_F(tasks, parent_of_vfork_child_is_killed)
{
	struct process *process = (void *)(shared + 1);
	struct wpfile_event event;
	int status;

	*process = (struct process){ &self->area, variant->write };
	worker_begin(&self->writer, write_in_vfork, process, THE_PAGE);
	ASSERT_EQ(0, event_expect(self->monitor, &event, WPFILE_WAITING,
				  THE_PAGE));
	ASSERT_TRUE(comes_to_sleep_in(shared->tid, variant->call));
	kill(self->writer.pid, SIGKILL);
	ASSERT_TRUE(dies(self->writer.pid, &status));
	EXPECT_EQ(0, sync_allow(self->monitor, &event));
	EXPECT_TRUE(comes_to(&shared->done, 1));
}

/* --- death at any moment --- */

/* Writers and handlers are killed in turn; nobody else is held up. */
TEST_F(tasks, killed_at_any_moment)
{
	uint64_t end = now_ns() + seconds_to_run(5) * 1000000000ULL;
	struct handler handler;
	unsigned int round;
	pid_t pid;
	long page;

	ASSERT_EQ(0, handler_start(&handler, self->monitor, self->area.size));
	for (round = 0; now_ns() < end; round++) {
		ASSERT_EQ(0, wp_protect(self->monitor, 0, WPFILE_TO_END));
		pid = fork();
		if (!pid) {
			for (page = 0;; page = (page + 1) % PAGES)
				variant->write(&self->area, page);
		}
		ASSERT_EQ(0, usleep(round % 20 * 500));
		kill(pid, SIGKILL);
		ASSERT_EQ(pid, waitpid(pid, NULL, 0));
	}
	/* The next one is served as ever. */
	ASSERT_EQ(0, wp_protect(self->monitor, 0, WPFILE_TO_END));
	worker_begin(&self->other, variant->write, &self->area, THE_PAGE);
	EXPECT_EQ(0, worker_result(&self->other));
	EXPECT_EQ(0, handler_stop(&handler));
	handler_free(&handler);
}

TEST_HARNESS_MAIN
