/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note OR MIT */
/*
 * wpfile: write protection and write notification that belong to a file in
 * shared memory, not to the page tables of the processes that map it.
 *
 * A *file* here is a shmem file: a memfd, a file on tmpfs, a SysV segment or
 * shared anonymous memory.  A *monitor* is a file descriptor made from it.  It
 * owns one bit for each page of the file: protected or not.  A file may have
 * many monitors; they neither see nor disturb one another.
 *
 * The mode of a monitor says what a write to a protected page does:
 *
 *   WPFILE_TRACK	clears the bit and goes on: which pages were written?
 *   WPFILE_CAPTURE	the old content is kept for the monitor, the bit is
 *			cleared, the write goes on: a snapshot that stalls
 *			nobody.
 *   WPFILE_SYNC	one event; the writer waits until the bit is cleared, by
 *			WPFILE_IOC_RESOLVE or WPFILE_IOC_UNPROTECT.
 *   WPFILE_DENY	the write fails: SIGSEGV with SEGV_ACCERR for a store,
 *			EFAULT for a buffer of a system call, EPERM for a system
 *			call on the file.
 *
 * Of several monitors DENY comes first, then SYNC, CAPTURE, TRACK: a write that
 * fails or waits has changed nothing yet.
 *
 * A monitor holds up, or fails, nobody but those in its *domain*:
 *
 *   - tasks whose real, effective and saved uids and gids all equal those of its
 *     creator, in the same user namespace, with no permitted capability that he
 *     lacked, and dumpable (PR_SET_DUMPABLE);
 *   - tasks whose memory its creator may trace: he has CAP_SYS_PTRACE over the
 *     user namespace that they were executed in;
 *     both only if they have a number in his pid namespace, and no security module
 *     (Landlock, SELinux ...) would keep him from stopping them by a signal;
 *   - processes that have joined by themselves (WPFILE_IOC_JOIN).
 *
 * And of what they do, it holds up only what they wait for anyway: stores in user
 * mode, and their own synchronous system calls on the file, which wait at their
 * return to user mode, with no lock held, and are then restarted.  Every other
 * write, of anybody else, by the kernel for a task (a buffer of read(), ptrace,
 * io_uring, aio), or with RWF_NOWAIT, *passes*: its old content is kept as by
 * WPFILE_CAPTURE, the bit is cleared, and an event says WPFILE_PASSED.
 *
 * With WPFILE_DENY fails whatever a task in the domain does in a call of its own,
 * whether it could wait or not: also aio (EPERM), UFFDIO_COPY into the file and
 * pinning by a driver (EPERM), a buffer (EFAULT), and what it writes by ptrace,
 * /proc/PID/mem or process_vm_writev().
 *
 * (Growth of a file changes no page for those modes that know it up to its end at
 * the last PROTECT, all but WPFILE_TRACK: bytes that a mapping has stored behind
 * the end were no content.)
 *
 * A write is any change of the content, by any process, through a mapping or
 * by a system call.  It is not: an access of the caller's private (copy on
 * write) mapping, a page moving to swap or to another node, a read, or the
 * allocation of zero pages into a hole.
 *
 * Stores through page references that were taken before PROTECT (O_DIRECT or
 * io_uring in flight, RDMA, VFIO, udmabuf) cannot be seen.  Such pages are
 * *pinned*: they are counted (ret_pinned_pages), and a WPFILE_TRACK monitor
 * reports them as written for as long as they are.  A reference that is taken for
 * writing while the page is protected is a write.
 *
 * The ioctls of a file are issued on a file descriptor of the file itself.
 * Memory that has no file descriptor (SysV, shared anonymous) is named by an
 * address in the caller's own mappings: the same ioctls on /dev/wpfile, with
 * WPFILE_AT_ADDRESS.  Root reaches the memory of others by opening
 * /proc/PID/map_files/RANGE.
 *
 * Every structure begins with its size, as in copy_struct_from_user(): a
 * shorter structure of an older program is filled with zeros, a longer one of
 * a newer program is accepted if what the kernel does not know is zero.
 * Fields named ret_* are written by the kernel, on success only unless said
 * otherwise; the rest is read.  Offsets and lengths are bytes and multiples of
 * the page size.  The layout is the same for 32 and 64 bit.
 *
 * One meaning for each errno, for all ioctls:
 *
 *   E2BIG	the structure is longer than the kernel knows, and the rest is
 *		not zero: the program is newer than the kernel
 *   EACCES	the file descriptor is not open for reading
 *   EAGAIN	no event, and the monitor is O_NONBLOCK
 *   EBADF	WPFILE_IOC_ATTACH: no such file descriptor
 *   EBUSY	the file has as many monitors, or the monitor as many files, as
 *		it may have; WPFILE_IOC_FORBID while the file has any
 *   EDQUOT	the user has as many monitors as he may have (sysctl
 *		user.max_wpfile_monitors)
 *   EEXIST	the monitor has the file already
 *   EFAULT	a pointer is bad, or WPFILE_AT_ADDRESS names no mapping
 *   EINTR	a signal arrived, a fatal one but for read() of events; after
 *		PROTECT or SCAN, the next SCAN of a WPFILE_TRACK monitor may
 *		report every page, and others may have FAILED, with nothing
 *		protected any more: they have that event
 *   EINVAL	a size, offset, length, alignment, mode or flag is wrong, or a
 *		reserved field is not zero
 *   EIO		the content at the cut is lost: the capture has FAILED (out of
 *		memory, over its limit), or the page could not be read
 *   EMFILE	the process has no free file descriptor (ENFILE: the system)
 *   ENODATA	the page is neither protected nor captured, so that the monitor
 *		knows no content of it
 *   ENOENT	the event does not wait for an answer (any more: its page was
 *		unprotected, or has passed)
 *   ENOMEM	no memory for the monitor itself; nothing has changed
 *   ENOTTY	the file is not shared memory (a snapshot is not either), or the
 *		kernel has no such ioctl: WPFILE_IOC_QUERY on /dev/wpfile tells
 *		which of the two
 *   EOPNOTSUPP	the kernel knows the request, but not for this file (hugetlb)
 *		or this mode of monitor
 *   EOVERFLOW	the range ends beyond the largest file
 *   EPERM	the file descriptor is not open for writing, or the file is
 *		sealed against writing, and the caller does not own the file; for
 *		WPFILE_SYNC, WPFILE_DENY and WPFILE_IOC_FORBID: he does not do
 *		both; WPFILE_IOC_JOIN: it is not open for writing;
 *		WPFILE_IOC_ATTACH: the caller is not like him who made the
 *		monitor; or monitors of the file have been forbidden
 *   ETIMEDOUT	writers would have been held up too long (sysctl
 *		vm.wpfile.max_cut_ms): as after EINTR, the monitor may have FAILED
 *
 * Features are told by WPFILE_IOC_QUERY, never by the version of the kernel.
 */
