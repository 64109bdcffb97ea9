/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _MM_WPFILE_H
#define _MM_WPFILE_H

#include <linux/cleanup.h>
#include <linux/fs.h>
#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/path.h>
#include <linux/rbtree.h>
#include <linux/refcount.h>
#include <linux/sched.h>
#include <linux/shmem_fs.h>
#include <linux/spinlock.h>
#include <linux/wait.h>
#include <linux/workqueue.h>
#include <linux/xarray.h>
#include <linux/wpfile.h>
#include <uapi/linux/wpfile.h>

#include "pageset.h"

struct iov_iter;
struct cred;
struct mem_cgroup;
struct pid_namespace;
struct ucounts;
struct wpfile_cmd;

#define WPFILE_MAX_MONITORS	64
#define WPFILE_MAX_RANGES	16384
#define WPFILE_MAX_FILES	32
#define WPFILE_MAX_ARGS		PAGE_SIZE

/* In a gate, where a writer waits: try, but not for long. */
#define WPFILE_GFP	(GFP_KERNEL_ACCOUNT | __GFP_NORETRY | __GFP_NOWARN)

/*
 * Around each charge in a gate.  A task that is over its memory.high sleeps in the
 * second charge that fills a stock: not in a gate, behind which others may wait,
 * but for all of it when it returns to user mode.
 */
static inline unsigned int wpfile_take_debt(void)
{
#ifdef CONFIG_MEMCG
	return xchg(&current->memcg_nr_pages_over_high, 0);
#else
	return 0;
#endif
}

static inline void wpfile_give_debt(unsigned int pages)
{
#ifdef CONFIG_MEMCG
	current->memcg_nr_pages_over_high += pages;
#endif
}

DEFINE_CLASS(wpfile_debt, unsigned int, wpfile_give_debt(_T),
	     wpfile_take_debt(), void)

/* A run of pages, both ends included. */
struct wpfile_span {
	pgoff_t first;
	pgoff_t last;
};

/**
 * struct wpfile_file - what a shmem inode needs for its monitors
 *
 * Made with the first monitor, found through shmem_inode_info.wpfile, freed
 * when the inode is evicted.
 */
struct wpfile_file {
	/** @inode: the inode that owns this; never changes. */
	struct inode *inode;
	/** @lock: protects @marks against change, @nr, and the AS_WPFILE bit. */
	struct mutex lock;
	/** @marks: marks by mode, strongest first; read under RCU. */
	struct list_head marks;
	/** @nr: number of @marks, by mode. */
	u32 nr[WPFILE_NR_MODES];
	/** @forbidden: it gets no marks any more; protected by @lock. */
	bool forbidden;
	/** @armed: whoever saw no AS_WPFILE has gone; protected by @lock. */
	bool armed;
	/** @members: processes that have joined; added under @lock, read under RCU. */
	struct list_head members;
	/**
	 * @snapshot: if the inode is the shadow of a snapshot, its mark, so that
	 * the snapshot can be opened anew through /proc/PID/fd.  Read under RCU;
	 * only good if its @users could be raised.  Else NULL.
	 */
	struct wpfile_mark *snapshot;
};

/**
 * struct wpfile_note - an event, in the queue of a monitor or not
 */
struct wpfile_note {
	/** @list: in wpfile_mon.events, protected by wpfile_mon.lock. */
	struct list_head list;
	/** @event: without who; its id is given when it is posted. */
	struct wpfile_event event;
	/** @tid: the writer, if he is in the domain, else NULL. */
	struct pid *tid;
	/** @tgid: his process. */
	struct pid *tgid;
	/** @uid: his. */
	kuid_t uid;
	/** @queued: belongs to the queue, and counts against its limit. */
	bool queued;
};

/**
 * struct wpfile_mon - a monitor
 */
