// SPDX-License-Identifier: GPL-2.0-only
/*
 * Gates: what happens before the content of a file changes.
 *
 * Every gate holds either the inode lock or invalidate_lock (shared suffices)
 * from before it looks at the bits until it has dealt with them, so that it never
 * runs while bits are being set, and not between the setting of bits and the
 * instant of a cut (cut.c).  What follows the gate:
 *
 *   a fault		drops the lock, and then installs an entry that the filter
 *			looks at: bits set in between are seen there
 *   write(), truncate,	keep the inode lock until the content has changed
 *   punch
 *   fill, truncation	keep invalidate_lock until the content has changed, since
 *   by drivers		they come without the inode lock
 *   pin		keeps invalidate_lock until the pages have their references,
 *			which a cut then counts (pin.c)
 *
 * A gate never waits for user space.  It says that somebody has to (hold.c), or
 * that the write is to fail, before anything has changed.
 */
#define CREATE_TRACE_POINTS
#include <trace/events/wpfile.h>
#undef CREATE_TRACE_POINTS

#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/xarray.h>

#include "wpfile.h"

DEFINE_SRCU(wpfile_fills);

/*
 * A write at a gate.
 */
struct write {
	u32 type;	/* WPFILE_EVENT_* */
	bool may_wait;	/* by user space: hold.c tells who may */
	bool may_fail;
	bool may_be_short;
	bool killable;
	pgoff_t first;
	/* Where it stopped: all before it has been let through. */
	pgoff_t stop;
	/* For which it will wait, with -EAGAIN. */
	struct wpfile_hold *hold;
};

/* TRACK: what was written is what is not protected. */
void wpfile_track(struct wpfile_mark *mark, pgoff_t index)
{
	struct mem_cgroup *old = set_active_memcg(mark->mon->memcg);

	CLASS(wpfile_debt, debt)();
	if (wpfile_pageset_prepare(&mark->pages, index, WPFILE_GFP))
		wpfile_pageset_lose(&mark->pages);
	else
		wpfile_pageset_clear_page(&mark->pages, index);
	set_active_memcg(old);
}

static int track(struct wpfile_mark *mark, struct write *write, pgoff_t index)
{
	wpfile_track(mark, index);
	return 0;
}

static int capture(struct wpfile_mark *mark, struct write *write, pgoff_t index)
{
	wpfile_capture(mark, index);
	return 0;
}

/* A write that is not to be held up or failed by user space. */
static int pass(struct wpfile_mark *mark, struct write *write, pgoff_t index)
{
	int ret = wpfile_capture(mark, index);

	wpfile_holds_release(mark, index, index);
	/* Of several that pass at a time, the first is told of. */
	if (ret)
		wpfile_tell(mark, write->type, WPFILE_PASSED, index,
			    wpfile_in_domain(mark));
	return 0;
}

static int sync(struct wpfile_mark *mark, struct write *write, pgoff_t index)
{
	if (!write->may_wait || !wpfile_in_domain(mark))
		return pass(mark, write, index);
	/* It returns what is done, and may not come again. */
	if (write->may_be_short && index > write->first)
		return -EAGAIN;
	write->hold = wpfile_hold_get(mark, index, write->type);
	return write->hold ? -EAGAIN : pass(mark, write, index);
}

static int deny(struct wpfile_mark *mark, struct write *write, pgoff_t index)
{
	if (!write->may_fail || !wpfile_in_domain(mark))
		return pass(mark, write, index);
	if (mark->mon->denied_events)
		wpfile_tell(mark, write->type, WPFILE_DENIED, index, true);
	return -EPERM;
}

/* 0: the bit of the page is clear.  -EAGAIN: wait for @write->hold.  -EPERM. */
static int (*const before_write[])(struct wpfile_mark *mark,
				   struct write *write, pgoff_t index) = {
	[WPFILE_TRACK]		= track,
	[WPFILE_CAPTURE]	= capture,
	[WPFILE_SYNC]		= sync,
	[WPFILE_DENY]		= deny,
};

/*
 * Lets a range be written.  What is done is good, whatever this returns: 0,
 * -EAGAIN, -EPERM, or -EINTR if it is killable.
 */
static int open_gate(struct inode *inode, pgoff_t first, pgoff_t last,
		     struct write *write)
{
	struct wpfile_file *file = wpfile_of(inode);
	struct wpfile_mark *mark;
	struct mem_cgroup *old;
	int err = 0;