#ifndef _UAPI_LINUX_WPFILE_H
#define _UAPI_LINUX_WPFILE_H

#include <linux/ioctl.h>
#include <linux/types.h>

#define WPFILE_IOC_TYPE		0xBD

/* On the file, or on /dev/wpfile with WPFILE_AT_ADDRESS. */
#define WPFILE_IOC_QUERY	_IO(WPFILE_IOC_TYPE, 0x00)
#define WPFILE_IOC_MONITOR	_IO(WPFILE_IOC_TYPE, 0x01)
#define WPFILE_IOC_SNAPSHOT	_IO(WPFILE_IOC_TYPE, 0x02)
#define WPFILE_IOC_JOIN		_IO(WPFILE_IOC_TYPE, 0x03)
#define WPFILE_IOC_FORBID	_IO(WPFILE_IOC_TYPE, 0x04)

/* On the monitor. */
#define WPFILE_IOC_PROTECT	_IO(WPFILE_IOC_TYPE, 0x20)
#define WPFILE_IOC_UNPROTECT	_IO(WPFILE_IOC_TYPE, 0x21)
#define WPFILE_IOC_SCAN		_IO(WPFILE_IOC_TYPE, 0x22)
#define WPFILE_IOC_RESOLVE	_IO(WPFILE_IOC_TYPE, 0x23)
#define WPFILE_IOC_ATTACH	_IO(WPFILE_IOC_TYPE, 0x24)

