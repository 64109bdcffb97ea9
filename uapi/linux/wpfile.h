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
 *   EBUSY	the file has as many monitors as it may have
 *   EFAULT	a pointer is bad, or WPFILE_AT_ADDRESS names no mapping
 *   EINTR	a signal arrived, a fatal one but for read() of events; after
 *		PROTECT or SCAN, a WPFILE_CAPTURE monitor may have FAILED, and
 *		the next SCAN of a WPFILE_TRACK monitor may report every page
 *   EINVAL	a size, offset, length, alignment, mode or flag is wrong, or a
 *		reserved field is not zero
 *   EIO		the content at the cut is lost: the capture has FAILED (out of
 *		memory, over its limit), or the page could not be read
 *   EMFILE	the process has no free file descriptor (ENFILE: the system)
 *   ENODATA	the page is neither protected nor captured, so that the monitor
 *		knows no content of it
 *   ENOMEM	no memory for the monitor itself; nothing has changed
 *   ENOTTY	the file is not shared memory (a snapshot is not either), or the
 *		kernel has no such ioctl: WPFILE_IOC_QUERY on /dev/wpfile tells
 *		which of the two
 *   EOPNOTSUPP	the kernel knows the request, but not for this file (hugetlb)
 *		or this mode of monitor
 *   EOVERFLOW	the range ends beyond the largest file
 *   EPERM	the file descriptor is not open for writing, or the file is
 *		sealed against writing, and the caller does not own the file
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

/* On the monitor. */
#define WPFILE_IOC_PROTECT	_IO(WPFILE_IOC_TYPE, 0x20)
#define WPFILE_IOC_UNPROTECT	_IO(WPFILE_IOC_TYPE, 0x21)
#define WPFILE_IOC_SCAN		_IO(WPFILE_IOC_TYPE, 0x22)

/* Modes of a monitor. */
#define WPFILE_TRACK		0
#define WPFILE_CAPTURE		1
#define WPFILE_NR_MODES		4	/* room in wpfile_query */

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
};

/**
 * struct wpfile_monitor - WPFILE_IOC_MONITOR: makes a monitor of the file
 * @size: sizeof(struct wpfile_monitor)
 * @flags: 0 or WPFILE_AT_ADDRESS
 * @address: with WPFILE_AT_ADDRESS, else 0
 * @mode: WPFILE_TRACK or WPFILE_CAPTURE
 * @reserved: 0
 * @capture_limit: bytes that a WPFILE_CAPTURE monitor may keep at the most; the
 *	write that would need more makes the capture FAIL, and goes on.
 *	0: no limit but those of the memory cgroup.  Must be 0 in other modes.
 *
 * Returns the file descriptor of the monitor, with close-on-exec.  No page is
 * protected yet.  Closing the last descriptor lifts all of its protection.
 *
 * On the monitor: the ioctls below; read() and poll() of events; with
 * WPFILE_CAPTURE also pread(), the content of protected and captured pages as
 * it stood when they were last protected (ENODATA where the page is neither).  It
 * ends where the file did at the last PROTECT; or further, where the file did at an
 * earlier one, while that last one has left alone pages that are known beyond.
 *
 * The file descriptor of the file must be open for reading, and either for
 * writing too, with no F_SEAL_WRITE or F_SEAL_FUTURE_WRITE on the file, or the
 * caller must own the file (or have CAP_FOWNER over it).
 * Memory that the monitor needs is charged to the memory cgroup of the caller.
 */
struct wpfile_monitor {
	__u32 size;
	__u32 flags;
	__u64 address;
	__u32 mode;
	__u32 reserved;
	__u64 capture_limit;
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
 * sendfile(), splice(), mmap(), lseek() with SEEK_DATA and SEEK_HOLE, fstat().
 * (A hole may be told as data if something has filled it with zeros before it was
 * written: a read fault, fallocate(), a write next to it in a huge page; or if it
 * was looked at through a mapping of the snapshot.  Data is never told as a hole.)
 * Every store before T is in it, none after, over all processes.  Writers go
 * on meanwhile; what they overwrite is kept until the last descriptor and
 * mapping of the snapshot are gone.  Where content is lost (EIO above), reads
 * fail with EIO and loads get SIGBUS: no wrong byte is ever returned.  A load from
 * a mapping keeps the page for the snapshot first; over the limit it gets SIGBUS,
 * too, with nothing lost.
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

/**
 * struct wpfile_protect - WPFILE_IOC_PROTECT: protects pages
 * @size: sizeof(struct wpfile_protect)
 * @flags: 0
 * @ranges: pointer to an array of struct wpfile_range
 * @nr_ranges: its length, 1 to ret_max_ranges of WPFILE_IOC_QUERY
 * @reserved: 0
 * @ret_cut_ns: how long writers were held at most; 0 with WPFILE_TRACK, where
 *	nobody is held
 * @ret_pinned_pages: as in struct wpfile_snapshot, of the pages of @ranges.  With
 *	WPFILE_TRACK they stay unprotected: each SCAN reports them, until one with
 *	WPFILE_SCAN_PROTECT, or a PROTECT, finds them free
 *
 * All ranges are protected at one instant, or none.  With WPFILE_CAPTURE, pages
 * that were protected or captured before are protected anew: what the monitor
 * keeps of them is their content now.  Ranges beyond the end of the file are
 * protected too, with WPFILE_TRACK; a WPFILE_CAPTURE monitor knows content up
 * to the end of the file at the cut, and takes only that part.  One that has
 * FAILED stays so (EIO): make another.
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
 * Clears the bits, and drops what a WPFILE_CAPTURE monitor has kept of the
 * pages.  With WPFILE_TRACK the next SCAN reports the pages as written.
 * Ranges are processed in order; on ENOMEM those before may be done.
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

/* Types of events. */
#define WPFILE_EVENT_FAILED	1	/* a capture has FAILED, see EIO above */

/**
 * struct wpfile_event - what read() on a monitor returns, whole ones only
 * @length: bytes of this event; go on there for the next one
 * @type: WPFILE_EVENT_*; skip what you do not know
 * @offset: bytes, the page where it happened first
 * @bytes: length of the range
 * @time_ns: CLOCK_MONOTONIC
 *
 * read() with a buffer that is too short for the next event: EINVAL.  With no
 * event it waits, or returns EAGAIN if the descriptor is O_NONBLOCK.
 */
struct wpfile_event {
	__u32 length;
	__u32 type;
	__u64 offset;
	__u64 bytes;
	__u64 time_ns;
};

#endif /* _UAPI_LINUX_WPFILE_H */
