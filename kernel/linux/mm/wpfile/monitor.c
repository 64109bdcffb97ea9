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

static struct wpfile_mon *mon_of(struct file *file)
{
	return file->private_data;
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

static int protect_spans(struct wpfile_mon *mon, struct wpfile_span *spans,
			 u32 nr, struct wpfile_protect *args)
{
	int err;

	if (mutex_lock_killable(&mon->op))
		return -EINTR;
	err = wpfile_protect(mon->mark, spans, nr);
	args->ret_cut_ns = mon->mark->cut_ns;
	args->ret_pinned_pages = mon->mark->pinned;
	mutex_unlock(&mon->op);
	return err;
}

static long run_protect(struct wpfile_cmd *cmd)
{
	struct wpfile_protect *args = &cmd->args->protect;
	u32 nr = args->nr_ranges;
	struct wpfile_span *spans;
	int err;

	if (args->flags || args->reserved)
		return -EINVAL;
	spans = spans_from_user(args->ranges, &nr);
	if (IS_ERR(spans))
		return PTR_ERR(spans);
	err = protect_spans(mon_of(cmd->file), spans, nr, args);
	kvfree(spans);
	return err ?: wpfile_respond(cmd);
}

static int unprotect_spans(struct wpfile_mon *mon, struct wpfile_span *spans,
			   u32 nr)
{
	int err = 0;
	u32 i;

	if (mutex_lock_killable(&mon->op))
		return -EINTR;
	for (i = 0; i < nr && !err; i++)
		err = wpfile_unprotect(mon->mark, spans[i]);
	mutex_unlock(&mon->op);
	return err;
}

static long run_unprotect(struct wpfile_cmd *cmd)
{
	struct wpfile_unprotect *args = &cmd->args->unprotect;
	u32 nr = args->nr_ranges;
	struct wpfile_span *spans;
	int err;

	if (args->flags || args->reserved)
		return -EINVAL;
	spans = spans_from_user(args->ranges, &nr);
	if (IS_ERR(spans))
		return PTR_ERR(spans);
	err = unprotect_spans(mon_of(cmd->file), spans, nr);
	kvfree(spans);
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
	err = wpfile_scan(mon->mark, span, cmd);
	mutex_unlock(&mon->op);
	return err;
}

static const struct wpfile_op monitor_ops[] = {
	{ WPFILE_IOC_PROTECT, sizeof(struct wpfile_protect),
	  offsetofend(struct wpfile_protect, ret_pinned_pages), run_protect },
	{ WPFILE_IOC_UNPROTECT, sizeof(struct wpfile_unprotect),
	  offsetofend(struct wpfile_unprotect, reserved), run_unprotect },
	{ WPFILE_IOC_SCAN, sizeof(struct wpfile_scan),
	  offsetofend(struct wpfile_scan, ret_pages), run_scan },
};

static long monitor_ioctl(struct file *file, unsigned int cmd,
			  unsigned long arg)
{
	return wpfile_dispatch(monitor_ops, ARRAY_SIZE(monitor_ops), file, cmd,
			       arg);
}

/* Takes the event if it fits: its length, 0 for none, or -EINVAL. */
static ssize_t take_event(struct wpfile_mon *mon, size_t room,
			  struct wpfile_event *event)
{
	guard(spinlock)(&mon->lock);
	*event = mon->event;
	if (event->length > room)
		return -EINVAL;
	mon->event.length = 0;
	return event->length;
}

static ssize_t wait_event_taken(struct file *file, size_t room,
				struct wpfile_event *event)
{
	struct wpfile_mon *mon = mon_of(file);
	ssize_t len;
	int err;

