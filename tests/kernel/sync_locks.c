// SPDX-License-Identifier: GPL-2.0-only
/*
 * Who waits for the answer of a SYNC monitor holds nothing.  While he does, a
 * stranger who has inherited his files, and a thread beside him, do what needs
 * the locks above and in shmem: of the inode, the mapping, the memory, the
 * position of the file, the pipe.
 */
#include "harness.h"
#include "wait.h"
#include <fcntl.h>
#include <linux/falloc.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>

#define PAGES 16
#define THE_PAGE 3	/* the only one that is protected */
#define OTHER_PAGE 9

/* clang-format off */
FIXTURE(locks) {
	struct area area;
	struct area other;	/* another file, as large */
	int pipe[2];
	int monitor;
	struct worker waiter;	/* a thread of this process */
	struct worker sibling;	/* another one */
	struct worker stranger;	/* a process with the same files */
};

FIXTURE_VARIANT(locks) {
	worker_fn write;
	long call;
};
/* clang-format on */

typedef FIXTURE_DATA(locks) locks;

static long or_errno(ssize_t ret)
{
	return ret < 0 ? -errno : 0;
}

/* --- how to wait: each would change THE_PAGE --- */

static long do_store(void *argument, long page)
{
	locks *self = argument;

	self->area.map[page * PAGE] = 'N';
	return 0;
}

/* At the position of the open file, which all share. */
static long do_write(void *argument, long page)
{
	locks *self = argument;

	(void)page;
	return or_errno(write(self->area.fd, self->other.map, PAGE));
}

static long do_splice(void *argument, long page)
{
	locks *self = argument;
	off_t offset = page * PAGE;

	return or_errno(splice(self->pipe[0], NULL, self->area.fd, &offset,
			       PAGE, 0));
}

static long do_sendfile(void *argument, long page)
{
	locks *self = argument;
	off_t from = 0;

	(void)page;
	return or_errno(sendfile(self->area.fd, self->other.fd, &from, PAGE));
}

static long do_copy_range(void *argument, long page)
{
	locks *self = argument;
	off_t from = 0, to = page * PAGE;

	return or_errno(copy_file_range(self->other.fd, &from, self->area.fd,
					&to, PAGE, 0));
}

static long do_punch(void *argument, long page)
{
	locks *self = argument;

	return or_errno(fallocate(self->area.fd,
				  FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
				  page * PAGE, PAGE));
}

static long do_truncate(void *argument, long page)
{
	locks *self = argument;

	return or_errno(ftruncate(self->area.fd, page * PAGE));
}

static long do_open(void *argument, long page)
{
	locks *self = argument;
	char path[32];
	int fd;

	(void)page;
	sprintf(path, "/proc/self/fd/%d", self->area.fd);
	fd = open(path, O_RDWR | O_TRUNC | O_CLOEXEC);
	return fd < 0 ? -errno : close(fd);
}

/* clang-format off */
FIXTURE_VARIANT_ADD(locks, store) { do_store, IN_NO_CALL };
FIXTURE_VARIANT_ADD(locks, write) { do_write, SYS_write };
FIXTURE_VARIANT_ADD(locks, splice) { do_splice, SYS_splice };
FIXTURE_VARIANT_ADD(locks, sendfile) { do_sendfile, SYS_sendfile };
FIXTURE_VARIANT_ADD(locks, copy_file_range) {
	do_copy_range, SYS_copy_file_range
};
FIXTURE_VARIANT_ADD(locks, punch) { do_punch, SYS_fallocate };
FIXTURE_VARIANT_ADD(locks, truncate) { do_truncate, SYS_ftruncate };
FIXTURE_VARIANT_ADD(locks, open_truncate) { do_open, SYS_openat };
/* clang-format on */

