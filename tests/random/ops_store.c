// SPDX-License-Identifier: GPL-2.0-only
/* Operations: stores and loads through mappings; holes filled by userfaultfd. */
#include "random.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

static long result(long done)
{
	return done < 0 ? -errno : done;
}

static void *at(void)
{
	return (void *)board->at;
}

/* --- stores and loads --- */

/* The whole of it must be in the mapping, and the alignment be the same. */
static void find_huge_entries(struct effect *effect, const struct mapping *map)
{
	size_t extent, page, end = effect->offset + effect->length;

	if (map_at(map, 0) % HUGE)
		return;
	for (extent = effect->offset / HUGE; extent * HUGE < end; extent++) {
		page = extent * HUGE_PAGES;
		effect->one_entry[extent] =
			model.huge[extent] && page >= map->first &&
			page + HUGE_PAGES <= map->first + map->pages;
	}
}

/* Of process @who; what is private is seen by nobody else. */
static bool aim_store_of(unsigned int who, const struct op *op,
			 struct effect *effect)
{
	struct mapping *map = map_of(who, op->map);

	if (!aim_at(who, op, effect, MAPPED | WRITABLE))
		return false;
	rng_fill(board->data, effect->length, op->seed);
	effect->data = board->data;
	effect->mapped = true;
	effect->type = map->shared ? WRITES : FILLS;
	if (map->shared)
		find_huge_entries(effect, map);
	return true;
}

static bool aim_store(const struct op *op, struct effect *effect)
{
	return aim_store_of(op->who, op, effect);
}

static long act_store(void)
{
	return guarded_copy(at(), board->data, board->length) ?:
		       (long)board->length;
}

/* By the kernel: read() into the mapping. */
static long act_read_into(void)
{
	int from = memfd_create("wpfile-source", MFD_CLOEXEC);
	ssize_t done = -1;

	if (pwrite(from, board->data, board->length, 0) > 0)
		done = pread(from, at(), board->length, 0);
	close(from);
	return result(done);
}

static void gen_vm_write(struct op *op, struct rng *rng)
{
	gen_mapped_bytes(op, rng);
	op->other = op->who;
	op->who = gen_process(rng);
}

static bool aim_vm_write(const struct op *op, struct effect *effect)
{
	return aim_store_of(op->other, op, effect);
}

static long act_vm_write(void)
{
	struct iovec from = { board->data, board->length };
	struct iovec to = { at(), board->length };

	return result(process_vm_writev(board->other_pid, &from, 1, &to, 1, 0));
}

/* Not of private pages: what this process stored into them is not modelled. */
static bool aim_load(const struct op *op, struct effect *effect)
{
	struct mapping *map = map_of(op->who, op->map);

	effect->type = FILLS;
	if (!aim_at(op->who, op, effect, MAPPED) || !map->shared)
		return false;
	effect->length = MIN(effect->length, model.size - effect->offset);
	return effect->offset < model.size;
}

static long act_load(void)
{
	return guarded_copy(board->seen, at(), board->length) ?:
		       (long)board->length;
}

/* --- userfaultfd: filling holes --- */

static void gen_one_page(struct op *op, struct rng *rng)
{
	gen_mapped_bytes(op, rng);
	op->offset -= op->offset % PAGE;
	op->length = PAGE;
}

static bool aim_uffd(const struct op *op, struct effect *effect)
{
	struct mapping *map = map_of(op->who, op->map);

	effect->type = WRITES;
	if (!aim_at(op->who, op, effect, MAPPED | WRITABLE) || !map->shared ||
	    op->offset % PAGE || op->length != PAGE)
		return false;
	rng_fill(board->data, PAGE, op->seed);
	effect->data = board->data;
	effect->mapped = true;
	return true;
}

static bool aim_uffd_zero(const struct op *op, struct effect *effect)
{
	if (!aim_uffd(op, effect))
		return false;
	effect->type = ALLOCATES;
	effect->keep_size = true;
	return true;
}

static long with_uffd(unsigned long request, void *argument)
{
	int uffd = uffd_open(0);
	long ret;

	if (uffd < 0)
		return uffd;
	ret = uffd_register(uffd, at(), PAGE, UFFDIO_REGISTER_MODE_MISSING);
	if (!ret)
		ret = result(ioctl(uffd, request, argument));
	close(uffd);
	return ret;
}

static long act_uffd_copy(void)
{
	struct uffdio_copy copy = { .dst = board->at, .len = PAGE,
				    .src = (uintptr_t)board->data };

	return with_uffd(UFFDIO_COPY, &copy) ?: (long)PAGE;
}

static long act_uffd_zero(void)
{
	struct uffdio_zeropage zero = {
		.range = { .start = board->at, .len = PAGE }
	};

	return with_uffd(UFFDIO_ZEROPAGE, &zero);
}

/* Where the page is no hole, nothing happens. */
static int done_uffd(const struct op *op, struct effect *effect, long done)
{
	(void)op;
	if (done < 0 && done != -EEXIST)
		return fail("returned %ld", done);
	if (done < 0)
		effect->type = CHANGES_NOTHING;
	return 0;
}

/* clang-format off */
const struct operation store_operations[] = {
	{
		.name = "store", .weight = 60,
		.fields = "who map offset length seed",
		.generate = gen_mapped_bytes, .aim = aim_store,
		.act = act_store,
	},
	{
		.name = "load", .weight = 16,
		.fields = "who map offset length",
		.generate = gen_mapped_bytes, .aim = aim_load, .act = act_load,
		.done = done_read,
	},
	{
		.name = "read_into", .weight = 5,
		.fields = "who map offset length seed",
		.generate = gen_mapped_bytes, .aim = aim_store,
		.act = act_read_into,
	},
	{
		.name = "vm_write", .weight = 5,
		.fields = "who other map offset length seed",
		.generate = gen_vm_write, .aim = aim_vm_write,
		.act = act_vm_write,
	},
	{
		.name = "uffd_copy", .weight = 6,
		.fields = "who map offset length seed",
		.generate = gen_one_page, .aim = aim_uffd,
		.act = act_uffd_copy, .done = done_uffd,
	},
	{
		.name = "uffd_zero", .weight = 3,
		.fields = "who map offset length",
		.generate = gen_one_page, .aim = aim_uffd_zero,
		.act = act_uffd_zero, .done = done_uffd,
	},
	{}
};
/* clang-format on */
