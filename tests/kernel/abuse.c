// SPDX-License-Identifier: GPL-2.0-only
/*
 * Bad input: the errno that the header's dictionary gives it, and nothing half
 * done.
 */
#include "harness.h"
#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#define PAGES 8

/* Any of the structures, with room for a tail. */
union request {
	__u32 size;
	struct {
		__u32 size;
		__u32 flags;
	} head;
	struct wpfile_query query;
	struct wpfile_monitor monitor;
	struct wpfile_snapshot snapshot;
	struct wpfile_protect protect;
	struct wpfile_unprotect unprotect;
	struct wpfile_scan scan;
	char bytes[2 * 4096];
};

/* --- what all ioctls have in common --- */

/* clang-format off */
FIXTURE(each) {
	struct area area;
	struct wpfile_range range;
	union request *valid;	/* at the end of a page that nothing follows */
	char *end;
	int monitor;
	int fd;			/* where the ioctl belongs */
};

FIXTURE_VARIANT(each) {
	unsigned long request;
	__u32 size;
	bool on_monitor;
	__u32 flags;		/* that are defined */
};

FIXTURE_VARIANT_ADD(each, query) {
	.request = WPFILE_IOC_QUERY,
	.size = sizeof(struct wpfile_query),
	.flags = WPFILE_AT_ADDRESS,
};
FIXTURE_VARIANT_ADD(each, monitor) {
	.request = WPFILE_IOC_MONITOR,
	.size = sizeof(struct wpfile_monitor),
	.flags = WPFILE_AT_ADDRESS,
};
FIXTURE_VARIANT_ADD(each, snapshot) {
	.request = WPFILE_IOC_SNAPSHOT,
	.size = sizeof(struct wpfile_snapshot),
	.flags = WPFILE_AT_ADDRESS,
};
FIXTURE_VARIANT_ADD(each, join) {
	.request = WPFILE_IOC_JOIN,
	.size = sizeof(struct wpfile_consent),
	.flags = WPFILE_AT_ADDRESS,
};
FIXTURE_VARIANT_ADD(each, protect) {
	.request = WPFILE_IOC_PROTECT,
	.size = sizeof(struct wpfile_protect),
	.on_monitor = true,
	.flags = WPFILE_ALL_FILES,
};
FIXTURE_VARIANT_ADD(each, unprotect) {
	.request = WPFILE_IOC_UNPROTECT,
	.size = sizeof(struct wpfile_unprotect),
	.on_monitor = true,
};
FIXTURE_VARIANT_ADD(each, scan) {
	.request = WPFILE_IOC_SCAN,
	.size = sizeof(struct wpfile_scan),
	.on_monitor = true,
	.flags = WPFILE_SCAN_PROTECT,
};
/* clang-format on */

static void make_valid(union request *request, unsigned long which,
		       struct wpfile_range *range)
{
	*range = (struct wpfile_range){ 0, PAGES * PAGE };
	switch (which) {
	case WPFILE_IOC_PROTECT:
		request->protect.ranges = (uintptr_t)range;
		request->protect.nr_ranges = 1;
		break;
	case WPFILE_IOC_UNPROTECT:
		request->unprotect.ranges = (uintptr_t)range;
		request->unprotect.nr_ranges = 1;
		break;
	case WPFILE_IOC_SCAN:
		request->scan.length = WPFILE_TO_END;
		request->scan.ranges = (uintptr_t)range;
		request->scan.nr_ranges = 1;
		break;
	}
}

FIXTURE_SETUP(each)
{
	char *map = mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	ASSERT_NE(MAP_FAILED, map);
	ASSERT_EQ(0, munmap(map + 3 * PAGE, PAGE));
	self->end = map + 3 * PAGE;
	self->valid = (union request *)map;
	self->valid->size = variant->size;
	make_valid(self->valid, variant->request, &self->range);
	ASSERT_EQ(0, area_make(&self->area, MEMFD, PAGES * PAGE));
	self->monitor = wp_monitor(self->area.fd, WPFILE_TRACK);
	ASSERT_LE(0, self->monitor);
	self->fd = variant->on_monitor ? self->monitor : self->area.fd;
}

FIXTURE_TEARDOWN(each)
{
	close(self->monitor);
	area_free(&self->area);
}

/* Exactly the structure and nothing behind it. */
TEST_F(each, valid_request_at_the_end_of_memory_is_ok)
{
	char *at = self->end - variant->size;

	memcpy(at, self->valid, variant->size);
	EXPECT_LE(0, wp_call(self->fd, variant->request, at));
}

