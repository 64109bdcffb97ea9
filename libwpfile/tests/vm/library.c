// SPDX-License-Identifier: LGPL-2.1-or-later
/* The library's calls, against the kernel. */
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#include "vm.h"

#define NOBODY 65534

/* Someone who writes the first byte of a page, and waits as long as he must. */
struct writer {
	pthread_t thread;
	struct file *file;
	unsigned int page;
	bool by_call;
	int error;		/* of the system call */
};

static void *write_page(void *data)
{
	struct writer *writer = data;
	size_t offset = writer->page * page;

	if (!writer->by_call)
		writer->file->map[offset] = 'w';
	else if (pwrite(writer->file->fd, "w", 1, offset) != 1)
		writer->error = errno;
	return NULL;
}

static void writer_start(struct writer *writer, struct file *file,
			 unsigned int number, bool by_call)
{
	*writer = (struct writer){ .file = file, .page = number,
				   .by_call = by_call };
	assert_int_equal(pthread_create(&writer->thread, NULL, write_page, writer),
			 0);
}

struct handler {
	unsigned int verdict;
	unsigned int events;
	struct wpfile_event last;
	char before[4];			/* what the page held */
};

static int handle(struct wpfile_mon *mon, const struct wpfile_event *event, void *data)
{
	struct handler *handler = data;

	assert_int_equal(event->outcome, WPFILE_WAITING);
	assert_int_equal(wpfile_pread(mon, handler->before, 4, event->offset), 4);
	handler->events++;
	handler->last = *event;
	return wpfile_resolve(mon, event->id, handler->verdict);
}

static void a_loop_answers_a_store(void **state)
{
	struct handler handler = { .verdict = WPFILE_ALLOW };
	struct wpfile_loop *loop;
	struct wpfile_mon *mon;
	struct writer writer;
	struct file file;

	(void)state;
	file_open(&file);
	mon = mon_open(&file, WPFILE_SYNC, 77);
	assert_int_equal(wpfile_protect_all(mon, NULL), 0);
	assert_int_equal(wpfile_loop_new(&loop), 0);
	assert_int_equal(wpfile_loop_add(loop, mon, handle, &handler), 0);
	assert_int_equal(wpfile_loop_run(loop, 0), 0);
	writer_start(&writer, &file, 3, false);
	assert_int_equal(wpfile_loop_run(loop, -1), 1);
	pthread_join(writer.thread, NULL);
	assert_int_equal(file.map[3 * page], 'w');
	assert_int_equal(handler.before[0], 3);
	assert_int_equal(handler.last.offset, 3 * page);
	assert_int_equal(handler.last.cookie, 77);
	assert_int_equal(handler.last.tgid, getpid());
	assert_string_equal(wpfile_event_name(handler.last.type), "store");
	/* Nobody waits for it any more. */
	assert_int_equal(wpfile_resolve(mon, handler.last.id, WPFILE_ALLOW),
			 -ENOENT);
	wpfile_loop_free(loop);
	wpfile_mon_free(mon);
	file_close(&file);
}

static void a_loop_fits_into_poll(void **state)
{
	struct handler handler = { .verdict = WPFILE_FAIL };
	struct wpfile_loop *loop;
	struct wpfile_mon *mon;
	struct writer writer;
	struct pollfd fd;
	struct file file;

	(void)state;
	file_open(&file);
	mon = mon_open(&file, WPFILE_SYNC, 0);
	assert_int_equal(wpfile_protect_all(mon, NULL), 0);
	assert_int_equal(wpfile_loop_new(&loop), 0);
	assert_int_equal(wpfile_loop_add(loop, mon, handle, &handler), 0);
	fd = (struct pollfd){ .fd = wpfile_loop_fd(loop), .events = POLLIN };
	assert_int_equal(poll(&fd, 1, 0), 0);
	writer_start(&writer, &file, 1, true);
	assert_int_equal(poll(&fd, 1, -1), 1);
	assert_int_equal(wpfile_loop_run(loop, 0), 1);
	pthread_join(writer.thread, NULL);
	/* Refused, by the verdict. */
	assert_int_equal(writer.error, EPERM);
	assert_int_equal(file.map[page], 1);
	wpfile_loop_free(loop);
	wpfile_mon_free(mon);
	file_close(&file);
}

