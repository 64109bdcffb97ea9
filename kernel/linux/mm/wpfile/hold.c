// SPDX-License-Identifier: GPL-2.0-only
/*
 * Holds: writers of SYNC that wait for user space.
 *
 * Nobody waits with a lock held, in a file operation, or in kernel mode:
 *
 *   a store in user mode	drops the lock of its fault and waits, as in
 *				handle_userfault(); the fault is then retried
 *   a system call on the file	returns -ERESTARTNOINTR; a task_work waits at the
 *				return to user mode, when all locks have been
 *				dropped, also those above shmem (f_pos_lock,
 *				pipe->mutex, overlayfs); it is then restarted
 *
 * Whoever cannot do that does not wait: his write is captured and passes.
 *
 * A page has one hold, and one event, however many wait.  It is made by a gate that
 * finds the page's bit, and let go when the bit is cleared by anyone, by a verdict,
 * or with the monitor.  It then leaves the table, so that whoever comes later, for
 * a bit that was set again, gets a new one.  Those who waited look at the bit anew.
 *
 *	gate				who clears the bit
 *	puts the hold into the table	clears the bit
 *	full barrier			full barrier
 *	reads the bit: clear, undo	looks for the hold: lets it go
 *
 * The event is posted when the bit has been read, under the lock of the table: a
 * handler that has cleared the bit never meets an event of it later.
 *
 * A hold is not let go when those who wait are interrupted or killed: a writer
 * that comes again waits for the same answer, up to the same deadline.  When
 * that is over, gates pass the page.  So holds can be more than who waits: their
 * number is bounded, and a writer of one page more passes.
 */
#include <linux/jiffies.h>
#include <linux/ptrace.h>
#include <linux/rbtree.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/task_work.h>
#include <asm/syscall.h>

#include "wpfile.h"

static void hold_free(struct wpfile_hold *hold)
{
	wpfile_note_destroy(&hold->note);
	wpfile_mon_put(hold->mon);
	kfree(hold);
}

void wpfile_hold_put(struct wpfile_hold *hold)
{
	if (refcount_dec_and_test(&hold->ref))
		hold_free(hold);
}

/* The hold of a page, referenced. */
static struct wpfile_hold *hold_get(struct wpfile_mark *mark, pgoff_t index)
{
	struct wpfile_hold *hold;

	guard(spinlock)(&mark->hold_lock);
	hold = xa_load(&mark->holds, index);
	if (hold)
		refcount_inc(&hold->ref);
	return hold;
}

static struct wpfile_hold *hold_new(struct wpfile_mark *mark, pgoff_t index,
				    u32 type)
{
	struct wpfile_mon *mon = mark->mon;
	struct wpfile_hold *hold;

	CLASS(wpfile_debt, debt)();
	hold = kmalloc(sizeof(*hold), WPFILE_GFP);
	if (!hold)
		return NULL;
	/* One for the table, one for the caller. */
	refcount_set(&hold->ref, 2);
	hold->mon = mon;
	refcount_inc(&mon->ref);
	init_waitqueue_head(&hold->writers);
	hold->index = index;
	hold->deadline = jiffies + msecs_to_jiffies(mon->wait_limit_ms);
	hold->done = false;
	hold->failed = false;
	hold->posted = false;
	wpfile_note_init(&hold->note, mark, type, index);
	hold->note.event.outcome = WPFILE_WAITING;
	wpfile_note_writer(&hold->note);
	return hold;
}

/*
 * -EBUSY if another gate was faster, if there are as many as there may be, or if
 * the monitor is closed.
 */
static int try_insert(struct wpfile_mark *mark, struct wpfile_hold *hold)
{
	int err;

	guard(spinlock)(&mark->hold_lock);
	if (mark->closed || mark->nr_holds >= wpfile_queue_limit(0) ||
	    xa_load(&mark->holds, hold->index))
		return -EBUSY;
	err = xa_err(xa_store(&mark->holds, hold->index, hold, 0));
	if (!err)
		mark->nr_holds++;
	return err;
}

