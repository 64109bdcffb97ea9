// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What every writer does, and how all of them are started, stopped and ended.
 */
#define _GNU_SOURCE
#include <err.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "demo.h"
#include "writers.h"

#define SPINS		64
#define YIELDS		16
#define PATIENCE_NS	10000000000ULL

uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000ULL + ts.tv_nsec;
}

void writer_quit_if_told(struct task *t)
{
	if (atomic_load_explicit(&t->demo->ctl->quit, memory_order_relaxed))
		_exit(0);
}

static void await_head(struct task *t, unsigned int writer, uint64_t ops)
{
	uint64_t offset = t->m->head_page[writer] * PAGE_BYTES, seen;

	for (unsigned int i = 1; (seen = t->kind->load(t, offset)) < ops; i++) {
		if (i % SPINS) {
			__builtin_ia32_pause();
			continue;
		}
		writer_quit_if_told(t);
		if (t->kind->wait && i % (SPINS * YIELDS) == 0)
			t->kind->wait(t, writer, seen);
		else
			sched_yield();
	}
}

/*
 * The live file must keep what it was given: the page that the cause wrote is
 * there.  Its owner may be writing it again, by the kernel's copy even byte by
 * byte, so only a value that stays wrong is an error.
 */
static void check_cause_page(struct task *t, const struct cause *c)
{
	uint32_t page = op_page(t->m, c->writer, c->op);
	uint64_t until = now_ns() + PATIENCE_NS;

	do {
		uint64_t word = t->kind->load(t, page * PAGE_BYTES);
		uint64_t version = word ? version_of_word0(t->m, page, word) : 0;

		if (!word && t->m->kind[c->writer]->punches)
			return;
		if (version != PAGE_BAD && version >= op_version(t->m, c->op))
			return;
		writer_quit_if_told(t);
		sched_yield();
	} while (now_ns() < until);
	atomic_fetch_add(&t->self->errors, 1);
}

static void raise_to(shared_u64 *max, uint64_t value)
{
	if (value > atomic_load_explicit(max, memory_order_relaxed))
		atomic_store_explicit(max, value, memory_order_relaxed);
}

static void note_times(struct task *t, uint64_t start, uint64_t end)
{
	struct writer_state *w = t->self;
	enum phase phase = atomic_load_explicit(&t->demo->ctl->phase,
						memory_order_relaxed);

	raise_to(&w->longest_write[phase], end - start);
	raise_to(&w->longest_gap[phase], end - atomic_load(&w->last_end));
	atomic_store_explicit(&w->last_end, end, memory_order_relaxed);
}

/*
 * The stamps say more than nothing only if start is taken before the first
 * store can be seen, and end after the last one is: hence the fence.
 */
void writer_op(struct task *t, uint64_t op)
{
	struct stamp *s = &t->self->log[op % LOG_SLOTS];
	struct cause c = op_cause(t->m, t->id, op);
	uint64_t start, end;

	if (c.exists) {
		await_head(t, c.writer, c.op + 1);
		check_cause_page(t, &c);
	}
	start = now_ns();
	atomic_store_explicit(&s->started, 0, memory_order_relaxed);
	atomic_store_explicit(&s->start, start, memory_order_release);
	atomic_store_explicit(&s->started, op + 1, memory_order_release);
	t->kind->write(t, op_page(t->m, t->id, op), op_version(t->m, op));
	t->kind->advance(t, op + 1);
	atomic_thread_fence(memory_order_seq_cst);
	end = now_ns();
	atomic_store_explicit(&s->ended, 0, memory_order_relaxed);
	atomic_store_explicit(&s->end, end, memory_order_release);
	atomic_store_explicit(&s->ended, op + 1, memory_order_release);
	atomic_store_explicit(&t->self->ops, op + 1, memory_order_relaxed);
	note_times(t, start, end);
}

/* What the kind does now and then beside writing is not a stall. */
static void follow(struct task *t, uint32_t *seen, _Atomic uint32_t *count,
		   void (*act)(struct task *t))
{
	uint32_t now = atomic_load_explicit(count, memory_order_relaxed);

	if (now == *seen)
		return;
	*seen = now;
	if (!act)
		return;
	act(t);
	atomic_store(&t->self->last_end, now_ns());
}

