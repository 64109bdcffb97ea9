// SPDX-License-Identifier: GPL-2.0-only
/*
 * wpfile: write protection that belongs to a file in shared memory.
 *
 * The rule
 *
 *   A page table entry may be writable only while no monitor protects its page.
 *
 * The state is in the pagesets of the monitors, one bit a page (pageset.c).
 * Page tables and VMAs hold none; they are a cache of the rule, and may be
 * zapped, migrated, collapsed, swapped, forked and moved at will.
 *
 *   filters (filter.c)	stand wherever core mm makes an entry writable, and keep
 *			it read-only while the page is protected
 *   the walker (walk.c) makes existing entries read-only when bits are set
 *   gates (gate.c)	stand before each change of content, by a fault or by a
 *			system call, and do what the mode says: for TRACK clear the
 *			bit, for CAPTURE keep the content first (capture.c)
 *   the cut (cut.c)	sets bits and walks, such that there is an instant at which
 *			nothing of a range can be stored to by anyone
 *
 * Objects
 *
 *   struct wpfile_file	one for each inode that ever had a monitor.  Freed when
 *			the inode is evicted, which no mark outlives.
 *   struct wpfile_mon	what the files of a monitor have in common: mode, limits,
 *			events.  Lives as long as a mark of it does.
 *   struct wpfile_mark	a file of a monitor, behind a file descriptor.  @users
 *			counts open files: one for a file of a monitor, however
 *			often its descriptor is duplicated; one for each opening of
 *			a snapshot and each of its VMAs' files.  @ref counts what
 *			needs its memory.  Gates find marks by the list of the
 *			file, under RCU, and hold a reference while they work for
 *			them, since that sleeps.
 *
 * Ways to die
 *
 *   - The last open file of a mark is closed, by close(), exit, or kill: the mark
 *     leaves the list.  From then on nothing sees its bits but filters and gates
 *     that found it before: a filter at worst keeps an entry read-only for
 *     nothing, until its next write fault; a gate completes its capture for
 *     nobody.  The path is let go at once, so that a file system can be unmounted
 *     after the close(); with the last reference, and after an RCU grace period,
 *     the pageset and the shadow.
 *   - The processes that map the file exit: nothing here notices.
 *   - The file is unlinked, its last descriptor closed: the mark's path keeps the
 *     inode and its content until the monitor is closed.  A mount with a monitor
 *     is busy, as it is with an open file.
 *   - The inode is evicted: nobody maps it, has it open or monitors it.
 *
 * Locks, outermost first
 *
 *   wpfile_mon.op
 *     inode lock
 *       mmap_lock or VMA lock (faults of write()'s buffer; the fault gate)
 *         invalidate_lock of the mapping
 *           wpfile_file.lock		(after the inode lock, if that is held)
 *           folio lock of the file
 *             folio lock of the shadow
 *           wpfile_pageset.lock
 *           i_mmap_rwsem
 *             page table locks
 *
 * Arming
 *
 * Each mark raises the static key, and with the first a file gets AS_WPFILE.  Code
 * that tested either before and was told "not armed" may still be about to act
 * on it.  Under a page table lock that is waited for by an RCU grace period,
 * before the first bit can be set, and so are pages being filled, under SRCU;
 * with the inode lock or invalidate_lock held, by whoever sets bits, since he
 * takes both.  Every test is in one of these.
 */
#include <linux/memcontrol.h>
#include <linux/pid_namespace.h>
#include <linux/namei.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>

#include "wpfile.h"

DEFINE_STATIC_KEY_DEFERRED_FALSE(wpfile_key, HZ);

/* What the inode has for monitors; NULL without memory. */
struct wpfile_file *wpfile_file_get(struct inode *inode)
{
	struct wpfile_file *file = wpfile_of(inode), *old;

