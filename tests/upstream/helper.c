// SPDX-License-Identifier: GPL-2.0-only
/*
 * Throwaway: lets user space call what only drivers call, on a file of shared
 * memory, by ioctl() on /sys/kernel/debug/upstream with a file descriptor.  It is
 * added to a copy of the stock kernel by run.
 */
/* What mm.h hides from us; the helpers are built in by run. */
#define CONFIG_MAPPING_DIRTY_HELPERS 1

#include <linux/debugfs.h>
#include <linux/file.h>
#include <linux/init.h>
#include <linux/mm.h>
#include <linux/pagemap.h>
#include <linux/swap.h>
#include <linux/writeback.h>

#include "helper.h"

/* As vmwgfx does to learn which pages of a buffer are written. */
static long write_protect(struct address_space *mapping)
{
	return wp_shared_mapping_range(mapping, 0, HELPER_PAGES);
}

/* As the shrinker of i915 does with objects that nobody uses. */
static long write_out(struct address_space *mapping)
{
	struct writeback_control wbc = {
		.sync_mode = WB_SYNC_NONE,
		.nr_to_write = HELPER_PAGES,
		.range_end = LLONG_MAX,
		.for_reclaim = 1,
	};
	struct folio *folio = filemap_lock_folio(mapping, 0);
	long ret = -EBUSY;

	if (IS_ERR(folio))
		return PTR_ERR(folio);
	if (!folio_mapped(folio) && folio_clear_dirty_for_io(folio))
		ret = mapping->a_ops->writepage(&folio->page, &wbc);
	/* writepage() unlocks what it takes. */
	if (ret)
		folio_unlock(folio);
	folio_put(folio);
	return ret;
}

static long helper_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	struct fd target = fdget(arg);
	long ret = -ENOTTY;

	if (!fd_file(target))
		return -EBADF;
	if (cmd == HELPER_WRITE_PROTECT)
		ret = write_protect(fd_file(target)->f_mapping);
	else if (cmd == HELPER_WRITE_OUT)
		ret = write_out(fd_file(target)->f_mapping);
	fdput(target);
	return ret;
}

static const struct file_operations helper_fops = {
	.unlocked_ioctl	= helper_ioctl,
};

static int __init helper_init(void)
{
	debugfs_create_file("upstream", 0600, NULL, NULL, &helper_fops);
	return 0;
}
late_initcall(helper_init);
