// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * A snapshot, written to a file or a stream.
 *
 * By pread() and write(), because a page that is lost must come back as EIO and
 * not as SIGBUS; copy_file_range() does not work between file systems, and
 * sendfile() would copy as often.
 */
#include <poll.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sys.h"
#include "wpfile.h"

#define CHUNK (1U << 20)

struct save {
	int in;
	int out;
	bool stream;
	char *buffer;		/* CHUNK bytes */
	uint64_t size;
	uint64_t data_bytes;
	wpfile_progress_fn fn;
	void *data;
};

static int64_t write_once(const struct save *save, const char *from, size_t len,
			  uint64_t offset)
{
	struct pollfd ready = { .fd = save->out, .events = POLLOUT };
	int64_t done;

	if (!save->stream)
		return sys_retry(pwrite(save->out, from, len, offset));
	done = sys_retry(write(save->out, from, len));
	if (done != -EAGAIN)
		return done;
	done = sys_retry(poll(&ready, 1, -1));
	return done < 0 ? done : -EAGAIN;
}

static int write_all(const struct save *save, size_t len, uint64_t offset)
{
	const char *from = save->buffer;

	while (len) {
		int64_t done = write_once(save, from, len, offset);

		if (done == -EAGAIN)
			continue;
		if (done <= 0)
			return done ? done : -EIO;
		from += done;
		len -= done;
		offset += done;
	}
	return 0;
}

static int report(const struct save *save, uint64_t done)
{
	return save->fn ? save->fn(done, save->size, save->data) : 0;
}

static size_t chunk(uint64_t from, uint64_t to)
{
	return to - from < CHUNK ? to - from : CHUNK;
}

static int save_data(struct save *save, uint64_t from, uint64_t to)
{
	int ret = 0;

	while (!ret && from < to) {
		int64_t got = sys_retry(pread(save->in, save->buffer,
					      chunk(from, to), from));

		if (got <= 0)
			return got ? got : -EIO;
		ret = write_all(save, got, from);
		if (ret)
			return ret;
		from += got;
		save->data_bytes += got;
		ret = report(save, from);
	}
	return ret;
}

static int save_hole(struct save *save, uint64_t from, uint64_t to)
{
	int ret = 0;

	if (from == to)
		return 0;
	if (!save->stream)
		return report(save, to);
	memset(save->buffer, 0, chunk(from, to));
	while (!ret && from < to) {
		size_t len = chunk(from, to);

		ret = write_all(save, len, from);
		from += len;
		if (!ret)
			ret = report(save, from);
	}
	return ret;
}

/* Where data begins at or after @from, and where it ends. */
static int find_data(const struct save *save, uint64_t from,
		     uint64_t *ret_start, uint64_t *ret_end)
{
	int64_t start, end;

	start = sys(lseek(save->in, from, SEEK_DATA));
	if (start == -ENXIO) {
		*ret_start = save->size;
		*ret_end = save->size;
		return 0;
	}
	if (start < 0)
		return start;
	end = sys(lseek(save->in, start, SEEK_HOLE));
	if (end < 0)
		return end;
	*ret_start = (uint64_t)start < save->size ? (uint64_t)start : save->size;
	*ret_end = (uint64_t)end < save->size ? (uint64_t)end : save->size;
	return 0;
}

static int save_all(struct save *save)
{
	uint64_t pos = 0;

	while (pos < save->size) {
		uint64_t start, end;
		int ret;

		ret = find_data(save, pos, &start, &end);
		if (!ret)
			ret = save_hole(save, pos, start);
		if (!ret)
			ret = save_data(save, start, end);
		if (ret)
			return ret;
		pos = end;
	}
	return 0;
}

/* Emptied first, so that no old byte shows through a hole. */
static int empty(int out, uint64_t size)
{
	int ret = sys_retry(ftruncate(out, 0));

	return ret ? ret : (int)sys_retry(ftruncate(out, size));
}

int wpfile_save(int snapshot, int out, unsigned int flags, wpfile_progress_fn fn,
		void *data, uint64_t *ret_data_bytes)
{
	struct save save = {
		.in = snapshot,
		.out = out,
		.stream = flags & WPFILE_SAVE_STREAM,
		.fn = fn,
		.data = data,
	};
	struct stat st;
	int ret;

	if (flags & ~WPFILE_SAVE_STREAM)
		return -EINVAL;
	ret = sys(fstat(snapshot, &st));
	if (ret)
		return ret;
	save.size = st.st_size;
	if (!save.stream)
		ret = empty(out, save.size);
	if (ret)
		return ret;
	save.buffer = sys_alloc(malloc(CHUNK));
	if (!save.buffer)
		return -ENOMEM;
	ret = save_all(&save);
	free(save.buffer);
	if (!ret && ret_data_bytes)
		*ret_data_bytes = save.data_bytes;
	return ret;
}
