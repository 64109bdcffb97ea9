// SPDX-License-Identifier: LGPL-2.1-or-later
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "target.h"
#include "unit.h"

static bool same_file(int a, int b)
{
	struct stat x, y;

	assert_int_equal(fstat(a, &x), 0);
	assert_int_equal(fstat(b, &y), 0);
	return x.st_ino == y.st_ino && x.st_dev == y.st_dev;
}

static void a_descriptor_of_a_process_is_opened(void **state)
{
	int fd = memfd_create("unit", MFD_CLOEXEC);
	struct wpfile_target *target;
	int other;

	(void)state;
	assert_int_equal(wpfile_target_open_pid_fd(getpid(), fd, &target), 0);
	other = wpfile_target_fd(target);
	assert_int_not_equal(other, fd);
	assert_true(same_file(fd, other));
	assert_int_equal(fcntl(other, F_GETFL) & O_ACCMODE, O_RDWR);
	assert_int_equal(fcntl(other, F_GETFD), FD_CLOEXEC);
	wpfile_target_free(target);
	assert_int_equal(fcntl(other, F_GETFD), -1);
	close(fd);
}

static void devices_and_pipes_are_not_opened(void **state)
{
	struct wpfile_target *target = NULL;
	int fds[2];

	(void)state;
	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	assert_int_equal(wpfile_target_open_pid_fd(getpid(), fds[0], &target),
			 -ENOTTY);
	assert_int_equal(wpfile_target_open_path("/dev/null", &target), -ENOTTY);
	assert_int_equal(wpfile_target_open_path("/", &target), -ENOTTY);
	assert_null(target);
	close(fds[0]);
	close(fds[1]);
}

static void what_is_not_there_says_so(void **state)
{
	struct wpfile_target *target = NULL;

	(void)state;
	errno = 1234;
	assert_int_equal(wpfile_target_open_pid_fd(0x7fffffff, 0, &target),
			 -ESRCH);
	assert_int_equal(wpfile_target_open_pid_fd(getpid(), 9999, &target),
			 -ENOENT);
	assert_int_equal(wpfile_target_open_path("/no/such", &target), -ENOENT);
	assert_int_equal(wpfile_target_open_pid_map(getpid(), "/no/such",
						    &target), -ENOENT);
	assert_int_equal(wpfile_target_open_pid_map(0x7fffffff, "/a", &target),
			 -ESRCH);
	assert_int_equal(wpfile_target_dup_fd(-1, &target), -EBADF);
	assert_int_equal(errno, 1234);
	assert_null(target);
}

static void read_only_files_are_opened_for_reading(void **state)
{
	char path[] = "/tmp/wpfile-unit.XXXXXX";
	struct wpfile_target *target;
	int fd = mkstemp(path);

	(void)state;
	assert_int_equal(fchmod(fd, 0400), 0);
	assert_int_equal(wpfile_target_open_path(path, &target), 0);
	assert_int_equal(fcntl(wpfile_target_fd(target), F_GETFL) & O_ACCMODE,
			 geteuid() ? O_RDONLY : O_RDWR);
	wpfile_target_free(target);
	unlink(path);
	close(fd);
}

static void *map(int fd, size_t pages)
{
	void *p = mmap(NULL, pages * 4096, PROT_READ | PROT_WRITE, MAP_SHARED,
		       fd, 0);

	assert_ptr_not_equal(p, MAP_FAILED);
	return p;
}

static int named(const char *name)
{
	int fd = memfd_create(name, MFD_CLOEXEC);

	assert_int_equal(ftruncate(fd, 4 * 4096), 0);
	return fd;
}

/* map_files needs a capability; without it, -EPERM is the right answer. */
static void a_mapping_is_found_by_name(void **state)
{
	int fd = named("unit-one"), ret;
	void *a = map(fd, 4), *b = map(fd, 2);
	struct wpfile_target *target;

	(void)state;
	ret = wpfile_target_open_pid_map(getpid(), "memfd:unit-one", &target);
	if (geteuid()) {
		assert_int_equal(ret, -EPERM);
	} else {
		assert_int_equal(ret, 0);
		assert_true(same_file(fd, wpfile_target_fd(target)));
		wpfile_target_free(target);
	}
	munmap(a, 4 * 4096);
	munmap(b, 2 * 4096);
	close(fd);
}

static void a_name_of_two_files_is_refused(void **state)
{
	int one = named("unit-two"), two = named("unit-two");
	void *a = map(one, 4), *b = map(two, 4);
	struct wpfile_target *target = NULL;

	(void)state;
	assert_int_equal(wpfile_target_open_pid_map(getpid(), "memfd:unit-two",
						    &target), -ENOTUNIQ);
	assert_null(target);
	munmap(a, 4 * 4096);
	munmap(b, 4 * 4096);
	close(one);
	close(two);
}

static struct wpfile_consent asked;

static int note_consent(int fd, unsigned long request, void *arg)
{
	(void)fd;
	(void)request;
	memcpy(&asked, arg, sizeof(asked));
	return 0;
}

static void arguments_can_be_used_again_for_another_target(void **state)
{
	const struct wpfile_target at = {
		.fd = -1,
		.flags = WPFILE_AT_ADDRESS,
		.address = 4096,
	};
	const struct wpfile_target file = { .fd = -1 };
	struct wpfile_query query = { .size = sizeof(query) };

	(void)state;
	fake_ioctl = note_consent;
	assert_int_equal(wpfile_query(&at, &query), 0);
	assert_int_equal(asked.flags, WPFILE_AT_ADDRESS);
	assert_int_equal(asked.address, 4096);
	assert_int_equal(wpfile_query(&file, &query), 0);
	assert_int_equal(asked.flags, 0);
	assert_int_equal(asked.address, 0);
	fake_ioctl = NULL;
}

/* What has its number in the table of the other threads. */
static void *open_in_its_place(void *fd)
{
	struct wpfile_target *target;
	struct stat stat;
	ino_t *ino = NULL;

	if (unshare(CLONE_FILES) || close(*(int *)fd) ||
	    wpfile_target_open_path("/proc/self/exe", &target))
		return NULL;
	ino = malloc(sizeof(*ino));
	if (ino && !fstat(wpfile_target_fd(target), &stat))
		*ino = stat.st_ino;
	wpfile_target_free(target);
	return ino;
}

static void a_thread_with_its_own_descriptors_opens_what_it_has_named(void **state)
{
	char path[] = "/tmp/wpfile-unit.XXXXXX";
	int fd = mkstemp(path);
	pthread_t thread;
	struct stat exe;
	void *ino;

	(void)state;
	assert_true(fd >= 0);
	unlink(path);
	assert_int_equal(pthread_create(&thread, NULL, open_in_its_place, &fd), 0);
	assert_int_equal(pthread_join(thread, &ino), 0);
	close(fd);
	assert_non_null(ino);
	assert_int_equal(stat("/proc/self/exe", &exe), 0);
	assert_int_equal(*(ino_t *)ino, exe.st_ino);
	free(ino);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(arguments_can_be_used_again_for_another_target),
	cmocka_unit_test(a_thread_with_its_own_descriptors_opens_what_it_has_named),
	cmocka_unit_test(a_descriptor_of_a_process_is_opened),
	cmocka_unit_test(devices_and_pipes_are_not_opened),
	cmocka_unit_test(what_is_not_there_says_so),
	cmocka_unit_test(read_only_files_are_opened_for_reading),
	cmocka_unit_test(a_mapping_is_found_by_name),
	cmocka_unit_test(a_name_of_two_files_is_refused),
};

SUITE(target_suite, tests);