struct wpfile_mon {
	/** @ref: one for each mark and hold, one for who makes it; 0 frees. */
	refcount_t ref;
	/** @mode: WPFILE_TRACK and so on.  This and the next never change. */
	u32 mode;
	/** @denied_events: DENY has an event for each write. */
	bool denied_events;
	/** @capture_limit: in pages, ULONG_MAX for none. */
	unsigned long capture_limit;
	/** @wait_limit_ms: how long a writer waits for SYNC. */
	u32 wait_limit_ms;
	/** @queue_limit: events of the queue that nobody waits for. */
	u32 queue_limit;
	/** @cred: the creator's, who has a domain. */
	const struct cred *cred;
	/** @pid_ns: his. */
	struct pid_namespace *pid_ns;
	/** @ucounts: whose monitor it is, until there are no @marks. */
	struct ucounts *ucounts;
	/** @memcg: whom memory is charged to, with a reference; never changes. */
	struct mem_cgroup *memcg;
	/**
	 * @op: one PROTECT, UNPROTECT, SCAN, pread() or ATTACH at a time.
	 * Outermost lock.
	 */
	struct mutex op;
	/** @captured: pages kept in all files, counted against @capture_limit. */
	atomic_long_t captured;
	/** @lock: protects @marks, @events, @nr_queued and @last_id. */
	spinlock_t lock;
	/** @marks: one for each file that is monitored. */
	struct list_head marks;
	/** @events: not read yet. */
	struct list_head events;
	/** @nr_queued: how many of @events count against @queue_limit. */
	u32 nr_queued;
	/** @last_id: of an event. */
	u64 last_id;
	/** @overflows: events that were dropped; protected by @lock. */
	unsigned long overflows;
	/** @overflow: the event of that, posted when it is not in the queue. */
	struct wpfile_note overflow;
	/** @wait: for @events. */
	wait_queue_head_t wait;
};

/**
 * struct wpfile_mark - a file of a monitor: the object behind a file descriptor
 */
struct wpfile_mark {
	/** @ref: one for @users together, one for each gate at work. */
	refcount_t ref;
	/** @users: open files; 0 lifts the protection. */
	refcount_t users;
	/** @siblings: in wpfile_mon.marks. */
	struct list_head siblings;
	/** @cookie: of its events; never changes. */
	u64 cookie;
	/** @list: in wpfile_file.marks; protected by wpfile_file.lock. */
	struct list_head list;
	/** @file: the file; alive as long as its inode is held. */
	struct wpfile_file *file;
	/** @path: holds the inode and its mount until the monitor is closed. */
	struct path path;
	/** @target: with SYNC and DENY, the file as opened for pwrite(), else NULL. */
	struct file *target;
	/** @mon: the monitor, with a reference to its memory. */
	struct wpfile_mon *mon;
	/** @pages: which pages are protected. */
	struct wpfile_pageset pages;
	/** @holds: wpfile_hold by page; this and the next by @hold_lock. */
	struct xarray holds;
	/** @nr_holds: their number. */
	unsigned long nr_holds;
	/** @holds_by_id: those with an event, by its id. */
	struct rb_root holds_by_id;
	/** @closed: @holds gets no more; protected by @hold_lock. */
	bool closed;
	/** @hold_lock: before wpfile_mon.lock. */
	spinlock_t hold_lock;
	/** @handler: a task in pwrite() on the monitor, whom gates do not stop. */
	struct task_struct *handler;
	/** @shadow: the file that keeps content; NULL with TRACK. */
	struct file *shadow;
	/** @size: bytes of the file at the last cut, at first of now. */
	loff_t size;
	/** @captured: pages in @shadow. */
	atomic_long_t captured;
	/** @failed: content was lost; stays so. */
	bool failed;
	/** @failure: the event of that. */
	struct wpfile_note failure;
	/** @pinned: pages that were pinned when last looked for, see pin.c. */
	u64 pinned;
	/** @unsettled: bits are set that no walk has followed yet, for check.c. */
	bool unsettled;
	/** @cut_ns: duration of the last cut, for fdinfo. */
	u64 cut_ns;
	/** @free: frees this after an RCU grace period, where it may sleep. */
	struct rcu_work free;
};

/**
 * struct wpfile_hold - a page whose writers wait
 */
struct wpfile_hold {
	/** @ref: one for the table, one for each that waits. */
	refcount_t ref;
	/** @mon: whose event it is, with a reference. */
	struct wpfile_mon *mon;
	/** @writers: they wait for @done. */
	wait_queue_head_t writers;
	/** @index: the page; never changes. */
	pgoff_t index;
	/** @deadline: in jiffies; never changes. */
	unsigned long deadline;
	/** @done: it has left the table; set once, under wpfile_mark.hold_lock. */
	bool done;
	/** @failed: the verdict; set before @done. */
	bool failed;
	/** @posted: the event has been; under wpfile_mark.hold_lock. */
	bool posted;
	/** @by_id: in wpfile_mark.holds_by_id, if @posted. */
	struct rb_node by_id;
	/** @note: the event. */
	struct wpfile_note note;
};

static inline struct wpfile_file *wpfile_of(struct inode *inode)
{
	return READ_ONCE(SHMEM_I(inode)->wpfile);
}