static void two_files_of_a_monitor_share_events_and_a_cut(void **state)
{
	const struct wpfile_range all = { .length = WPFILE_TO_END };
	struct wpfile_mon *mon, *other;
	struct wpfile_mon_info info;
	struct file one, two;

	(void)state;
	file_open(&one);
	file_open(&two);
	mon = mon_open(&one, WPFILE_CAPTURE, 1);
	assert_int_equal(wpfile_mon_attach(mon, one.target, 3, &other), -EEXIST);
	assert_int_equal(wpfile_mon_attach(mon, two.target, 2, &other), 0);
	assert_int_equal(wpfile_protect(mon, &all, 1, WPFILE_ALL_FILES, NULL), 0);
	two.map[0] = 'w';
	assert_int_equal(wpfile_mon_info(mon, &info), 0);
	assert_int_equal(info.protected_pages, PAGES);
	assert_int_equal(wpfile_mon_info(other, &info), 0);
	assert_int_equal(info.protected_pages, PAGES - 1);
	assert_int_equal(info.captured_bytes, page);
	wpfile_mon_free(other);
	wpfile_mon_free(mon);
	file_close(&one);
	file_close(&two);
}

static void each_file_is_answered_by_its_own_handle(void **state)
{
	struct handler first = { .verdict = WPFILE_ALLOW };
	struct wpfile_event event;
	struct wpfile_mon *mon, *other;
	struct writer writer;
	struct file one, two;

	(void)state;
	file_open(&one);
	file_open(&two);
	mon = mon_open(&one, WPFILE_SYNC, 1);
	assert_int_equal(wpfile_mon_attach(mon, two.target, 2, &other), 0);
	assert_int_equal(wpfile_protect_all(other, NULL), 0);
	writer_start(&writer, &two, 5, false);
	/* The events are the monitor's, whichever handle they are read by. */
	assert_int_equal(wpfile_read_events(mon, &event, sizeof(event)),
			 sizeof(event));
	assert_int_equal(event.cookie, 2);
	assert_int_equal(wpfile_resolve(mon, event.id, WPFILE_ALLOW), -ENOENT);
	assert_int_equal(handle(other, &event, &first), 0);
	pthread_join(writer.thread, NULL);
	assert_int_equal(two.map[5 * page], 'w');
	wpfile_mon_free(other);
	wpfile_mon_free(mon);
	file_close(&one);
	file_close(&two);
}

static void content_of_the_cut_is_read(void **state)
{
	struct wpfile_mon *mon;
	struct file file;
	char byte;

	(void)state;
	file_open(&file);
	mon = mon_open(&file, WPFILE_CAPTURE, 0);
	assert_int_equal(wpfile_pread(mon, &byte, 1, 0), -ENODATA);
	assert_int_equal(wpfile_protect_all(mon, NULL), 0);
	file.map[2 * page] = 'w';
	assert_int_equal(wpfile_pread(mon, &byte, 1, 2 * page), 1);
	assert_int_equal(byte, 2);
	assert_int_equal(wpfile_pwrite(mon, "x", 1, 0), -EOPNOTSUPP);
	assert_int_equal(wpfile_unprotect(mon, &(struct wpfile_range){
		.offset = page, .length = page }, 1), 0);
	assert_int_equal(wpfile_pread(mon, &byte, 1, page), -ENODATA);
	wpfile_mon_free(mon);
	file_close(&file);
}

static void the_handler_of_deny_may_write(void **state)
{
	struct wpfile_mon *mon;
	struct writer writer;
	struct file file;

	(void)state;
	file_open(&file);
	mon = mon_open(&file, WPFILE_DENY, 0);
	assert_int_equal(wpfile_protect_all(mon, NULL), 0);
	writer_start(&writer, &file, 4, true);
	pthread_join(writer.thread, NULL);
	assert_int_equal(writer.error, EPERM);
	assert_int_equal(wpfile_pwrite(mon, "hh", 2, 4 * page), 2);
	assert_int_equal(file.map[4 * page + 1], 'h');
	wpfile_mon_free(mon);
	file_close(&file);
}

