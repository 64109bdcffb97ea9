// SPDX-License-Identifier: LGPL-2.1-or-later
/* A memfd with holes plays the snapshot. */
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "unit.h"

#define MIB (1ULL << 20)
#define SIZE (9 * MIB + 100)

static int make_file(uint64_t size)
{
	int fd = memfd_create("snapshot", MFD_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, size), 0);
	return fd;
}

static void fill(int fd, uint64_t offset, uint64_t size)
{
	char *data = malloc(size);
	uint64_t i;

	for (i = 0; i < size; i++)
		data[i] = (offset + i) * 31 >> 3 | 1;
	assert_int_equal(pwrite(fd, data, size, offset), size);
	free(data);
}

/* Data, hole, data over more than one piece, hole, ragged end. */
static int make_sparse(void)
{
	int fd = make_file(SIZE);

	fill(fd, 0, 4096);
	fill(fd, 1 * MIB, 3 * MIB + 4096);
	fill(fd, 9 * MIB, 100);
	return fd;
}

#define SPARSE_DATA (4096 + 3 * MIB + 4096 + 100)

static char *read_back(int fd, uint64_t size)
{
	char *data = malloc(size);

	assert_int_equal(pread(fd, data, size, 0), size);
	return data;
}

static void assert_same(int a, int b, uint64_t size)
{
	char *x = read_back(a, size), *y = read_back(b, size);

	assert_memory_equal(x, y, size);
	free(x);
	free(y);
}

static uint64_t allocated(int fd)
{
	struct stat st;

	assert_int_equal(fstat(fd, &st), 0);
	return st.st_blocks * 512ULL;
}

static uint64_t size_of(int fd)
{
	struct stat st;

	assert_int_equal(fstat(fd, &st), 0);
	return st.st_size;
}

struct progress {
	uint64_t done;
	uint64_t stop_at;
	unsigned int calls;
};

static int follow(uint64_t done, uint64_t total, void *data)
{
	struct progress *progress = data;

	assert_true(done > progress->done && done <= total);
	progress->done = done;
	progress->calls++;
	return progress->stop_at && done >= progress->stop_at ? -ECANCELED : 0;
}

static void holes_stay_holes(void **state)
{
	struct progress progress = { 0 };
	int in = make_sparse(), out = make_file(0);
	uint64_t data_bytes = 0;

	(void)state;
	errno = 1234;
	assert_int_equal(wpfile_save(in, out, 0, follow, &progress, &data_bytes), 0);
	assert_int_equal(errno, 1234);
	/* tmpfs knows holes by the page */
	assert_true(data_bytes >= SPARSE_DATA && data_bytes < SPARSE_DATA + 4096);
	assert_int_equal(progress.done, SIZE);
	assert_int_equal(size_of(out), SIZE);
	assert_int_equal(allocated(out), allocated(in));
	assert_same(in, out, SIZE);
	close(in);
	close(out);
}

static void old_content_does_not_show_through_holes(void **state)
{
	int in = make_sparse(), out = make_file(0);

	(void)state;
	fill(out, 0, SIZE + 5000);
	assert_int_equal(wpfile_save(in, out, 0, NULL, NULL, NULL), 0);
	assert_int_equal(size_of(out), SIZE);
	assert_same(in, out, SIZE);
	close(in);
	close(out);
}

static void files_without_data_and_without_bytes_are_saved(void **state)
{
	int in = make_file(3 * MIB), out = make_file(0), empty = make_file(0);
	uint64_t data_bytes = 1;

	(void)state;
	assert_int_equal(wpfile_save(in, out, 0, NULL, NULL, &data_bytes), 0);
	assert_int_equal(data_bytes, 0);
	assert_int_equal(size_of(out), 3 * MIB);
	assert_int_equal(allocated(out), 0);
	assert_int_equal(wpfile_save(empty, out, 0, NULL, NULL, &data_bytes), 0);
	assert_int_equal(size_of(out), 0);
	close(in);
	close(out);
	close(empty);
}

struct reader {
	pthread_t thread;
	int fd;
	int copy;
};

/* Slowly and in odd pieces, so that writes into the pipe are cut short. */
static void *read_slowly(void *arg)
{
	struct reader *reader = arg;
	char piece[7777];
	ssize_t got;

	while ((got = read(reader->fd, piece, sizeof(piece))) > 0)
		if (write(reader->copy, piece, got) != got)
			abort();
	return NULL;
}

static void stream_through_pipe(int flags)
{
	struct reader reader = { .copy = make_file(0) };
	int in = make_sparse(), fds[2];
	uint64_t data_bytes = 0;

	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	assert_int_equal(fcntl(fds[1], F_SETFL, O_WRONLY | flags), 0);
	reader.fd = fds[0];
	assert_int_equal(pthread_create(&reader.thread, NULL, read_slowly,
					&reader), 0);
	assert_int_equal(wpfile_save(in, fds[1], WPFILE_SAVE_STREAM, NULL, NULL,
				     &data_bytes), 0);
	close(fds[1]);
	pthread_join(reader.thread, NULL);
	assert_int_equal(size_of(reader.copy), SIZE);
	assert_same(in, reader.copy, SIZE);
	assert_true(data_bytes >= SPARSE_DATA);
	close(fds[0]);
	close(in);
	close(reader.copy);
}