/* Modes of a monitor. */
#define WPFILE_TRACK		0
#define WPFILE_CAPTURE		1
#define WPFILE_SYNC		2
#define WPFILE_DENY		3
#define WPFILE_NR_MODES		4

/*
 * The flag of the ioctls on the file: the file is the one mapped at @address
 * in the calling process, by a shared mapping.  Only on /dev/wpfile, and
 * required there by all but WPFILE_IOC_QUERY.
 */
#define WPFILE_AT_ADDRESS	(1U << 0)

/* A length that means "to the end, however far the file may grow". */
#define WPFILE_TO_END		(~0ULL)

/**
 * struct wpfile_range - pages of a file
 * @offset: bytes, a multiple of the page size
 * @length: bytes, a multiple of the page size, not 0; or WPFILE_TO_END
 */
struct wpfile_range {
	__u64 offset;
	__u64 length;
};

/* Features, in wpfile_query.ret_features. */
#define WPFILE_FEATURE_TRACK	(1ULL << 0)	/* monitors of mode TRACK */
#define WPFILE_FEATURE_CAPTURE	(1ULL << 1)	/* monitors of mode CAPTURE */
#define WPFILE_FEATURE_SNAPSHOT	(1ULL << 2)	/* WPFILE_IOC_SNAPSHOT */
#define WPFILE_FEATURE_SCAN_PROTECT (1ULL << 3)	/* WPFILE_SCAN_PROTECT */
#define WPFILE_FEATURE_ADDRESS	(1ULL << 4)	/* /dev/wpfile */
#define WPFILE_FEATURE_HUGE	(1ULL << 5)	/* huge mappings protected whole */
#define WPFILE_FEATURE_PINNED	(1ULL << 6)	/* ret_pinned_pages */
#define WPFILE_FEATURE_SYNC	(1ULL << 7)	/* monitors of mode SYNC */
#define WPFILE_FEATURE_DENY	(1ULL << 8)	/* monitors of mode DENY */
#define WPFILE_FEATURE_ATTACH	(1ULL << 9)	/* several files a monitor */

/* State of a file, in wpfile_query.ret_state. */
#define WPFILE_STATE_FORBIDDEN	(1U << 0)	/* it gets no monitors any more */
#define WPFILE_STATE_JOINED	(1U << 1)	/* the calling process has joined */

/**
 * struct wpfile_query - WPFILE_IOC_QUERY: what the kernel and the file can do
 * @size: sizeof(struct wpfile_query)
 * @flags: 0 or WPFILE_AT_ADDRESS
 * @address: with WPFILE_AT_ADDRESS, else 0
 * @ret_features: WPFILE_FEATURE_* bits
 * @ret_monitors: monitors of the file now, by mode; a snapshot counts as
 *	WPFILE_CAPTURE.  All 0 on /dev/wpfile without WPFILE_AT_ADDRESS.
 * @ret_max_monitors: how many monitors a file may have
 * @ret_max_ranges: how many ranges one PROTECT, UNPROTECT or SCAN may carry
 * @ret_max_wait_ms: the longest wait_limit_ms of a monitor
 * @ret_state: WPFILE_STATE_* bits, 0 on /dev/wpfile without WPFILE_AT_ADDRESS
 * @ret_max_files: how many files a monitor may have
 * @reserved: 0
 *
 * Needs no right but the file descriptor.
 */
