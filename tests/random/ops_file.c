// SPDX-License-Identifier: GPL-2.0-only
/* Operations: system calls on the file. */
#include "random.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/uio.h>
#include <unistd.h>

#define KEEP_SIZE 1

static long result(long done)
{
	return done < 0 ? -errno : done;
}

/* --- writing --- */

/* Of all that may be written, which is more than the file. */
static void gen_write(struct op *op, struct rng *rng)
{
	size_t end = model.room * PAGE;

	op->who = gen_process(rng);
	if (rng_one_in(rng, 8))
		op->offset = gen_offset(rng, end);
	else if (rng_one_in(rng, 8) || !model.size)
		op->offset = model.size;
	else
		op->offset = gen_offset(rng, model.size);
	if (!rng_one_in(rng, 4))
		end = MAX(model.size, op->offset + 1);
	op->length = gen_length(rng, op->offset, end);
	op->seed = rng_next(rng);
}

static size_t writable_end(void)
{
	return model.fixed_size ? model.size : model.room * PAGE;
}

static bool aim_at_range(const struct op *op, struct effect *effect)
{
	if (!op->length || op->offset >= writable_end())
		return false;
	effect->offset = op->offset;
	effect->length = MIN(op->length, writable_end() - op->offset);
	return true;
}

static bool aim_write(const struct op *op, struct effect *effect)
{
	effect->type = WRITES;
	effect->data = board->data;
	if (!aim_at_range(op, effect))
		return false;
	rng_fill(board->data, effect->length, op->seed);
	return true;
}

static long act_pwrite(void)
{
	return result(pwrite(the_file, board->data, board->length,
			     board->offset));
}

/* Three pieces of which none begins with a page. */
static long act_pwritev(void)
{
	size_t third = board->length / 3;
	struct iovec iov[] = {
		{ board->data, third },
		{ board->data + third, third },
		{ board->data + 2 * third, board->length - 2 * third },
	};

	return result(pwritev(the_file, iov, 3, board->offset));
}

static ssize_t splice_some(int *fds, loff_t *offset, size_t done)
{
	size_t wanted = MIN(board->length - done, 8 * PAGE);
	ssize_t filled = write(fds[1], board->data + done, wanted), moved;

	if (filled < 0)
		return -errno;
	for (wanted = filled; wanted; wanted -= moved) {
		moved = splice(fds[0], NULL, the_file, offset, wanted, 0);
		if (moved <= 0)
			return moved ? -errno : -EIO;
	}
	return filled;
}

static long act_splice(void)
{
	loff_t offset = board->offset;
	ssize_t some = 0;
	size_t done;
	int fds[2];

	if (pipe(fds))
		return -errno;
	for (done = 0; done < board->length; done += some) {
		some = splice_some(fds, &offset, done);
		if (some <= 0)
			break;
	}
	close(fds[0]);
	close(fds[1]);
	return some < 0 ? some : (long)done;
}

static ssize_t send_all(int from)
{
	size_t done = 0;
	ssize_t some;

	if (pwrite(from, board->data, board->length, 0) < 0 ||
	    lseek(the_file, board->offset, SEEK_SET) < 0)
		return -errno;
	while (done < board->length) {
		some = sendfile(the_file, from, NULL, board->length - done);
		if (some <= 0)
			return some ? -errno : (ssize_t)done;
		done += some;
	}
	return done;
}

static long act_sendfile(void)
{
	int from = memfd_create("wpfile-source", MFD_CLOEXEC);
	ssize_t done;

	if (from < 0)
		return -errno;
	done = send_all(from);
	close(from);
	return done;
}

/* --- copying within the file --- */

static void gen_copy(struct op *op, struct rng *rng)
{
	gen_write(op, rng);
	if (model.size)
		op->from = gen_offset(rng, model.size);
}

static bool aim_copy(const struct op *op, struct effect *effect)
{
	size_t from = op->from;

	effect->type = WRITES;
	effect->data = board->data;
	if (from >= model.size || !aim_at_range(op, effect))
		return false;
	effect->length = MIN(effect->length, model.size - from);
	if (from < effect->offset + effect->length &&
	    effect->offset < from + effect->length)
		return false;
	model_copy(board->data, from, effect->length);
	return true;
}

static long act_copy(void)
{
	loff_t from = board->op.from, to = board->offset;
	size_t done = 0;
	ssize_t some;

	while (done < board->length) {
		some = copy_file_range(the_file, &from, the_file, &to,
				       board->length - done, 0);
		if (some <= 0)
			return some ? -errno : (long)done;
		done += some;
	}
	return done;
}

/* --- holes and sizes --- */