/* NULL without memory, and as try_insert(). */
static struct wpfile_hold *hold_insert(struct wpfile_mark *mark, pgoff_t index,
				       u32 type)
{
	struct wpfile_hold *hold = hold_new(mark, index, type);
	int err;

	CLASS(wpfile_debt, debt)();
	if (!hold)
		return NULL;
	/* What is reserved is gone if another gate's hold was there and went. */
	do {
		err = xa_reserve(&mark->holds, index, WPFILE_GFP);
		if (err)
			break;
		err = try_insert(mark, hold);
	} while (err == -ENOMEM);
	if (err) {
		xa_release(&mark->holds, index);
		hold_free(hold);
		return NULL;
	}
	return hold;
}

static struct wpfile_hold *by_id(const struct rb_node *node)
{
	return rb_entry(node, struct wpfile_hold, by_id);
}

static bool has_less_id(struct rb_node *a, const struct rb_node *b)
{
	return by_id(a)->note.event.id < by_id(b)->note.event.id;
}

static int compare_id(const void *id, const struct rb_node *node)
{
	u64 a = *(const u64 *)id, b = by_id(node)->note.event.id;

	return a < b ? -1 : a > b;
}

/* Out of the table, and everybody who waits goes on.  @mark->hold_lock is held. */
static void let_go(struct wpfile_mark *mark, struct wpfile_hold *hold,
		   bool failed)
{
	xa_erase(&mark->holds, hold->index);
	mark->nr_holds--;
	if (hold->posted)
		rb_erase(&hold->by_id, &mark->holds_by_id);
	hold->failed = failed;
	/* The verdict before the end of waiting.  Partner: is_done(). */
	smp_store_release(&hold->done, true);
	wpfile_note_withdraw(mark->mon, &hold->note);
	wake_up_all(&hold->writers);
	wpfile_hold_put(hold);
}

/* Tells of a hold, once, if the page is still protected; else lets it go. */
static void post_or_let_go(struct wpfile_mark *mark, struct wpfile_hold *hold)
{
	/* The hold before the bit.  See the top. */
	smp_mb();
	guard(spinlock)(&mark->hold_lock);
	if (hold->done)
		return;
	if (!wpfile_pageset_test(&mark->pages, hold->index)) {
		let_go(mark, hold, false);
	} else if (!hold->posted) {
		hold->posted = true;
		wpfile_note_post(mark->mon, &hold->note);
		rb_add(&hold->by_id, &mark->holds_by_id, has_less_id);
	}
}

/**
 * wpfile_hold_get - the hold of a protected page, for a writer that will wait
 * @mark: the mark
 * @index: the page, whose bit was set
 * @type: WPFILE_EVENT_*, should an event be made
 *
 * Return: the hold with a reference; NULL if the writer is not to wait (there is
 * no memory, there are too many, or the time is over), and passes.
 */
struct wpfile_hold *wpfile_hold_get(struct wpfile_mark *mark, pgoff_t index,
				    u32 type)
{
	struct wpfile_hold *hold = hold_get(mark, index);

	if (!hold) {
		hold = hold_insert(mark, index, type) ?:
		       hold_get(mark, index);
	}
	if (!hold)
		return NULL;
	post_or_let_go(mark, hold);
	if (READ_ONCE(hold->done) || time_before(jiffies, hold->deadline))
		return hold;
	wpfile_hold_put(hold);
	return NULL;
}

#define BATCH 64

/* So many of a range.  True if there may be more. */
static bool release_batch(struct wpfile_mark *mark, pgoff_t first, pgoff_t last)
{
	struct wpfile_hold *hold;
	unsigned int nr = 0;
	unsigned long index;

	guard(spinlock)(&mark->hold_lock);
	xa_for_each_range(&mark->holds, index, hold, first, last) {
		let_go(mark, hold, false);
		if (++nr == BATCH)
			return true;
	}
	return false;
}

/* The bits of pages have been cleared: lets their writers go on.  Does not sleep. */
void wpfile_holds_release(struct wpfile_mark *mark, pgoff_t first, pgoff_t last)
{
	/* The bits before the table.  Partner: wpfile_hold_get(). */
	smp_mb();
	if (xa_empty(&mark->holds))
		return;
	while (release_batch(mark, first, last))
		;
}

