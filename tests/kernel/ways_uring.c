// SPDX-License-Identifier: GPL-2.0-only
/* Ways to change a page by io_uring: into a mapping, and into the file. */
#include "ways.h"
#include <errno.h>
#include <liburing.h>
#include <string.h>
#include <unistd.h>

/* Into the mapping from @fd, or the file from the buffer. */
struct job {
	int fd;
	void *buffer;
	size_t length;
	off_t offset;
	bool write;
	bool fixed;	/* the buffer is registered before */
	unsigned int flags;
};

static void prepare(struct io_uring_sqe *sqe, const struct job *job)
{
	if (job->write && job->fixed)
		io_uring_prep_write_fixed(sqe, job->fd, job->buffer,
					  job->length, job->offset, 0);
	else if (job->write)
		io_uring_prep_write(sqe, job->fd, job->buffer, job->length,
				    job->offset);
	else if (job->fixed)
		io_uring_prep_read_fixed(sqe, job->fd, job->buffer, job->length,
					 job->offset, 0);
	else
		io_uring_prep_read(sqe, job->fd, job->buffer, job->length,
				   job->offset);
	sqe->flags |= job->flags;
}

static int do_job(struct io_uring *ring, const struct job *job)
{
	struct iovec buffer = { job->buffer, job->length };
	struct io_uring_cqe *cqe;
	int ret = 0;

	if (job->fixed)
		ret = io_uring_register_buffers(ring, &buffer, 1);
	if (ret)
		return ret;
	prepare(io_uring_get_sqe(ring), job);
	ret = io_uring_submit(ring);
	if (ret == 1)
		ret = io_uring_wait_cqe(ring, &cqe);
	if (ret)
		return ret < 0 ? ret : -EIO;
	return cqe->res == (int)job->length ? 0 :
	       cqe->res < 0		    ? cqe->res :
					      -EIO;
}

static int run(const struct job *job)
{
	struct io_uring ring;
	int ret = io_uring_queue_init(4, &ring, 0);

	if (ret)
		return ret;
	ret = do_job(&ring, job);
	/* Now: the ring's end, by a worker, would leave the page pinned a while. */
	if (job->fixed)
		io_uring_unregister_buffers(&ring);
	io_uring_queue_exit(&ring);
	return ret;
}

static int read_into(struct area *area, size_t page, bool fixed,
		     unsigned int flags)
{
	struct job job = {
		.fd = way_source(),
		.buffer = area->map + page * PAGE,
		.length = PAGE,
		.fixed = fixed,
		.flags = flags,
	};
	int ret;

	if (job.fd < 0)
		return job.fd;
	ret = run(&job);
	close(job.fd);
	return ret;
}

int way_io_uring_read(struct area *area, size_t page)
{
	return read_into(area, page, false, 0);
}

/* By a thread of the kernel's that has the caller's memory. */
int way_io_uring_read_by_worker(struct area *area, size_t page)
{
	return read_into(area, page, false, IOSQE_ASYNC);
}

/* Registering it pins the page for writing: the write itself does not fault. */
int way_io_uring_read_fixed(struct area *area, size_t page)
{
	return read_into(area, page, true, 0);
}

static int write_from(struct area *area, size_t page, bool fixed,
		      unsigned int flags)
{
	char data[64];
	struct job job = {
		.fd = area->fd,
		.buffer = data,
		.length = sizeof(data),
		.offset = page * PAGE + 64,
		.write = true,
		.fixed = fixed,
		.flags = flags,
	};

	memset(data, 0x1d, sizeof(data));
	return run(&job);
}

int way_io_uring_write(struct area *area, size_t page)
{
	return write_from(area, page, false, 0);
}

int way_io_uring_write_by_worker(struct area *area, size_t page)
{
	return write_from(area, page, false, IOSQE_ASYNC);
}

int way_io_uring_write_fixed(struct area *area, size_t page)
{
	return write_from(area, page, true, 0);
}