TEST_F(each, size_too_small_is_EINVAL)
{
	__u32 size;

	for (size = 0; size < variant->size; size++) {
		self->valid->size = size;
		EXPECT_EQ(-EINVAL,
			  wp_call(self->fd, variant->request, self->valid))
			TH_LOG("size %u of %u", size, variant->size);
	}
}

TEST_F(each, longer_with_a_tail_of_zeros_is_ok)
{
	self->valid->size = variant->size + 1;
	EXPECT_LE(0, wp_call(self->fd, variant->request, self->valid));
	self->valid->size = variant->size + 8;
	EXPECT_LE(0, wp_call(self->fd, variant->request, self->valid));
	self->valid->size = PAGE;
	EXPECT_LE(0, wp_call(self->fd, variant->request, self->valid));
	for (size_t i = variant->size; i < PAGE; i++)
		ASSERT_EQ(0, self->valid->bytes[i]);
}

TEST_F(each, longer_with_a_tail_that_is_not_zero_is_E2BIG)
{
	self->valid->bytes[variant->size] = 1;
	self->valid->size = variant->size + 1;
	EXPECT_EQ(-E2BIG, wp_call(self->fd, variant->request, self->valid));
	self->valid->bytes[variant->size] = 0;
	self->valid->bytes[variant->size + 7] = 1;
	self->valid->size = variant->size + 8;
	EXPECT_EQ(-E2BIG, wp_call(self->fd, variant->request, self->valid));
	self->valid->bytes[variant->size + 7] = 0;
	self->valid->bytes[4095] = 1;
	self->valid->size = PAGE;
	EXPECT_EQ(-E2BIG, wp_call(self->fd, variant->request, self->valid));
}

/* No such structure: whatever is said, it must be refused and be quick. */
TEST_F(each, huge_size_is_refused)
{
	static const __u32 sizes[] = { 1 << 20, 0x7fffffff, 0x80000000,
				       0xffffffff };
	size_t i;
	int ret;

	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		self->valid->size = sizes[i];
		ret = wp_call(self->fd, variant->request, self->valid);
		EXPECT_TRUE(ret == -E2BIG || ret == -EFAULT)
			TH_LOG("size %#x: %d", sizes[i], ret);
	}
}

TEST_F(each, unknown_flags_are_EINVAL)
{
	int bit;

	for (bit = 0; bit < 32; bit++) {
		if (variant->flags & 1U << bit)
			continue;
		self->valid->head.flags = 1U << bit;
		EXPECT_EQ(-EINVAL,
			  wp_call(self->fd, variant->request, self->valid))
			TH_LOG("bit %d", bit);
	}
}

TEST_F(each, bad_pointer_is_EFAULT)
{
	EXPECT_EQ(-EFAULT, wp_call(self->fd, variant->request, NULL));
	EXPECT_EQ(-EFAULT, wp_call(self->fd, variant->request, self->end));
	EXPECT_EQ(-EFAULT, wp_call(self->fd, variant->request, (void *)-4096UL));
	EXPECT_EQ(-EFAULT, wp_call(self->fd, variant->request,
				(void *)0xffff888000000000UL));
}

/* The size can be read, what follows cannot. */
TEST_F(each, structure_that_ends_too_early_is_EFAULT)
{
	char *at = self->end - 8;

	memcpy(at, self->valid, 8);
	EXPECT_EQ(-EFAULT, wp_call(self->fd, variant->request, at));
}

TEST_F(each, file_descriptor_of_the_other_sort_is_ENOTTY)
{
	int other = variant->on_monitor ? self->area.fd : self->monitor;

	EXPECT_EQ(-ENOTTY, wp_call(other, variant->request, self->valid));
}

