// SPDX-License-Identifier: LGPL-2.1-or-later
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "fdinfo.h"
#include "unit.h"

#define OF_ALL								\
	"pos:\t0\nflags:\t02000002\nmnt_id:\t15\nino:\t2057\n"		\
	"wpfile_mode:\t%s\nwpfile_dev:\t00:1a\nwpfile_ino:\t18446744073709551615\n" \
	"protected_pages:\t12\npinned_pages:\t3\n"
#define OF_CAPTURE "captured_bytes:\t8192\nfailed:\t1\ncut_ns:\t900\noverflows:\t4\n"
#define OF_SYNC "waiting_pages:\t2\n"

static int parse(const char *format, const char *mode,
		 struct wpfile_mon_info *ret_info)
{
	char text[1024];

	snprintf(text, sizeof(text), format, mode);
	return wpfile_fdinfo_text(text, ret_info);
}

static void each_mode_is_understood(void **state)
{
	struct wpfile_mon_info info;

	(void)state;
	assert_int_equal(parse(OF_ALL, "track", &info), 0);
	assert_int_equal(info.mode, WPFILE_TRACK);
	assert_int_equal(info.inode, UINT64_MAX);
	assert_int_equal(info.dev_major, 0);
	assert_int_equal(info.dev_minor, 0x1a);
	assert_int_equal(info.protected_pages, 12);
	assert_int_equal(info.pinned_pages, 3);
	assert_int_equal(info.captured_bytes, 0);
	assert_int_equal(info.failed, 0);
	assert_int_equal(parse(OF_ALL OF_CAPTURE, "capture", &info), 0);
	assert_int_equal(info.mode, WPFILE_CAPTURE);
	assert_int_equal(info.captured_bytes, 8192);
	assert_int_equal(info.failed, 1);
	assert_int_equal(info.overflows, 4);
	assert_int_equal(info.waiting, 0);
	assert_int_equal(parse(OF_ALL OF_CAPTURE, "deny", &info), 0);
	assert_int_equal(info.mode, WPFILE_DENY);
	assert_int_equal(parse(OF_ALL OF_CAPTURE OF_SYNC, "sync", &info), 0);
	assert_int_equal(info.mode, WPFILE_SYNC);
	assert_int_equal(info.waiting, 2);
}

static void what_a_later_kernel_adds_is_skipped(void **state)
{
	struct wpfile_mon_info info;

	(void)state;
	assert_int_equal(parse("wpfile_colour:\tblue\nno colon\nfailed \t1\n:\t\n\n"
			       OF_ALL "new: x\nprotected_pages_too:\t1\n",
			       "track", &info), 0);
	assert_int_equal(info.protected_pages, 12);
}

static void what_is_no_monitor_says_so(void **state)
{
	static const char *const texts[] = {
		"", "\n", "pos:\t0\n", "failed:\t1\n", "protected_pages:\tx\n",
		"xwpfile_mode:\ttrack\n", "wpfile_mode\ttrack", "wpfile_mod:\ttrack",
	};
	struct wpfile_mon_info info = { .mode = 77 };
	unsigned int i;

	(void)state;
	for (i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		assert_int_equal(wpfile_fdinfo_text(texts[i], &info), -ENOTTY);
	assert_int_equal(info.mode, 77);
}

static void what_is_not_understood_is_refused(void **state)
{
	static const char *const more[] = {
		"protected_pages:\t12\n",		/* twice */
		"captured_bytes:\t1\n",			/* not with this mode */
		"waiting_pages:\t1\n",
	};
	static const char *const values[] = {
		"wpfile_dev:\t0:1\n", "wpfile_dev:\t1\n", "wpfile_dev:\t1:\n",
		"wpfile_dev:\t1:2 \n", "wpfile_dev:\t1ffffffff:2\n",
		"wpfile_ino:\t\n", "wpfile_ino:\t-1\n", "wpfile_ino:\t1x\n",
		"wpfile_ino:\t18446744073709551616\n", "wpfile_ino:\t 1\n",
	};
	struct wpfile_mon_info info = { .mode = 77 };
	char text[1024];
	unsigned int i;

	(void)state;
	for (i = 0; i < sizeof(more) / sizeof(more[0]); i++) {
		snprintf(text, sizeof(text), OF_ALL "%s", "track", more[i]);
		assert_int_equal(wpfile_fdinfo_text(text, &info), -EBADMSG);
	}
	for (i = 1; i < sizeof(values) / sizeof(values[0]); i++) {
		bool dev = values[i][7] == 'd';

		snprintf(text, sizeof(text), "wpfile_mode:\ttrack\n%s%s"
			 "protected_pages:\t1\npinned_pages:\t1\n", values[i],
			 dev ? "wpfile_ino:\t1\n" : values[0]);
		assert_int_equal(wpfile_fdinfo_text(text, &info), -EBADMSG);
	}
	assert_int_equal(parse(OF_ALL, "trace", &info), -EBADMSG);
	assert_int_equal(parse(OF_ALL, "", &info), -EBADMSG);
	assert_int_equal(parse(OF_ALL, "sync", &info), -EBADMSG);
	assert_int_equal(parse(OF_ALL OF_CAPTURE, "sync", &info), -EBADMSG);
	assert_int_equal(info.mode, 77);
}

/* A text that was cut is never taken for one with other numbers, but for the last. */
static void a_text_that_was_cut_is_refused(void **state)
{
	struct wpfile_mon_info info;
	char text[1024];
	size_t size;

	(void)state;
	snprintf(text, sizeof(text), OF_ALL OF_CAPTURE OF_SYNC, "sync");
	for (size = strlen(text) - 3; size > 0; size--) {
		text[size] = '\0';
		assert_int_not_equal(wpfile_fdinfo_text(text, &info), 0);
	}
}

static int count(pid_t pid, int fd, const struct wpfile_mon_info *info, void *data)
{
	(void)pid;
	(void)fd;
	(void)info;
	++*(unsigned int *)data;
	return 0;
}

static void other_descriptors_are_no_monitors(void **state)
{
	struct wpfile_mon_info info = { .mode = 77 };
	struct wpfile_mon *mon;
	unsigned int nr = 0;
	int fd = memfd_create("unit", MFD_CLOEXEC);

	(void)state;
	assert_int_equal(wpfile_mon_dup_fd(fd, &mon), 0);
	assert_int_equal(wpfile_mon_info(mon, &info), -ENOTTY);
	assert_int_equal(info.mode, 77);
	assert_int_equal(wpfile_each_mon(getpid(), count, &nr), 0);
	assert_int_equal(nr, 0);
	wpfile_mon_free(mon);
	close(fd);
}

static void a_process_that_is_not_there_says_so(void **state)
{
	unsigned int nr = 0;

	(void)state;
	errno = 1234;
	assert_int_equal(wpfile_each_mon(0x7fffffff, count, &nr), -ESRCH);
	assert_int_equal(wpfile_each_mon(-1, count, &nr), -ESRCH);
	assert_int_equal(errno, 1234);
	assert_int_equal(nr, 0);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(each_mode_is_understood),
	cmocka_unit_test(what_a_later_kernel_adds_is_skipped),
	cmocka_unit_test(what_is_no_monitor_says_so),
	cmocka_unit_test(what_is_not_understood_is_refused),
	cmocka_unit_test(a_text_that_was_cut_is_refused),
	cmocka_unit_test(other_descriptors_are_no_monitors),
	cmocka_unit_test(a_process_that_is_not_there_says_so),
};

SUITE(fdinfo_suite, tests);