struct wpfile_query {
	__u32 size;
	__u32 flags;
	__u64 address;
	__u64 ret_features;
	__u32 ret_monitors[WPFILE_NR_MODES];
	__u32 ret_max_monitors;
	__u32 ret_max_ranges;
	__u32 ret_max_wait_ms;
	__u32 ret_state;
	__u32 ret_max_files;
	__u32 reserved;
};

/**
 * struct wpfile_consent - WPFILE_IOC_JOIN, WPFILE_IOC_FORBID
 * @size: sizeof(struct wpfile_consent)
 * @flags: 0 or WPFILE_AT_ADDRESS
 * @address: with WPFILE_AT_ADDRESS, else 0
 *
 * JOIN: the calling process belongs to the domain of all monitors of the file,
 * now and later, until it executes a program or exits; its children do not, unless
 * they share its memory (CLONE_VM, vfork()).  Needs a file descriptor that is open
 * for writing.
 *
 * FORBID: nobody makes a monitor or a snapshot of the file any more.  Cannot be
 * undone.  Needs the rights of WPFILE_SYNC.
 */
struct wpfile_consent {
	__u32 size;
	__u32 flags;
	__u64 address;
};

/* Flags of WPFILE_IOC_MONITOR, besides WPFILE_AT_ADDRESS. */
#define WPFILE_DENIED_EVENTS	(1U << 1)	/* DENY: an event for each write */

/**
 * struct wpfile_monitor - WPFILE_IOC_MONITOR: makes a monitor of the file
 * @size: sizeof(struct wpfile_monitor)
 * @flags: WPFILE_AT_ADDRESS, WPFILE_DENIED_EVENTS
 * @address: with WPFILE_AT_ADDRESS, else 0
 * @mode: WPFILE_TRACK, WPFILE_CAPTURE, WPFILE_SYNC or WPFILE_DENY
 * @wait_limit_ms: WPFILE_SYNC: writers of a page pass so long after the first of
 *	them began to wait.  0: the longest that the system allows (sysctl
 *	vm.wpfile.max_wait_ms); more than that is EINVAL.  Must be 0 in other modes.
 * @capture_limit: bytes that the monitor may keep at the most; the write that
 *	would need more makes the capture FAIL, and goes on.  0: no limit but those
 *	of the memory cgroup.  Must be 0 with WPFILE_TRACK.
 * @queue_limit: events that nobody waits for, kept at the most; what comes then is
 *	told by one WPFILE_EVENT_OVERFLOW.  0: as many as the system allows (sysctl
 *	vm.wpfile.max_queued_events); more than that is EINVAL.  Must be 0 with
 *	WPFILE_TRACK.  (WPFILE_SYNC: writers wait for so many pages of a file as the
 *	system allows events; a writer of another one passes.)
 * @reserved: 0
 * @cookie: anything; it comes back in the events of the file
 *
 * Returns the file descriptor of the monitor, with close-on-exec.  No page is
 * protected yet.  Closing the last descriptor lifts all of its protection.
 *
 * On the monitor: the ioctls below; read() and poll() of events; but for
 * WPFILE_TRACK also pread(), the content of protected and captured pages as
 * it stood when they were last protected, or as the handler has written it
 * since (ENODATA where the page is neither).  It ends where the file did at the
 * last PROTECT; or further, where the file did at an earlier one, while that last
 * one has left alone pages that are known beyond.
 * With WPFILE_SYNC and WPFILE_DENY also pwrite(), which changes the file without
 * asking this monitor (others it does ask), within the size of the file.
 *
 * The file descriptor of the file must be open for reading, and either for
 * writing too, with no F_SEAL_WRITE or F_SEAL_FUTURE_WRITE on the file, or the
 * caller must own the file (or have CAP_FOWNER over it).  WPFILE_SYNC and
 * WPFILE_DENY need all of it: reading, writing, no such seal, and ownership.
 * Memory that the monitor needs is charged to the memory cgroup of the caller.
 */