	write->first = first;
	while (!err && first <= last &&
	       (mark = wpfile_next_mark(file, &first, last))) {
		trace_wpfile_write(inode, mark->mon->mode, first);
		/* What the monitor needs is its creator's. */
		old = set_active_memcg(mark->mon->memcg);
		err = before_write[mark->mon->mode](mark, write, first);
		set_active_memcg(old);
		wpfile_mark_put(mark);
		if (!err && write->killable && fatal_signal_pending(current))
			err = -EINTR;
		cond_resched();
	}
	write->stop = first;
	return err;
}

/* Not a kernel thread, io_uring, vhost, or a task that exits or dumps. */
static bool is_users(void)
{
	return current->mm &&
	       !(current->flags & (PF_KTHREAD | PF_IO_WORKER | PF_USER_WORKER |
				   PF_EXITING | PF_DUMPCORE));
}

/* In its own call: not in that of a file system on top, with other credentials. */
static bool is_own_task(void)
{
	return is_users() && current_cred() == current_real_cred();
}

/* A system call on the file, that is not to return before it is done. */
static struct write own_syscall(u32 type)
{
	bool own = is_own_task();

	return (struct write) {
		.type = type,
		.may_wait = own && IS_ENABLED(CONFIG_WPFILE_WAIT_SYSCALL),
		.may_fail = own,
		.killable = true
	};
}

/* Down, as far as the kind of fault allows. */
static bool lock_for_fault(struct vm_fault *vmf, struct address_space *mapping)
{
	if ((vmf->flags & FAULT_FLAG_USER) && (vmf->flags & FAULT_FLAG_KILLABLE))
		return !down_read_killable(&mapping->invalidate_lock);
	filemap_invalidate_lock_shared(mapping);
	return true;
}

/* The rules for waiting are those of handle_userfault(). */
static bool may_wait_in_fault(struct vm_fault *vmf)
{
	return (vmf->flags & FAULT_FLAG_USER) &&
	       (vmf->flags & FAULT_FLAG_ALLOW_RETRY) &&
	       !(vmf->flags & FAULT_FLAG_RETRY_NOWAIT) && is_own_task();
}

vm_fault_t __wpfile_write_fault(struct vm_fault *vmf)
{
	struct address_space *mapping = vmf->vma->vm_file->f_mapping;
	struct write write = {
		.type = WPFILE_EVENT_STORE,
		.may_wait = may_wait_in_fault(vmf),
		.may_fail = is_users(),
	};
	int err;

	if (!__wpfile_protected(vmf))
		return 0;
	/* A cut is on its way: it is short, and nothing changes before it ends. */
	if (!lock_for_fault(vmf, mapping))
		return VM_FAULT_NOPAGE;
	err = open_gate(mapping->host, vmf->pgoff, vmf->pgoff, &write);
	filemap_invalidate_unlock_shared(mapping);
	if (err == -EAGAIN)
		return wpfile_wait_fault(vmf, write.hold);
	return err ? VM_FAULT_SIGSEGV | VM_FAULT_ACCERR : 0;
}

/* The marks of mode TRACK, referenced.  One that comes later has no bits. */
static unsigned int get_trackers(struct wpfile_file *file,
				 struct wpfile_mark **marks)
{
	struct wpfile_mark *mark;
	unsigned int nr = 0;

	guard(mutex)(&file->lock);
	list_for_each_entry(mark, &file->marks, list)
		if (mark->mon->mode == WPFILE_TRACK &&
		    refcount_inc_not_zero(&mark->ref))
			marks[nr++] = mark;
	return nr;
}

/* So that clearing cannot fail; or else every page counts as written. */
static bool can_clear(struct wpfile_mark *mark, pgoff_t first, pgoff_t last)
{
	struct mem_cgroup *old = set_active_memcg(mark->mon->memcg);
	int err = wpfile_pageset_reserve(&mark->pages, first, last, WPFILE_GFP);

	set_active_memcg(old);
	if (err)
		wpfile_pageset_lose(&mark->pages);
	return !err;
}

/*
 * Bytes beyond the end, which a mapping may have written, become content.  A
 * capture knows nothing beyond the end at its cut.
 */
