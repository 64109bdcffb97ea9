// SPDX-License-Identifier: GPL-2.0-only
/*
 * A core dump, which always makes a file of its own (O_EXCL): it is protected
 * as soon as it is there, while the kernel goes on writing.
 *
 *	a process of 20 MiB aborts
 *	the core file appears: [map it], PROTECT or SNAPSHOT, [map it]
 *	the dump ends
 *	what was written since is reported; the snapshot is the beginning
 */
#include "table.h"
#include "wait.h"
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define CORE "/dev/shm/wpfile-core"
#define DUMPED ((size_t)20 << 20)

/* clang-format off */
FIXTURE(cell) {
	pid_t pid;
	int fd;
	char *map;
};

FIXTURE_VARIANT(cell) {
	bool before;
};

FIXTURE_VARIANT_ADD(cell, core_dump_present_before) { .before = true };
FIXTURE_VARIANT_ADD(cell, core_dump_present_after) { .before = false };

#define BEGINNING                                                              \
	"the file is made by the dump: protected is its beginning, just written"
NO_CELLS(core_dump, hole, BEGINNING);
NO_CELLS(core_dump, swapped, BEGINNING);
NO_CELLS(core_dump, huge, BEGINNING);
/* clang-format on */

static void crash(void)
{
	struct rlimit unlimited = { RLIM_INFINITY, RLIM_INFINITY };
	char *memory = mmap(NULL, DUMPED, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	memset(memory, 0x77, DUMPED);
	setrlimit(RLIMIT_CORE, &unlimited);
	abort();
}

static size_t size_of(int fd)
{
	struct stat status;

	return fstat(fd, &status) ? 0 : status.st_size;
}

static void map_core(FIXTURE_DATA(cell) *self)
{
	self->map = map_file(self->fd, 2 * DUMPED, PROT_READ | PROT_WRITE);
	if (self->map)
		*(volatile char *)self->map = 0x7f; /* of ELF */
}

/* Until the beginning of it is there. */
FIXTURE_SETUP(cell)
{
	uint64_t end = now_ns() + 60 * 1000000000ULL;

	unlink(CORE);
	ASSERT_EQ(0, file_write("/proc/sys/kernel/core_pattern", CORE));
	ASSERT_EQ(0, file_write("/proc/sys/kernel/core_uses_pid", "0"));
	self->pid = fork();
	ASSERT_LE(0, self->pid);
	if (!self->pid)
		crash();
	do
		self->fd = open(CORE, O_RDWR | O_CLOEXEC);
	while (self->fd < 0 && now_ns() < end);
	while (size_of(self->fd) <= PAGE && now_ns() < end)
		;
	ASSERT_LT(PAGE, size_of(self->fd));
	if (variant->before)
		map_core(self);
}

FIXTURE_TEARDOWN(cell)
{
	close(self->fd);
	unlink(CORE);
}

static size_t end_dump(struct __test_metadata *const _metadata,
		       FIXTURE_DATA(cell) *self,
		       const FIXTURE_VARIANT(cell) *variant)
{
	int status;

	if (!variant->before)
		map_core(self);
	ASSERT_NE(NULL, self->map);
	ASSERT_EQ(self->pid, waitpid(self->pid, &status, 0));
	ASSERT_TRUE(WIFSIGNALED(status) && WCOREDUMP(status));
	return size_of(self->fd);
}

TEST_F(cell, is_reported)
{
	int monitor = wp_monitor(self->fd, WPFILE_TRACK);
	size_t first, last, size, i;
	struct pages seen, wanted = {};

	ASSERT_LE(0, monitor);
	first = size_of(self->fd) / PAGE;
	ASSERT_EQ(0, wp_protect(monitor, 0, WPFILE_TO_END));
	last = size_of(self->fd) / PAGE;
	size = end_dump(_metadata, self, variant);
	SKIP_UNLESS(last < size / PAGE, "the dump was over before PROTECT");
	ASSERT_EQ(0, scan_pages(monitor, 0, &seen));
	for (i = last; i * PAGE < size; i++)
		wanted.has[i] = 1;
	EXPECT_TRUE(pages_cover(&seen, &wanted))
		TH_LOG("written: %s", pages_text(&wanted));
	for (i = first; i < last; i++)
		wanted.has[i] = 1;
	wanted.has[0] = !variant->before; /* map_core() */
	EXPECT_TRUE(pages_cover(&wanted, &seen))
		TH_LOG("reported: %s", pages_text(&seen));
	close(monitor);
}

TEST_F(cell, is_not_in_the_snapshot)
{
	int snapshot = wp_snapshot(self->fd);
	size_t before, size;

	ASSERT_LE(0, snapshot);
	before = size_of(snapshot);
	size = end_dump(_metadata, self, variant);
	SKIP_UNLESS(before < size, "the dump was over before the snapshot");
	EXPECT_LT(PAGE, before);
	EXPECT_STREQ("same", compare(snapshot, self->map, before));
	close(snapshot);
}

/* Who dumps waits for nobody. */
TEST_F(cell, is_kept_by_the_handler)
{
	const struct area area = { .kind = TMPFS, .fd = self->fd };
	size_t before = size_of(self->fd), size;
	struct handler handler;
	struct pages asked;
	int monitor;

	monitor = sync_protect(&area);
	ASSERT_LE(0, monitor);
	ASSERT_EQ(0, handler_start(&handler, monitor, before));
	size = end_dump(_metadata, self, variant);
	ASSERT_EQ(0, handler_stop(&handler));
	SKIP_UNLESS(before < size, "the dump was over before PROTECT");
	asked = handler.asked;
	asked.has[0] = 0; /* map_core() */
	EXPECT_STREQ("", pages_text(&asked));
	EXPECT_STREQ("same", handler_compare(&handler, self->map));
	handler_free(&handler);
	close(monitor);
}

/* Nor does it fail. */
TEST_F(cell, is_refused)
{
	const struct area area = { .kind = TMPFS, .fd = self->fd };
	size_t before = size_of(self->fd);
	int monitor = area_protect(&area, WPFILE_DENY), status;

	ASSERT_LE(0, monitor);
	ASSERT_EQ(self->pid, waitpid(self->pid, &status, 0));
	ASSERT_TRUE(WIFSIGNALED(status) && WCOREDUMP(status));
	SKIP_UNLESS(before < size_of(self->fd),
		    "the dump was over before PROTECT");
	if (!self->map)
		self->map = map_file(self->fd, 2 * DUMPED, PROT_READ);
	ASSERT_NE(NULL, self->map);
	EXPECT_STREQ("same", compare(monitor, self->map, before));
	close(monitor);
}

MATRIX_MAIN
