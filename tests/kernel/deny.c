// SPDX-License-Identifier: GPL-2.0-only
/*
 * WPFILE_DENY: what is protected cannot be written by anybody in the domain,
 * whatever he tries, and nothing changes when he does; what is not can be.
 * (Who is in the domain: domain.c.  Events: deny_events.c.)
 */
#include "harness.h"
#include "watch.h"
#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/userfaultfd.h>
#include <sys/ptrace.h>
#include <sys/random.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/utsname.h>

#define PAGES 16

/* --- nothing has changed --- */

struct shape {
	off_t size;
	struct timespec mtime, ctime;
};

static struct shape shape_of(int fd)
{
	struct stat status = {};

	fstat(fd, &status);
	return (struct shape){ status.st_size, status.st_mtim, status.st_ctim };
}

/* The clock that stamps files has moved on. */
static void let_time_pass(void)
{
	sleep_ms(30);
}

#define EXPECT_UNCHANGED(_area, _shape)                                        \
	do {                                                                   \
		struct shape _now = shape_of((_area)->fd);                     \
                                                                               \
		EXPECT_EQ((_shape)->size, _now.size);                          \
		EXPECT_EQ(0, memcmp(_shape, &_now, sizeof(_now)))              \
		TH_LOG("size or times have changed");                          \
		EXPECT_STREQ("same", compare((_area)->fd, (_area)->before,     \
					     (_area)->size));                  \
	} while (0)

/* --- stores --- */

enum state { PRESENT, HOLE, SWAPPED, HUGE_PAGE };

/* clang-format off */
FIXTURE(store) {
	struct area area;
	size_t page;
	int monitor;
	struct shape shape;
};

FIXTURE_VARIANT(store) {
	enum state state;
	bool mapped_after;
};