FIXTURE_SETUP(locks)
{
	ASSERT_EQ(0, area_make_filled(&self->area, MEMFD, PAGES * PAGE));
	ASSERT_EQ(0, area_make_filled(&self->other, MEMFD, PAGES * PAGE));
	ASSERT_EQ(0, area_fill(&self->other, 2));
	area_touch(&self->area);
	ASSERT_EQ(0, pipe(self->pipe));
	ASSERT_EQ((ssize_t)(2 * PAGE),
		  write(self->pipe[1], self->other.map, 2 * PAGE));
	ASSERT_EQ((off_t)(THE_PAGE * PAGE),
		  lseek(self->area.fd, THE_PAGE * PAGE, SEEK_SET));
	ASSERT_EQ(0, worker_start(&self->stranger));
	ASSERT_EQ(0, worker_start_thread(&self->waiter));
	ASSERT_EQ(0, worker_start_thread(&self->sibling));
	self->monitor = sync_protect(&self->area);
	ASSERT_LE(0, self->monitor);
	ASSERT_EQ(0, wp_unprotect(self->monitor, 0, THE_PAGE * PAGE));
	ASSERT_EQ(0, wp_unprotect(self->monitor, (THE_PAGE + 1) * PAGE,
				  WPFILE_TO_END));
}

FIXTURE_TEARDOWN(locks)
{
	close(self->monitor);
	worker_stop(&self->stranger);
	worker_stop(&self->waiter);
	worker_stop(&self->sibling);
	area_free(&self->area);
	area_free(&self->other);
}

/* --- what others do meanwhile; @tid waits --- */

static long read_the_file(void *argument, long tid)
{
	locks *self = argument;
	char page[PAGE];

	(void)tid;
	area_load(&self->area);
	return or_errno(pread(self->area.fd, page, PAGE, THE_PAGE * PAGE)) ?:
	       or_errno(pread(self->area.fd, page, PAGE, OTHER_PAGE * PAGE));
}

static long write_other_pages(void *argument, long tid)
{
	locks *self = argument;

	(void)tid;
	self->area.map[OTHER_PAGE * PAGE] = 'o';
	self->area.map[(THE_PAGE + 1) * PAGE] = 'o';
	return or_errno(pwrite(self->area.fd, "oo", 2, OTHER_PAGE * PAGE));
}

static long use_the_position(void *argument, long tid)
{
	locks *self = argument;
	off_t before = lseek(self->area.fd, 0, SEEK_CUR);
	long ret;
	char byte;

	(void)tid;
	ret = or_errno(lseek(self->area.fd, OTHER_PAGE * PAGE, SEEK_SET)) ?:
	      or_errno(write(self->area.fd, "p", 1)) ?:
	      or_errno(read(self->area.fd, &byte, 1));
	return ret ?: or_errno(lseek(self->area.fd, before, SEEK_SET));
}

static long use_the_pipe(void *argument, long tid)
{
	locks *self = argument;
	char byte;
	int ready;

	(void)tid;
	return or_errno(write(self->pipe[1], "p", 1)) ?:
	       or_errno(ioctl(self->pipe[0], FIONREAD, &ready)) ?:
	       or_errno(read(self->pipe[0], &byte, 1)) ?:
	       or_errno(fcntl(self->pipe[1], F_SETPIPE_SZ, 32 * PAGE));
}

static long open_the_file(void *argument, long tid)
{
	locks *self = argument;
	struct stat status;
	char path[32];
	int fd;
	long ret;

	(void)tid;
	sprintf(path, "/proc/self/fd/%d", self->area.fd);
	fd = open(path, O_RDWR | O_CLOEXEC);
	ret = or_errno(fd) ?: or_errno(fstat(fd, &status)) ?:
	      or_errno(pwrite(fd, "r", 1, OTHER_PAGE * PAGE));
	close(fd);
	return ret;
}

static long change_the_inode(void *argument, long tid)
{
	locks *self = argument;

	(void)tid;
	return or_errno(fchmod(self->area.fd, 0640)) ?:
	       or_errno(futimens(self->area.fd, NULL)) ?:
	       or_errno(fcntl(self->area.fd, F_ADD_SEALS, 0)) ?:
	       or_errno(flock(self->area.fd, LOCK_EX | LOCK_NB)) ?:
	       or_errno(flock(self->area.fd, LOCK_UN)) ?:
	       or_errno(fsync(self->area.fd));
}

static long grow_punch_and_cut(void *argument, long tid)
{
	locks *self = argument;
	int mode = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;

	(void)tid;
	return or_errno(fallocate(self->area.fd, mode, OTHER_PAGE * PAGE,
				  PAGE)) ?:
	       or_errno(fallocate(self->area.fd, 0, PAGES * PAGE, PAGE)) ?:
	       or_errno(ftruncate(self->area.fd, PAGES * PAGE));
}

