// SPDX-License-Identifier: GPL-2.0-only
/* Ways to change a page by system calls on the file. */
#include "ways.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/aio_abi.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

static const uint64_t new_value = NEW_VALUE;

int way_pwrite(struct area *area, size_t page)
{
	return way_done(pwrite(area->fd, &new_value, sizeof(new_value),
				  page * PAGE + 100),
			   sizeof(new_value));
}

/* As programs do: a call may return short before a page that is protected. */
static int write_all(int fd, const char *data, size_t size)
{
	size_t written;
	ssize_t done;

	for (written = 0; written < size; written += done) {
		done = write(fd, data + written, size - written);
		if (done <= 0)
			return done ? -errno : -EIO;
	}
	return 0;
}

/* The last of one page and the first of the next. */
int way_pwrite_two_bytes(struct area *area, size_t page)
{
	off_t offset = (page + 1) * PAGE - 1;
	ssize_t done = pwrite(area->fd, "\xee\xdd", 2, offset);

	if (done == 1)
		done += pwrite(area->fd, "\xdd", 1, offset + 1);
	return way_done(done, 2);
}

int way_write(struct area *area, size_t page)
{
	char data[2 * PAGE];

	memset(data, 0x6b, sizeof(data));
	if (lseek(area->fd, page * PAGE, SEEK_SET) < 0)
		return -errno;
	return write_all(area->fd, data, sizeof(data));
}

int way_pwritev2(struct area *area, size_t page)
{
	struct iovec iov[2] = {
		{ (void *)&new_value, sizeof(new_value) },
		{ (void *)&new_value, sizeof(new_value) },
	};

	return way_done(pwritev2(area->fd, iov, 2, page * PAGE + 8,
				    RWF_DSYNC),
			   2 * sizeof(new_value));
}

static int aio_submit(aio_context_t context, struct iocb *iocb)
{
	struct io_event event;

	if (syscall(SYS_io_submit, context, 1L, &iocb) != 1 ||
	    syscall(SYS_io_getevents, context, 1L, 1L, &event, NULL) != 1)
		return -errno;
	return event.res == (__s64)sizeof(new_value) ? 0 : (int)event.res;
}

int way_direct_write(struct area *area, size_t page)
{
	char path[32], *data = aligned_alloc(PAGE, PAGE);
	int fd, ret;

	memset(data, 0x4d, PAGE);
	sprintf(path, "/proc/self/fd/%d", area->fd);
	fd = open(path, O_RDWR | O_DIRECT | O_CLOEXEC);
	ret = way_done(pwrite(fd, data, PAGE, page * PAGE), PAGE);
	close(fd);
	free(data);
	return ret;
}

int way_aio(struct area *area, size_t page)
{
	struct iocb iocb = {
		.aio_lio_opcode = IOCB_CMD_PWRITE,
		.aio_fildes = area->fd,
		.aio_buf = (uintptr_t)&new_value,
		.aio_nbytes = sizeof(new_value),
		.aio_offset = page * PAGE,
	};
	aio_context_t context = 0;
	int ret;

	if (syscall(SYS_io_setup, 1, &context))
		return -errno;
	ret = aio_submit(context, &iocb);
	syscall(SYS_io_destroy, context);
	return ret;
}

int way_splice(struct area *area, size_t page)
{
	off_t offset = page * PAGE;
	ssize_t done = -1;
	int fds[2];

	if (pipe(fds))
		return -errno;
	if (write(fds[1], &new_value, sizeof(new_value)) > 0)
		done = splice(fds[0], NULL, area->fd, &offset,
			      sizeof(new_value), 0);
	close(fds[0]);
	close(fds[1]);
	return way_done(done, sizeof(new_value));
}

/* The pipe holds a page of the caller's; which is not one of the file. */
int way_vmsplice_and_splice(struct area *area, size_t page)
{
	char *data = aligned_alloc(PAGE, PAGE);
	struct iovec iov = { data, PAGE };
	off_t offset = page * PAGE;
	ssize_t done = -1;
	int fds[2];

	if (pipe(fds))
		return -errno;
	memset(data, 0x2e, PAGE);
	if (vmsplice(fds[1], &iov, 1, 0) == (ssize_t)PAGE)
		done = splice(fds[0], NULL, area->fd, &offset, PAGE, 0);
	close(fds[0]);
	close(fds[1]);
	free(data);
	return way_done(done, PAGE);
}