static void gen_punch(struct op *op, struct rng *rng)
{
	size_t first, pages;

	gen_write(op, rng);
	if (rng_one_in(rng, 2) || !model.size)
		return;
	gen_pages(rng, PAGES_OF(model.size), &first, &pages);
	op->offset = first * PAGE;
	op->length = pages * PAGE;
}

static bool aim_punch(const struct op *op, struct effect *effect)
{
	effect->type = ZEROES;
	return aim_at_range(op, effect);
}

static long act_punch(void)
{
	return result(fallocate(the_file,
				FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
				board->offset, board->length));
}

static void gen_allocate(struct op *op, struct rng *rng)
{
	gen_punch(op, rng);
	op->flags = rng_one_in(rng, 3) ? KEEP_SIZE : 0;
}

static bool aim_allocate(const struct op *op, struct effect *effect)
{
	effect->type = ALLOCATES;
	effect->keep_size = op->flags & KEEP_SIZE;
	return aim_at_range(op, effect);
}

static long act_allocate(void)
{
	return result(fallocate(the_file,
				board->op.flags & KEEP_SIZE ?
					FALLOC_FL_KEEP_SIZE :
					0,
				board->offset, board->length));
}

static void gen_truncate(struct op *op, struct rng *rng)
{
	size_t room = model.room * PAGE, near = rng_below(rng, 8 * PAGE);

	op->who = gen_process(rng);
	if (rng_one_in(rng, 8))
		op->size = gen_offset(rng, room);
	else if (rng_one_in(rng, 2) && model.size >= near)
		op->size = model.size - near;
	else
		op->size = MIN(model.size + near, room);
	if (rng_one_in(rng, 2))
		op->size -= op->size % PAGE;
}

static bool aim_truncate(const struct op *op, struct effect *effect)
{
	effect->type = RESIZES;
	effect->length = op->size;
	return !model.fixed_size && op->size <= model.room * PAGE;
}

static long act_truncate(void)
{
	return result(ftruncate(the_file, board->length));
}

static void gen_who(struct op *op, struct rng *rng)
{
	op->who = gen_process(rng);
}

static long act_open_truncate(void)
{
	char path[32];
	int fd;

	sprintf(path, "/proc/self/fd/%d", the_file);
	fd = open(path, O_RDWR | O_TRUNC | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	close(fd);
	return 0;
}

/* --- reading --- */

static void gen_read(struct op *op, struct rng *rng)
{
	op->who = gen_process(rng);
	if (!model.size)
		return;
	op->offset = gen_offset(rng, model.size);
	op->length = gen_length(rng, op->offset, model.size);
}

static bool aim_read(const struct op *op, struct effect *effect)
{
	effect->offset = op->offset;
	effect->length = op->length;
	return op->length && op->offset < model.size &&
	       op->length <= model.size - op->offset;
}

static long act_pread(void)
{
	return result(pread(the_file, board->seen, board->length,
			    board->offset));
}

int done_read(const struct op *op, struct effect *effect, long done)
{
	size_t bad;

	(void)op;
	if (done != (long)effect->length)
		return fail("read %ld of %zu bytes", done, effect->length);
	model_copy(board->data, effect->offset, effect->length);
	for (bad = 0; bad < effect->length; bad++)
		if (board->seen[bad] != board->data[bad])
			return fail("read a wrong byte at %#zx",
				    effect->offset + bad);
	return 0;
}

#define WRITE(_name, _weight)                                                  \
	{                                                                      \
		.name = #_name, .weight = _weight,                             \
		.fields = "who offset length seed", .generate = gen_write,     \
		.aim = aim_write, .act = act_##_name,                          \
	}

/* clang-format off */
const struct operation file_operations[] = {
	WRITE(pwrite, 24),
	WRITE(pwritev, 4),
	WRITE(splice, 4),
	WRITE(sendfile, 4),
	{
		.name = "copy", .weight = 6,
		.fields = "who from offset length",
		.generate = gen_copy, .aim = aim_copy, .act = act_copy,
	},
	{
		.name = "punch", .weight = 10,
		.fields = "who offset length",
		.generate = gen_punch, .aim = aim_punch, .act = act_punch,
	},
	{
		.name = "allocate", .weight = 6,
		.fields = "who offset length flags",
		.generate = gen_allocate, .aim = aim_allocate,
		.act = act_allocate,
	},
	{
		.name = "truncate", .weight = 10,
		.fields = "who size",
		.generate = gen_truncate, .aim = aim_truncate,
		.act = act_truncate,
	},
	{
		.name = "open_truncate", .weight = 1,
		.fields = "who",
		.generate = gen_who, .aim = aim_truncate,
		.act = act_open_truncate,
	},
	{
		.name = "pread", .weight = 4,
		.fields = "who offset length",
		.generate = gen_read, .aim = aim_read, .act = act_pread,
		.done = done_read,
	},
	{}
};
/* clang-format on */
