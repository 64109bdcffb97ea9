/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * libwpfile: monitors and snapshots of shared memory.
 *
 * <linux/wpfile.h> tells what monitors and snapshots are, and what each errno
 * means.  This library adds what programs do with them: find the file, walk
 * over what was written, save a snapshot, run an event loop, ask wpfiled.
 *
 * Errors	Functions that return int, int64_t or ssize_t return a negative
 *		errno on failure, with the meaning that <linux/wpfile.h> gives it
 *		where it comes from the kernel.  errno itself is never changed.
 *		Outputs (ret_*) are not touched on failure.
 * Units	Offsets and lengths are bytes, times are nanoseconds.
 * Structures	of the kernel (wpfile_query, wpfile_monitor, wpfile_snapshot,
 *		wpfile_scan) are handed over as they are, so that an older
 *		library serves a newer program: set size to sizeof, what you
 *		want, and the rest to zero.
 * Ownership	What an _open, _dup or _at function made is the caller's, who
 *		ends it with _free.  A function named _fd lends its descriptor;
 *		wpfile_snapshot() gives one away.  All descriptors are
 *		close-on-exec.
 * Threads	The library has no threads and no global state.  Different
 *		handles may be used by different threads at any time.  One handle
 *		may be used by several threads at once, except that _free must
 *		be the last call, and where a section below says otherwise.
 * Fork		A child has its own copy of each handle, and must free it;
 *		the monitor behind it is one and the same, and ends with the last
 *		descriptor of parent and child.  Do not fork from a callback.
 */
#ifndef WPFILE_H
#define WPFILE_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <linux/wpfile.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- Which file: targets -------------------------------------------- */

/* A file in shared memory, open or named by an address. */
struct wpfile_target;

/*
 * Monitors and snapshots need a target that can be read and, unless the caller
 * owns the file, written.  The _open functions therefore open for reading and
 * writing if they may, else for reading.  They open nothing but regular files
 * (-ENOTTY), so that no device or pipe is disturbed.
 */

/* The file behind @fd.  The caller keeps @fd; the target has a copy. */
int wpfile_target_dup_fd(int fd, struct wpfile_target **ret_target);

int wpfile_target_open_path(const char *path, struct wpfile_target **ret_target);

/*
 * The file behind descriptor @fd of process @pid.  -ESRCH: no such process,
 * -ENOENT: no such descriptor, -EACCES: the caller may not trace the process.
 */
int wpfile_target_open_pid_fd(pid_t pid, int fd,
			      struct wpfile_target **ret_target);

/*
 * The file that process @pid maps, shared, under @name (see wpfile_each_map()).
 * The target is the whole file from its offset 0, wherever the mapping begins.
 * Needs CAP_CHECKPOINT_RESTORE or CAP_SYS_ADMIN (-EPERM).  -ESRCH: no such
 * process, -ENOENT: no such mapping, -ENOTUNIQ: mappings of different files,
 * -ESTALE: the mapping was replaced meanwhile.
 */
int wpfile_target_open_pid_map(pid_t pid, const char *name,
			       struct wpfile_target **ret_target);

/*
 * The file mapped, shared, at @address in the process that makes the call that
 * the target is used for; a child after fork has its own mappings.  Needs
 * /dev/wpfile (-ENOENT without it).  The address is looked up at each use: no
 * mapping there is -EFAULT then.
 */
int wpfile_target_at_address(const void *address,
			     struct wpfile_target **ret_target);

/* The open file, lent; -EINVAL for a target by address. */
int wpfile_target_fd(const struct wpfile_target *target);

/* NULL is allowed.  Monitors and snapshots of the target go on. */
void wpfile_target_free(struct wpfile_target *target);

/* A shared mapping of a process, as a line of /proc/PID/maps tells it. */
struct wpfile_map {
	uint64_t start;
	uint64_t end;
	uint64_t offset;	/* of the file, at start */
	uint64_t inode;
	uint32_t dev_major;
	uint32_t dev_minor;
	const char *name;	/* valid during the callback only */
};

/* Returns 0 to go on; anything else stops, and is returned to the caller. */
typedef int (*wpfile_map_fn)(const struct wpfile_map *map, void *data);

