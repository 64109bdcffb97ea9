// SPDX-License-Identifier: GPL-2.0-only
/*
 * Pins: references to pages through which somebody can store without a fault.
 *
 *	pin (a registered io_uring buffer, a udmabuf)
 *	PROTECT or SNAPSHOT	counts the pages
 *	store through the pin	is in every SCAN
 *	unpin, PROTECT		counts none
 *
 * That pages are looked at one by one only if a reference for writing was ever
 * taken is seen by a page in a pipe: it has a reference, for reading, which is
 * counted from then on.
 */
#include "harness.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <linux/io_uring.h>
#include <linux/udmabuf.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ways.h"

#define PAGES	((size_t)8)
#define ERROR	(~0ULL)

/* Pages that PROTECT of all counts; ERROR if it fails. */
static __u64 pinned(int monitor)
{
	struct wpfile_range all = { 0, WPFILE_TO_END };
	struct wpfile_protect protect = { .size = sizeof(protect),
					  .ranges = (uintptr_t)&all,
					  .nr_ranges = 1,
					  .ret_pinned_pages = ERROR };

	if (ioctl(monitor, WPFILE_IOC_PROTECT, &protect))
		return ERROR;
	return protect.ret_pinned_pages;
}

/* Pages that a snapshot counts. */
static __u64 pinned_in_snapshot(int fd)
{
	struct wpfile_snapshot snapshot = { .size = sizeof(snapshot),
					    .ret_pinned_pages = ERROR };
	int ret = ioctl(fd, WPFILE_IOC_SNAPSHOT, &snapshot);

	if (ret < 0)
		return ERROR;
	close(ret);
	return snapshot.ret_pinned_pages;
}

static long fdinfo_pinned(int fd)
{
	return fdinfo_number(fd, "pinned_pages:");
}

/* An io_uring with buffer 0 registered, which pins its pages; or -errno. */
static int ring_with_buffer(void *buffer, size_t size)
{
	struct iovec iovec = { buffer, size };
	struct io_uring_params params = {};
	int fd = syscall(SYS_io_uring_setup, 4, &params);

	if (fd < 0)
		return -errno;
	if (syscall(SYS_io_uring_register, fd, IORING_REGISTER_BUFFERS, &iovec,
		    1)) {
		close(fd);
		return -errno;
	}
	return fd;
}

/* The ring is torn down some time after its last file is closed. */
static void ring_close(int ring)
{
	syscall(SYS_io_uring_register, ring, IORING_UNREGISTER_BUFFERS, NULL, 0);
	close(ring);
}

/* clang-format off */
FIXTURE(pin) {
	struct area area;
	int track;
	int capture;
};
/* clang-format on */

FIXTURE_SETUP(pin)
{
	ASSERT_EQ(0, area_make_filled(&self->area, MEMFD, PAGES * PAGE));
	area_touch(&self->area);
	self->track = area_monitor(&self->area, WPFILE_TRACK);
	self->capture = area_monitor(&self->area, WPFILE_CAPTURE);
	ASSERT_LE(0, self->track);
	ASSERT_LE(0, self->capture);
}

FIXTURE_TEARDOWN(pin)
{
	area_free(&self->area);
}

TEST_F(pin, of_nobody_is_not_counted)
{
	EXPECT_EQ(0, pinned(self->track));
	EXPECT_EQ(0, pinned(self->capture));
	EXPECT_EQ(0, pinned_in_snapshot(self->area.fd));
	EXPECT_EQ(0, fdinfo_pinned(self->track));
	EXPECT_STREQ("", written(self->track));
}

TEST_F(pin, of_a_registered_buffer_is_counted_exactly)
{
	int ring = ring_with_buffer(self->area.map + 2 * PAGE, 3 * PAGE);
	int snapshot;

	SKIP_UNLESS(ring >= 0, "no io_uring: %s", strerror(-ring));
	EXPECT_EQ(3, pinned(self->track));
	EXPECT_EQ(3, pinned(self->capture));
	EXPECT_EQ(3, fdinfo_pinned(self->track));
	EXPECT_EQ(3, fdinfo_pinned(self->capture));
	EXPECT_EQ(3, pinned_in_snapshot(self->area.fd));
	snapshot = area_snapshot(&self->area);
	EXPECT_EQ(3, fdinfo_pinned(snapshot));
	ring_close(ring);
	EXPECT_EQ(0, pinned(self->track));
	EXPECT_EQ(0, pinned(self->capture));
	EXPECT_EQ(0, pinned_in_snapshot(self->area.fd));
	/* What was true at its cut. */
	EXPECT_EQ(3, fdinfo_pinned(snapshot));
}

TEST_F(pin, is_in_every_scan_until_it_is_gone)
{
	int ring = ring_with_buffer(self->area.map + 2 * PAGE, 3 * PAGE);

	SKIP_UNLESS(ring >= 0, "no io_uring: %s", strerror(-ring));
	ASSERT_EQ(3, pinned(self->track));
	EXPECT_STREQ("2-4", unprotected(self->track));
	EXPECT_STREQ("2-4", written(self->track));
	EXPECT_STREQ("2-4", written(self->track));
	self->area.map[6 * PAGE] = 'x';
	EXPECT_STREQ("2-4 6", written(self->track));
	ring_close(ring);
	/* It may have been stored to since. */
	EXPECT_STREQ("2-4", written(self->track));
	EXPECT_STREQ("", written(self->track));
}

