// SPDX-License-Identifier: GPL-2.0-only
/*
 * Snapshots: a plain file whose content is another's at one instant.
 *
 * The file of a snapshot is an opening of the shadow's inode with operations of
 * its own.  So it has the right size, can be mapped and found by rmap, and its
 * pages are the shadow's; what the shadow does not have yet, reads take from the
 * file that is monitored, and faults capture first: pages of one file cannot be
 * mapped through another.
 *
 * Each opening is a user of the mark.  VMAs hold the file they were made from.
 */
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/poll.h>
#include <linux/seq_file.h>
#include <linux/sched/signal.h>
#include <linux/splice.h>
#include <linux/uio.h>

#include "wpfile.h"

static struct wpfile_mark *mark_of(struct file *file)
{
	return file->private_data;
}

static ssize_t snapshot_read_iter(struct kiocb *iocb, struct iov_iter *to)
{
	ssize_t ret = wpfile_content_read(mark_of(iocb->ki_filp), iocb->ki_pos,
					  to);

	if (ret > 0)
		iocb->ki_pos += ret;
	return ret;
}

/* The first page at or after @index that there may be, or @end. */
static pgoff_t next_data(struct wpfile_mark *mark, pgoff_t index, pgoff_t end)
{
	pgoff_t live = wpfile_next_present(mark->file->inode->i_mapping, index,
					   end - 1);

	/* A page is in the shadow before it goes from the file. */
	smp_rmb();
	return min(live, wpfile_next_present(file_inode(mark->shadow)->i_mapping,
					     index, end - 1));
}

/* The first page at or after @index that is @data, or @end. */
static pgoff_t seek(struct wpfile_mark *mark, pgoff_t index, pgoff_t end,
		    bool data)
{
	for (; index < end; index++) {
		if (data)
			index = next_data(mark, index, end);
		if (index >= end || fatal_signal_pending(current))
			break;
		if (wpfile_content_is_data(mark, index) == data)
			break;
		cond_resched();
	}
	return index;
}

static loff_t seek_data_hole(struct file *file, loff_t pos, int whence)
{
	struct wpfile_mark *mark = mark_of(file);
	bool data = whence == SEEK_DATA;
	loff_t found;

	if (pos < 0 || pos >= mark->size)
		return -ENXIO;
	found = (loff_t)seek(mark, pos >> PAGE_SHIFT, wpfile_pages(mark->size),
			     data) << PAGE_SHIFT;
	if (fatal_signal_pending(current))
		return -EINTR;
	/* What is lost may look like a hole. */
	if (READ_ONCE(mark->failed))
		return -EIO;
	if (data && found >= mark->size)
		return -ENXIO;
	found = clamp(found, pos, mark->size);
	return vfs_setpos(file, found, MAX_LFS_FILESIZE);
}

static loff_t snapshot_llseek(struct file *file, loff_t pos, int whence)
{
	if (whence == SEEK_DATA || whence == SEEK_HOLE)
		return seek_data_hole(file, pos, whence);
	return generic_file_llseek_size(file, pos, whence, MAX_LFS_FILESIZE,
					mark_of(file)->size);
}

static int capture_for_fault(struct wpfile_mark *mark, pgoff_t index)
{
	struct address_space *origin = mark->file->inode->i_mapping;
	int err;

	if (!wpfile_pageset_test(&mark->pages, index))
		return 0;
	filemap_invalidate_lock_shared(origin);
	err = wpfile_capture_for_reader(mark, index);
	filemap_invalidate_unlock_shared(origin);
	return err;
}

static vm_fault_t snapshot_fault(struct vm_fault *vmf)
{
	struct wpfile_mark *mark = mark_of(vmf->vma->vm_file);
	struct folio *folio;

	if (vmf->pgoff >= wpfile_pages(mark->size))
		return VM_FAULT_SIGBUS;
	if (capture_for_fault(mark, vmf->pgoff))
		return VM_FAULT_SIGBUS;
	/* The bit before the mark. */
	smp_rmb();
	if (!wpfile_pageset_captured(&mark->pages, vmf->pgoff))
		return VM_FAULT_SIGBUS;
	folio = wpfile_shadow_folio(mark, vmf->pgoff);
	if (IS_ERR(folio))
		return vmf_error(PTR_ERR(folio));
	vmf->page = folio_file_page(folio, vmf->pgoff);
	return VM_FAULT_LOCKED;
}

