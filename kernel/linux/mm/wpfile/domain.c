// SPDX-License-Identifier: GPL-2.0-only
/*
 * The domain of a monitor: whom it may hold up, or fail.
 *
 * A monitor must give its owner no power over others that he did not have: those
 * he could stop by SIGSTOP, or trace; and those who have agreed.  So the former
 * must have a number in his pid namespace, and no LSM be in the way.
 */
#include <linux/capability.h>
#include <linux/cred.h>
#include <linux/pid_namespace.h>
#include <linux/rculist.h>
#include <linux/sched/coredump.h>
#include <linux/sched/mm.h>
#include <linux/security.h>
#include <linux/slab.h>

#include "wpfile.h"

/* A process that has joined.  Its mm, since exec() is to end it. */
struct member {
	struct list_head list;
	struct mm_struct *mm;
	struct rcu_work free;	/* mmdrop() wants no softirq */
};

static bool same_ids(const struct cred *a, const struct cred *b)
{
	return uid_eq(a->uid, b->uid) && uid_eq(a->euid, b->euid) &&
	       uid_eq(a->suid, b->suid) && gid_eq(a->gid, b->gid) &&
	       gid_eq(a->egid, b->egid) && gid_eq(a->sgid, b->sgid);
}

static bool is_same_user(const struct cred *creator, struct mm_struct *mm)
{
	const struct cred *cred = current_real_cred();

	return creator->user_ns == cred->user_ns && same_ids(creator, cred) &&
	       cap_issubset(cred->cap_permitted, creator->cap_permitted) &&
	       get_dumpable(mm) == SUID_DUMP_USER;
}

/* Is the caller who made the monitor, or has what he had, no less and no more? */
bool wpfile_is_creator(struct wpfile_mon *mon)
{
	const struct cred *cred = current_cred();

	return mon->cred->user_ns == cred->user_ns &&
	       same_ids(mon->cred, cred) &&
	       cap_issubset(cred->cap_permitted, mon->cred->cap_permitted) &&
	       cap_issubset(mon->cred->cap_permitted, cred->cap_permitted);
}

static bool may_trace(const struct cred *creator, struct mm_struct *mm)
{
	return !security_capable(creator, mm->user_ns, CAP_SYS_PTRACE,
				 CAP_OPT_NOAUDIT);
}

/* By kill(), rights aside. */
static bool may_reach(struct wpfile_mon *mon)
{
	return task_pid_nr_ns(current, mon->pid_ns) &&
	       !security_task_kill(current, SEND_SIG_NOINFO, SIGSTOP, mon->cred);
}

/* Has the calling process joined? */
bool wpfile_has_joined(struct wpfile_file *file)
{
	struct member *member;

	guard(rcu)();
	list_for_each_entry_rcu(member, &file->members, list)
		if (member->mm == current->mm)
			return true;
	return false;
}

/**
 * wpfile_in_domain - may the calling task be held up, or failed?
 * @mark: of the monitor
 */
bool wpfile_in_domain(struct wpfile_mark *mark)
{
	struct wpfile_mon *mon = mark->mon;
	struct mm_struct *mm = current->mm;

	if (!mm || (current->flags & PF_KTHREAD))
		return false;
	if (wpfile_has_joined(mark->file))
		return true;
	return (is_same_user(mon->cred, mm) || may_trace(mon->cred, mm)) &&
	       may_reach(mon);
}

static void member_free(struct work_struct *work)
{
	struct member *member = container_of(to_rcu_work(work), struct member,
					     free);

	mmdrop(member->mm);
	kfree(member);
}

static void member_drop(struct member *member)
{
	list_del_rcu(&member->list);
	queue_rcu_work(system_unbound_wq, &member->free);
}

/* Processes that are gone. */
static void sweep(struct wpfile_file *file)
{
	struct member *member, *next;

	list_for_each_entry_safe(member, next, &file->members, list)
		if (!atomic_read(&member->mm->mm_users))
			member_drop(member);
}

/* The calling process joins the domains of all monitors of a file. */
int wpfile_join(struct wpfile_file *file)
{
	struct member *member __free(kfree) = NULL;

	/* Without the lock: who makes a monitor waits for it. */
	member = kmalloc(sizeof(*member), GFP_KERNEL_ACCOUNT);
	if (!member)
		return -ENOMEM;
	guard(mutex)(&file->lock);
	if (wpfile_has_joined(file))
		return 0;
	sweep(file);
	member->mm = current->mm;
	mmgrab(member->mm);
	INIT_RCU_WORK(&member->free, member_free);
	list_add_rcu(&no_free_ptr(member)->list, &file->members);
	return 0;
}

/* The inode is evicted. */
void wpfile_drop_members(struct wpfile_file *file)
{
	struct member *member, *next;

	list_for_each_entry_safe(member, next, &file->members, list)
		member_drop(member);
}