static void grow(struct inode *inode, loff_t size)
{
	struct wpfile_mark *marks[WPFILE_MAX_MONITORS];
	pgoff_t first = i_size_read(inode) >> PAGE_SHIFT;
	pgoff_t last = wpfile_pages(size) - 1;
	unsigned int i, nr;

	if (size <= i_size_read(inode))
		return;
	nr = get_trackers(wpfile_of(inode), marks);
	/* Under the inode lock alone: faults do not wait for this memory. */
	for (i = 0; i < nr;) {
		if (can_clear(marks[i], first, last)) {
			i++;
			continue;
		}
		wpfile_mark_put(marks[i]);
		marks[i] = marks[--nr];
	}
	if (!nr)
		return;
	/* Runs are cleared here, which must not meet faults that clear bits. */
	filemap_invalidate_lock(inode->i_mapping);
	for (i = 0; i < nr; i++)
		wpfile_pageset_clear(&marks[i]->pages, first, last);
	filemap_invalidate_unlock(inode->i_mapping);
	for (i = 0; i < nr; i++)
		wpfile_mark_put(marks[i]);
}

typedef int (*open_fn)(struct inode *inode, pgoff_t first, pgoff_t last,
		       struct write *write);

/* A system call that is to wait before it has done anything. */
static int wait_or_pass(open_fn open, struct inode *inode, pgoff_t first,
			pgoff_t last, struct write *write)
{
	int err = wpfile_wait_syscall(write->hold);

	if (err)
		return err;
	/* There is no memory to wait with. */
	write->hold = NULL;
	write->may_wait = false;
	return open(inode, first, last, write);
}

/* The part of a write that may be done now is left in @from. */
static int let_write(struct inode *inode, loff_t pos, struct iov_iter *from,
		     struct write *write)
{
	loff_t end = pos + iov_iter_count(from);
	pgoff_t first = pos >> PAGE_SHIFT, last = (end - 1) >> PAGE_SHIFT;
	int err;

	write->may_be_short = true;
	err = open_gate(inode, first, last, write);
	if ((err == -EAGAIN || err == -EPERM) && write->stop > first) {
		end = (loff_t)write->stop << PAGE_SHIFT;
		iov_iter_truncate(from, end - pos);
		err = 0;
	} else if (err == -EAGAIN) {
		err = wait_or_pass(open_gate, inode, first, last, write);
	}
	if (!err)
		grow(inode, end);
	return err;
}

int __wpfile_write(struct kiocb *iocb, struct iov_iter *from)
{
	struct write write = own_syscall(WPFILE_EVENT_WRITE);

	if (!iov_iter_count(from))
		return 0;
	/* Who calls asynchronously, or with RWF_NOWAIT, does not wait for us. */
	write.may_wait &= is_sync_kiocb(iocb) && !(iocb->ki_flags & IOCB_NOWAIT);
	return let_write(file_inode(iocb->ki_filp), iocb->ki_pos, from, &write);
}

/* The first index of [first, last] with a page or a swap entry, or last + 1. */
pgoff_t wpfile_next_present(struct address_space *mapping, pgoff_t first,
			    pgoff_t last)
{
	unsigned long index = first;

	return xa_find(&mapping->i_pages, &index, last, XA_PRESENT) ?
	       index : last + 1;
}

/* The first page of [@first, @last] that somebody protects, or @last + 1. */
static pgoff_t next_protected(struct inode *inode, pgoff_t first, pgoff_t last)
{
	struct wpfile_mark *mark = NULL;

	if (first <= last)
		mark = wpfile_next_mark(wpfile_of(inode), &first, last);
	if (!mark)
		return last + 1;
	wpfile_mark_put(mark);
	return first;
}

/* As discard(), in pages of one chunk: the marks are looked through at a stretch. */
static int discard_some(struct inode *inode, pgoff_t first, pgoff_t last,
			struct write *write)
{
	int err = 0;

	for (; !err && (first = next_protected(inode, first, last)) <= last;
	     first++)
		if (wpfile_next_present(inode->i_mapping, first, first) == first)
			err = open_gate(inode, first, first, write);
	return err;
}

/*
 * Pages are about to become zeros or to go.  Holes stay as they are, so their
 * bits do too: one that is filled in meanwhile is zeros, or has passed a gate.
 */
static int discard(struct inode *inode, pgoff_t first, pgoff_t last,
		   struct write *write)
{
	struct address_space *mapping = inode->i_mapping;
	pgoff_t end;
	int err = 0;

	for (; !err; first = end + 1) {
		/* Not each page of a large hole. */
		first = wpfile_next_present(mapping, first, last);
		if (first > last)
			break;
		end = min(last, first | (WPFILE_CHUNK_PAGES - 1));
		err = discard_some(inode, first, end, write);
		cond_resched();
	}
	return err;
}

static int discard_by_syscall(struct inode *inode, pgoff_t first, pgoff_t last)
{
	struct write write = own_syscall(WPFILE_EVENT_DISCARD);
	int err = discard(inode, first, last, &write);

	return err == -EAGAIN ?
	       wait_or_pass(discard, inode, first, last, &write) : err;
}