/*
 * Calls @fn for the shared mappings of @pid that match @name, in ascending
 * order.  A name is what /proc/PID/maps shows, with or without " (deleted)" and
 * the first slash ("/dev/zero", "memfd:pool", "SYSV00000000"), or a hexadecimal
 * "START-END", or an address within the mapping; NULL matches all.
 * -ESRCH: no such process; -EACCES: the caller may not trace it; -EINVAL: the
 * name is empty.
 */
int wpfile_each_map(pid_t pid, const char *name, wpfile_map_fn fn, void *data);

/* ---- wpfiled ---------------------------------------------------------- */

/*
 * A connection to the broker wpfiled(8), who makes monitors and snapshots for
 * those whom its policy allows to have them, though the kernel would not let them.
 * What it may do is never more than the descriptor of the caller's file allows.
 *
 * Calls on one connection wait for one another.  A child after fork must not use
 * its parent's connection, other than to free it.
 */
struct wpfile_broker;

/*
 * Connects to the socket at @path, NULL for the usual one.  -ENOENT,
 * -ECONNREFUSED: no daemon there; -EPROTO: something else.
 */
int wpfile_broker_open(const char *path, struct wpfile_broker **ret_broker);

/* Ends the subscriptions, not the monitors and snapshots.  NULL is allowed. */
void wpfile_broker_free(struct wpfile_broker *broker);

/*
 * From now on wpfile_query(), wpfile_snapshot() and wpfile_mon_open() on @target
 * go to @broker (NULL: to the kernel), which must outlive the target.  -EINVAL for
 * a target by address.  They may then fail for three more reasons: -EACCES is also
 * that no rule of the policy allows it, -EDQUOT that a quota of the policy is used
 * up, -EPIPE that the connection is gone: open another.
 */
int wpfile_target_use_broker(struct wpfile_target *target,
			     struct wpfile_broker *broker);

/* ---- What kernel and file can do ------------------------------------ */

/*
 * Asks the kernel: @query as for WPFILE_IOC_QUERY, with ret_features and the
 * limits filled in.  -ENOSYS: this kernel has no wpfile.
 */
int wpfile_query_system(struct wpfile_query *query);

/*
 * Asks about the target's file.  flags and address are filled in here, as in
 * all calls that take a target.  -ENOTTY: the file is not shared memory, or the
 * kernel has no wpfile: wpfile_query_system() tells which.
 */
int wpfile_query(const struct wpfile_target *target, struct wpfile_query *query);

/*
 * The calling process accepts to be held up, or refused, by all monitors of the
 * file; see WPFILE_IOC_JOIN.
 */
int wpfile_join(const struct wpfile_target *target);

/* No monitor and no snapshot of the file any more, for ever: WPFILE_IOC_FORBID. */
int wpfile_forbid(const struct wpfile_target *target);

/* ---- Snapshots -------------------------------------------------------- */

/*
 * Returns a new descriptor of the file's content at one instant, which the
 * caller closes; see WPFILE_IOC_SNAPSHOT.
 */
int wpfile_snapshot(const struct wpfile_target *target,
		    struct wpfile_snapshot *args);

/* Flags of wpfile_save(). */
#define WPFILE_SAVE_STREAM	(1U << 0)	/* holes are written as zeros */

/*
 * Called after each piece, with what has been dealt with of @total bytes, holes
 * included.  Returns 0 to go on; anything else stops, and is returned to the
 * caller of wpfile_save().
 */
typedef int (*wpfile_progress_fn)(uint64_t done, uint64_t total, void *data);

/*
 * Copies @snapshot, from wpfile_snapshot(), to @out.  Without flags, @out is a
 * regular file, whose old content is lost and whose holes will be those of the
 * snapshot; with WPFILE_SAVE_STREAM anything that can be written to, from where
 * it stands.  @ret_data_bytes (or NULL) is what was not a hole.  Moves the file
 * offset of @snapshot: not for two threads on one snapshot.  @fn may be NULL.
 * On failure @out is incomplete.  -EIO: content of the snapshot is lost; the
 * last call of @fn tells where.  -EPIPE comes with SIGPIPE, as for write().
 */
