/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _MM_WPFILE_H
#define _MM_WPFILE_H

#include <linux/fs.h>
#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/path.h>
#include <linux/refcount.h>
#include <linux/shmem_fs.h>
#include <linux/spinlock.h>
#include <linux/wait.h>
#include <linux/workqueue.h>
#include <linux/wpfile.h>
#include <uapi/linux/wpfile.h>

#include "pageset.h"

struct iov_iter;
struct mem_cgroup;
struct wpfile_cmd;

#define WPFILE_MAX_MONITORS	64
#define WPFILE_MAX_RANGES	16384
#define WPFILE_MAX_ARGS		PAGE_SIZE

/* In a gate, where a writer waits: try, but not for long. */
#define WPFILE_GFP	(GFP_KERNEL_ACCOUNT | __GFP_NORETRY | __GFP_NOWARN)

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
	/**
	 * @snapshot: if the inode is the shadow of a snapshot, its monitor, so
	 * that the snapshot can be opened anew through /proc/PID/fd.  Read under
	 * RCU; only good if its @users could be raised.  Else NULL.
	 */
	struct wpfile_mon *snapshot;
};

/**
 * struct wpfile_mon - a monitor: the object behind a file descriptor
 */
struct wpfile_mon {
	/** @ref: one for @users together, one for each mark; 0 frees. */
	refcount_t ref;
	/** @users: open files; 0 lifts the protection. */
	refcount_t users;
	/** @mode: WPFILE_TRACK or WPFILE_CAPTURE; never changes. */
	u32 mode;
	/** @capture_limit: in pages, ULONG_MAX for none; never changes. */
	unsigned long capture_limit;
	/** @memcg: whom memory is charged to, with a reference; never changes. */
	struct mem_cgroup *memcg;
	/** @mark: the file that is monitored; never changes. */
	struct wpfile_mark *mark;
	/** @op: one PROTECT, UNPROTECT or SCAN at a time.  Outermost lock. */
	struct mutex op;
	/** @lock: protects @event. */
	spinlock_t lock;
	/** @event: not read yet if its length is not 0. */
	struct wpfile_event event;
	/** @wait: for @event. */
	wait_queue_head_t wait;
	/** @rcu: for wpfile_file.snapshot. */
	struct rcu_head rcu;
};

/**
 * struct wpfile_mark - a monitor's hold on a file
 */
struct wpfile_mark {
	/** @ref: one for the monitor, one for each gate at work. */
	refcount_t ref;
	/** @list: in wpfile_file.marks; protected by wpfile_file.lock. */
	struct list_head list;
	/** @file: the file; alive as long as its inode is held. */
	struct wpfile_file *file;
	/** @path: holds the inode and its mount until the monitor is closed. */
	struct path path;
	/** @mon: the monitor, with a reference to its memory. */
	struct wpfile_mon *mon;
	/** @pages: which pages are protected. */
	struct wpfile_pageset pages;
	/** @shadow: with CAPTURE, the file that keeps content, else NULL. */
	struct file *shadow;
	/** @size: bytes of the file at the last cut of CAPTURE, at first of now. */
	loff_t size;
	/** @captured: pages in @shadow, counted against capture_limit. */
	atomic_long_t captured;
	/** @failed: content was lost; set once. */
	bool failed;
	/** @pinned: pages that were pinned when last looked for, see pin.c. */
	u64 pinned;
	/** @unsettled: bits are set that no walk has followed yet, for check.c. */
	bool unsettled;
	/** @cut_ns: duration of the last cut, for fdinfo. */
	u64 cut_ns;
	/** @free: frees this after an RCU grace period, where it may sleep. */
	struct rcu_work free;
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
struct wpfile_mon *wpfile_mon_new(struct file *target, u32 mode,
				  u64 capture_limit);
void wpfile_mon_release(struct wpfile_mon *mon);
void wpfile_mark_put(struct wpfile_mark *mark);
struct wpfile_mark *wpfile_next_mark(struct wpfile_file *file, pgoff_t *index,
				     pgoff_t last);
void wpfile_count(struct wpfile_file *file, u32 nr[WPFILE_NR_MODES]);
int wpfile_lock_gates(struct inode *inode);
void wpfile_unlock_gates(struct inode *inode);

/* gate.c */
void wpfile_track(struct wpfile_mark *mark, pgoff_t index);
pgoff_t wpfile_next_present(struct address_space *mapping, pgoff_t first,
			    pgoff_t last);

/* capture.c */
int wpfile_shadow_open(struct wpfile_mark *mark);
int wpfile_shadow_publish(struct wpfile_mon *mon,
			  const struct file_operations *fops);
void wpfile_shadow_drop(struct wpfile_mark *mark, pgoff_t first, pgoff_t last);
void wpfile_capture(struct wpfile_mark *mark, pgoff_t index);
int wpfile_capture_for_reader(struct wpfile_mark *mark, pgoff_t index);
void wpfile_fail(struct wpfile_mark *mark, pgoff_t index, int err);
ssize_t wpfile_content_read(struct wpfile_mark *mark, loff_t pos,
			    struct iov_iter *to);
struct folio *wpfile_shadow_folio(struct wpfile_mark *mark, pgoff_t index);
bool wpfile_content_is_data(struct wpfile_mark *mark, pgoff_t index);

/* walk.c */
typedef void (*wpfile_folio_fn)(struct folio *folio, struct wpfile_span span,
				void *arg);
void wpfile_each_folio(struct wpfile_mark *mark,
		       const struct wpfile_span *spans, unsigned int nr,
		       wpfile_folio_fn fn, void *arg);
int wpfile_walk(struct wpfile_mark *mark, const struct wpfile_span *spans,
		unsigned int nr, const bool *abort);

/* pin.c */
u64 wpfile_find_pinned(struct wpfile_mark *mark,
		       const struct wpfile_span *spans, unsigned int nr);

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

/* cut.c */
int wpfile_cut(struct wpfile_mark *mark, struct wpfile_span *spans,
	       unsigned int nr);

/* protect.c */
unsigned int wpfile_sort_spans(struct wpfile_span *spans, unsigned int nr);
int wpfile_reserve(struct wpfile_mark *mark, struct wpfile_span span);
int wpfile_protect(struct wpfile_mark *mark, struct wpfile_span *spans,
		   unsigned int nr);
int wpfile_unprotect(struct wpfile_mark *mark, struct wpfile_span span);

/* scan.c */
int wpfile_scan(struct wpfile_mark *mark, struct wpfile_span span,
		struct wpfile_cmd *cmd);

/* monitor.c */
int wpfile_monitor_fd(struct file *target, struct wpfile_monitor *args);
void wpfile_show_fdinfo(struct seq_file *m, struct wpfile_mon *mon);

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

#endif /* _MM_WPFILE_H */