/* Registered while protected: a write, as far as anybody can know. */
TEST_F(pin, taken_later_is_a_write)
{
	int snapshot, ring;

	ASSERT_EQ(0, pinned(self->track));
	snapshot = area_snapshot(&self->area);
	ASSERT_LE(0, snapshot);
	ring = ring_with_buffer(self->area.map + 5 * PAGE, PAGE);
	SKIP_UNLESS(ring >= 0, "no io_uring: %s", strerror(-ring));
	EXPECT_EQ(0, fdinfo_pinned(snapshot));
	EXPECT_STREQ("5", written(self->track));
	EXPECT_STREQ("5", written(self->track));
	memset(self->area.map + 5 * PAGE, 0x77, PAGE);
	EXPECT_STREQ("same", compare(snapshot, self->area.before,
				     self->area.size));
	ring_close(ring);
}

/* memfd_pin_folios(): pages without a page table entry. */
static int udmabuf_make(int memfd, size_t offset, size_t size)
{
	struct udmabuf_create create = { .memfd = memfd,
					 .flags = UDMABUF_FLAGS_CLOEXEC,
					 .offset = offset,
					 .size = size };
	int device = open("/dev/udmabuf", O_RDWR | O_CLOEXEC), fd;

	if (device < 0)
		return -errno;
	fcntl(memfd, F_ADD_SEALS, F_SEAL_SHRINK);
	fd = ioctl(device, UDMABUF_CREATE, &create);
	if (fd < 0)
		fd = -errno;
	close(device);
	return fd;
}

TEST_F(pin, of_a_udmabuf_is_counted_and_in_every_scan)
{
	int buffer = udmabuf_make(self->area.fd, 2 * PAGE, 2 * PAGE);
	char *map;

	SKIP_UNLESS(buffer >= 0, "no udmabuf: %s", strerror(-buffer));
	map = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, buffer,
		   0);
	ASSERT_NE(MAP_FAILED, map);
	map[0] = 'x';
	EXPECT_EQ(2, pinned(self->track));
	EXPECT_EQ(2, pinned(self->capture));
	EXPECT_STREQ("2-3", written(self->track));
	map[PAGE] = 'y';
	EXPECT_EQ('y', self->area.map[3 * PAGE]);
	EXPECT_STREQ("2-3", written(self->track));
	munmap(map, 2 * PAGE);
	close(buffer);
	/* The dma-buf is released by a worker. */
	sleep_ms(200);
	EXPECT_EQ(0, pinned(self->track));
}

TEST_F(pin, of_a_udmabuf_made_later_is_a_write)
{
	int snapshot, buffer;
	char *map;

	ASSERT_EQ(0, pinned(self->track));
	snapshot = area_snapshot(&self->area);
	ASSERT_LE(0, snapshot);
	buffer = udmabuf_make(self->area.fd, 2 * PAGE, 2 * PAGE);
	SKIP_UNLESS(buffer >= 0, "no udmabuf: %s", strerror(-buffer));
	map = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, buffer,
		   0);
	ASSERT_NE(MAP_FAILED, map);
	map[PAGE] = 'y';
	EXPECT_EQ('y', self->area.map[3 * PAGE]);
	EXPECT_STREQ("2-3", written(self->track));
	EXPECT_STREQ("same", compare(snapshot, self->area.before,
				     self->area.size));
	munmap(map, 2 * PAGE);
	close(buffer);
}

/* A reference to a large folio is one to all of its pages. */
TEST(pin_in_a_huge_page_counts_all_of_it)
{
	struct area area;
	int monitor, ring;

	ASSERT_EQ(0, area_make_filled(&area, TMPFS_HUGE, 2 * HUGE));
	area_touch(&area);
	SKIP_UNLESS(area_is_huge(&area), "got no huge mapping");
	monitor = area_monitor(&area, WPFILE_TRACK);
	ASSERT_LE(0, monitor);
	EXPECT_EQ(0, pinned(monitor));
	ring = ring_with_buffer(area.map + HUGE + 7 * PAGE, PAGE);
	SKIP_UNLESS(ring >= 0, "no io_uring: %s", strerror(-ring));
	EXPECT_EQ(HUGE_PAGES, pinned(monitor));
	EXPECT_STREQ("512-1023", written(monitor));
	ring_close(ring);
	EXPECT_EQ(0, pinned(monitor));
	area_free(&area);
}

/* More mappings than folio_maybe_dma_pinned() can tell from a pin. */
#define MAPPERS	2000