static long change_other_files(void *argument, long tid)
{
	locks *self = argument;
	int fd = memfd_create("third", MFD_CLOEXEC);
	long ret;

	(void)tid;
	self->other.map[OTHER_PAGE * PAGE] = 'o';
	ret = or_errno(fd) ?:
	      or_errno(ftruncate(self->other.fd, OTHER_PAGE * PAGE)) ?:
	      or_errno(ftruncate(self->other.fd, PAGES * PAGE)) ?:
	      or_errno(pwrite(fd, self->other.map, PAGE, 0)) ?:
	      or_errno(ftruncate(fd, 0));
	close(fd);
	sync();
	return ret;
}

static long fork_and_execute(void *argument, long tid)
{
	pid_t pid = fork();
	int status;

	(void)argument;
	(void)tid;
	if (!pid) {
		execl("/bin/true", "true", NULL);
		_exit(1);
	}
	return waitpid(pid, &status, 0) == pid ? status : -errno;
}

static long map_and_unmap(void *argument, long tid)
{
	locks *self = argument;
	char *map = map_file(self->area.fd, self->area.size,
			     PROT_READ | PROT_WRITE);

	(void)tid;
	if (!map)
		return -errno;
	map[OTHER_PAGE * PAGE] = map[THE_PAGE * PAGE];
	return or_errno(munmap(map, self->area.size));
}

/* The very mapping that he who stores has faulted in. */
static long change_the_mapping(void *argument, long tid)
{
	locks *self = argument;
	char *page = self->area.map + OTHER_PAGE * PAGE;

	(void)tid;
	return or_errno(mprotect(page, PAGE, PROT_READ)) ?:
	       or_errno(mprotect(page, PAGE, PROT_READ | PROT_WRITE)) ?:
	       or_errno(madvise(self->area.map, self->area.size,
				MADV_DONTNEED)) ?:
	       or_errno(msync(self->area.map, self->area.size, MS_SYNC));
}

static long use_more_memory(void *argument, long tid)
{
	void *map = mmap(NULL, HUGE, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);

	(void)argument;
	(void)tid;
	return map == MAP_FAILED ? -errno : or_errno(munmap(map, HUGE));
}

static long look_at_the_waiter(void *argument, long tid)
{
	static const char *const names[] = { "maps",  "smaps",  "status",
					     "stat",  "wchan",  "stack",
					     "statm", "cmdline", "environ" };
	locks *self = argument;
	struct iovec to, from = { self->area.map + THE_PAGE * PAGE, PAGE };
	static char text[1 << 16];
	char path[64], page[PAGE];
	size_t i;

	for (i = 0; i < ARRAY_SIZE(names); i++) {
		sprintf(path, "/proc/%ld/%s", tid, names[i]);
		file_read(path, text, sizeof(text));
	}
	to = (struct iovec){ page, PAGE };
	return or_errno(process_vm_readv(tid, &to, 1, &from, 1, 0)) ?:
	       or_errno(kill(tid, 0));
}

static long monitor_the_file(void *argument, long tid)
{
	locks *self = argument;
	int track = area_protect(&self->area, WPFILE_TRACK);
	int snapshot = area_snapshot(&self->area);
	struct pages seen;
	char page[PAGE];
	long ret;

	(void)tid;
	ret = track < 0 ? track : snapshot < 0 ? snapshot : 0;
	ret = ret ?: scan_pages(track, WPFILE_SCAN_PROTECT, &seen) ?:
	      or_errno(pread(snapshot, page, PAGE, THE_PAGE * PAGE));
	close(track);
	close(snapshot);
	return ret;
}

static long move_memory(void *argument, long tid)
{
	(void)argument;
	(void)tid;
	return file_write("/proc/sys/vm/drop_caches", "3") ?: compact_memory();
}

static const struct {
	worker_fn fn;
	const char *name;
} deeds[] = {
#define DEED(_fn) { _fn, #_fn }
	DEED(read_the_file),
	DEED(write_other_pages),
	DEED(use_the_position),
	DEED(use_the_pipe),
	DEED(open_the_file),
	DEED(change_the_inode),
	DEED(grow_punch_and_cut),
	DEED(change_other_files),
	DEED(fork_and_execute),
	DEED(map_and_unmap),
	DEED(change_the_mapping),
	DEED(use_more_memory),
	DEED(look_at_the_waiter),
	DEED(monitor_the_file),
	DEED(move_memory),
};