TEST_F(each, what_is_no_shared_memory_is_ENOTTY)
{
	int fds[2], fd, i;
	/* clang-format off */
	static const struct {
		const char *path;
		int flags;
	} files[] = {
		{ "/proc/self/exe", O_RDONLY },		/* 9p below overlayfs */
		{ "/proc/self/status", O_RDONLY },
		{ "/dev/null", O_RDWR },
		{ "/dev/zero", O_RDWR },
		{ "/dev/shm", O_RDONLY | O_DIRECTORY },
		{ "/sys/kernel/mm", O_RDONLY | O_DIRECTORY },
	};
	/* clang-format on */

	for (i = 0; i < (int)ARRAY_SIZE(files); i++) {
		fd = open(files[i].path, files[i].flags);
		ASSERT_LE(0, fd)
			TH_LOG("%s", files[i].path);
		EXPECT_EQ(-ENOTTY, wp_call(fd, variant->request, self->valid))
			TH_LOG("%s", files[i].path);
		close(fd);
	}
	ASSERT_EQ(0, pipe(fds));
	EXPECT_EQ(-ENOTTY, wp_call(fds[0], variant->request, self->valid));
	fd = socket(AF_UNIX, SOCK_STREAM, 0);
	EXPECT_EQ(-ENOTTY, wp_call(fd, variant->request, self->valid));
}

/* Inodes of tmpfs that are no regular files. */
TEST_F(each, special_file_on_tmpfs_is_ENOTTY)
{
	int dir = tmpfs_new("never"), fd;

	ASSERT_LE(0, dir);
	ASSERT_EQ(0, mkfifoat(dir, "fifo", 0600));
	fd = openat(dir, "fifo", O_RDWR);
	ASSERT_LE(0, fd);
	EXPECT_EQ(-ENOTTY, wp_call(fd, variant->request, self->valid));
	EXPECT_EQ(-ENOTTY, wp_call(dir, variant->request, self->valid));
}

TEST_F(each, path_only_file_descriptor_is_EBADF)
{
	char path[32];
	int fd;

	sprintf(path, "/proc/self/fd/%d", self->fd);
	fd = open(path, O_PATH);
	SKIP_UNLESS(fd >= 0, "cannot open %s with O_PATH", path);
	EXPECT_EQ(-EBADF, wp_call(fd, variant->request, self->valid));
}

#ifdef SYS_memfd_secret
TEST_F(each, secret_memory_is_ENOTTY)
{
	int fd = syscall(SYS_memfd_secret, 0);

	SKIP_UNLESS(fd >= 0, "no secret memory");
	EXPECT_EQ(-ENOTTY, wp_call(fd, variant->request, self->valid));
}
#endif

TEST_F(each, failed_call_changes_nothing)
{
	union request before;
	int fds = open_fds();

	self->valid->head.flags = 1U << 31;
	memset(&self->valid->bytes[variant->size], 0x55, 16);
	before = *self->valid;
	ASSERT_EQ(-EINVAL, wp_call(self->fd, variant->request, self->valid));
	EXPECT_EQ(0, memcmp(&before, self->valid, sizeof(before)));
	EXPECT_EQ(fds, open_fds());
	EXPECT_EQ(1, wp_count(self->area.fd, WPFILE_TRACK));
	EXPECT_EQ(0, wp_count(self->area.fd, WPFILE_CAPTURE));
}

TEST(hugetlb_is_EOPNOTSUPP)
{
	int fd = memfd_create("hugetlb", MFD_HUGETLB | MFD_CLOEXEC);
	struct wpfile_query query;

	SKIP_UNLESS(fd >= 0, "no hugetlbfs");
	EXPECT_EQ(-EOPNOTSUPP, wp_query(fd, &query));
	EXPECT_EQ(-EOPNOTSUPP, wp_monitor(fd, WPFILE_TRACK));
	EXPECT_EQ(-EOPNOTSUPP, wp_monitor(fd, WPFILE_CAPTURE));
	EXPECT_EQ(-EOPNOTSUPP, wp_snapshot(fd));
}

TEST(unknown_ioctl_is_ENOTTY)
{
	struct wpfile_query query = { .size = sizeof(query) };
	int monitor, nr;
	struct area area;

	ASSERT_EQ(0, area_make(&area, MEMFD, PAGE));
	monitor = wp_monitor(area.fd, WPFILE_TRACK);
	for (nr = 0; nr < 256; nr++) {
		if (nr > 0x04)
			EXPECT_EQ(-ENOTTY, wp_call(area.fd,
						_IO(WPFILE_IOC_TYPE, nr),
						&query));
		if (nr > 0x04)
			EXPECT_EQ(-ENOTTY, wp_call(wp_device(),
						_IO(WPFILE_IOC_TYPE, nr),
						&query));
		if (nr < 0x20 || nr > 0x24)
			EXPECT_EQ(-ENOTTY,
				  wp_call(monitor, _IO(WPFILE_IOC_TYPE, nr),
				       &query));
	}
}

TEST_HARNESS_MAIN