	if (file)
		return file;
	file = kzalloc(sizeof(*file), GFP_KERNEL_ACCOUNT);
	if (!file)
		return NULL;
	file->inode = inode;
	mutex_init(&file->lock);
	INIT_LIST_HEAD(&file->marks);
	INIT_LIST_HEAD(&file->members);
	/* Somebody else may make the first monitor at the same time. */
	old = cmpxchg(&SHMEM_I(inode)->wpfile, NULL, file);
	if (old)
		kfree(file);
	return old ?: file;
}

void wpfile_evict(struct inode *inode)
{
	struct wpfile_file *file = wpfile_of(inode);

	if (!file)
		return;
	WARN_ON_ONCE(!list_empty(&file->marks));
	SHMEM_I(inode)->wpfile = NULL;
	wpfile_drop_members(file);
	mutex_destroy(&file->lock);
	kfree(file);
}

/* No monitors from now on. */
int wpfile_forbid(struct wpfile_file *file)
{
	guard(mutex)(&file->lock);
	if (!list_empty(&file->marks))
		return -EBUSY;
	file->forbidden = true;
	return 0;
}

static unsigned int nr_marks(struct wpfile_file *file)
{
	unsigned int mode, nr = 0;

	for (mode = 0; mode < WPFILE_NR_MODES; mode++)
		nr += file->nr[mode];
	return nr;
}

void wpfile_count(struct wpfile_file *file, u32 nr[WPFILE_NR_MODES])
{
	guard(mutex)(&file->lock);
	memcpy(nr, file->nr, sizeof(file->nr));
}

/* Strongest mode first: what a gate has to do first, it finds first. */
static void list_add_by_mode(struct wpfile_mark *mark, struct list_head *marks)
{
	struct wpfile_mark *next;

	list_for_each_entry(next, marks, list)
		if (next->mon->mode <= mark->mon->mode)
			break;
	list_add_tail_rcu(&mark->list, &next->list);
}

/* Makes the mark one of the file's, whose lock is held. */
static int add_mark(struct wpfile_file *file, struct wpfile_mark *mark)
{
	if (file->forbidden)
		return -EPERM;
	if (nr_marks(file) >= WPFILE_MAX_MONITORS)
		return -EBUSY;
	if (list_empty(&file->marks))
		set_bit(AS_WPFILE, &file->inode->i_mapping->flags);
	list_add_by_mode(mark, &file->marks);
	file->nr[mark->mon->mode]++;
	return 0;
}

static int attach(struct wpfile_mark *mark)
{
	struct wpfile_file *file = mark->file;
	bool armed;
	int err;

	/* Without the lock: this takes cpu_hotplug_lock, above mmap_lock. */
	static_branch_inc(&wpfile_key.key);
	scoped_guard(mutex, &file->lock) {
		err = add_mark(file, mark);
		armed = file->armed;
	}
	if (err)
		static_branch_slow_dec_deferred(&wpfile_key);
	if (err || armed)
		return err;
	/*
	 * See "Arming" at the top.  Without the lock, which a gate takes to make
	 * the file longer; whoever comes meanwhile waits for himself.
	 */
	synchronize_rcu_expedited();
	synchronize_srcu_expedited(&wpfile_fills);
	scoped_guard(mutex, &file->lock)
		file->armed = true;
	return 0;
}

static void detach(struct wpfile_mark *mark)
{
	struct wpfile_file *file = mark->file;

	scoped_guard(mutex, &file->lock) {
		list_del_rcu(&mark->list);
		file->nr[mark->mon->mode]--;
		if (list_empty(&file->marks)) {
			clear_bit(AS_WPFILE, &file->inode->i_mapping->flags);
			file->armed = false;
		}
	}
	static_branch_slow_dec_deferred(&wpfile_key);
}

void wpfile_mon_put(struct wpfile_mon *mon)
{
	if (!refcount_dec_and_test(&mon->ref))
		return;
	wpfile_events_destroy(mon);
	mem_cgroup_put(mon->memcg);
	put_pid_ns(mon->pid_ns);
	put_cred(mon->cred);
	mutex_destroy(&mon->op);
	kfree(mon);
}

