// SPDX-License-Identifier: GPL-2.0-or-later
/* wpfilectl snapshot: the file as it stands at one instant. */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "ctl.h"

#define PROGRESS_NS (100 * NSEC_PER_MSEC)

struct job {
	const char *name;
	bool terminal;		/* stderr is one */
	bool shown;
	uint64_t next_ns;
	uint64_t done;
};

/* A signal that would leave the temporary file behind; save_step() sees it. */
static volatile sig_atomic_t caught;

static void note_signal(int signal)
{
	caught = signal;
}

static void catch_signals(void)
{
	static const int signals[] = { SIGHUP, SIGINT, SIGTERM };
	struct sigaction action = { .sa_handler = note_signal };
	struct sigaction old;
	size_t i;

	for (i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
		if (!sigaction(signals[i], NULL, &old) &&
		    old.sa_handler != SIG_IGN)
			sigaction(signals[i], &action, NULL);
	signal(SIGXFSZ, SIG_IGN);	/* EFBIG is enough */
}

/* So that the shell sees what ended us. */
static void die_of_signal(void)
{
	signal(caught, SIG_DFL);
	raise(caught);
}

static void show_progress(struct job *job, uint64_t done, uint64_t total)
{
	uint64_t now = clock_ns(CLOCK_MONOTONIC);

	if (!job->terminal || now < job->next_ns)
		return;
	job->next_ns = now + PROGRESS_NS;
	job->shown = true;
	fprintf(stderr, "\r%3.0f %% of %.1f MiB", 100.0 * done / total,
		total / 1048576.0);
}

static void clear_progress(const struct job *job)
{
	if (job->shown)
		fprintf(stderr, "\r\033[K");
}

static int save_step(uint64_t done, uint64_t total, void *data)
{
	struct job *job = data;

	if (caught)
		return -EINTR;
	job->done = done;
	show_progress(job, done, total);
	return 0;
}

/* The snapshot or the output? */
static bool is_lost(int snapshot, uint64_t offset)
{
	char byte;

	return pread(snapshot, &byte, 1, offset) < 0 && errno == EIO;
}

static int fail_save(int snapshot, const struct job *job,
		     const struct output *output, int err)
{
	if (caught)
		return fail_hint(CTL_FAILED, NULL,
				 "%s: interrupted, nothing is saved",
				 output->path);
	if (err == -EIO && is_lost(snapshot, job->done))
		return fail_hint(CTL_FAILED,
				 "free memory or raise --limit, and take another",
				 "%s: the snapshot has lost content, at offset 0x%llx",
				 job->name, (unsigned long long)job->done);
	return fail_errno(err, "%s", output->path);
}

static int save(int snapshot, struct output *output, struct job *job,
		uint64_t *ret_data_bytes)
{
	unsigned int flags = output->temporary ? 0 : WPFILE_SAVE_STREAM;
	int err;

	err = wpfile_save(snapshot, output->fd, flags, save_step, job,
			  ret_data_bytes);
	clear_progress(job);
	return err ? fail_save(snapshot, job, output, err) : CTL_OK;
}

/* On stderr if stdout has the content. */
static int print_summary(const struct args *args,
			 const struct wpfile_snapshot *snap, uint64_t data_bytes)
{
	uint64_t page = sysconf(_SC_PAGESIZE);
	uint64_t pages = (data_bytes + page - 1) / page;
	bool stream = !strcmp(args->output, "-");

	if (args->json)
		return print_json(stream ? stderr : stdout,
				  json_pack("{s:I, s:I, s:I, s:I, s:I, s:I}", "pages",
					    (json_int_t)pages, "page_size",
					    (json_int_t)page, "data_bytes",
					    (json_int_t)data_bytes, "file_bytes",
					    (json_int_t)snap->ret_bytes, "cut_ns",
					    (json_int_t)snap->ret_cut_ns, "pinned_pages",
					    (json_int_t)snap->ret_pinned_pages));
	fprintf(stderr,
		"%llu pages, %llu data bytes of %llu file bytes, cut %.1f us\n",
		(unsigned long long)pages, (unsigned long long)data_bytes,
		(unsigned long long)snap->ret_bytes, snap->ret_cut_ns / 1000.0);
	if (snap->ret_pinned_pages)
		fprintf(stderr,
			"%llu pages were pinned for I/O or by a device: what is stored to them that way may be newer than the rest\n",
			(unsigned long long)snap->ret_pinned_pages);
	return CTL_OK;
}

static int take_and_save(const struct args *args, const struct subject *subject,
			 struct output *output, struct job *job)
{
	struct wpfile_snapshot snap = {
		.size = sizeof(snap),
		.capture_limit = args->limit,
	};
	uint64_t data_bytes;
	int fd, ret;

	fd = wpfile_snapshot(subject->target, &snap);
	if (fd < 0)
		ret = fail_errno(fd, "%s", job->name);
	else
		ret = save(fd, output, job, &data_bytes);
	if (fd >= 0)
		close(fd);
	if (ret || caught) {
		output_discard(output);
		return ret ? ret : CTL_FAILED;
	}
	ret = output_commit(output);
	return ret ? ret : print_summary(args, &snap, data_bytes);
}

static int check_arguments(const struct args *args)
{
	int ret = target_check(args);

	if (ret)
		return ret;
	if (!args->output)
		return fail_usage("no output: use -o FILE, or -o - for stdout");
	return CTL_OK;
}

int verb_snapshot(const struct args *args)
{
	struct subject subject;
	struct output output;
	char name[256];
	struct job job = {
		.name = target_name(args, name, sizeof(name)),
		.terminal = isatty(STDERR_FILENO),
	};
	int ret;

	ret = check_arguments(args);
	if (!ret)
		ret = subject_open(args, &subject);
	if (ret)
		return ret;
	if (strcmp(args->output, "-"))
		catch_signals();
	ret = output_open(args->output, &output);
	if (!ret)
		ret = take_and_save(args, &subject, &output, &job);
	subject_close(&subject);
	if (caught)
		die_of_signal();
	return ret;
}