static void info_tells_file_and_state_in_each_mode(void **state)
{
	struct wpfile_mon_info info;
	struct wpfile_mon *mon;
	struct file file;
	struct stat st;
	unsigned int mode;

	(void)state;
	file_open(&file);
	assert_int_equal(fstat(file.fd, &st), 0);
	for (mode = 0; mode < WPFILE_NR_MODES; mode++) {
		mon = mon_open(&file, mode, 0);
		assert_int_equal(wpfile_mon_info(mon, &info), 0);
		assert_int_equal(info.protected_pages, 0);
		assert_int_equal(wpfile_protect_all(mon, NULL), 0);
		assert_int_equal(wpfile_mon_info(mon, &info), 0);
		assert_int_equal(info.mode, mode);
		assert_int_equal(info.inode, st.st_ino);
		assert_int_equal(info.dev_major, major(st.st_dev));
		assert_int_equal(info.dev_minor, minor(st.st_dev));
		assert_int_equal(info.protected_pages, PAGES);
		assert_int_equal(info.failed, 0);
		assert_int_equal(info.waiting, 0);
		wpfile_mon_free(mon);
	}
	file_close(&file);
}

static void info_tells_who_waits(void **state)
{
	struct wpfile_mon_info info;
	struct wpfile_event event;
	struct wpfile_mon *mon;
	struct writer writer;
	struct file file;

	(void)state;
	file_open(&file);
	mon = mon_open(&file, WPFILE_SYNC, 0);
	assert_int_equal(wpfile_protect_all(mon, NULL), 0);
	writer_start(&writer, &file, 0, false);
	assert_int_equal(wpfile_read_events(mon, &event, sizeof(event)),
			 sizeof(event));
	assert_int_equal(wpfile_mon_info(mon, &info), 0);
	assert_int_equal(info.waiting, 1);
	assert_int_equal(wpfile_resolve(mon, event.id, WPFILE_ALLOW), 0);
	pthread_join(writer.thread, NULL);
	wpfile_mon_free(mon);
	file_close(&file);
}

static void a_copy_of_the_descriptor_keeps_the_protection(void **state)
{
	struct wpfile_mon *mon, *copy;
	struct wpfile_mon_info info;
	struct file file;

	(void)state;
	file_open(&file);
	mon = mon_open(&file, WPFILE_TRACK, 0);
	assert_int_equal(wpfile_protect_all(mon, NULL), 0);
	assert_int_equal(wpfile_mon_dup_fd(wpfile_mon_fd(mon), &copy), 0);
	wpfile_mon_free(mon);
	assert_int_equal(wpfile_mon_info(copy, &info), 0);
	assert_int_equal(info.protected_pages, PAGES);
	wpfile_mon_free(copy);
	file_close(&file);
}

/* What was found of one process. */
struct found {
	pid_t pid;
	unsigned int nr;
	unsigned int modes;	/* bits */
};

static int note(pid_t pid, int fd, const struct wpfile_mon_info *info, void *data)
{
	struct found *found = data;

	assert_true(fd >= 0);
	if (pid == found->pid) {
		found->nr++;
		found->modes |= 1U << info->mode;
	}
	return 0;
}

static int stop(pid_t pid, int fd, const struct wpfile_mon_info *info, void *data)
{
	(void)pid;
	(void)fd;
	(void)info;
	(void)data;
	return -EACCES;
}

static void monitors_and_snapshots_of_a_process_are_found(void **state)
{
	struct wpfile_snapshot args = { .size = sizeof(args) };
	struct found found = { .pid = getpid() };
	struct wpfile_mon *mon;
	struct file file;
	int snapshot;

	(void)state;
	file_open(&file);
	assert_int_equal(wpfile_each_mon(getpid(), note, &found), 0);
	assert_int_equal(found.nr, 0);
	mon = mon_open(&file, WPFILE_SYNC, 0);
	snapshot = wpfile_snapshot(file.target, &args);
	assert_true(snapshot >= 0);
	assert_int_equal(wpfile_each_mon(getpid(), note, &found), 0);
	assert_int_equal(found.nr, 2);
	assert_int_equal(found.modes, 1U << WPFILE_SYNC | 1U << WPFILE_CAPTURE);
	assert_int_equal(wpfile_each_mon(0, note, &found), 0);
	assert_int_equal(found.nr, 4);
	/* Its own errors are not taken for those of processes. */
	assert_int_equal(wpfile_each_mon(0, stop, NULL), -EACCES);
	close(snapshot);
	wpfile_mon_free(mon);
	file_close(&file);
}

