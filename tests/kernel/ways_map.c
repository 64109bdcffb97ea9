// SPDX-License-Identifier: GPL-2.0-only
/* Ways to change a page through a mapping of it; and what all ways share. */
#include "ways.h"
#include <errno.h>
#include <linux/futex.h>
#include <linux/userfaultfd.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define EXIT_ERROR 2

static char *at(struct area *area, size_t page)
{
	return area->map + page * PAGE;
}

static void store(void *to)
{
	*(volatile uint64_t *)to = NEW_VALUE;
}

const char *way_reason;

int way_skip(const char *reason)
{
	way_reason = reason;
	return WAY_SKIPPED;
}

int way_reap(pid_t pid)
{
	int status;

	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		return -errno;
	if (!WIFEXITED(status) || WEXITSTATUS(status) > WAY_SKIPPED)
		return -EIO;
	return WEXITSTATUS(status);
}

int way_done(ssize_t done, size_t wanted)
{
	if (done < 0)
		return -errno;
	return (size_t)done == wanted ? 0 : -EIO;
}

int way_source(void)
{
	int fd = memfd_create("wpfile-source", MFD_CLOEXEC);
	char data[2 * PAGE];
	int ret;

	memset(data, 0x3c, sizeof(data));
	ret = way_done(pwrite(fd, data, sizeof(data), 0), sizeof(data));
	return ret ?: fd;
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
	return way_reap(pid);
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
			_exit(EXIT_ERROR);
		*(volatile char *)(map + page * PAGE);
		store(map + page * PAGE);
		_exit(0);
	}
	return way_reap(pid);
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
			_exit(EXIT_ERROR);
		raise(SIGUSR1);
		_exit(0);
	}
	return way_reap(pid);
}

/* A task of its own in the same memory. */
static int run_task(int (*fn)(void *), int flags, void *argument)
{
	size_t size = 16 * PAGE;
	char *stack = malloc(size);
	int ret;

	ret = way_reap(clone(fn, stack + size,
			     CLONE_VM | CLONE_FILES | flags | SIGCHLD, argument,
			     NULL, NULL, argument));
	free(stack);
	return ret;
}

static int leave(void *argument)
{
	(void)argument;
	return 0;
}

/* By a task that is PF_EXITING already. */
int way_exit_clears_tid(struct area *area, size_t page)
{
	return run_task(leave, CLONE_CHILD_CLEARTID, at(area, page));
}

static int register_rseq(void *argument)
{
	cpu_set_t second;

	/* On the first CPU it may be only zeros that the kernel stores. */
	CPU_ZERO(&second);
	CPU_SET(1, &second);
	if (sched_setaffinity(0, sizeof(second), &second))
		return EXIT_ERROR;
	return syscall(SYS_rseq, argument, 32, 0, 0x53053053) ? EXIT_ERROR : 0;
}

/* The kernel stores the CPU on the way back to user mode. */
int way_rseq(struct area *area, size_t page)
{
	if (sysconf(_SC_NPROCESSORS_ONLN) < 2)
		return way_skip("needs a second CPU");
	return run_task(register_rseq, 0, at(area, page));
}

int way_madvise_remove(struct area *area, size_t page)
{
	return madvise(at(area, page), PAGE, MADV_REMOVE) ? -errno : 0;
}

/* Only into a hole. */
int way_uffd_copy(struct area *area, size_t page)
{
	char *from = aligned_alloc(PAGE, PAGE);
	int uffd = uffd_open(0), ret;

	if (uffd < 0)
		return uffd;
	memset(from, 0x3c, PAGE);
	ret = uffd_register(uffd, area->map, area->size,
			    UFFDIO_REGISTER_MODE_MISSING);
	if (!ret)
		ret = uffd_copy(uffd, at(area, page), from);
	close(uffd);
	free(from);
	return ret;
}