TEST(mappings_of_2000_processes_are_no_pins)
{
	struct area area;
	int monitor, go[2], ready[2], i, ring;
	char byte;

	ASSERT_EQ(0, area_make_filled(&area, MEMFD, PAGES * PAGE));
	/* So that pages are looked at one by one. */
	ring = ring_with_buffer(area.map, PAGE);
	SKIP_UNLESS(ring >= 0, "no io_uring: %s", strerror(-ring));
	ring_close(ring);
	ASSERT_EQ(0, pipe(go));
	ASSERT_EQ(0, pipe(ready));
	for (i = 0; i < MAPPERS; i++) {
		pid_t pid = fork();

		ASSERT_LE(0, pid);
		if (pid)
			continue;
		close(go[1]);
		area.map[3 * PAGE] = 'x';
		if (write(ready[1], "", 1) == 1)
			_exit(read(go[0], &byte, 1));
	}
	for (i = 0; i < MAPPERS; i++)
		ASSERT_EQ(1, read(ready[0], &byte, 1));
	monitor = area_monitor(&area, WPFILE_TRACK);
	ASSERT_LE(0, monitor);
	EXPECT_EQ(0, pinned(monitor));
	EXPECT_STREQ("", written(monitor));
	close(go[1]);
	while (wait(NULL) > 0)
		;
	area_free(&area);
}

/*
 * Who sets the sticky bit: a page in a pipe is counted if somebody has.
 */
typedef int (*act_fn)(struct area *area, size_t page);

static int act_nothing(struct area *area, size_t page)
{
	area->map[page * PAGE] = 'x';
	return 0;
}

/* Asks for a writable page, and stores nothing. */
static int act_futex_wake(struct area *area, size_t page)
{
	return syscall(SYS_futex, area->map + page * PAGE, FUTEX_WAKE, 1, NULL,
		       NULL, 0) < 0 ? -errno : 0;
}

static int act_read(struct area *area, size_t page)
{
	char bytes[8];
	struct iovec to = { bytes, 8 }, from = { area->map + page * PAGE, 8 };

	return process_vm_readv(getpid(), &to, 1, &from, 1, 0) == 8 ? 0 : -errno;
}

/* pin_user_pages_fast(): the entry is there, and writable. */
static int act_direct_read(struct area *area, size_t page)
{
	int disk = memfd_create("disk", MFD_CLOEXEC), loop, ret = -EIO;
	char *to = area->map + page * PAGE;

	*to = 'x';
	if (disk < 0 || ftruncate(disk, HUGE))
		return -errno;
	loop = loop_attach(disk, O_DIRECT);
	if (loop < 0)
		return loop;
	if (pread(loop, to, PAGE, 0) == (ssize_t)PAGE)
		ret = *to ? -EIO : 0;
	loop_detach(loop);
	close(disk);
	return ret;
}

/* clang-format off */
FIXTURE(sticky) {
	struct area area;
	int monitor;
};

FIXTURE_VARIANT(sticky) {
	act_fn act;
	enum kind kind;
	__u64 counted;
};

#define ACT(_name, _kind, _act, _counted)                                      \
	FIXTURE_VARIANT_ADD(sticky, _name) {                                   \
		.kind = _kind,                                                 \
		.act = _act,                                                   \
		.counted = _counted,                                           \
	}

ACT(not_by_a_store, MEMFD, act_nothing, 0);
ACT(not_by_a_futex, MEMFD, act_futex_wake, 0);
ACT(not_by_reading, MEMFD, act_read, 0);
ACT(by_process_vm_writev, MEMFD, way_process_vm_writev, 1);
ACT(by_proc_mem, MEMFD, way_proc_mem, 1);
ACT(by_ptrace, MEMFD, way_ptrace_poke, 1);
ACT(by_direct_read, MEMFD, act_direct_read, 1);
ACT(by_direct_read_into_huge_page, TMPFS_HUGE, act_direct_read, HUGE_PAGES);
/* clang-format on */

FIXTURE_SETUP(sticky)
{
	struct area *area = &self->area;

	ASSERT_EQ(0, area_make_filled(area, variant->kind, 2 * HUGE));
	area_touch(area);
	if (variant->kind == TMPFS_HUGE)
		SKIP_UNLESS(area_is_huge(area), "got no huge mapping");
	self->monitor = area_monitor(area, WPFILE_TRACK);
	ASSERT_LE(0, self->monitor);
}

FIXTURE_TEARDOWN(sticky)
{
	area_free(&self->area);
}

TEST_F(sticky, bit)
{
	struct iovec page = { self->area.map + HUGE + PAGE, PAGE };
	int fds[2], ret;

	ASSERT_EQ(0, pipe(fds));
	ASSERT_EQ((ssize_t)PAGE, vmsplice(fds[1], &page, 1, 0));
	ASSERT_EQ(0, pinned(self->monitor));
	/* As a monitor would make it read-only, do it with none. */
	close(self->monitor);
	area_touch(&self->area);
	ret = variant->act(&self->area, 3);
	ASSERT_EQ(0, ret)
		TH_LOG("%s", strerror(-ret));
	self->monitor = area_monitor(&self->area, WPFILE_TRACK);
	ASSERT_LE(0, self->monitor);
	EXPECT_EQ(variant->counted, pinned(self->monitor));
}

TEST_HARNESS_MAIN