int wpfile_save(int snapshot, int out, unsigned int flags, wpfile_progress_fn fn,
		void *data, uint64_t *ret_data_bytes);

/* ---- Monitors --------------------------------------------------------- */

struct wpfile_mon;

/* Makes a monitor; see WPFILE_IOC_MONITOR for @args and rights. */
int wpfile_mon_open(const struct wpfile_target *target,
		    struct wpfile_monitor *args, struct wpfile_mon **ret_mon);

/* A monitor that came as a descriptor.  The caller keeps @fd. */
int wpfile_mon_dup_fd(int fd, struct wpfile_mon **ret_mon);

/*
 * Another file for the monitor, with a handle of its own: what is done with it
 * concerns that file, but for events, which are the monitor's.  @cookie comes back
 * in the events.  See WPFILE_IOC_ATTACH.  A target of a broker is -EOPNOTSUPP.
 */
int wpfile_mon_attach(struct wpfile_mon *mon, const struct wpfile_target *target,
		      uint64_t cookie, struct wpfile_mon **ret_mon);

/* The monitor's descriptor, lent, for poll() and fcntl(). */
int wpfile_mon_fd(const struct wpfile_mon *mon);

/* Closes it; the protection ends with the last descriptor.  NULL is allowed. */
void wpfile_mon_free(struct wpfile_mon *mon);

/*
 * Protects @nr ranges (up to ret_max_ranges of the query) at one instant, or
 * none of them.  @flags: 0 or WPFILE_ALL_FILES.  @ret_args (or NULL) gets what the
 * kernel answers: ret_cut_ns, how long writers were held at most, and
 * ret_pinned_pages.
 */
int wpfile_protect(struct wpfile_mon *mon, const struct wpfile_range *ranges,
		   size_t nr, unsigned int flags,
		   struct wpfile_protect *ret_args);

/* Protects the file to its end, however far it may grow. */
int wpfile_protect_all(struct wpfile_mon *mon, struct wpfile_protect *ret_args);

/* Lifts the protection of @nr ranges, in order; see WPFILE_IOC_UNPROTECT. */
int wpfile_unprotect(struct wpfile_mon *mon, const struct wpfile_range *ranges,
		     size_t nr);

/* One WPFILE_IOC_SCAN, with an array of the caller's. */
int wpfile_scan(struct wpfile_mon *mon, struct wpfile_scan *args);

/* Returns 0 to go on; anything else stops, and is returned to the caller. */
typedef int (*wpfile_range_fn)(const struct wpfile_range *range, void *data);

/*
 * Calls @fn for each unprotected range from @offset on, in ascending order; a
 * range may come in several pieces.  @length may be WPFILE_TO_END.  With
 * WPFILE_SCAN_PROTECT in @flags the ranges are protected again before @fn sees
 * them: what it then reads of the file is current or will be reported again.
 * Ranges that were protected again but not handed to @fn because it stopped are
 * unprotected, so that the next scan reports them; the one it stopped at counts
 * as seen.  Two threads that scan one monitor each see a part.
 */
int wpfile_scan_each(struct wpfile_mon *mon, uint64_t offset, uint64_t length,
		     unsigned int flags, wpfile_range_fn fn, void *data);

/*
 * Reads, like pread(), what protected and captured pages held when they were last
 * protected; see WPFILE_IOC_MONITOR.  Not with WPFILE_TRACK.  Returns bytes, 0 at
 * the end; -ENODATA where nothing is known, -EIO where it is lost.
 */
ssize_t wpfile_pread(struct wpfile_mon *mon, void *buffer, size_t size,
		     uint64_t offset);

/*
 * Changes the file, like pwrite(), without asking this monitor.  With WPFILE_SYNC
 * and WPFILE_DENY, within the size of the file.  Returns bytes.
 */
ssize_t wpfile_pwrite(struct wpfile_mon *mon, const void *buffer, size_t size,
		      uint64_t offset);