static void mark_free(struct work_struct *work)
{
	struct wpfile_mark *mark = container_of(to_rcu_work(work),
						struct wpfile_mark, free);
	struct wpfile_mon *mon = mark->mon;

	wpfile_note_withdraw(mon, &mark->failure);
	atomic_long_sub(atomic_long_read(&mark->captured), &mon->captured);
	wpfile_pageset_destroy(&mark->pages);
	xa_destroy(&mark->holds);
	if (mark->shadow)
		fput(mark->shadow);
	wpfile_mon_put(mon);
	kfree(mark);
}

void wpfile_mark_put(struct wpfile_mark *mark)
{
	if (refcount_dec_and_test(&mark->ref))
		queue_rcu_work(system_unbound_wq, &mark->free);
}

static struct wpfile_mark *mark_alloc(struct wpfile_mon *mon,
				      struct file *target, u64 cookie)
{
	struct inode *inode = file_inode(target);
	struct wpfile_mark *mark;

	mark = kzalloc(sizeof(*mark), GFP_KERNEL_ACCOUNT);
	if (!mark)
		return NULL;
	mark->file = wpfile_file_get(inode);
	if (!mark->file) {
		kfree(mark);
		return NULL;
	}
	refcount_set(&mark->ref, 1);
	refcount_set(&mark->users, 1);
	mark->mon = mon;
	refcount_inc(&mon->ref);
	mark->cookie = cookie;
	mark->path = target->f_path;
	path_get(&mark->path);
	if (mon->mode >= WPFILE_SYNC)
		mark->target = get_file(target);
	mark->size = i_size_read(inode);
	wpfile_pageset_init(&mark->pages);
	spin_lock_init(&mark->hold_lock);
	xa_init_flags(&mark->holds, XA_FLAGS_ACCOUNT);
	mark->holds_by_id = RB_ROOT;
	wpfile_note_init(&mark->failure, mark, WPFILE_EVENT_FAILED, 0);
	INIT_RCU_WORK(&mark->free, mark_free);
	return mark;
}

/*
 * The monitor lets go.  Gates that are still at work for the mark are gates of
 * its inode, and hold that by themselves.
 */
static void mark_drop(struct wpfile_mark *mark)
{
	if (mark->target)
		fput(mark->target);
	path_put(&mark->path);
	wpfile_mark_put(mark);
}

static struct wpfile_mon *mon_alloc(const struct wpfile_monitor *args)
{
	struct wpfile_mon *mon = kzalloc(sizeof(*mon), GFP_KERNEL_ACCOUNT);

	if (!mon)
		return NULL;
	refcount_set(&mon->ref, 1);
	mon->mode = args->mode;
	mon->denied_events = args->flags & WPFILE_DENIED_EVENTS;
	mon->capture_limit = args->capture_limit ?
			     args->capture_limit >> PAGE_SHIFT : ULONG_MAX;
	mon->wait_limit_ms = wpfile_wait_limit(args->wait_limit_ms);
	mon->queue_limit = wpfile_queue_limit(args->queue_limit);
	mon->memcg = get_mem_cgroup_from_mm(current->mm);
	mon->cred = get_current_cred();
	mon->pid_ns = get_pid_ns(task_active_pid_ns(current));
	mutex_init(&mon->op);
	INIT_LIST_HEAD(&mon->marks);
	spin_lock_init(&mon->lock);
	INIT_LIST_HEAD(&mon->events);
	wpfile_note_init(&mon->overflow, NULL, WPFILE_EVENT_OVERFLOW, 0);
	init_waitqueue_head(&mon->wait);
	return mon;
}

/* Of no file yet.  The user is charged until its last mark is released. */
static struct wpfile_mon *mon_new(const struct wpfile_monitor *args)
{
	struct wpfile_mon *mon = mon_alloc(args);

