// SPDX-License-Identifier: GPL-2.0-only
/*
 * The file descriptor of a monitor.
 */
#include <linux/anon_inodes.h>
#include <linux/file.h>
#include <linux/poll.h>
#include <linux/seq_file.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <linux/uio.h>

#include "wpfile.h"

static struct wpfile_mark *mark_of(struct file *file)
{
	return file->private_data;
}

static struct wpfile_mon *mon_of(struct file *file)
{
	return mark_of(file)->mon;
}

/* A range as the user gives it, as pages. */
static int range_to_span(struct wpfile_range range, struct wpfile_span *span)
{
	if (!PAGE_ALIGNED(range.offset) || !range.length)
		return -EINVAL;
	if (range.offset >> PAGE_SHIFT > WPFILE_LAST_PAGE)
		return -EOVERFLOW;
	span->first = range.offset >> PAGE_SHIFT;
	span->last = WPFILE_LAST_PAGE;
	if (range.length == WPFILE_TO_END)
		return 0;
	if (!PAGE_ALIGNED(range.length))
		return -EINVAL;
	if (range.length >> PAGE_SHIFT > WPFILE_LAST_PAGE - span->first + 1)
		return -EOVERFLOW;
	span->last = span->first + (range.length >> PAGE_SHIFT) - 1;
	return 0;
}

static bool is_nr_ranges(u32 nr)
{
	return nr && nr <= WPFILE_MAX_RANGES;
}

static int ranges_to_spans(struct wpfile_range *ranges,
			   struct wpfile_span *spans, u32 nr)
{
	int err = 0;
	u32 i;

	for (i = 0; i < nr && !err; i++)
		err = range_to_span(ranges[i], &spans[i]);
	return err;
}

/*
 * The ranges of the user as an array of spans in order, to be freed with
 * kvfree().  *@nr may become less.
 */
static struct wpfile_span *spans_from_user(u64 user, u32 *nr_ranges)
{
	u32 nr = *nr_ranges;
	struct wpfile_range *ranges;
	struct wpfile_span *spans;
	int err;

	if (!is_nr_ranges(nr))
		return ERR_PTR(-EINVAL);
	ranges = vmemdup_array_user(u64_to_user_ptr(user), nr, sizeof(*ranges));
	if (IS_ERR(ranges))
		return ERR_CAST(ranges);
	spans = kvmalloc_array(nr, sizeof(*spans), GFP_KERNEL_ACCOUNT);
	err = spans ? ranges_to_spans(ranges, spans, nr) : -ENOMEM;
	kvfree(ranges);
	if (err) {
		kvfree(spans);
		return ERR_PTR(err);
	}
	*nr_ranges = wpfile_sort_spans(spans, nr);
	return spans;
}

/* Of files that are not being closed; to be put by put_parts(). */
static unsigned int get_marks(struct wpfile_mon *mon, struct wpfile_part *parts)
{
	struct wpfile_mark *mark;
	unsigned int nr = 0;

	guard(spinlock)(&mon->lock);
	list_for_each_entry(mark, &mon->marks, siblings)
		if (refcount_inc_not_zero(&mark->users))
			parts[nr++].mark = mark;
	return nr;
}

/* A cut clips them to its file: each gets its own. */
static int copy_spans(struct wpfile_part *parts, unsigned int nr_parts,
		      const struct wpfile_span *spans, u32 nr)
{
	unsigned int i;

	for (i = 0; i < nr_parts; i++) {
		parts[i].nr = nr;
		parts[i].spans = kvmemdup(spans, array_size(nr, sizeof(*spans)),
					  GFP_KERNEL_ACCOUNT);
		if (!parts[i].spans)
			return -ENOMEM;
	}
	return 0;
}

static void put_parts(struct wpfile_part *parts, unsigned int nr)
{
	unsigned int i;

	for (i = 0; i < nr; i++) {
		kvfree(parts[i].spans);
		wpfile_mark_release(parts[i].mark);
	}
	kfree(parts);
}

static void tell_result(struct wpfile_part *parts, unsigned int nr,
			struct wpfile_protect *args)
{
	unsigned int i;