/* What two pipes share. */
int way_tee_and_splice(struct area *area, size_t page)
{
	size_t size = sizeof(new_value);
	off_t offset = page * PAGE;
	ssize_t done = -1;
	int fds[2], copy[2];

	if (pipe(fds) || pipe(copy))
		return -errno;
	if (write(fds[1], &new_value, size) > 0 &&
	    tee(fds[0], copy[1], size, 0) > 0)
		done = splice(copy[0], NULL, area->fd, &offset, size, 0);
	close(fds[0]);
	close(fds[1]);
	close(copy[0]);
	close(copy[1]);
	return way_done(done, size);
}

int way_sendfile(struct area *area, size_t page)
{
	int from = way_source();
	off_t offset = 0;
	ssize_t done = -1;

	if (from < 0)
		return from;
	if (lseek(area->fd, page * PAGE, SEEK_SET) >= 0)
		done = sendfile(area->fd, from, &offset, PAGE);
	close(from);
	return way_done(done, PAGE);
}

/* Page 0 over the wanted one. */
int way_copy_file_range(struct area *area, size_t page)
{
	loff_t from = 0, to = page * PAGE;

	return way_done(copy_file_range(area->fd, &from, area->fd, &to, PAGE,
					   0),
			   PAGE);
}

static int punch(struct area *area, off_t offset, off_t length)
{
	return fallocate(area->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
			 offset, length) ?
		       -errno :
		       0;
}

int way_punch_hole(struct area *area, size_t page)
{
	return punch(area, page * PAGE, PAGE);
}

/* The end of the page before, the page, the beginning of the next. */
int way_punch_ragged_hole(struct area *area, size_t page)
{
	return punch(area, page * PAGE - 16, PAGE + 32);
}

/* And back: what lies behind the end cannot be looked at. */
static int truncate_to(struct area *area, off_t size)
{
	return ftruncate(area->fd, size) || ftruncate(area->fd, area->size) ?
		       -errno :
		       0;
}

int way_truncate(struct area *area, size_t page)
{
	return truncate_to(area, page * PAGE);
}

int way_truncate_ragged(struct area *area, size_t page)
{
	return truncate_to(area, page * PAGE + 100);
}

int way_open_truncate(struct area *area, size_t page)
{
	char path[32];
	int fd;

	(void)page;
	sprintf(path, "/proc/self/fd/%d", area->fd);
	fd = open(path, O_RDWR | O_TRUNC | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	close(fd);
	return truncate_to(area, 0);
}

/* By a kernel thread. */
int way_loop_device(struct area *area, size_t page)
{
	int loop = loop_attach(area->fd, 0), ret;

	if (loop < 0)
		return loop;
	ret = way_done(pwrite(loop, &new_value, sizeof(new_value),
			      page * PAGE),
		       sizeof(new_value));
	if (!ret && fsync(loop))
		ret = -errno;
	loop_detach(loop);
	return ret;
}

int way_loop_discard(struct area *area, size_t page)
{
	int loop = loop_attach(area->fd, 0), ret;
	uint64_t range[2] = { page * PAGE, PAGE };

	if (loop < 0)
		return loop;
	ret = ioctl(loop, BLKDISCARD, range) ? -errno : 0;
	loop_detach(loop);
	return ret;
}

int way_append(struct area *area, size_t page)
{
	(void)page;
	if (lseek(area->fd, 0, SEEK_END) < 0)
		return -errno;
	return way_done(write(area->fd, &new_value, sizeof(new_value)),
			sizeof(new_value));
}

int way_truncate_up(struct area *area, size_t page)
{
	return ftruncate(area->fd, (page + 1) * PAGE) ? -errno : 0;
}

/* A process ends while accounting is on. */
int way_acct(struct area *area, size_t page)
{
	char path[32];
	pid_t pid;
	int ret;

	(void)page;
	sprintf(path, "/proc/self/fd/%d", area->fd);
	if (acct(path))
		return -errno;
	pid = fork();
	if (!pid)
		_exit(0);
	ret = way_reap(pid);
	acct(NULL);
	return ret;
}