static void writer_main(struct task *t)
{
	struct control *ctl = t->demo->ctl;
	uint64_t op = 0;

	t->kind->start(t);
	atomic_fetch_add(&ctl->ready, 1);
	while (!atomic_load(&ctl->go))
		usleep(500);
	atomic_store(&t->self->last_end, now_ns());
	for (;;) {
		writer_quit_if_told(t);
		follow(t, &t->pictures, &ctl->pictures, t->kind->picture_taken);
		follow(t, &t->rests, &ctl->rests, t->kind->rest);
		if (t->kind->delegate)
			op += t->kind->delegate(t, op);
		writer_op(t, op++);
	}
}

static pid_t writer_fork(struct demo *d, unsigned int id)
{
	static struct task t;
	pid_t parent = getpid(), pid = fork();

	if (pid) {
		if (pid > 0)
			setpgid(pid, d->group ? d->group : pid);
		return pid;
	}
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(1);
	setpgid(0, d->group);
	if (nice(10) == -1)	/* the check has to come in between */
		_exit(1);
	t = (struct task){ .demo = d, .m = &d->model, .kind = d->model.kind[id],
			   .self = &d->ctl->w[id], .id = id, .map = d->map };
	writer_main(&t);
	_exit(0);
}

int writers_start(struct demo *d)
{
	for (unsigned int q = 0; q < d->model.writers; q++) {
		pid_t pid = writer_fork(d, q);

		if (pid < 0)
			return -1;
		atomic_store(&d->ctl->w[q].pid, pid);
		if (!d->group)
			d->group = pid;
	}
	while (atomic_load(&d->ctl->ready) < d->model.writers) {
		if (writers_alive(d))
			return -1;
		usleep(1000);
	}
	atomic_store(&d->ctl->go, 1);
	return 0;
}

int writers_alive(struct demo *d)
{
	int status;
	pid_t pid = waitpid(-d->group, &status, WNOHANG);

	if (!pid)
		return 0;
	for (unsigned int q = 0; q < d->model.writers; q++)
		if (pid == atomic_load(&d->ctl->w[q].pid))
			warnx("writer %u (%s) died, status %#x", q,
			      d->model.kind[q]->name, status);
	return -1;
}

/* T, t: stopped; Z, X: dead; ' ': no such process. */
static bool is_still(pid_t pid)
{
	char path[64], state = ' ';
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	f = fopen(path, "re");
	if (!f)
		return true;
	if (fscanf(f, "%*d (%*[^)]) %c", &state) != 1)
		state = ' ';
	fclose(f);
	return strchr("TtZX ", state);
}

int writers_stop(struct demo *d)
{
	if (kill(-d->group, SIGSTOP))
		return -1;
	d->stopped = true;
	for (unsigned int q = 0; q < d->model.writers; q++) {
		struct writer_state *w = &d->ctl->w[q];
		pid_t child;

		while (!is_still(atomic_load(&w->pid)))
			usleep(100);
		child = atomic_load(&w->child);
		while (child && !is_still(child))
			usleep(100);
	}
	return 0;
}

void writers_continue(struct demo *d)
{
	d->stopped = false;
	kill(-d->group, SIGCONT);
}

int writers_end(struct demo *d)
{
	int failed = 0, status;

	atomic_store(&d->ctl->quit, 1);
	for (unsigned int q = 0; q < d->model.writers; q++)
		if (waitpid(atomic_load(&d->ctl->w[q].pid), &status, 0) < 0 || status)
			failed = -1;
	return failed;
}

/* What /proc/PID/smaps says of huge mappings of shared memory. */
long huge_kib(pid_t pid)
{
	char path[64], line[256];
	long sum = 0, kib;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/smaps", pid);
	f = fopen(path, "re");
	if (!f)
		return -1;
	while (fgets(line, sizeof(line), f))
		if (sscanf(line, "ShmemPmdMapped: %ld kB", &kib) == 1)
			sum += kib;
	fclose(f);
	return sum;
}