	while (!(len = take_event(mon, room, event))) {
		if (file->f_flags & O_NONBLOCK)
			return -EAGAIN;
		err = wait_event_interruptible(mon->wait,
					       READ_ONCE(mon->event.length));
		if (err)
			return err;
	}
	return len;
}

static ssize_t read_events(struct file *file, char __user *buf, size_t count)
{
	struct wpfile_event event;
	ssize_t len;

	if (count < sizeof(event))
		return -EINVAL;
	len = wait_event_taken(file, count, &event);
	if (len > 0 && copy_to_user(buf, &event, len))
		return -EFAULT;
	return len;
}

static ssize_t read_content(struct wpfile_mon *mon, char __user *buf,
			    size_t count, loff_t pos)
{
	struct iov_iter iter;
	ssize_t ret;

	if (mon->mode != WPFILE_CAPTURE)
		return -EOPNOTSUPP;
	ret = import_ubuf(ITER_DEST, buf, count, &iter);
	if (ret)
		return ret;
	/* Not while PROTECT or UNPROTECT drops what is being read. */
	if (mutex_lock_killable(&mon->op))
		return -EINTR;
	ret = wpfile_content_read(mon->mark, pos, &iter);
	mutex_unlock(&mon->op);
	return ret;
}

/* read() has no position, being a stream of events; pread() has one. */
static ssize_t monitor_read(struct file *file, char __user *buf, size_t count,
			    loff_t *pos)
{
	if (pos)
		return read_content(mon_of(file), buf, count, *pos);
	return read_events(file, buf, count);
}

static __poll_t monitor_poll(struct file *file, poll_table *wait)
{
	struct wpfile_mon *mon = mon_of(file);

	poll_wait(file, &mon->wait, wait);
	return READ_ONCE(mon->event.length) ? EPOLLIN | EPOLLRDNORM : 0;
}

static const char *const mode_names[] = {
	[WPFILE_TRACK]		= "track",
	[WPFILE_CAPTURE]	= "capture",
};

void wpfile_show_fdinfo(struct seq_file *m, struct wpfile_mon *mon)
{
	struct wpfile_mark *mark = mon->mark;
	struct inode *inode = mark->file->inode;
	pgoff_t pages = wpfile_pages(i_size_read(inode));

	seq_printf(m, "wpfile_mode:\t%s\n", mode_names[mon->mode]);
	seq_printf(m, "wpfile_ino:\t%lu\n", inode->i_ino);
	seq_printf(m, "protected_pages:\t%lu\n",
		   pages ? wpfile_pageset_count(&mark->pages, 0, pages - 1) : 0);
	seq_printf(m, "pinned_pages:\t%llu\n", READ_ONCE(mark->pinned));
	if (mon->mode != WPFILE_CAPTURE)
		return;
	seq_printf(m, "captured_bytes:\t%lu\n",
		   (unsigned long)atomic_long_read(&mark->captured) << PAGE_SHIFT);
	seq_printf(m, "failed:\t%d\n", READ_ONCE(mark->failed));
	seq_printf(m, "cut_ns:\t%llu\n", READ_ONCE(mark->cut_ns));
}

static void monitor_show_fdinfo(struct seq_file *m, struct file *file)
{
	wpfile_show_fdinfo(m, mon_of(file));
}

static int monitor_release(struct inode *inode, struct file *file)
{
	wpfile_mon_release(mon_of(file));
	return 0;
}

static const struct file_operations monitor_fops = {
	.owner		= THIS_MODULE,
	.unlocked_ioctl	= monitor_ioctl,
	.compat_ioctl	= compat_ptr_ioctl,
	.read		= monitor_read,
	.poll		= monitor_poll,
	.show_fdinfo	= monitor_show_fdinfo,
	.release	= monitor_release,
	.llseek		= noop_llseek,
};

static struct file *monitor_file(struct file *target,
				 struct wpfile_monitor *args)
{
	struct wpfile_mon *mon;
	struct file *file;

	mon = wpfile_mon_new(target, args->mode, args->capture_limit);
	if (IS_ERR(mon))
		return ERR_CAST(mon);
	file = anon_inode_getfile("[wpfile]", &monitor_fops, mon, O_RDWR);
	if (IS_ERR(file)) {
		wpfile_mon_release(mon);
		return file;
	}
	/* See monitor_read(). */
	file->f_mode |= FMODE_STREAM | FMODE_PREAD;
	return file;
}

/* Makes a monitor and its file descriptor. */
int wpfile_monitor_fd(struct file *target, struct wpfile_monitor *args)
{
	struct file *file;
	int fd;

	fd = get_unused_fd_flags(O_CLOEXEC);
	if (fd < 0)
		return fd;
	file = monitor_file(target, args);
	if (IS_ERR(file)) {
		put_unused_fd(fd);
		return PTR_ERR(file);
	}
	fd_install(fd, file);
	return fd;
}