	args->ret_cut_ns = parts->mark->cut_ns;
	args->ret_pinned_pages = 0;
	for (i = 0; i < nr; i++)
		args->ret_pinned_pages += parts[i].mark->pinned;
}

static int protect_all_files(struct wpfile_mon *mon, struct wpfile_span *spans,
			     u32 nr, struct wpfile_protect *args)
{
	struct wpfile_part *parts;
	unsigned int nr_parts;
	int err;

	parts = kcalloc(WPFILE_MAX_FILES, sizeof(*parts), GFP_KERNEL_ACCOUNT);
	if (!parts)
		return -ENOMEM;
	nr_parts = get_marks(mon, parts);
	err = copy_spans(parts, nr_parts, spans, nr) ?:
	      wpfile_protect(parts, nr_parts);
	tell_result(parts, nr_parts, args);
	put_parts(parts, nr_parts);
	return err;
}

static int protect_spans(struct wpfile_mark *mark, struct wpfile_span *spans,
			 u32 nr, struct wpfile_protect *args)
{
	struct wpfile_part part = { .mark = mark, .spans = spans, .nr = nr };
	struct wpfile_mon *mon = mark->mon;
	int err;

	if (mutex_lock_killable(&mon->op))
		return -EINTR;
	if (args->flags & WPFILE_ALL_FILES) {
		err = protect_all_files(mon, spans, nr, args);
	} else {
		err = wpfile_protect(&part, 1);
		tell_result(&part, 1, args);
	}
	mutex_unlock(&mon->op);
	return err;
}

static long run_protect(struct wpfile_cmd *cmd)
{
	struct wpfile_protect *args = &cmd->args->protect;
	u32 nr = args->nr_ranges;
	struct wpfile_span *spans;
	int err;

	if ((args->flags & ~WPFILE_ALL_FILES) || args->reserved)
		return -EINVAL;
	spans = spans_from_user(args->ranges, &nr);
	if (IS_ERR(spans))
		return PTR_ERR(spans);
	/* Who cannot be answered is told before anything changes. */
	err = wpfile_respond(cmd) ?:
	      protect_spans(mark_of(cmd->file), spans, nr, args) ?:
	      wpfile_respond(cmd);
	kvfree(spans);
	return err;
}

static long run_unprotect(struct wpfile_cmd *cmd)
{
	struct wpfile_unprotect *args = &cmd->args->unprotect;
	struct wpfile_mon *mon = mon_of(cmd->file);
	struct wpfile_part part = { .mark = mark_of(cmd->file),
				    .nr = args->nr_ranges };
	int err = -EINTR;

	if (args->flags || args->reserved)
		return -EINVAL;
	part.spans = spans_from_user(args->ranges, &part.nr);
	if (IS_ERR(part.spans))
		return PTR_ERR(part.spans);
	if (!mutex_lock_killable(&mon->op)) {
		err = wpfile_unprotect(&part);
		mutex_unlock(&mon->op);
	}
	kvfree(part.spans);
	return err;
}

static long run_scan(struct wpfile_cmd *cmd)
{
	struct wpfile_mon *mon = mon_of(cmd->file);
	struct wpfile_scan *args = &cmd->args->scan;
	struct wpfile_span span;
	int err;

	if ((args->flags & ~WPFILE_SCAN_PROTECT) ||
	    !is_nr_ranges(args->nr_ranges))
		return -EINVAL;
	if (args->flags && mon->mode != WPFILE_TRACK)
		return -EOPNOTSUPP;
	err = range_to_span((struct wpfile_range) { args->offset,
						    args->length }, &span);
	if (err)
		return err;
	if (mutex_lock_killable(&mon->op))
		return -EINTR;
	err = wpfile_scan(mark_of(cmd->file), span, cmd);
	mutex_unlock(&mon->op);
	return err;
}

static long run_resolve(struct wpfile_cmd *cmd)
{
	struct wpfile_resolve *args = &cmd->args->resolve;

	if (args->verdict > WPFILE_FAIL)
		return -EINVAL;
	if (mon_of(cmd->file)->mode != WPFILE_SYNC)
		return -EOPNOTSUPP;
	return wpfile_resolve(mark_of(cmd->file), args->id,
			      args->verdict == WPFILE_FAIL);
}

