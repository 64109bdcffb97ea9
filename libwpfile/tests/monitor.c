// SPDX-License-Identifier: LGPL-2.1-or-later
/* What the library asks of the kernel, by a kernel of one bit a page. */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "unit.h"

#define PAGE 4096ULL
#define PAGES 4096U

static struct {
	bool clear[PAGES];
	struct wpfile_query query;
	struct wpfile_monitor monitor;
	struct wpfile_attach attach;
	struct wpfile_consent consent;
	unsigned long last_request;
	unsigned int protect_flags;
	unsigned int scans;
	unsigned int unprotects;
	int error;
} kernel;

static void set_range(const struct wpfile_range *range, bool clear)
{
	uint64_t page = range->offset / PAGE;
	uint64_t end = range->length == WPFILE_TO_END ?
			       PAGES : page + range->length / PAGE;

	for (; page < end && page < PAGES; page++)
		kernel.clear[page] = clear;
}

static int kernel_scan(struct wpfile_scan *args)
{
	struct wpfile_range *ranges = (void *)(uintptr_t)args->ranges;
	bool to_end = args->length == WPFILE_TO_END;
	uint64_t page = args->offset / PAGE, start, end = PAGES;

	if (!to_end && (args->offset + args->length) / PAGE < end)
		end = (args->offset + args->length) / PAGE;
	kernel.scans++;
	args->ret_nr_ranges = 0;
	args->ret_pages = 0;
	while (page < end) {
		for (start = page; page < end && kernel.clear[page]; page++)
			;
		if (page > start) {
			if (args->ret_nr_ranges == args->nr_ranges) {
				args->ret_next = start * PAGE;
				return 0;
			}
			ranges[args->ret_nr_ranges].offset = start * PAGE;
			ranges[args->ret_nr_ranges].length = (page - start) * PAGE;
			if (args->flags & WPFILE_SCAN_PROTECT)
				set_range(&ranges[args->ret_nr_ranges], false);
			args->ret_nr_ranges++;
		}
		page++;
	}
	args->ret_next = to_end ? WPFILE_TO_END : args->offset + args->length;
	return 0;
}

static int kernel_ioctl(int fd, unsigned long request, void *arg)
{
	struct wpfile_unprotect *unprotect = arg;
	struct wpfile_protect *protect = arg;
	struct wpfile_query *query = arg;
	const struct wpfile_range *ranges;
	uint32_t i;

	if (kernel.error)
		return kernel.error;
	kernel.last_request = request;
	switch (request) {
	case WPFILE_IOC_QUERY:
		kernel.query = *query;
		query->ret_features = WPFILE_FEATURE_TRACK;
		query->ret_monitors[WPFILE_TRACK] = 3;
		return 0;
	case WPFILE_IOC_MONITOR:
		memcpy(&kernel.monitor, arg, sizeof(kernel.monitor));
		return fcntl(fd, F_DUPFD_CLOEXEC, 0);
	case WPFILE_IOC_ATTACH:
		memcpy(&kernel.attach, arg, sizeof(kernel.attach));
		return fcntl(fd, F_DUPFD_CLOEXEC, 0);
	case WPFILE_IOC_JOIN:
	case WPFILE_IOC_FORBID:
		memcpy(&kernel.consent, arg, sizeof(kernel.consent));
		return 0;
	case WPFILE_IOC_PROTECT:
		kernel.protect_flags = protect->flags;
		ranges = (void *)(uintptr_t)protect->ranges;
		for (i = 0; i < protect->nr_ranges; i++)
			set_range(&ranges[i], false);
		protect->ret_cut_ns = 77;
		protect->ret_pinned_pages = 5;
		return 0;
	case WPFILE_IOC_UNPROTECT:
		ranges = (void *)(uintptr_t)unprotect->ranges;
		kernel.unprotects++;
		for (i = 0; i < unprotect->nr_ranges; i++)
			set_range(&ranges[i], true);
		return 0;
	case WPFILE_IOC_SCAN:
		return kernel_scan(arg);
	}
	return -ENOTTY;
}