struct wpfile_monitor {
	__u32 size;
	__u32 flags;
	__u64 address;
	__u32 mode;
	__u32 wait_limit_ms;
	__u64 capture_limit;
	__u32 queue_limit;
	__u32 reserved;
	__u64 cookie;
};

/**
 * struct wpfile_attach - WPFILE_IOC_ATTACH: another file for the monitor
 * @size: sizeof(struct wpfile_attach)
 * @flags: 0; or WPFILE_AT_ADDRESS, with no need of /dev/wpfile
 * @address: with WPFILE_AT_ADDRESS, else 0
 * @cookie: as in struct wpfile_monitor, of this file
 * @fd: a file descriptor of the file; -1 with WPFILE_AT_ADDRESS
 * @reserved: 0
 *
 * Returns another file descriptor of the monitor, with close-on-exec.  What is
 * issued on it concerns the file that was attached: all ioctls, pread() and
 * pwrite(), fdinfo.  The events are those of the monitor, whichever of its file
 * descriptors they are read from; closing this one gives up the file.  The monitor
 * ends with the last of them.
 *
 * WPFILE_IOC_PROTECT with WPFILE_ALL_FILES protects pages of all files of the
 * monitor at one instant.
 *
 * Rights are those of WPFILE_IOC_MONITOR, of the caller, who must have the uids,
 * gids and permitted capabilities of him who made the monitor, no more and no
 * fewer (EPERM): memory is charged to that one, and the domain is his.  A file is attached once (EEXIST);
 * a monitor has ret_max_files of WPFILE_IOC_QUERY at the most (EBUSY).
 */
struct wpfile_attach {
	__u32 size;
	__u32 flags;
	__u64 address;
	__u64 cookie;
	__s32 fd;
	__u32 reserved;
};

/**
 * struct wpfile_snapshot - WPFILE_IOC_SNAPSHOT: the file as it stands now
 * @size: sizeof(struct wpfile_snapshot)
 * @flags: 0 or WPFILE_AT_ADDRESS
 * @address: with WPFILE_AT_ADDRESS, else 0
 * @capture_limit: as in struct wpfile_monitor
 * @ret_bytes: size of the file at the cut
 * @ret_cut_ns: how long writers were held at most: from the first bit set to
 *	the end of the last TLB flush
 * @ret_pinned_pages: pages that were pinned at the cut, see the top: what the
 *	snapshot has of them may be newer than T, in part.  0 is certain.  A large
 *	page counts whole; pages that the kernel itself held for a moment, to
 *	reclaim or to migrate them, may be counted too.  Also in fdinfo.
 *
 * Returns a plain, read-only file descriptor, with close-on-exec, whose content
 * is that of the file at one instant T within the call: read(), pread(),
 * sendfile(), splice(), mmap(), lseek() with SEEK_DATA and SEEK_HOLE, fstat();
 * poll(): always readable, and POLLERR when content is lost.
 * (A hole may be told as data if something has filled it with zeros before it was
 * written: a read fault, fallocate(), a write next to it in a huge page; or if it
 * was looked at through a mapping of the snapshot.  Data is never told as a hole.)
 * Every store before T is in it, none after, over all processes.  Writers go
 * on meanwhile; what they overwrite is kept until the last descriptor and
 * mapping of the snapshot are gone.  Where content is lost (EIO above), reads
 * fail with EIO and loads get SIGBUS: no wrong byte is ever returned.  A load from
 * a mapping keeps the page for the snapshot first; over the limit, or without
 * memory, it gets SIGBUS, too, with nothing lost.
 *
 * Rights as for WPFILE_IOC_MONITOR.
 */
struct wpfile_snapshot {
	__u32 size;
	__u32 flags;
	__u64 address;
	__u64 capture_limit;
	__u64 ret_bytes;
	__u64 ret_cut_ns;
	__u64 ret_pinned_pages;
};