/* As another user: the status tells what went wrong. */
static int look_as_nobody(pid_t other)
{
	struct found found = { .pid = other };

	if (setgid(NOBODY) || setuid(NOBODY))
		return 1;
	if (wpfile_each_mon(other, note, &found) != -EACCES)
		return 2;
	if (wpfile_each_mon(0, note, &found))
		return 3;
	return found.nr ? 4 : 0;
}

static void processes_that_may_not_be_traced_are_left_out(void **state)
{
	struct wpfile_mon *mon;
	struct file file;
	int status;
	pid_t child;

	(void)state;
	if (geteuid())
		skip();
	file_open(&file);
	mon = mon_open(&file, WPFILE_TRACK, 0);
	child = fork();
	if (!child)
		_exit(look_as_nobody(getppid()));
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	wpfile_mon_free(mon);
	file_close(&file);
}

static uint32_t state_of(const struct file *file)
{
	struct wpfile_query query = { .size = sizeof(query) };

	assert_int_equal(wpfile_query(file->target, &query), 0);
	return query.ret_state;
}

static void who_joins_and_forbids_is_told_so(void **state)
{
	struct wpfile_monitor args = { .size = sizeof(args) };
	struct wpfile_mon *mon = NULL;
	struct file file;

	(void)state;
	file_open(&file);
	assert_int_equal(state_of(&file), 0);
	assert_int_equal(wpfile_join(file.target), 0);
	assert_int_equal(state_of(&file), WPFILE_STATE_JOINED);
	mon = mon_open(&file, WPFILE_TRACK, 0);
	assert_int_equal(wpfile_forbid(file.target), -EBUSY);
	wpfile_mon_free(mon);
	assert_int_equal(wpfile_forbid(file.target), 0);
	assert_int_equal(state_of(&file),
			 WPFILE_STATE_JOINED | WPFILE_STATE_FORBIDDEN);
	assert_int_equal(wpfile_mon_open(file.target, &args, &mon), -EPERM);
	file_close(&file);
}

static void memory_without_a_descriptor_is_named_by_its_address(void **state)
{
	struct wpfile_monitor args = { .size = sizeof(args), .mode = WPFILE_CAPTURE };
	struct wpfile_target *target;
	struct wpfile_mon *mon, *other;
	struct file file;
	char *memory, byte;

	(void)state;
	file_open(&file);
	memory = mmap(NULL, 2 * page, PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	memory[page] = 'a';
	assert_int_equal(wpfile_target_at_address(memory + page, &target), 0);
	assert_int_equal(wpfile_mon_open(target, &args, &mon), 0);
	assert_int_equal(wpfile_protect_all(mon, NULL), 0);
	memory[page] = 'b';
	assert_int_equal(wpfile_pread(mon, &byte, 1, page), 1);
	assert_int_equal(byte, 'a');
	wpfile_mon_free(mon);
	/* Also as a second file. */
	mon = mon_open(&file, WPFILE_CAPTURE, 0);
	assert_int_equal(wpfile_mon_attach(mon, target, 0, &other), 0);
	assert_int_equal(wpfile_protect_all(other, NULL), 0);
	assert_int_equal(wpfile_pread(other, &byte, 1, page), 1);
	assert_int_equal(byte, 'b');
	wpfile_mon_free(other);
	wpfile_mon_free(mon);
	wpfile_target_free(target);
	munmap(memory, 2 * page);
	file_close(&file);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(a_loop_answers_a_store),
	cmocka_unit_test(a_loop_fits_into_poll),
	cmocka_unit_test(two_files_of_a_monitor_share_events_and_a_cut),
	cmocka_unit_test(each_file_is_answered_by_its_own_handle),
	cmocka_unit_test(content_of_the_cut_is_read),
	cmocka_unit_test(the_handler_of_deny_may_write),
	cmocka_unit_test(info_tells_file_and_state_in_each_mode),
	cmocka_unit_test(info_tells_who_waits),
	cmocka_unit_test(a_copy_of_the_descriptor_keeps_the_protection),
	cmocka_unit_test(monitors_and_snapshots_of_a_process_are_found),
	cmocka_unit_test(processes_that_may_not_be_traced_are_left_out),
	cmocka_unit_test(who_joins_and_forbids_is_told_so),
	cmocka_unit_test(memory_without_a_descriptor_is_named_by_its_address),
};

int main(void)
{
	need_kernel();
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("library", tests, NULL, NULL) != 0;
}
