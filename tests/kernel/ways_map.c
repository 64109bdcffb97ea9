// SPDX-License-Identifier: GPL-2.0-only
/* Ways to change a page through a mapping of it. */
#include "ways.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <linux/userfaultfd.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

static const uint64_t new_value = NEW_VALUE;

static char *at(struct area *area, size_t page)
{
	return area->map + page * PAGE;
}

static void store(void *to)
{
	*(volatile uint64_t *)to = NEW_VALUE;
}

/* 0, or -EIO if the child did not exit with 0. */
static int reap(pid_t pid)
{
	int status;

	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		return -errno;
	return WIFEXITED(status) && !WEXITSTATUS(status) ? 0 : -EIO;
}

int way_store(struct area *area, size_t page)
{
	store(at(area, page));
	return 0;
}

int way_atomic(struct area *area, size_t page)
{
	__atomic_fetch_add((uint32_t *)at(area, page), 77, __ATOMIC_SEQ_CST);
	return 0;
}

/* One instruction, two pages. */
int way_store_across_pages(struct area *area, size_t page)
{
	uint32_t *last = (uint32_t *)(at(area, page + 1) - 2);

	asm volatile("movl %1, %0" : "=m"(*last) : "r"(0xabcdef12));
	return 0;
}

int way_fill_two_pages(struct area *area, size_t page)
{
	void *to = at(area, page);
	size_t count = 2 * PAGE;

	asm volatile("rep stosb"
		     : "+D"(to), "+c"(count)
		     : "a"(0x7e)
		     : "memory");
	return 0;
}

int way_store_in_child(struct area *area, size_t page)
{
	pid_t pid = fork();

	if (!pid) {
		store(at(area, page));
		_exit(0);
	}
	return reap(pid);
}

int way_store_through_second_mapping(struct area *area, size_t page)
{
	char *map = map_file(area->fd, area->size, PROT_READ | PROT_WRITE);

	if (!map)
		return -errno;
	store(map + page * PAGE);
	return munmap(map, area->size) ? -errno : 0;
}

int way_read_then_store_in_other_process(struct area *area, size_t page)
{
	pid_t pid = fork();
	char *map;

	if (!pid) {
		map = map_file(area->fd, area->size, PROT_READ | PROT_WRITE);
		if (!map)
			_exit(1);
		*(volatile char *)(map + page * PAGE);
		store(map + page * PAGE);
		_exit(0);
	}
	return reap(pid);
}

int way_process_vm_writev(struct area *area, size_t page)
{
	struct iovec from = { (void *)&new_value, sizeof(new_value) };
	struct iovec to = { at(area, page), sizeof(new_value) };
	ssize_t done = process_vm_writev(getpid(), &from, 1, &to, 1, 0);

	return done == sizeof(new_value) ? 0 : -errno;
}

int way_proc_mem(struct area *area, size_t page)
{
	int fd = open("/proc/self/mem", O_RDWR | O_CLOEXEC);
	ssize_t done = pwrite(fd, &new_value, sizeof(new_value),
			      (off_t)(uintptr_t)at(area, page));

	close(fd);
	return done == sizeof(new_value) ? 0 : -errno;
}

static int poke(pid_t pid, void *to)
{
	int status;

	if (ptrace(PTRACE_SEIZE, pid, NULL, NULL) ||
	    ptrace(PTRACE_INTERRUPT, pid, NULL, NULL) ||
	    waitpid(pid, &status, 0) != pid)
		return -errno;
	if (ptrace(PTRACE_POKEDATA, pid, to, (void *)(uintptr_t)NEW_VALUE))
		return -errno;
	return 0;
}

int way_ptrace_poke(struct area *area, size_t page)
{
	pid_t pid = fork();
	int ret;

	if (!pid)
		for (;;)
			pause();
	if (pid < 0)
		return -errno;
	ret = poke(pid, at(area, page));
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	return ret;
}

int way_read_into(struct area *area, size_t page)
{
	ssize_t done = -1;
	int fds[2];

	if (pipe(fds))
		return -errno;
	if (write(fds[1], &new_value, sizeof(new_value)) > 0)
		done = read(fds[0], at(area, page), sizeof(new_value));
	close(fds[0]);
	close(fds[1]);
	return done == sizeof(new_value) ? 0 : -errno;
}

int way_futex_wake_op(struct area *area, size_t page)
{
	static int other;
	int op = FUTEX_OP(FUTEX_OP_SET, 0x123, FUTEX_OP_CMP_EQ, 0);

	if (syscall(SYS_futex, &other, FUTEX_WAKE_OP, 1, 1L, at(area, page),
		    op) < 0)
		return -errno;
	return 0;
}

static void do_nothing(int sig)
{
	(void)sig;
}

/* The kernel stores the frame at the end of the page. */
int way_signal_frame(struct area *area, size_t page)
{
	stack_t stack = { .ss_sp = at(area, page - 1), .ss_size = 2 * PAGE };
	struct sigaction action = { .sa_handler = do_nothing,
				    .sa_flags = SA_ONSTACK };
	pid_t pid = fork();

	if (!pid) {
		if (sigaltstack(&stack, NULL) ||
		    sigaction(SIGUSR1, &action, NULL))
			_exit(1);
		raise(SIGUSR1);
		_exit(0);
	}
	return reap(pid);
}

static int leave(void *argument)
{
	(void)argument;
	return 0;
}

/* By a task that is PF_EXITING already. */
int way_exit_clears_tid(struct area *area, size_t page)
{
	size_t size = 16 * PAGE;
	char *stack = malloc(size);
	pid_t pid;
	int ret;

	pid = clone(leave, stack + size,
		    CLONE_VM | CLONE_FILES | CLONE_CHILD_CLEARTID | SIGCHLD,
		    NULL, NULL, NULL, at(area, page));
	ret = reap(pid);
	free(stack);
	return ret;
}

int way_madvise_remove(struct area *area, size_t page)
{
	return madvise(at(area, page), PAGE, MADV_REMOVE) ? -errno : 0;
}

/* Only into a hole. */
int way_uffd_copy(struct area *area, size_t page)
{
	struct uffdio_copy copy = { .dst = (uintptr_t)at(area, page),
				    .len = PAGE };
	char *from = aligned_alloc(PAGE, PAGE);
	int uffd = uffd_open(0), ret;

	if (uffd < 0)
		return uffd;
	memset(from, 0x3c, PAGE);
	copy.src = (uintptr_t)from;
	ret = uffd_register(uffd, area->map, area->size,
			    UFFDIO_REGISTER_MODE_MISSING);
	if (!ret && ioctl(uffd, UFFDIO_COPY, &copy))
		ret = -errno;
	close(uffd);
	free(from);
	return ret;
}
