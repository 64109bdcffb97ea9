// SPDX-License-Identifier: GPL-2.0-only
/*
 * What the handler of a monitor does to protected pages: lets them be written, and
 * writes them itself.
 */
#include <linux/fs.h>
#include <linux/fsnotify.h>
#include <linux/memcontrol.h>
#include <linux/pagemap.h>
#include <linux/sched/mm.h>
#include <linux/uio.h>

#include "wpfile.h"

/* Memory for allow(), without a lock that gates wait for. */
static int prepare(struct wpfile_mark *mark, u64 id)
{
	struct mem_cgroup *old;
	pgoff_t index;
	int err;

	err = wpfile_hold_resolve(mark, id, false, &index);
	if (err)
		return err;
	old = set_active_memcg(mark->mon->memcg);
	err = wpfile_pageset_prepare(&mark->pages, index, GFP_KERNEL_ACCOUNT);
	set_active_memcg(old);
	return err;
}

static void allow(struct wpfile_mark *mark, pgoff_t index)
{
	wpfile_pageset_clear_page(&mark->pages, index);
	wpfile_holds_release(mark, index, index);
}

/**
 * wpfile_resolve - WPFILE_IOC_RESOLVE
 * @mark: the mark
 * @id: of the event
 * @fail: the verdict
 *
 * Needs neither the inode lock nor the monitor's op, behind which another PROTECT may
 * be waiting for who writes the file, and that one for user space.
 *
 * Return: 0; -ENOENT; -EINTR or -ENOMEM with nothing changed.
 */
int wpfile_resolve(struct wpfile_mark *mark, u64 id, bool fail)
{
	struct address_space *mapping = mark->file->inode->i_mapping;
	pgoff_t index;
	int err = fail ? 0 : prepare(mark, id);

	if (err)
		return err;
	/* A gate, in all but name: the page is not protected anew in between. */
	if (down_read_killable(&mapping->invalidate_lock))
		return -EINTR;
	err = wpfile_hold_resolve(mark, id, fail, &index);
	if (!err && !fail)
		allow(mark, index);
	filemap_invalidate_unlock_shared(mapping);
	return err;
}

static ssize_t write_locked(struct wpfile_mark *mark, struct kiocb *iocb,
			    struct iov_iter *from)
{
	struct inode *inode = mark->file->inode;
	loff_t size = i_size_read(inode);
	int err;

	if (iocb->ki_pos >= size)
		return -EINVAL;
	iov_iter_truncate(from, size - iocb->ki_pos);
	err = wpfile_gate_for_handler(inode, iocb->ki_pos, from) ?:
	      file_remove_privs(mark->target) ?:
	      file_update_time(mark->target);
	return err ?: generic_perform_write(iocb, from);
}

/**
 * wpfile_handler_write - pwrite() on a monitor
 * @mark: the mark, of SYNC or DENY
 * @pos: bytes
 * @from: where from
 *
 * Gates do not stop the task for this mark, but for other monitors, as any write().
 *
 * Return: bytes written, up to the end of the file; -EINVAL beyond it; or as
 * write().
 */
ssize_t wpfile_handler_write(struct wpfile_mark *mark, loff_t pos,
			     struct iov_iter *from)
{
	struct inode *inode = mark->file->inode;
	struct kiocb iocb;
	ssize_t ret;

	if (!iov_iter_count(from))
		return 0;
	ret = rw_verify_area(WRITE, mark->target, &pos, iov_iter_count(from));
	if (ret)
		return ret;
	init_sync_kiocb(&iocb, mark->target);
	iocb.ki_pos = pos;
	if (inode_lock_killable(inode))
		return -EINTR;
	/* One at a time, under the inode lock. */
	WRITE_ONCE(mark->handler, current);
	ret = write_locked(mark, &iocb, from);
	WRITE_ONCE(mark->handler, NULL);
	inode_unlock(inode);
	if (ret > 0)
		fsnotify_modify(mark->target);
	return ret;
}