static int setup(void **state)
{
	struct wpfile_monitor args = { .size = sizeof(args) };
	struct wpfile_target *target;
	struct wpfile_mon *mon;
	int fd = memfd_create("unit", MFD_CLOEXEC);

	memset(&kernel, 0, sizeof(kernel));
	fake_ioctl = kernel_ioctl;
	if (wpfile_target_dup_fd(fd, &target) ||
	    wpfile_mon_open(target, &args, &mon))
		return -1;
	wpfile_target_free(target);
	close(fd);
	*state = mon;
	return 0;
}

static int teardown(void **state)
{
	wpfile_mon_free(*state);
	fake_ioctl = NULL;
	return 0;
}

struct seen {
	unsigned int nr;
	unsigned int stop_at;
	uint64_t pages;
};

static int see(const struct wpfile_range *range, void *data)
{
	struct seen *seen = data;

	seen->pages += range->length / PAGE;
	return ++seen->nr == seen->stop_at ? 9 : 0;
}

/* Every second page, so that each is a range of its own. */
static void write_pages(unsigned int nr)
{
	unsigned int i;

	for (i = 0; i < nr; i++)
		kernel.clear[2 * i] = true;
}

static void a_scan_of_many_ranges_sees_each_once(void **state)
{
	struct seen seen = { 0 };

	write_pages(1000);
	assert_int_equal(wpfile_scan_each(*state, 0, WPFILE_TO_END,
					  WPFILE_SCAN_PROTECT, see, &seen), 0);
	assert_int_equal(seen.nr, 1000);
	assert_int_equal(kernel.scans, 4);
	assert_int_equal(wpfile_scan_each(*state, 0, WPFILE_TO_END,
					  WPFILE_SCAN_PROTECT, see, &seen), 0);
	assert_int_equal(seen.nr, 1000);
}

static void a_scan_of_a_part_ends_there(void **state)
{
	struct seen seen = { 0 };

	write_pages(1000);
	assert_int_equal(wpfile_scan_each(*state, 10 * PAGE, 600 * PAGE, 0, see,
					  &seen), 0);
	assert_int_equal(seen.nr, 300);
	assert_int_equal(kernel.scans, 2);
	assert_int_equal(kernel.unprotects, 0);
}

static void ranges_not_seen_are_reported_again(void **state)
{
	struct seen seen = { .stop_at = 300 };

	write_pages(1000);
	assert_int_equal(wpfile_scan_each(*state, 0, WPFILE_TO_END,
					  WPFILE_SCAN_PROTECT, see, &seen), 9);
	assert_int_equal(seen.nr, 300);
	seen.stop_at = 0;
	assert_int_equal(wpfile_scan_each(*state, 0, WPFILE_TO_END,
					  WPFILE_SCAN_PROTECT, see, &seen), 0);
	assert_int_equal(seen.nr, 1000);
	assert_int_equal(seen.pages, 1000);
}

static void stopping_a_plain_scan_changes_nothing(void **state)
{
	struct seen seen = { .stop_at = 3 };

	write_pages(10);
	assert_int_equal(wpfile_scan_each(*state, 0, WPFILE_TO_END, 0, see,
					  &seen), 9);
	assert_int_equal(kernel.unprotects, 0);
}

static void protect_tells_the_cut_and_the_pins(void **state)
{
	const struct wpfile_range range = { .offset = 0, .length = PAGE };
	struct wpfile_protect args = { 0 };

	write_pages(10);
	assert_int_equal(wpfile_protect_all(*state, &args), 0);
	assert_int_equal(args.ret_cut_ns, 77);
	assert_int_equal(args.ret_pinned_pages, 5);
	assert_false(kernel.clear[2]);
	assert_int_equal(wpfile_protect(*state, &range, 1, 0, NULL), 0);
	assert_int_equal(wpfile_unprotect(*state, &range, 1), 0);
	assert_true(kernel.clear[0]);
}