#define STORES(_name, _state)                                                  \
	FIXTURE_VARIANT_ADD(store, _name##_before) { .state = _state };        \
	FIXTURE_VARIANT_ADD(store, _name##_after) {                            \
		.state = _state, .mapped_after = true }

STORES(present, PRESENT);
STORES(hole, HOLE);
STORES(swapped, SWAPPED);
STORES(huge, HUGE_PAGE);
/* clang-format on */

static int make_state(struct area *area, enum state state)
{
	int ret;

	if (state == HUGE_PAGE)
		return area_make_filled(area, TMPFS_HUGE, 2 * HUGE);
	if (state != HOLE)
		return area_make_filled(area, MEMFD, PAGES * PAGE);
	ret = area_make(area, MEMFD, PAGES * PAGE);
	return ret ?: area_fill_page(area, 0, 1) ?: area_map(area);
}

FIXTURE_SETUP(store)
{
	struct area *area = &self->area;

	self->page = variant->state == HUGE_PAGE ? HUGE_PAGES + 3 : 3;
	ASSERT_EQ(0, make_state(area, variant->state));
	if (variant->state != HOLE)
		area_touch(area);
	if (variant->state == HUGE_PAGE)
		SKIP_UNLESS(area_is_huge(area), "got no huge mapping");
	if (variant->state == SWAPPED)
		SWAP_OUT(area);
	if (variant->state == HOLE)
		ASSERT_EQ((off_t)PAGE, lseek(area->fd, 0, SEEK_HOLE));
	if (variant->mapped_after)
		area_leave(area);
	self->monitor = deny_monitor(area->fd, 0);
	ASSERT_LE(0, self->monitor);
	ASSERT_EQ(0, wp_protect(self->monitor, self->page * PAGE, 2 * PAGE));
	ASSERT_EQ(0, area_map(area));
	let_time_pass();
	self->shape = shape_of(area->fd);
}

FIXTURE_TEARDOWN(store)
{
	close(self->monitor);
	area_free(&self->area);
}

static void expect_refused(struct __test_metadata *const _metadata, char *at)
{
	struct fault fault;

	EXPECT_EQ(SIGSEGV, try_store(at, 'x', &fault));
	EXPECT_EQ(SEGV_ACCERR, fault.code);
	EXPECT_EQ((void *)at, fault.address);
}

TEST_F(store, is_a_SIGSEGV_with_its_address_and_changes_nothing)
{
	char *page = self->area.map + self->page * PAGE;

	expect_refused(_metadata, page);
	expect_refused(_metadata, page + 777);
	expect_refused(_metadata, page + 2 * PAGE - 1);
	EXPECT_UNCHANGED(&self->area, &self->shape);
	expect_refused(_metadata, page); /* after it was read */
	EXPECT_EQ(-ETIME, event_within(self->monitor, &(struct wpfile_event){},
				     0));
}

TEST_F(store, after_a_load_is_refused)
{
	char *page = self->area.map + self->page * PAGE;

	EXPECT_EQ(self->area.before[self->page * PAGE],
		  *(volatile char *)page);
	expect_refused(_metadata, page);
	EXPECT_UNCHANGED(&self->area, &self->shape);
}

TEST_F(store, to_the_neighbours_succeeds)
{
	size_t page = self->page;

	EXPECT_EQ(0, try_store(self->area.map + page * PAGE - 1, 'y', NULL));
	EXPECT_EQ(0, try_store(self->area.map + (page + 2) * PAGE, 'y', NULL));
	self->area.before[page * PAGE - 1] = 'y';
	self->area.before[(page + 2) * PAGE] = 'y';
	expect_refused(_metadata, self->area.map + page * PAGE);
	expect_refused(_metadata, self->area.map + (page + 1) * PAGE);
	EXPECT_STREQ("same", compare(self->area.fd, self->area.before,
				     self->area.size));
}

TEST_F(store, after_UNPROTECT_succeeds)
{
	char *page = self->area.map + self->page * PAGE;

	expect_refused(_metadata, page);
	ASSERT_EQ(0, wp_unprotect(self->monitor, self->page * PAGE, PAGE));
	EXPECT_EQ(0, try_store(page, 'y', NULL));
	self->area.before[self->page * PAGE] = 'y';
	expect_refused(_metadata, page + PAGE);
	ASSERT_EQ(0, wp_protect(self->monitor, self->page * PAGE, PAGE));
	expect_refused(_metadata, page);
	EXPECT_STREQ("same", compare(self->area.fd, self->area.before,
				     self->area.size));
}

TEST_F(store, after_close_succeeds)
{
	char *page = self->area.map + self->page * PAGE;

	expect_refused(_metadata, page);
	close(self->monitor);
	EXPECT_EQ(0, try_store(page, 'y', NULL));
	EXPECT_EQ('y', *(volatile char *)page);
}

static long store_byte(void *argument, long page)
{
	struct area *area = argument;
	struct fault fault;
	char *at = area->map + page * PAGE + 5;

	if (!try_store(at, 'z', &fault))
		return 0;
	return fault.signal == SIGSEGV && fault.code == SEGV_ACCERR &&
			       fault.address == at ?
		       -EFAULT :
		       -EINVAL;
}

static long map_and_store(void *argument, long page)
{
	struct area *area = argument;

	area->map = map_file(area->fd, area->size, PROT_READ | PROT_WRITE);
	return area->map ? store_byte(area, page) : -ENOMEM;
}

TEST_F(store, of_a_child_is_refused)
{
	struct worker child;

	ASSERT_EQ(0, worker_start(&child));
	EXPECT_EQ(-EFAULT, worker_call(&child, store_byte, &self->area,
				       self->page));
	EXPECT_UNCHANGED(&self->area, &self->shape);
	ASSERT_EQ(0, wp_unprotect(self->monitor, self->page * PAGE, PAGE));
	EXPECT_EQ(0, worker_call(&child, store_byte, &self->area, self->page));
	EXPECT_EQ('z', self->area.map[self->page * PAGE + 5]);
	worker_stop(&child);
}

TEST_F(store, through_a_second_mapping_of_another_process_is_refused)
{
	struct worker other;

	ASSERT_EQ(0, worker_start(&other));
	EXPECT_EQ(-EFAULT, worker_call(&other, map_and_store, &self->area,
				       self->page));
	EXPECT_UNCHANGED(&self->area, &self->shape);
	worker_stop(&other);
}

TEST_F(store, to_a_private_mapping_succeeds)
{
	char *map = mmap(NULL, self->area.size, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE, self->area.fd, 0);

	ASSERT_NE(MAP_FAILED, map);
	EXPECT_EQ(0, try_store(map + self->page * PAGE, 'p', NULL));
	EXPECT_EQ('p', map[self->page * PAGE]);
	EXPECT_UNCHANGED(&self->area, &self->shape);
	munmap(map, self->area.size);
}

/* Who does not catch it dies of it, as after mprotect(). */
TEST_F(store, that_nobody_catches_kills)
{
	pid_t pid = fork();
	int status;

	ASSERT_LE(0, pid);
	if (!pid) {
		signal(SIGSEGV, SIG_DFL);
		*(volatile char *)(self->area.map + self->page * PAGE) = 'x';
		_exit(0);
	}
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
	EXPECT_UNCHANGED(&self->area, &self->shape);
}

/* The kernel's own stores: buffers of system calls. */

TEST_F(store, by_the_kernel_is_EFAULT_and_changes_nothing)
{
	char *page = self->area.map + self->page * PAGE;
	struct iovec ours = { (char[]){ 'x' }, 1 }, at = { page, 1 };
	int sockets[2], mem;

	EXPECT_EQ(-EFAULT, try_kernel_store(page, 'x'));
	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_DGRAM, 0, sockets));
	ASSERT_EQ(1, send(sockets[0], "x", 1, 0));
	EXPECT_EQ(-1, recv(sockets[1], page, 1, 0));
	EXPECT_EQ(EFAULT, errno);
	EXPECT_EQ(-1, uname((struct utsname *)page));
	EXPECT_EQ(EFAULT, errno);
	EXPECT_EQ(-1, getrandom(page, 8, 0));
	EXPECT_EQ(EFAULT, errno);
	EXPECT_EQ(-1, pread(self->area.fd, page, 8, 0));
	EXPECT_EQ(EFAULT, errno);
	EXPECT_EQ(-1, process_vm_writev(getpid(), &ours, 1, &at, 1, 0));
	EXPECT_EQ(EFAULT, errno);
	mem = open("/proc/self/mem", O_RDWR);
	ASSERT_LE(0, mem);
	EXPECT_EQ(-1, pwrite(mem, "x", 1, (off_t)(uintptr_t)page));
	EXPECT_UNCHANGED(&self->area, &self->shape);
	close(mem);
}