int __wpfile_resize(struct inode *inode, loff_t size)
{
	if (size < i_size_read(inode))
		return discard_by_syscall(inode, size >> PAGE_SHIFT,
					  WPFILE_LAST_PAGE);
	grow(inode, size);
	return 0;
}

/* fallocate(); for those that punch otherwise there is wpfile_truncate_begin(). */
int __wpfile_punch(struct inode *inode, loff_t start, loff_t len)
{
	return discard_by_syscall(inode, start >> PAGE_SHIFT,
				  (start + len - 1) >> PAGE_SHIFT);
}

/* pwrite() of a handler, whose own mark is passed over. */
int wpfile_gate_for_handler(struct inode *inode, loff_t pos,
			    struct iov_iter *from)
{
	struct write write = own_syscall(WPFILE_EVENT_WRITE);

	return let_write(inode, pos, from, &write);
}

/*
 * UFFDIO_COPY and UFFDIO_ZEROPAGE add a page to the file.  No change: zeros (not
 * @content), and where there is a page (EEXIST); should that go in between, it
 * passes a gate of its own.
 */
int __wpfile_fill_begin(struct inode *inode, pgoff_t index, bool content,
			int begun)
{
	struct address_space *mapping = inode->i_mapping;
	struct write write = { .type = WPFILE_EVENT_FILL,
			       .may_fail = is_own_task() };
	int err = 0;

	/* attach() of another file must not wait for what waits for a cut. */
	srcu_read_unlock(&wpfile_fills, begun);
	if (down_read_killable(&mapping->invalidate_lock))
		return -EINTR;
	if (content && wpfile_next_present(mapping, index, index) > index)
		err = open_gate(inode, index, index, &write);
	if (err)
		filemap_invalidate_unlock_shared(mapping);
	return err ?: WPFILE_FILL_LOCKED;
}

/*
 * memfd_pin_folios(): a driver takes pages, to store to them as it likes.  Until
 * it has its references no cut may pass, or it would not count them.
 */
int wpfile_pin_begin(struct inode *inode, loff_t start, loff_t end)
{
	struct address_space *mapping = inode->i_mapping;
	struct write write = { .type = WPFILE_EVENT_PIN,
			       .may_fail = is_own_task() };
	int err = 0;

	if (!shmem_mapping(mapping))
		return 0;
	if (down_read_killable(&mapping->invalidate_lock))
		return -EINTR;
	if (wpfile_armed(mapping))
		err = open_gate(inode, start >> PAGE_SHIFT, end >> PAGE_SHIFT,
				&write);
	if (err)
		filemap_invalidate_unlock_shared(mapping);
	else
		wpfile_note_pinned(mapping);
	return err;
}

void wpfile_pin_end(struct inode *inode)
{
	if (shmem_mapping(inode->i_mapping))
		filemap_invalidate_unlock_shared(inode->i_mapping);
}

/* Without sleeping: nothing is known any more of what the monitors protect. */
static void lose_all(struct inode *inode)
{
	struct wpfile_mark *mark;

	if (!wpfile_armed(inode->i_mapping))
		return;
	guard(rcu)();
	list_for_each_entry_rcu(mark, &wpfile_of(inode)->marks, list) {
		if (mark->shadow)
			wpfile_lose(mark, 0, -ENOMEM);
		else
			wpfile_pageset_lose(&mark->pages);
	}
}

/*
 * shmem_truncate_range(), of drivers, which do not hold the inode lock.  The lock
 * is taken whether the file is armed or not: it may become so before the pages
 * have gone.  Shrinkers and OOM notifiers come here from allocations, which may
 * have been entered with the lock held: they do not wait for it, and what is known
 * of the file is lost, before and, for a cut in between, once more behind.
 */
bool wpfile_truncate_begin(struct inode *inode, loff_t start, loff_t end)
{
	pgoff_t last = end < 0 ? WPFILE_LAST_PAGE : end >> PAGE_SHIFT;
	struct write write = { .type = WPFILE_EVENT_DISCARD };

	if ((current->flags & PF_MEMALLOC) ||
	    !filemap_invalidate_trylock_shared(inode->i_mapping)) {
		lose_all(inode);
		return false;
	}
	if (wpfile_armed(inode->i_mapping))
		discard(inode, start >> PAGE_SHIFT, last, &write);
	return true;
}

void wpfile_truncate_end(struct inode *inode, bool begun)
{
	if (begun)
		filemap_invalidate_unlock_shared(inode->i_mapping);
	else
		lose_all(inode);
}