/* Flags of WPFILE_IOC_PROTECT. */
#define WPFILE_ALL_FILES	(1U << 0)	/* @ranges, of each file of the monitor */

/**
 * struct wpfile_protect - WPFILE_IOC_PROTECT: protects pages
 * @size: sizeof(struct wpfile_protect)
 * @flags: 0 or WPFILE_ALL_FILES
 * @ranges: pointer to an array of struct wpfile_range
 * @nr_ranges: its length, 1 to ret_max_ranges of WPFILE_IOC_QUERY
 * @reserved: 0
 * @ret_cut_ns: how long writers were held at most; 0 with WPFILE_TRACK, where
 *	nobody is held
 * @ret_pinned_pages: as in struct wpfile_snapshot, of the pages of @ranges.  With
 *	WPFILE_TRACK they stay unprotected: each SCAN reports them, until one with
 *	WPFILE_SCAN_PROTECT, or a PROTECT, finds them free
 *
 * With WPFILE_TRACK ranges beyond the end of the file are protected, too.  There
 * is no instant: with WPFILE_ALL_FILES one file follows the other, and a fatal
 * signal may leave some done.
 *
 * Otherwise all ranges are protected at one instant, or none, up to the end of
 * the file at that instant.  Pages that were protected or captured before are
 * protected anew: what the monitor keeps of them is their content now.  A
 * WPFILE_CAPTURE monitor that has FAILED stays so (EIO): make another.
 * (WPFILE_SYNC and WPFILE_DENY go on protecting after a failure, which has lost
 * content of pages that have passed: pread() says EIO where it knows none, from
 * then on.)
 */
struct wpfile_protect {
	__u32 size;
	__u32 flags;
	__u64 ranges;
	__u32 nr_ranges;
	__u32 reserved;
	__u64 ret_cut_ns;
	__u64 ret_pinned_pages;
};

/**
 * struct wpfile_unprotect - WPFILE_IOC_UNPROTECT: lifts protection
 * @size: sizeof(struct wpfile_unprotect)
 * @flags: 0
 * @ranges: pointer to an array of struct wpfile_range
 * @nr_ranges: its length, 1 to ret_max_ranges of WPFILE_IOC_QUERY
 * @reserved: 0
 *
 * Clears the bits, drops what the monitor has kept of the pages, and lets those
 * go on who wait for them.  With WPFILE_TRACK the next SCAN reports the pages as
 * written.
 * All ranges are done, or none.
 */
struct wpfile_unprotect {
	__u32 size;
	__u32 flags;
	__u64 ranges;
	__u32 nr_ranges;
	__u32 reserved;
};

/* Flags of WPFILE_IOC_SCAN. */
#define WPFILE_SCAN_PROTECT	(1U << 0)

/**
 * struct wpfile_scan - WPFILE_IOC_SCAN: which pages are not protected?
 * @size: sizeof(struct wpfile_scan)
 * @flags: 0 or WPFILE_SCAN_PROTECT: protect the reported pages again, in such a
 *	way that a write is either visible to whoever reads the page after the
 *	call, or reported by the next SCAN, or both.  Only with WPFILE_TRACK.
 * @offset: bytes, where to begin; a multiple of the page size
 * @length: bytes, a multiple of the page size, not 0; or WPFILE_TO_END.  The
 *	scan ends at the end of the file (rounded up to a page) at the latest.
 * @ranges: pointer to an array of struct wpfile_range, filled by the kernel in
 *	ascending order with the ranges whose bit is clear; adjacent pages make
 *	one range
 * @nr_ranges: its length, 1 to ret_max_ranges of WPFILE_IOC_QUERY
 * @ret_nr_ranges: how many were filled in
 * @ret_next: bytes: everything below it has been scanned, always more than
 *	@offset.  Less than the end of the range asked for if the array was full:
 *	go on there.  At the end of the file it is the end of the range asked for,
 *	or WPFILE_TO_END for such a length.
 * @ret_pages: pages in the ranges that were filled in
 */