static void errors_are_returned_and_errno_is_kept(void **state)
{
	struct seen seen = { 0 };
	struct wpfile_protect args = { .ret_cut_ns = 5 };

	kernel.error = -EINTR;
	errno = 1234;
	assert_int_equal(wpfile_protect_all(*state, &args), -EINTR);
	assert_int_equal(args.ret_cut_ns, 5);
	assert_int_equal(wpfile_scan_each(*state, 0, WPFILE_TO_END, 0, see,
					  &seen), -EINTR);
	if (SIZE_MAX > UINT32_MAX)
		assert_int_equal(wpfile_unprotect(*state, NULL,
						  (size_t)UINT32_MAX + 1),
				 -EINVAL);
	assert_int_equal(errno, 1234);
}

static void no_monitor_is_made_on_failure(void **state)
{
	struct wpfile_monitor args = { .size = sizeof(args), .mode = 1 };
	struct wpfile_mon *mon = NULL;
	struct wpfile_target *target;

	(void)state;
	assert_int_equal(wpfile_target_dup_fd(0, &target), 0);
	kernel.error = -EBUSY;
	assert_int_equal(wpfile_mon_open(target, &args, &mon), -EBUSY);
	assert_null(mon);
	wpfile_target_free(target);
}

static void a_kernel_without_wpfile_is_enosys(void **state)
{
	struct wpfile_query query = { .size = sizeof(query) };

	(void)state;
	kernel.error = -ENOTTY;
	errno = 1234;
	assert_int_equal(wpfile_query_system(&query), -ENOSYS);
	assert_int_equal(errno, 1234);
	kernel.error = 0;
	assert_int_equal(wpfile_query_system(&query), 0);
	assert_int_equal(query.ret_features, WPFILE_FEATURE_TRACK);
	assert_int_equal(kernel.query.flags, 0);
}

static void another_file_has_a_handle_of_its_own(void **state)
{
	struct wpfile_target *target;
	struct wpfile_mon *other;

	assert_int_equal(wpfile_target_dup_fd(0, &target), 0);
	assert_int_equal(wpfile_mon_attach(*state, target, 77, &other), 0);
	assert_int_not_equal(wpfile_mon_fd(other), wpfile_mon_fd(*state));
	assert_int_equal(kernel.attach.size, sizeof(kernel.attach));
	assert_int_equal(kernel.attach.fd, wpfile_target_fd(target));
	assert_int_equal(kernel.attach.cookie, 77);
	assert_int_equal(kernel.attach.flags, 0);
	wpfile_mon_free(other);
	wpfile_target_free(target);
}

static void all_files_are_protected_if_asked_for(void **state)
{
	const struct wpfile_range range = { .length = PAGE };

	assert_int_equal(wpfile_protect(*state, &range, 1, WPFILE_ALL_FILES, NULL),
			 0);
	assert_int_equal(kernel.protect_flags, WPFILE_ALL_FILES);
	assert_int_equal(wpfile_protect_all(*state, NULL), 0);
	assert_int_equal(kernel.protect_flags, 0);
}

static void consent_is_asked_for_the_file(void **state)
{
	struct wpfile_target *target;

	(void)state;
	assert_int_equal(wpfile_target_dup_fd(0, &target), 0);
	assert_int_equal(wpfile_join(target), 0);
	assert_int_equal(kernel.last_request, WPFILE_IOC_JOIN);
	assert_int_equal(kernel.consent.size, sizeof(kernel.consent));
	assert_int_equal(wpfile_forbid(target), 0);
	assert_int_equal(kernel.last_request, WPFILE_IOC_FORBID);
	kernel.error = -EPERM;
	assert_int_equal(wpfile_join(target), -EPERM);
	wpfile_target_free(target);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

static const struct CMUnitTest tests[] = {
	TEST(a_scan_of_many_ranges_sees_each_once),
	TEST(a_scan_of_a_part_ends_there),
	TEST(ranges_not_seen_are_reported_again),
	TEST(stopping_a_plain_scan_changes_nothing),
	TEST(protect_tells_the_cut_and_the_pins),
	TEST(errors_are_returned_and_errno_is_kept),
	TEST(no_monitor_is_made_on_failure),
	TEST(a_kernel_without_wpfile_is_enosys),
	TEST(another_file_has_a_handle_of_its_own),
	TEST(all_files_are_protected_if_asked_for),
	TEST(consent_is_asked_for_the_file),
};

SUITE(monitor_suite, tests);