/* What the buffer could take has been taken. */
TEST_F(store, by_the_kernel_fills_the_buffer_up_to_the_protected_page)
{
	char *at = self->area.map + (self->page - 1) * PAGE, bytes[2 * PAGE];
	int fd = memfd_create("source", MFD_CLOEXEC);

	memset(bytes, 'k', sizeof(bytes));
	ASSERT_EQ((ssize_t)sizeof(bytes), write(fd, bytes, sizeof(bytes)));
	EXPECT_EQ((ssize_t)PAGE, pread(fd, at, sizeof(bytes), 0));
	memset(self->area.before + (self->page - 1) * PAGE, 'k', PAGE);
	EXPECT_STREQ("same", compare(self->area.fd, self->area.before,
				     self->area.size));
	close(fd);
}

static void wait_stopped(pid_t pid)
{
	int status;

	do
		waitpid(pid, &status, 0);
	while (!WIFSTOPPED(status) && !WIFEXITED(status) &&
	       !WIFSIGNALED(status));
}

TEST_F(store, by_a_debugger_fails_and_changes_nothing)
{
	char *page = self->area.map + self->page * PAGE;
	pid_t pid = fork();

	ASSERT_LE(0, pid);
	if (!pid) {
		ptrace(PTRACE_TRACEME, 0, NULL, NULL);
		raise(SIGSTOP);
		_exit(0);
	}
	wait_stopped(pid);
	EXPECT_EQ(-1, ptrace(PTRACE_POKEDATA, pid, page, (void *)0x78787878L));
	EXPECT_UNCHANGED(&self->area, &self->shape);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

/* --- system calls on the file --- */

#define FIRST 4 /* protected pages */
#define LAST 7

/* clang-format off */
FIXTURE(call) {
	struct area area;
	int monitor;
	struct shape shape;
	char bytes[PAGES * PAGE];
};
/* clang-format on */

FIXTURE_SETUP(call)
{
	ASSERT_EQ(0, area_make_filled(&self->area, TMPFS, PAGES * PAGE));
	area_touch(&self->area);
	memset(self->bytes, 'w', sizeof(self->bytes));
	self->monitor = deny_monitor(self->area.fd, 0);
	ASSERT_LE(0, self->monitor);
	ASSERT_EQ(0, wp_protect(self->monitor, FIRST * PAGE,
				(LAST - FIRST + 1) * PAGE));
	let_time_pass();
	self->shape = shape_of(self->area.fd);
}

FIXTURE_TEARDOWN(call)
{
	close(self->monitor);
	area_free(&self->area);
}

#define EXPECT_EPERM(_call)                                                    \
	do {                                                                   \
		errno = 0;                                                     \
		EXPECT_EQ(-1, (long)(_call));                                  \
		EXPECT_EQ(EPERM, errno);                                       \
	} while (0)

TEST_F(call, write_is_EPERM_and_changes_nothing)
{
	struct iovec iov[2] = { { self->bytes, 100 }, { self->bytes, PAGE } };
	int fd = self->area.fd;

	EXPECT_EPERM(pwrite(fd, self->bytes, 1, FIRST * PAGE));
	EXPECT_EPERM(pwrite(fd, self->bytes, 4 * PAGE, LAST * PAGE + 4095));
	EXPECT_EPERM(pwritev(fd, iov, 2, FIRST * PAGE + 5));
	ASSERT_EQ((off_t)(FIRST * PAGE), lseek(fd, FIRST * PAGE, SEEK_SET));
	EXPECT_EPERM(write(fd, self->bytes, PAGE));
	EXPECT_EQ((off_t)(FIRST * PAGE), lseek(fd, 0, SEEK_CUR));
	EXPECT_UNCHANGED(&self->area, &self->shape);
}

TEST_F(call, write_goes_up_to_the_protected_page)
{
	int fd = self->area.fd;

	EXPECT_EQ((ssize_t)(2 * PAGE), pwrite(fd, self->bytes, 4 * PAGE,
					      (FIRST - 2) * PAGE));
	memset(self->area.before + (FIRST - 2) * PAGE, 'w', 2 * PAGE);
	EXPECT_EQ((ssize_t)(FIRST * PAGE - 100),
		  pwrite(fd, self->bytes, PAGES * PAGE, 100));
	memset(self->area.before + 100, 'w', FIRST * PAGE - 100);
	EXPECT_STREQ("same", compare(fd, self->area.before, self->area.size));
}

TEST_F(call, write_advances_by_what_it_wrote)
{
	int fd = self->area.fd;

	ASSERT_EQ((off_t)(FIRST * PAGE - 10),
		  lseek(fd, FIRST * PAGE - 10, SEEK_SET));
	EXPECT_EQ(10, write(fd, self->bytes, PAGE));
	EXPECT_EQ((off_t)(FIRST * PAGE), lseek(fd, 0, SEEK_CUR));
	memset(self->area.before + FIRST * PAGE - 10, 'w', 10);
	EXPECT_STREQ("same", compare(fd, self->area.before, self->area.size));
}

TEST_F(call, write_behind_the_protected_pages_succeeds)
{
	EXPECT_EQ((ssize_t)PAGE, pwrite(self->area.fd, self->bytes, PAGE,
					(LAST + 1) * PAGE));
	EXPECT_EQ((ssize_t)PAGE, pwrite(self->area.fd, self->bytes, PAGE,
					PAGES * PAGE)); /* it grows */
	EXPECT_EQ((off_t)((PAGES + 1) * PAGE), shape_of(self->area.fd).size);
}

TEST_F(call, copies_into_it_are_EPERM_and_change_nothing)
{
	int from = memfd_create("source", MFD_CLOEXEC), fds[2];
	loff_t offset = FIRST * PAGE, zero = 0;

	ASSERT_EQ((ssize_t)PAGE, write(from, self->bytes, PAGE));
	ASSERT_EQ(0, pipe(fds));
	ASSERT_EQ((ssize_t)PAGE, write(fds[1], self->bytes, PAGE));
	EXPECT_EPERM(splice(fds[0], NULL, self->area.fd, &offset, PAGE, 0));
	EXPECT_EPERM(copy_file_range(self->area.fd, &zero, self->area.fd,
				     &offset, PAGE, 0));
	ASSERT_LE(0, lseek(self->area.fd, FIRST * PAGE, SEEK_SET));
	zero = 0;
	EXPECT_EPERM(sendfile(self->area.fd, from, (off_t *)&zero, PAGE));
	EXPECT_UNCHANGED(&self->area, &self->shape);
	close(from);
}

/* A pipe that was refused still has its bytes. */
TEST_F(call, refused_splice_leaves_the_pipe_as_it_was)
{
	loff_t offset = FIRST * PAGE;
	char byte;
	int fds[2];

	ASSERT_EQ(0, pipe(fds));
	ASSERT_EQ(1, write(fds[1], "s", 1));
	EXPECT_EPERM(splice(fds[0], NULL, self->area.fd, &offset, 1, 0));
	ASSERT_EQ(0, fcntl(fds[0], F_SETFL, O_NONBLOCK));
	EXPECT_EQ(1, read(fds[0], &byte, 1));
	EXPECT_EQ('s', byte);
}

TEST_F(call, punch_is_EPERM_and_changes_nothing)
{
	int punch = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;
	int fd = self->area.fd;

	EXPECT_EPERM(fallocate(fd, punch, FIRST * PAGE, PAGE));
	EXPECT_EPERM(fallocate(fd, punch, 0, PAGES * PAGE));
	EXPECT_EPERM(fallocate(fd, punch, LAST * PAGE + 100, 100));
	EXPECT_EPERM(madvise(self->area.map + FIRST * PAGE, PAGE,
			     MADV_REMOVE));
	EXPECT_UNCHANGED(&self->area, &self->shape);
	EXPECT_EQ(0, fallocate(fd, punch, 0, FIRST * PAGE));
	EXPECT_EQ(0, fallocate(fd, punch, (LAST + 1) * PAGE, PAGE));
}

TEST_F(call, truncate_is_EPERM_and_changes_nothing)
{
	char path[32];

	sprintf(path, "/proc/self/fd/%d", self->area.fd);
	EXPECT_EPERM(ftruncate(self->area.fd, 0));
	EXPECT_EPERM(ftruncate(self->area.fd, FIRST * PAGE));
	EXPECT_EPERM(ftruncate(self->area.fd, LAST * PAGE + 100));
	EXPECT_EPERM(truncate(path, 0));
	EXPECT_EPERM(open(path, O_RDWR | O_TRUNC));
	EXPECT_UNCHANGED(&self->area, &self->shape);
	EXPECT_EQ(0, ftruncate(self->area.fd, (LAST + 1) * PAGE));
	EXPECT_EQ(0, ftruncate(self->area.fd, PAGES * PAGE));
}

/* Zero pages in a hole are no change of the content. */
TEST_F(call, allocation_succeeds)
{
	EXPECT_EQ(0, fallocate(self->area.fd, 0, 0, PAGES * PAGE));
	EXPECT_EQ(0, fallocate(self->area.fd, FALLOC_FL_KEEP_SIZE,
			       FIRST * PAGE, PAGE));
	EXPECT_STREQ("same", compare(self->area.fd, self->area.before,
				     self->area.size));
}

TEST_F(call, times_may_be_set)
{
	EXPECT_EQ(0, futimens(self->area.fd, NULL));
	EXPECT_EQ(0, fchmod(self->area.fd, 0640));
}

TEST_F(call, after_UNPROTECT_all_succeed)
{
	int punch = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;
	int fd = self->area.fd;

	EXPECT_EPERM(pwrite(fd, self->bytes, 1, FIRST * PAGE));
	ASSERT_EQ(0, wp_unprotect(self->monitor, 0, WPFILE_TO_END));
	EXPECT_EQ((ssize_t)(PAGES * PAGE),
		  pwrite(fd, self->bytes, PAGES * PAGE, 0));
	EXPECT_EQ(0, try_store(self->area.map + FIRST * PAGE, 's', NULL));
	EXPECT_EQ(0, try_kernel_store(self->area.map + LAST * PAGE, 'k'));
	EXPECT_EQ('s', self->area.map[FIRST * PAGE]);
	EXPECT_EQ('k', self->area.map[LAST * PAGE]);
	EXPECT_EQ(0, fallocate(fd, punch, FIRST * PAGE, PAGE));
	EXPECT_EQ(0, ftruncate(fd, FIRST * PAGE));
	EXPECT_EQ(0, ftruncate(fd, 0));
}

TEST_F(call, UFFDIO_COPY_into_a_protected_hole_is_EPERM_and_leaves_the_hole)
{
	struct area area;
	char *at;
	int monitor, uffd;

	ASSERT_EQ(0, area_make(&area, MEMFD, PAGES * PAGE));
	ASSERT_EQ(0, area_map(&area));
	uffd = uffd_open(0);
	ASSERT_LE(0, uffd);
	ASSERT_EQ(0, uffd_register(uffd, area.map, area.size,
				   UFFDIO_REGISTER_MODE_MISSING));
	monitor = deny_monitor(area.fd, 0);
	ASSERT_LE(0, monitor);
	ASSERT_EQ(0, wp_protect(monitor, FIRST * PAGE, PAGE));
	at = area.map + FIRST * PAGE;
	EXPECT_EQ(-EPERM, uffd_copy(uffd, at, self->bytes));
	EXPECT_EQ(0, lseek(area.fd, 0, SEEK_HOLE));
	EXPECT_EQ(-1, lseek(area.fd, 0, SEEK_DATA));
	ASSERT_EQ(0, wp_unprotect(monitor, FIRST * PAGE, PAGE));
	EXPECT_EQ(0, uffd_copy(uffd, at, self->bytes));
	EXPECT_EQ('w', *at);
	close(uffd);
	close(monitor);
	area_free(&area);
}

/* --- all of the file, all of memory --- */

/* Pages that do not exist yet. */
TEST(protected_to_the_end_means_what_comes_too)
{
	struct fault fault;
	struct area area;
	int monitor;
	char *map;

	ASSERT_EQ(0, area_make_filled(&area, MEMFD, 4 * PAGE));
	map = map_file(area.fd, 8 * PAGE, PROT_READ | PROT_WRITE);
	ASSERT_NE(NULL, map);
	monitor = area_protect(&area, WPFILE_DENY);
	ASSERT_LE(0, monitor);
	EXPECT_EQ(-EPERM, try_write(area.fd, 'x', 3 * PAGE));
	EXPECT_EQ(SIGSEGV, try_store(map, 'x', &fault));
	EXPECT_EQ(SIGBUS, try_store(map + 5 * PAGE, 'x', &fault));
	EXPECT_EQ((off_t)(4 * PAGE), shape_of(area.fd).size);
	close(monitor);
	area_free(&area);
}

/* SysV segments and shared anonymous memory have no file descriptor. */
TEST(memory_without_a_file_descriptor)
{
	static const enum kind kinds[] = { SYSV, ANON };
	struct area area;
	size_t i;
	int monitor;

	for (i = 0; i < ARRAY_SIZE(kinds); i++) {
		ASSERT_EQ(0, area_make_filled(&area, kinds[i], PAGES * PAGE));
		monitor = area_protect(&area, WPFILE_DENY);
		ASSERT_LE(0, monitor);
		expect_refused(_metadata, area.map + 5 * PAGE);
		EXPECT_EQ(-EFAULT, try_kernel_store(area.map + 6 * PAGE, 'x'));
		EXPECT_STREQ("same", compare(area.fd, area.before, area.size));
		ASSERT_EQ(0, wp_unprotect(monitor, 0, WPFILE_TO_END));
		EXPECT_EQ(0, try_store(area.map + 5 * PAGE, 'x', NULL));
		close(monitor);
		area_free(&area);
	}
}

TEST_HARNESS_MAIN