static const struct vm_operations_struct snapshot_vm_ops = {
	.fault	= snapshot_fault,
};

static int snapshot_mmap(struct file *file, struct vm_area_struct *vma)
{
	file_accessed(file);
	vma->vm_ops = &snapshot_vm_ops;
	return 0;
}

/* Opens a snapshot anew, through /proc/PID/fd. */
static int snapshot_open(struct inode *inode, struct file *file)
{
	struct wpfile_mark *mark;

	if (file->f_mode & FMODE_WRITE)
		return -EACCES;
	guard(rcu)();
	mark = READ_ONCE(wpfile_of(inode)->snapshot);
	if (!mark || !refcount_inc_not_zero(&mark->users))
		return -ENXIO;
	file->private_data = mark;
	return 0;
}

static int snapshot_release(struct inode *inode, struct file *file)
{
	wpfile_mark_release(mark_of(file));
	return 0;
}

/* Woken by the event of a failure. */
static __poll_t snapshot_poll(struct file *file, poll_table *wait)
{
	struct wpfile_mark *mark = mark_of(file);

	poll_wait(file, &mark->mon->wait, wait);
	return EPOLLIN | EPOLLRDNORM | (READ_ONCE(mark->failed) ? EPOLLERR : 0);
}

static void snapshot_show_fdinfo(struct seq_file *m, struct file *file)
{
	wpfile_show_fdinfo(m, mark_of(file));
}

static const struct file_operations snapshot_fops = {
	.owner		= THIS_MODULE,
	.open		= snapshot_open,
	.release	= snapshot_release,
	.llseek		= snapshot_llseek,
	.read_iter	= snapshot_read_iter,
	.splice_read	= copy_splice_read,
	.mmap		= snapshot_mmap,
	.poll		= snapshot_poll,
	.show_fdinfo	= snapshot_show_fdinfo,
};

/* Is this the file of a snapshot, or mapped as one? */
bool wpfile_is_snapshot(struct file *file)
{
	return file->f_op == &snapshot_fops;
}

/* Opens the shadow as the user will see it; takes over the user of @mark. */
static struct file *open_shadow(struct wpfile_mark *mark)
{
	struct file *file = alloc_file_clone(mark->shadow, O_RDONLY,
					     &snapshot_fops);

	if (IS_ERR(file))
		return file;
	file->f_mode |= FMODE_LSEEK | FMODE_PREAD | FMODE_PWRITE;
	file->private_data = mark;
	return file;
}

/**
 * wpfile_snapshot_file - WPFILE_IOC_SNAPSHOT
 * @target: the file
 * @args: arguments, and where results go
 *
 * Return: the snapshot, opened.
 */
struct file *wpfile_snapshot_file(struct file *target,
				  struct wpfile_snapshot *args)
{
	const struct wpfile_monitor monitor = {
		.mode = WPFILE_CAPTURE,
		.capture_limit = args->capture_limit,
	};
	struct wpfile_mark *mark;
	struct file *file;
	int err;

	mark = wpfile_mark_of(target, &monitor);
	if (IS_ERR(mark))
		return ERR_CAST(mark);
	err = wpfile_shadow_publish(mark, &snapshot_fops) ?:
	      wpfile_protect_all(mark);
	file = err ? ERR_PTR(err) : open_shadow(mark);
	if (IS_ERR(file)) {
		wpfile_mark_release(mark);
		return file;
	}
	args->ret_bytes = mark->size;
	args->ret_cut_ns = mark->cut_ns;
	args->ret_pinned_pages = mark->pinned;
	return file;
}