/* What /proc tells about a monitor. */
struct wpfile_mon_info {
	uint32_t mode;			/* WPFILE_TRACK ... */
	uint32_t failed;		/* a capture has, see EIO */
	uint64_t inode;			/* of the file */
	uint32_t dev_major;
	uint32_t dev_minor;
	uint64_t protected_pages;
	uint64_t pinned_pages;		/* at the last PROTECT */
	uint64_t captured_bytes;
	uint64_t waiting;		/* events not answered */
	uint64_t overflows;		/* events dropped */
};

/*
 * -EBADMSG: the kernel tells it in a way that this library does not know; -ENOTTY: the
 * descriptor that it was made from is none of a monitor.
 */
int wpfile_mon_info(const struct wpfile_mon *mon,
		    struct wpfile_mon_info *ret_info);

/* Returns 0 to go on; anything else stops, and is returned to the caller. */
typedef int (*wpfile_mon_fn)(pid_t pid, int fd, const struct wpfile_mon_info *info,
			     void *data);

/*
 * Calls @fn for each descriptor of a monitor that process @pid has, or all
 * processes if @pid is 0; a monitor that several have comes several times.  A
 * snapshot is told as one of WPFILE_CAPTURE.
 * Processes that the caller may not trace are left out, unless it is @pid itself
 * (-EACCES).  -ESRCH: no such process.
 */
int wpfile_each_mon(pid_t pid, wpfile_mon_fn fn, void *data);

/* ---- Events ----------------------------------------------------------- */

/*
 * Reads whole events into @buffer, which is aligned for struct wpfile_event.
 * Returns bytes.  Waits for the first one, or -EAGAIN if the descriptor is
 * O_NONBLOCK; -EINTR if a signal handler ran; -EINVAL if @size is too small.
 */
ssize_t wpfile_read_events(struct wpfile_mon *mon, void *buffer, size_t size);

/*
 * Walks over @size bytes of events.  @pos begins at 0 and is moved on.  Returns
 * 1 with an event, which lies in @buffer, 0 at the end, -EBADMSG if the bytes
 * are not events.  Types unknown to the caller are to be skipped.
 */
int wpfile_event_next(const void *buffer, size_t size, size_t *pos,
		      const struct wpfile_event **ret_event);

/*
 * Answers a WPFILE_WAITING event: @verdict is WPFILE_ALLOW or WPFILE_FAIL.  With a
 * monitor of several files, @mon is the handle of the event's.  -ENOENT: nobody
 * waits for an answer any more, which is no failure of the caller's.
 */
int wpfile_resolve(struct wpfile_mon *mon, uint64_t id, unsigned int verdict);

/* The names of numbers, "?" for those this library does not know. */
const char *wpfile_mode_name(unsigned int mode);
const char *wpfile_event_name(unsigned int type);
const char *wpfile_outcome_name(unsigned int outcome);

/*
 * A loop hands events of any number of monitors to their callbacks.  It has one
 * descriptor, which is readable when there is something to do, so that it fits
 * into poll(), epoll and the loops of others.  Not for two threads at once.  A child
 * after fork must not use it, other than to free it, before its monitors.
 */
struct wpfile_loop;

int wpfile_loop_new(struct wpfile_loop **ret_loop);
void wpfile_loop_free(struct wpfile_loop *loop);	/* NULL is allowed */
int wpfile_loop_fd(const struct wpfile_loop *loop);	/* lent */

/*
 * Called for each event.  One that is WPFILE_WAITING has to be answered, there or
 * later.  Returns 0 to go on; anything else stops, and is returned to the caller of
 * wpfile_loop_run(); what was read with that event comes in the next run.  May add
 * monitors, and remove any, also its own.
 */
typedef int (*wpfile_event_fn)(struct wpfile_mon *mon,
			       const struct wpfile_event *event, void *data);

/*
 * @mon must be removed before it is freed, and becomes O_NONBLOCK.  -EEXIST: it is in a
 * loop already.  What was read and not handed over when it is removed (-ENOENT: it is
 * not in @loop) comes in the loop that it is added to, or by wpfile_read_events().
 */
int wpfile_loop_add(struct wpfile_loop *loop, struct wpfile_mon *mon,
		    wpfile_event_fn fn, void *data);