/* Nobody answers any more. */
void wpfile_holds_close(struct wpfile_mark *mark)
{
	scoped_guard(spinlock, &mark->hold_lock)
		mark->closed = true;
	wpfile_holds_release(mark, 0, WPFILE_LAST_PAGE);
}

/* Fails who waits for an event.  Its page, or -ENOENT. */
int wpfile_hold_resolve(struct wpfile_mark *mark, u64 id, bool fail,
			pgoff_t *index)
{
	struct wpfile_hold *hold;
	struct rb_node *node;

	guard(spinlock)(&mark->hold_lock);
	node = rb_find(&id, &mark->holds_by_id, compare_id);
	if (!node)
		return -ENOENT;
	hold = by_id(node);
	*index = hold->index;
	if (fail)
		let_go(mark, hold, true);
	return 0;
}

static bool is_done(struct wpfile_hold *hold)
{
	/* The verdict after that.  Partner: let_go(). */
	return smp_load_acquire(&hold->done);
}

/*
 * Waits.  The bit is looked at again by the gate that is retried, whatever the
 * reason for which this returns.  True if the write is to fail.
 */
static bool wait(struct wpfile_hold *hold, bool interruptible)
{
	long left = hold->deadline - jiffies;

	/* Nobody is held up by who waits here. */
	lockdep_assert_none_held_once();
	if (left < 1)
		return false;
	if (interruptible)
		wait_event_interruptible_timeout(hold->writers,
			is_done(hold), left);
	else
		wait_event_killable_timeout(hold->writers,
			is_done(hold), left);
	return is_done(hold) && hold->failed;
}

/**
 * wpfile_wait_fault - wait in a write fault from user mode
 * @vmf: the fault; it may be retried; its lock is dropped here
 * @hold: the hold; the reference is taken over
 */
vm_fault_t wpfile_wait_fault(struct vm_fault *vmf, struct wpfile_hold *hold)
{
	unsigned long addr = vmf->real_address;
	bool interruptible = vmf->flags & FAULT_FLAG_INTERRUPTIBLE;

	release_fault_lock(vmf);
	if (wait(hold, interruptible))
		force_sig_fault(SIGSEGV, SEGV_ACCERR, (void __user *)addr);
	wpfile_hold_put(hold);
	return VM_FAULT_RETRY;
}

struct wait_work {
	struct callback_head head;
	struct wpfile_hold *hold;
};

/* Not so if what called us has done a part, and returns that. */
static bool is_to_be_restarted(struct pt_regs *regs)
{
	return syscall_get_error(current, regs) == -ERESTARTNOINTR;
}

/* At the return to user mode. */
static void wait_at_return(struct callback_head *head)
{
	struct wait_work *work = container_of(head, struct wait_work, head);
	struct pt_regs *regs = current_pt_regs();

	/* What else is to be done there, like the end of files, comes first. */
	if (head->next && !task_work_add(current, head, TWA_SIGNAL))
		return;
	if (!(current->flags & PF_EXITING) && is_to_be_restarted(regs) &&
	    wait(work->hold, true))
		syscall_set_return_value(current, regs, -EPERM, 0);
	wpfile_hold_put(work->hold);
	kfree(work);
}

/**
 * wpfile_wait_syscall - wait when a system call on the file has returned
 * @hold: the hold; the reference is taken over
 *
 * Return: -ERESTARTNOINTR, for the system call; 0 if there will be no waiting.
 */
int wpfile_wait_syscall(struct wpfile_hold *hold)
{
	struct wait_work *work = kmalloc(sizeof(*work), WPFILE_GFP);

	if (!work) {
		wpfile_hold_put(hold);
		return 0;
	}
	init_task_work(&work->head, wait_at_return);
	work->hold = hold;
	if (task_work_add(current, &work->head, TWA_SIGNAL)) {
		wpfile_hold_put(hold);
		kfree(work);
		return 0;
	}
	return -ERESTARTNOINTR;
}