/* The number of pages that hold @bytes. */
static inline pgoff_t wpfile_pages(loff_t bytes)
{
	return DIV_ROUND_UP_ULL(bytes, PAGE_SIZE);
}

/* file.c */
struct wpfile_file *wpfile_file_get(struct inode *inode);
int wpfile_forbid(struct wpfile_file *file);
void wpfile_mon_put(struct wpfile_mon *mon);
struct wpfile_mark *wpfile_mark_new(struct wpfile_mon *mon, struct file *target,
				    u64 cookie);
struct wpfile_mark *wpfile_mark_of(struct file *target,
				   const struct wpfile_monitor *args);
void wpfile_mark_release(struct wpfile_mark *mark);
void wpfile_mark_put(struct wpfile_mark *mark);
struct wpfile_mark *wpfile_next_mark(struct wpfile_file *file, pgoff_t *index,
				     pgoff_t last);
void wpfile_count(struct wpfile_file *file, u32 nr[WPFILE_NR_MODES]);

/* gate.c */
void wpfile_track(struct wpfile_mark *mark, pgoff_t index);
int wpfile_gate_for_handler(struct inode *inode, loff_t pos,
			    struct iov_iter *from);
pgoff_t wpfile_next_present(struct address_space *mapping, pgoff_t first,
			    pgoff_t last);

/* event.c */
void wpfile_note_init(struct wpfile_note *note, struct wpfile_mark *mark,
		      u32 type, pgoff_t index);
void wpfile_note_writer(struct wpfile_note *note);
void wpfile_note_destroy(struct wpfile_note *note);
void wpfile_note_post(struct wpfile_mon *mon, struct wpfile_note *note);
void wpfile_note_failure(struct wpfile_mark *mark, pgoff_t index, u64 bytes);
void wpfile_note_withdraw(struct wpfile_mon *mon, struct wpfile_note *note);
void wpfile_tell(struct wpfile_mark *mark, u32 type, u32 outcome,
		 pgoff_t index, bool name);
ssize_t wpfile_read_events(struct wpfile_mon *mon, char __user *buf,
			   size_t count);
void wpfile_events_destroy(struct wpfile_mon *mon);

/* hold.c */
struct wpfile_hold *wpfile_hold_get(struct wpfile_mark *mark, pgoff_t index,
				    u32 type);
void wpfile_hold_put(struct wpfile_hold *hold);
void wpfile_holds_release(struct wpfile_mark *mark, pgoff_t first,
			  pgoff_t last);
void wpfile_holds_close(struct wpfile_mark *mark);
int wpfile_hold_resolve(struct wpfile_mark *mark, u64 id, bool fail,
			pgoff_t *index);
vm_fault_t wpfile_wait_fault(struct vm_fault *vmf, struct wpfile_hold *hold);
int wpfile_wait_syscall(struct wpfile_hold *hold);

/* domain.c */
bool wpfile_in_domain(struct wpfile_mark *mark);
bool wpfile_is_creator(struct wpfile_mon *mon);
bool wpfile_has_joined(struct wpfile_file *file);
int wpfile_join(struct wpfile_file *file);
void wpfile_drop_members(struct wpfile_file *file);

/* limits.c */
u32 wpfile_wait_limit(u32 ms);
u32 wpfile_queue_limit(u32 events);
u32 wpfile_cut_limit(void);
struct ucounts *wpfile_charge_user(void);
void wpfile_uncharge_user(struct ucounts *ucounts);

/* handler.c */
int wpfile_resolve(struct wpfile_mark *mark, u64 id, bool fail);
ssize_t wpfile_handler_write(struct wpfile_mark *mark, loff_t pos,
			     struct iov_iter *from);

/* capture.c */
int wpfile_shadow_open(struct wpfile_mark *mark);
int wpfile_shadow_publish(struct wpfile_mark *mark,
			  const struct file_operations *fops);
void wpfile_shadow_drop(struct wpfile_mark *mark, pgoff_t first, pgoff_t last);
int wpfile_capture(struct wpfile_mark *mark, pgoff_t index);
int wpfile_capture_for_reader(struct wpfile_mark *mark, pgoff_t index);
void wpfile_fail(struct wpfile_mark *mark, pgoff_t index, int err);
void wpfile_lose(struct wpfile_mark *mark, pgoff_t index, int err);
ssize_t wpfile_content_read(struct wpfile_mark *mark, loff_t pos,
			    struct iov_iter *to);