static bool has_events(struct wpfile_mon *mon)
{
	return !list_empty_careful(&mon->events);
}

static ssize_t read_events(struct file *file, char __user *buf, size_t count)
{
	struct wpfile_mon *mon = mon_of(file);
	ssize_t len;
	int err;

	if (count < sizeof(struct wpfile_event))
		return -EINVAL;
	while (!(len = wpfile_read_events(mon, buf, count))) {
		if (file->f_flags & O_NONBLOCK)
			return -EAGAIN;
		err = wait_event_interruptible(mon->wait, has_events(mon));
		if (err)
			return err;
	}
	return len;
}

static ssize_t read_content(struct wpfile_mark *mark, char __user *buf,
			    size_t count, loff_t pos)
{
	struct wpfile_mon *mon = mark->mon;
	struct iov_iter iter;
	ssize_t ret;

	if (!mark->shadow)
		return -EOPNOTSUPP;
	ret = import_ubuf(ITER_DEST, buf, count, &iter);
	if (ret)
		return ret;
	/* Not while PROTECT or UNPROTECT drops what is being read. */
	if (mutex_lock_killable(&mon->op))
		return -EINTR;
	ret = wpfile_content_read(mark, pos, &iter);
	mutex_unlock(&mon->op);
	return ret;
}

/* read() has no position, being a stream of events; pread() has one. */
static ssize_t monitor_read(struct file *file, char __user *buf, size_t count,
			    loff_t *pos)
{
	if (pos)
		return read_content(mark_of(file), buf, count, *pos);
	return read_events(file, buf, count);
}

static ssize_t monitor_write(struct file *file, const char __user *buf,
			     size_t count, loff_t *pos)
{
	struct wpfile_mark *mark = mark_of(file);
	struct iov_iter iter;
	ssize_t ret;

	if (!pos || !mark->target)
		return -EOPNOTSUPP;
	ret = import_ubuf(ITER_SOURCE, (char __user *)buf, count, &iter);
	return ret ?: wpfile_handler_write(mark, *pos, &iter);
}

static __poll_t monitor_poll(struct file *file, poll_table *wait)
{
	struct wpfile_mon *mon = mon_of(file);

	poll_wait(file, &mon->wait, wait);
	return has_events(mon) ? EPOLLIN | EPOLLRDNORM : 0;
}

static const char *const mode_names[] = {
	[WPFILE_TRACK]		= "track",
	[WPFILE_CAPTURE]	= "capture",
	[WPFILE_SYNC]		= "sync",
	[WPFILE_DENY]		= "deny",
};

void wpfile_show_fdinfo(struct seq_file *m, struct wpfile_mark *mark)
{
	struct wpfile_mon *mon = mark->mon;
	struct inode *inode = mark->file->inode;
	pgoff_t pages = wpfile_pages(i_size_read(inode));

	seq_printf(m, "wpfile_mode:\t%s\n", mode_names[mon->mode]);
	seq_printf(m, "wpfile_dev:\t%02x:%02x\n", MAJOR(inode->i_sb->s_dev),
		   MINOR(inode->i_sb->s_dev));
	seq_printf(m, "wpfile_ino:\t%lu\n", inode->i_ino);
	seq_printf(m, "protected_pages:\t%lu\n",
		   pages ? wpfile_pageset_count(&mark->pages, 0, pages - 1) : 0);
	seq_printf(m, "pinned_pages:\t%llu\n", READ_ONCE(mark->pinned));
	if (!mark->shadow)
		return;
	seq_printf(m, "captured_bytes:\t%lu\n",
		   (unsigned long)atomic_long_read(&mark->captured) << PAGE_SHIFT);
	seq_printf(m, "failed:\t%d\n", READ_ONCE(mark->failed));
	seq_printf(m, "cut_ns:\t%llu\n", READ_ONCE(mark->cut_ns));
	seq_printf(m, "overflows:\t%lu\n", READ_ONCE(mon->overflows));
	if (mon->mode == WPFILE_SYNC)
		seq_printf(m, "waiting_pages:\t%lu\n", READ_ONCE(mark->nr_holds));
}

static void monitor_show_fdinfo(struct seq_file *m, struct file *file)
{
	wpfile_show_fdinfo(m, mark_of(file));
}