	if (!mon)
		return ERR_PTR(-ENOMEM);
	mon->ucounts = wpfile_charge_user();
	if (!mon->ucounts) {
		wpfile_mon_put(mon);
		return ERR_PTR(-EDQUOT);
	}
	return mon;
}

/**
 * wpfile_mark_new - let a monitor have a file, with nothing protected
 * @mon: the monitor
 * @target: the file
 * @cookie: of its events
 *
 * Return: the mark with one user; -EBUSY, -EPERM or -ENOMEM.
 */
struct wpfile_mark *wpfile_mark_new(struct wpfile_mon *mon, struct file *target,
				    u64 cookie)
{
	struct wpfile_mark *mark = mark_alloc(mon, target, cookie);
	int err = 0;

	if (!mark)
		return ERR_PTR(-ENOMEM);
	if (mon->mode != WPFILE_TRACK)
		err = wpfile_shadow_open(mark);
	err = err ?: attach(mark);
	if (err) {
		mark_drop(mark);
		return ERR_PTR(err);
	}
	scoped_guard(spinlock, &mon->lock)
		list_add_tail(&mark->siblings, &mon->marks);
	return mark;
}

/**
 * wpfile_mark_of - make a monitor of a file
 * @target: the file
 * @args: as the user gave them; limits of 0 are the system's
 *
 * Return: its mark, as from wpfile_mark_new(); or -EDQUOT.
 */
struct wpfile_mark *wpfile_mark_of(struct file *target,
				   const struct wpfile_monitor *args)
{
	struct wpfile_mon *mon = mon_new(args);
	struct wpfile_mark *mark;

	if (IS_ERR(mon))
		return ERR_CAST(mon);
	mark = wpfile_mark_new(mon, target, args->cookie);
	if (IS_ERR(mark))
		wpfile_uncharge_user(mon->ucounts);
	wpfile_mon_put(mon);
	return mark;
}

/* True if it was the last. */
static bool leave_mon(struct wpfile_mark *mark)
{
	struct wpfile_mon *mon = mark->mon;

	guard(spinlock)(&mon->lock);
	list_del(&mark->siblings);
	return list_empty(&mon->marks);
}

/* An open file of the mark is gone. */
void wpfile_mark_release(struct wpfile_mark *mark)
{
	struct wpfile_mon *mon = mark->mon;
	struct file *shadow = mark->shadow;

	if (!refcount_dec_and_test(&mark->users))
		return;
	/* Openings of the snapshot that are late find a mark without users. */
	if (shadow && wpfile_of(file_inode(shadow)))
		WRITE_ONCE(wpfile_of(file_inode(shadow))->snapshot, NULL);
	if (leave_mon(mark))
		wpfile_uncharge_user(mon->ucounts);
	detach(mark);
	wpfile_holds_close(mark);
	mark_drop(mark);
}

/**
 * wpfile_next_mark - who must act before pages may be written?
 * @file: the file
 * @index: the first page; on return the first one that a mark protects
 * @last: the last page
 *
 * Return: the mark of the strongest mode that protects *@index, with a
 * reference; NULL if no page up to @last is protected.
 */
struct wpfile_mark *wpfile_next_mark(struct wpfile_file *file, pgoff_t *index,
				     pgoff_t last)
{
	struct wpfile_mark *mark, *found = NULL;
	pgoff_t first = *index, end = last, at;

	guard(rcu)();
	list_for_each_entry_rcu(mark, &file->marks, list) {
		at = wpfile_pageset_next_set(&mark->pages, first, end);
		/* Of equals, the one that came first is the strongest. */
		if (at > end || READ_ONCE(mark->handler) == current ||
		    !refcount_inc_not_zero(&mark->ref))
			continue;
		if (found)
			wpfile_mark_put(found);
		found = mark;
		*index = at;
		if (at == first)
			break;
		end = at - 1;
	}
	return found;
}