struct folio *wpfile_shadow_folio(struct wpfile_mark *mark, pgoff_t index);
bool wpfile_content_is_data(struct wpfile_mark *mark, pgoff_t index);

/**
 * struct wpfile_leash - when to give up what writers wait for
 * @killed: who has asked for it is
 * @deadline: in jiffies
 */
struct wpfile_leash {
	bool killed;
	unsigned long deadline;
};

/* walk.c */
typedef void (*wpfile_folio_fn)(struct folio *folio, struct wpfile_span span,
				void *arg);
void wpfile_each_folio(struct wpfile_mark *mark,
		       const struct wpfile_span *spans, unsigned int nr,
		       const struct wpfile_leash *leash, wpfile_folio_fn fn,
		       void *arg);
int wpfile_walk(struct wpfile_mark *mark, const struct wpfile_span *spans,
		unsigned int nr, const struct wpfile_leash *leash);

/* pin.c */
void wpfile_drain_batches(struct wpfile_mark *mark);
u64 wpfile_find_pinned(struct wpfile_mark *mark,
		       const struct wpfile_span *spans, unsigned int nr,
		       const struct wpfile_leash *leash);

/* check.c */
#ifdef CONFIG_DEBUG_WPFILE
void wpfile_check_walk(struct wpfile_mark *mark,
		       const struct wpfile_span *spans, unsigned int nr);
#else
static inline void wpfile_check_walk(struct wpfile_mark *mark,
				     const struct wpfile_span *spans,
				     unsigned int nr)
{
}
#endif

/* Bits are about to be set. */
static inline void wpfile_unsettle(struct wpfile_mark *mark)
{
	WRITE_ONCE(mark->unsettled, true);
	/* The flag before the bits.  Partner: is_settled() in check.c. */
	smp_wmb();
}

/**
 * struct wpfile_part - what PROTECT does to one file
 * @mark: the mark
 * @spans: the ranges, in order; may be clipped
 * @nr: their number
 * @pages: of the file, while the inode lock is held
 */
struct wpfile_part {
	struct wpfile_mark *mark;
	struct wpfile_span *spans;
	unsigned int nr;
	pgoff_t pages;
};

/* cut.c */
int wpfile_cut(struct wpfile_part *parts, unsigned int nr);
int wpfile_run_locked(struct inode *inode, void (*fn)(void *arg), void *arg);

/* protect.c */
unsigned int wpfile_sort_spans(struct wpfile_span *spans, unsigned int nr);
int wpfile_reserve(struct wpfile_mark *mark, struct wpfile_span span);
int wpfile_protect(struct wpfile_part *parts, unsigned int nr);
int wpfile_protect_all(struct wpfile_mark *mark);
int wpfile_unprotect(struct wpfile_part *part);

/* scan.c */
int wpfile_scan(struct wpfile_mark *mark, struct wpfile_span span,
		struct wpfile_cmd *cmd);

/* monitor.c */
int wpfile_monitor_fd(struct file *target, struct wpfile_monitor *args);
void wpfile_show_fdinfo(struct seq_file *m, struct wpfile_mark *mark);

/* snapshot.c */
bool wpfile_is_snapshot(struct file *file);
struct file *wpfile_snapshot_file(struct file *target,
				  struct wpfile_snapshot *args);

/* ioctl.c */
struct wpfile_op {
	unsigned int cmd;
	u32 size;
	u32 min_size;
	long (*run)(struct wpfile_cmd *cmd);
};

union wpfile_args {
	struct wpfile_query query;
	struct wpfile_monitor monitor;
	struct wpfile_snapshot snapshot;
	struct wpfile_protect protect;
	struct wpfile_unprotect unprotect;
	struct wpfile_scan scan;
	struct wpfile_consent consent;
	struct wpfile_resolve resolve;
	struct wpfile_attach attach;
};

/**
 * struct wpfile_cmd - an ioctl at work
 * @file: what it was issued on
 * @user: the caller's structure
 * @user_size: its size
 * @args: a copy of it
 */
struct wpfile_cmd {
	struct file *file;
	void __user *user;
	u32 user_size;
	union wpfile_args *args;
};

long wpfile_dispatch(const struct wpfile_op *ops, unsigned int nr_ops,
		     struct file *file, unsigned int cmd, unsigned long arg);
int wpfile_respond(struct wpfile_cmd *cmd);
struct file *wpfile_attach_target(const struct wpfile_attach *args, u32 mode);

#endif /* _MM_WPFILE_H */