static int monitor_release(struct inode *inode, struct file *file)
{
	wpfile_mark_release(mark_of(file));
	return 0;
}

static long monitor_ioctl(struct file *file, unsigned int cmd,
			  unsigned long arg);

static const struct file_operations monitor_fops = {
	.owner		= THIS_MODULE,
	.unlocked_ioctl	= monitor_ioctl,
	.compat_ioctl	= compat_ptr_ioctl,
	.read		= monitor_read,
	.write		= monitor_write,
	.poll		= monitor_poll,
	.show_fdinfo	= monitor_show_fdinfo,
	.release	= monitor_release,
	.llseek		= noop_llseek,
};

/* A file descriptor for a mark, whose user is taken over. */
static int mark_fd(struct wpfile_mark *mark)
{
	struct file *file;
	int fd;

	if (IS_ERR(mark))
		return PTR_ERR(mark);
	fd = get_unused_fd_flags(O_CLOEXEC);
	if (fd < 0) {
		wpfile_mark_release(mark);
		return fd;
	}
	file = anon_inode_getfile("[wpfile]", &monitor_fops, mark, O_RDWR);
	if (IS_ERR(file)) {
		put_unused_fd(fd);
		wpfile_mark_release(mark);
		return PTR_ERR(file);
	}
	/* See monitor_read() and monitor_write(). */
	file->f_mode |= FMODE_STREAM | FMODE_PREAD | FMODE_PWRITE;
	fd_install(fd, file);
	return fd;
}

/* Makes a monitor and its file descriptor. */
int wpfile_monitor_fd(struct file *target, struct wpfile_monitor *args)
{
	return mark_fd(wpfile_mark_of(target, args));
}

/* -EEXIST if the monitor has the file, -EBUSY if it has as many as it may have. */
static int check_room(struct wpfile_mon *mon, struct inode *inode)
{
	struct wpfile_mark *mark;
	unsigned int nr = 0;

	guard(spinlock)(&mon->lock);
	list_for_each_entry(mark, &mon->marks, siblings) {
		if (mark->file->inode == inode)
			return -EEXIST;
		nr++;
	}
	return nr < WPFILE_MAX_FILES ? 0 : -EBUSY;
}

static int attach_file(struct wpfile_mon *mon, struct file *target, u64 cookie)
{
	int ret;

	if (mutex_lock_killable(&mon->op))
		return -EINTR;
	ret = check_room(mon, file_inode(target)) ?:
	      mark_fd(wpfile_mark_new(mon, target, cookie));
	mutex_unlock(&mon->op);
	return ret;
}

static long run_attach(struct wpfile_cmd *cmd)
{
	struct wpfile_attach *args = &cmd->args->attach;
	struct wpfile_mon *mon = mon_of(cmd->file);
	struct file *target;
	int ret;

	if (!wpfile_is_creator(mon))
		return -EPERM;
	target = wpfile_attach_target(args, mon->mode);
	if (IS_ERR(target))
		return PTR_ERR(target);
	ret = attach_file(mon, target, args->cookie);
	fput(target);
	return ret;
}

static const struct wpfile_op monitor_ops[] = {
	{ WPFILE_IOC_PROTECT, sizeof(struct wpfile_protect),
	  offsetofend(struct wpfile_protect, ret_pinned_pages), run_protect },
	{ WPFILE_IOC_UNPROTECT, sizeof(struct wpfile_unprotect),
	  offsetofend(struct wpfile_unprotect, reserved), run_unprotect },
	{ WPFILE_IOC_SCAN, sizeof(struct wpfile_scan),
	  offsetofend(struct wpfile_scan, ret_pages), run_scan },
	{ WPFILE_IOC_RESOLVE, sizeof(struct wpfile_resolve),
	  offsetofend(struct wpfile_resolve, id), run_resolve },
	{ WPFILE_IOC_ATTACH, sizeof(struct wpfile_attach),
	  offsetofend(struct wpfile_attach, reserved), run_attach },
};

static long monitor_ioctl(struct file *file, unsigned int cmd,
			  unsigned long arg)
{
	return wpfile_dispatch(monitor_ops, ARRAY_SIZE(monitor_ops), file, cmd,
			       arg);
}
