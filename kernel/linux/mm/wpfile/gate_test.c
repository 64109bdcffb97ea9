// SPDX-License-Identifier: GPL-2.0-only
/*
 * KUnit tests of gates that no system call leads to: drivers drop ranges of
 * shmem files without the inode lock.
 */
#include <kunit/test.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/uio.h>

#include "wpfile.h"

#define NR_PAGES	4

static struct file *new_file(struct kunit *test)
{
	struct file *file = shmem_file_setup("wpfile-kunit",
					     NR_PAGES * PAGE_SIZE, VM_NORESERVE);
	loff_t pos;
	u8 i;

	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, file);
	for (i = 0; i < NR_PAGES; i++) {
		pos = (loff_t)i * PAGE_SIZE + 10;
		KUNIT_ASSERT_EQ(test, 1, kernel_write(file, &i, 1, &pos));
	}
	return file;
}

static struct wpfile_mark *new_monitor(struct kunit *test, struct file *file,
				      u32 mode)
{
	const struct wpfile_monitor args = { .mode = mode };
	struct wpfile_mark *mark = wpfile_mark_of(file, &args);

	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, mark);
	KUNIT_ASSERT_EQ(test, 0, wpfile_protect_all(mark));
	return mark;
}

static void range_dropped_by_a_driver_is_reported(struct kunit *test)
{
	struct file *file = new_file(test);
	struct wpfile_mark *mark = new_monitor(test, file, WPFILE_TRACK);

	shmem_truncate_range(file_inode(file), PAGE_SIZE, 2 * PAGE_SIZE - 1);
	KUNIT_EXPECT_TRUE(test, wpfile_pageset_test(&mark->pages, 0));
	KUNIT_EXPECT_FALSE(test, wpfile_pageset_test(&mark->pages, 1));
	KUNIT_EXPECT_TRUE(test, wpfile_pageset_test(&mark->pages, 2));
	wpfile_mark_release(mark);
	fput(file);
}

static void range_dropped_by_a_driver_is_captured(struct kunit *test)
{
	struct file *file = new_file(test);
	struct wpfile_mark *mark = new_monitor(test, file, WPFILE_CAPTURE);
	u8 byte = 0xff;
	struct kvec kvec = { &byte, 1 };
	struct iov_iter iter;

	shmem_truncate_range(file_inode(file), PAGE_SIZE, -1);
	iov_iter_kvec(&iter, ITER_DEST, &kvec, 1, 1);
	KUNIT_EXPECT_EQ(test, 1, wpfile_content_read(mark,
						     2 * PAGE_SIZE + 10, &iter));
	KUNIT_EXPECT_EQ(test, 2, byte);
	wpfile_mark_release(mark);
	fput(file);
}

static void page_taken_by_a_driver_is_a_pin(struct kunit *test)
{
	struct file *file = new_file(test);
	struct page *page = shmem_read_mapping_page(file->f_mapping, 1);
	struct wpfile_mark *mark;

	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, page);
	mark = new_monitor(test, file, WPFILE_TRACK);
	KUNIT_EXPECT_EQ(test, 1, mark->pinned);
	KUNIT_EXPECT_TRUE(test, wpfile_pageset_test(&mark->pages, 0));
	KUNIT_EXPECT_FALSE(test, wpfile_pageset_test(&mark->pages, 1));
	wpfile_mark_release(mark);
	put_page(page);
	fput(file);
}

static struct kunit_case gate_cases[] = {
	KUNIT_CASE(range_dropped_by_a_driver_is_reported),
	KUNIT_CASE(range_dropped_by_a_driver_is_captured),
	KUNIT_CASE(page_taken_by_a_driver_is_a_pin),
	{}
};

static struct kunit_suite gate_suite = {
	.name = "wpfile_gate",
	.test_cases = gate_cases,
};

kunit_test_suite(gate_suite);