static void make_wait(struct __test_metadata *const _metadata, locks *self,
		      const FIXTURE_VARIANT(locks) *variant,
		      struct wpfile_event *event)
{
	worker_begin(&self->waiter, variant->write, self, THE_PAGE);
	ASSERT_EQ(0, event_expect(self->monitor, event, WPFILE_WAITING,
				  THE_PAGE));
	ASSERT_TRUE(comes_to_sleep_in(self->waiter.pid, variant->call));
}

/* All deeds are done, and he waits on. */
static void expect_free(struct __test_metadata *const _metadata, locks *self,
			const FIXTURE_VARIANT(locks) *variant,
			struct worker *doer)
{
	struct wpfile_event event;
	struct pages changed;
	size_t i;

	make_wait(_metadata, self, variant, &event);
	for (i = 0; i < ARRAY_SIZE(deeds); i++) {
		worker_begin(doer, deeds[i].fn, self, self->waiter.pid);
		ASSERT_EQ(0, worker_result(doer))
			TH_LOG("%s", deeds[i].name);
		ASSERT_FALSE(worker_has_ended(&self->waiter, 0))
			TH_LOG("after %s", deeds[i].name);
	}
	EXPECT_TRUE(comes_to_sleep_in(self->waiter.pid, variant->call));
	EXPECT_FALSE(event_is_there(self->monitor, 0));
	EXPECT_EQ(0, sync_allow(self->monitor, &event));
	EXPECT_EQ(0, worker_result_allowing(&self->waiter, self->monitor));
	changed_pages(&self->area, &changed);
	EXPECT_TRUE(changed.has[THE_PAGE]);
}

TEST_F(locks, stranger_is_not_held_up)
{
	expect_free(_metadata, self, variant, &self->stranger);
}

TEST_F(locks, thread_beside_is_not_held_up)
{
	expect_free(_metadata, self, variant, &self->sibling);
}

/* Who writes elsewhere by the same call gets by; both wait for the same page. */
TEST_F(locks, two_of_a_kind_wait)
{
	struct wpfile_event event;

	make_wait(_metadata, self, variant, &event);
	worker_begin(&self->stranger, variant->write, self, THE_PAGE);
	ASSERT_TRUE(comes_to_sleep_in(self->stranger.pid, variant->call));
	EXPECT_FALSE(worker_has_ended(&self->stranger, MOMENT));
	worker_begin(&self->sibling, use_the_position, self, 0);
	EXPECT_EQ(0, worker_result(&self->sibling));
	worker_begin(&self->sibling, use_the_pipe, self, 0);
	EXPECT_EQ(0, worker_result(&self->sibling));
	worker_begin(&self->sibling, change_the_inode, self, 0);
	EXPECT_EQ(0, worker_result(&self->sibling));
	EXPECT_FALSE(event_is_there(self->monitor, 0));
	EXPECT_EQ(0, sync_allow(self->monitor, &event));
	EXPECT_EQ(0, worker_result(&self->waiter));
	EXPECT_EQ(0, worker_result(&self->stranger));
}

/* The handler is single-threaded, and the waiter beside it. */
TEST_F(locks, handler_does_it_all_before_it_answers)
{
	struct wpfile_event event;
	char page[PAGE];
	size_t i;

	make_wait(_metadata, self, variant, &event);
	for (i = 0; i < ARRAY_SIZE(deeds); i++)
		EXPECT_EQ(0, deeds[i].fn(self, self->waiter.pid))
			TH_LOG("%s", deeds[i].name);
	EXPECT_EQ((ssize_t)PAGE,
		  pread(self->monitor, page, PAGE, THE_PAGE * PAGE));
	EXPECT_STREQ("same", compare_memory(page, self->area.before +
						  THE_PAGE * PAGE, PAGE));
	EXPECT_EQ(1, pwrite(self->monitor, "h", 1, THE_PAGE * PAGE + 1));
	EXPECT_EQ(0, wp_protect(self->monitor, OTHER_PAGE * PAGE, PAGE));
	EXPECT_EQ(0, wp_unprotect(self->monitor, OTHER_PAGE * PAGE, PAGE));
	EXPECT_FALSE(worker_has_ended(&self->waiter, 0));
	EXPECT_EQ(0, sync_allow(self->monitor, &event));
	EXPECT_EQ(0, worker_result_allowing(&self->waiter, self->monitor));
}

TEST_HARNESS_MAIN