static void a_stream_survives_short_writes(void **state)
{
	(void)state;
	stream_through_pipe(0);
}

static void a_stream_waits_for_a_nonblocking_pipe(void **state)
{
	(void)state;
	stream_through_pipe(O_NONBLOCK);
}

static int64_t lost_from;

/* Content at and above lost_from is lost, as in a FAILED capture. */
static int64_t lossy_pread(int fd, void *buffer, size_t size, int64_t offset)
{
	if (offset >= lost_from)
		return -EIO;
	if (offset + (int64_t)size > lost_from)
		size = lost_from - offset;
	fake_pread = NULL;
	size = pread(fd, buffer, size, offset);
	fake_pread = lossy_pread;
	return size;
}

static void lost_content_is_eio_and_where(void **state)
{
	struct progress progress = { 0 };
	int in = make_sparse(), out = make_file(0);
	uint64_t data_bytes = 1;
	int ret;

	(void)state;
	lost_from = 2 * MIB + 8192;
	fake_pread = lossy_pread;
	ret = wpfile_save(in, out, 0, follow, &progress, &data_bytes);
	fake_pread = NULL;
	assert_int_equal(ret, -EIO);
	assert_int_equal(progress.done, lost_from);
	assert_int_equal(data_bytes, 1);
	close(in);
	close(out);
}

static int64_t short_pread(int fd, void *buffer, size_t size, int64_t offset)
{
	static unsigned int turn;

	if (++turn % 3 == 0)
		return -EINTR;
	fake_pread = NULL;
	size = pread(fd, buffer, size > 5000 ? 5000 : size, offset);
	fake_pread = short_pread;
	return size;
}

static void short_reads_are_no_end(void **state)
{
	int in = make_sparse(), out = make_file(0);
	int ret;

	(void)state;
	fake_pread = short_pread;
	ret = wpfile_save(in, out, 0, NULL, NULL, NULL);
	fake_pread = NULL;
	assert_int_equal(ret, 0);
	assert_same(in, out, SIZE);
	close(in);
	close(out);
}

static int64_t empty_pread(int fd, void *buffer, size_t size, int64_t offset)
{
	(void)fd;
	(void)buffer;
	(void)size;
	(void)offset;
	return 0;
}

static void an_early_end_is_eio(void **state)
{
	int in = make_sparse(), out = make_file(0);
	int ret;

	(void)state;
	fake_pread = empty_pread;
	ret = wpfile_save(in, out, 0, NULL, NULL, NULL);
	fake_pread = NULL;
	assert_int_equal(ret, -EIO);
	close(in);
	close(out);
}

static void errors_of_the_output_are_returned(void **state)
{
	int in = make_sparse(), full = open("/dev/full", O_WRONLY | O_CLOEXEC);
	int rdonly = open("/dev/null", O_RDONLY | O_CLOEXEC);

	(void)state;
	assert_int_equal(wpfile_save(in, full, WPFILE_SAVE_STREAM, NULL, NULL,
				     NULL), -ENOSPC);
	assert_int_equal(wpfile_save(in, rdonly, WPFILE_SAVE_STREAM, NULL, NULL,
				     NULL), -EBADF);
	assert_int_equal(wpfile_save(in, full, 0, NULL, NULL, NULL), -EINVAL);
	assert_int_equal(wpfile_save(in, full, 8, NULL, NULL, NULL), -EINVAL);
	assert_int_equal(wpfile_save(-1, full, 0, NULL, NULL, NULL), -EBADF);
	close(in);
	close(full);
	close(rdonly);
}

static void progress_can_stop(void **state)
{
	struct progress progress = { .stop_at = 2 * MIB };
	int in = make_sparse(), out = make_file(0);

	(void)state;
	assert_int_equal(wpfile_save(in, out, 0, follow, &progress, NULL),
			 -ECANCELED);
	assert_int_equal(progress.done, 2 * MIB);
	close(in);
	close(out);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(holes_stay_holes),
	cmocka_unit_test(old_content_does_not_show_through_holes),
	cmocka_unit_test(files_without_data_and_without_bytes_are_saved),
	cmocka_unit_test(a_stream_survives_short_writes),
	cmocka_unit_test(a_stream_waits_for_a_nonblocking_pipe),
	cmocka_unit_test(lost_content_is_eio_and_where),
	cmocka_unit_test(short_reads_are_no_end),
	cmocka_unit_test(an_early_end_is_eio),
	cmocka_unit_test(errors_of_the_output_are_returned),
	cmocka_unit_test(progress_can_stop),
};

SUITE(save_suite, tests);