struct wpfile_scan {
	__u32 size;
	__u32 flags;
	__u64 offset;
	__u64 length;
	__u64 ranges;
	__u32 nr_ranges;
	__u32 ret_nr_ranges;
	__u64 ret_next;
	__u64 ret_pages;
};

/* What becomes of the writers, in wpfile_resolve.verdict. */
#define WPFILE_ALLOW	0
#define WPFILE_FAIL	1	/* as WPFILE_DENY does */

/**
 * struct wpfile_resolve - WPFILE_IOC_RESOLVE: answers a WPFILE_WAITING event of
 *	the file that the descriptor is of
 * @size: sizeof(struct wpfile_resolve)
 * @verdict: WPFILE_ALLOW clears the bit of the page; WPFILE_FAIL leaves it, and
 *	fails who waits for it now
 * @id: of the event
 */
struct wpfile_resolve {
	__u32 size;
	__u32 verdict;
	__u64 id;
};

/* Types of events. */
#define WPFILE_EVENT_FAILED	1	/* content, or all, is lost: see @bytes */
#define WPFILE_EVENT_OVERFLOW	2	/* events were dropped here; no protection */
#define WPFILE_EVENT_STORE	3	/* through a mapping, by a CPU or GUP */
#define WPFILE_EVENT_WRITE	4	/* write() and its like */
#define WPFILE_EVENT_DISCARD	5	/* a hole is punched, or a file truncated */
#define WPFILE_EVENT_FILL	6	/* UFFDIO_COPY into a hole */
#define WPFILE_EVENT_PIN	7	/* a driver takes pages */

/* What became of the write, in wpfile_event.outcome. */
#define WPFILE_PASSED	0	/* its old content is captured, if any mode does */
#define WPFILE_WAITING	1	/* until the event is resolved */
#define WPFILE_DENIED	2

/**
 * struct wpfile_event - what read() on a monitor returns, whole ones only
 * @length: bytes of this event; go on there for the next one
 * @type: WPFILE_EVENT_*; skip what you do not know
 * @outcome: WPFILE_PASSED, WPFILE_WAITING or WPFILE_DENIED
 * @tid: of the writer, in the pid namespace of the reader, if the writer is in the
 *	domain; else 0, as for FAILED and OVERFLOW
 * @id: of the event, for WPFILE_IOC_RESOLVE; never 0, never used again
 * @offset: bytes, the page where it happened (FAILED: where first; OVERFLOW: 0)
 * @bytes: length of the range.  FAILED: of that page the content is lost, and maybe
 *	of others; or WPFILE_TO_END: nothing of the file is protected any more
 *	(WPFILE_SYNC, WPFILE_DENY: until the next PROTECT), and of what was the content
 *	is lost
 * @time_ns: CLOCK_MONOTONIC
 * @tgid: as @tid
 * @uid: of the writer, as @tid, in the user namespace of the reader
 * @cookie: of the file; OVERFLOW: 0
 *
 * However many threads wait for a page, there is one event WPFILE_WAITING.  It is
 * read once; who reads it must answer it, or see that somebody does.  It stands
 * until then, also when those who waited were killed or interrupted: who comes
 * next waits for the same answer, no longer than the first would have.
 *
 * read() with a buffer that is too short for the next event: EINVAL.  With no
 * event it waits, or returns EAGAIN if the descriptor is O_NONBLOCK.  Otherwise
 * it returns as many as there are and fit.  Several readers each get events of
 * their own.
 */
struct wpfile_event {
	__u32 length;
	__u32 type;
	__u32 outcome;
	__u32 tid;
	__u64 id;
	__u64 offset;
	__u64 bytes;
	__u64 time_ns;
	__u32 tgid;
	__u32 uid;
	__u64 cookie;
};

#endif /* _UAPI_LINUX_WPFILE_H */