int wpfile_loop_remove(struct wpfile_loop *loop, struct wpfile_mon *mon);

/*
 * Waits for events, for @timeout_ms at the most (0: not, -1: without end), and hands
 * over those that there are.  Returns how many; -EINTR if a signal handler ran; -EBUSY
 * in a callback.
 */
int wpfile_loop_run(struct wpfile_loop *loop, int timeout_ms);

/* ---- Events from wpfiled ---------------------------------------------- */

/* Flags of a subscription. */
#define WPFILE_SUBSCRIBE_DENY	(1U << 0)	/* writes are refused, and told */

/*
 * What to be told of.  The daemon reads the events of one monitor for all who
 * subscribe to the file, and answers them at once, so that nobody is held up longer
 * than that takes.  A page is told of once, and again after it has been left alone
 * for @again_ms.
 */
struct wpfile_subscription {
	uint64_t offset;	/* bytes */
	uint64_t length;	/* bytes, or WPFILE_TO_END */
	uint32_t flags;
	uint32_t again_ms;	/* 0: never again */
	uint32_t queue_limit;	/* events kept by the daemon; 0: as policy says */
	uint32_t reserved;	/* 0 */
	uint64_t cookie;	/* comes back in the events */
};

/*
 * Subscribes to the file of @target, which has a broker (-EINVAL).  @ret_id names the
 * subscription on that connection.
 */
int wpfile_subscribe(const struct wpfile_target *target,
		     const struct wpfile_subscription *args, uint64_t *ret_id);
int wpfile_unsubscribe(struct wpfile_broker *broker, uint64_t id);

/* Readable when there are events; lent. */
int wpfile_broker_fd(const struct wpfile_broker *broker);

/*
 * Reads events, one message's, of one subscription: @ret_id; otherwise as
 * wpfile_read_events(), with a @timeout_ms as of poll().  What got lost because this
 * subscriber was slow is told by one WPFILE_EVENT_OVERFLOW, whose bytes are how many
 * events; that holds also for what came, unread, during other calls.
 * WPFILE_EVENT_FAILED: nothing of the file is protected any more; with again_ms it
 * will be, otherwise subscribe anew, and end this subscription.  Returns bytes; -EAGAIN when the time is over; -EPIPE when the
 * daemon is gone: subscribe anew on another connection, and take it for an
 * overflow.  The buffer holds WPFILE_BROKER_EVENTS bytes at least.
 */
#define WPFILE_BROKER_EVENTS	16384
ssize_t wpfile_broker_read(struct wpfile_broker *broker, void *buffer, size_t size,
			   int timeout_ms, uint64_t *ret_id);

/* What the daemon has to say: its open monitors and subscriptions. */
struct wpfile_holding {
	uint64_t id;		/* for wpfile_broker_release(); 0: cannot be */
	uint64_t inode;		/* of the file, 0 if no longer known */
	uint32_t dev_major;
	uint32_t dev_minor;
	uint32_t uid;		/* of the client */
	uint32_t pid;		/* of the client, 0 if no longer known */
	uint32_t mode;		/* WPFILE_TRACK ... */
	uint32_t subscribers;	/* 0: the monitor was handed out */
	uint64_t capture_limit;	/* bytes */
	uint64_t overflows;	/* events dropped for subscribers */
};

/* Returns 0 to go on; anything else stops, and is returned to the caller. */
typedef int (*wpfile_holding_fn)(const struct wpfile_holding *holding, void *data);

/* The caller's own, or everybody's if policy lets him release them. */
int wpfile_broker_each(struct wpfile_broker *broker, wpfile_holding_fn fn,
		       void *data);

/*
 * Ends a monitor that the daemon holds, for all who subscribe: their connections end.
 * -ENOENT, -EACCES.
 */
int wpfile_broker_release(struct wpfile_broker *broker, uint64_t id);

/* OpenMetrics text, which the caller frees with free(). */
int wpfile_broker_metrics(struct wpfile_broker *broker, char **ret_text);

#ifdef __cplusplus
}
#endif

#endif /* WPFILE_H */
