#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Judges every 8 KiB page of PostgreSQL 15's buffer pool in a copy of its shared memory.

The pool is found by pg_shmem_allocations ("Buffer Blocks"), and so are the buffers' descriptors in the same copy
("Buffer Descriptors"): flags and the lock of each page's content. A page is one of

  sane    its header is what PageIsVerified() accepts: size and version, the order lower <= upper <= special <= size,
          alignment, known flags
  empty   all of its bytes are zero: never used, or a relation was just extended by it
  moving  its header is none of that, and its descriptor, at the same instant, says why: a backend is reading it in
          (not BM_VALID), or holds its content lock exclusively and is replacing it
  bad     anything else

Which states can an instant show? Headers change only under the exclusive content lock. Adding, deleting, overwriting
and compacting items (bufpage.c) store pd_lower and pd_upper one after the other, in orders in which each step is sane:
space is taken by a lower that is still below the old upper, and given back by an upper above the old lower. What is
left: PageInit() zeroes the page and fills the fields one by one, so that each is zero or right; PageRestoreTempPage()
and reading in copy a whole page, so that bytes of one page stand beside those of another. These are "moving", and
accepted only where the descriptor vouches for it, and for no more pages than there are processes, as none can be in
the middle of two. A copy that is not of one instant has no such excuse: its descriptor is of another time than its page.

Cause and effect: a change is put into the log first, and the page then gets the log's position after it (pd_lsn). So
no page is newer than the position up to which the log is reserved, which lies in the same memory ("XLOG Ctl"). A copy
made by reading while the server runs has such pages: "ahead".
"""

import argparse
import struct
import sys

BLOCK = 8192
HEADER = struct.Struct("<IIHHHHHHI")  # lsn high, low, checksum, flags, lower, upper, special, pagesize|version, prune_xid
HEADER_BYTES = 24
PAGESIZE_VERSION = BLOCK | 4
VALID_FLAGS = 0x0007
ZERO = bytes(BLOCK)

# struct BufferDesc of version 15: tag of 20 bytes, buf_id, state, 2 ints, content_lock (tranche, state, waiters)
DESCRIPTOR_BYTES = 64
DESCRIPTOR = struct.Struct("<20xiI8xHxxI")
BM_VALID = 1 << 24
LW_EXCLUSIVE = 1 << 24

# The write-ahead log: its segments, and the headers of its pages
LOG_SEGMENT = 16 << 20
LOG_SHORT, LOG_LONG = 24, 40


def is_sane(page):
    _, _, _, flags, lower, upper, special, size_version, _ = HEADER.unpack_from(page)
    return (
        size_version == PAGESIZE_VERSION
        and not flags & ~VALID_FLAGS
        and HEADER_BYTES <= lower <= upper <= special <= BLOCK
        and special % 8 == 0
    )


def why_moving(descriptor):
    _, state, _, lock = descriptor
    if not state & BM_VALID:
        return "being read in"
    if lock & LW_EXCLUSIVE:
        return "locked exclusively"
    return None


def judge(page, descriptor):
    if is_sane(page):
        return "sane"
    if page == ZERO:
        return "empty"
    return "moving" if why_moving(descriptor) else "bad"


def page_lsn(page):
    high, low = HEADER.unpack_from(page)[:2]
    return high << 32 | low


def show_lsn(lsn):
    return f"{lsn >> 32:X}/{lsn & 0xFFFFFFFF:X}"


def parse_lsn(text):
    high, low = text.split("/")
    return int(high, 16) << 32 | int(low, 16)


def log_position(byte_position):
    """What xlog.c's XLogBytePosToRecPtr() does: the log's position counts the headers of its pages, this does not."""
    segments, left = divmod(byte_position, LOG_SEGMENT // BLOCK * (BLOCK - LOG_SHORT) - (LOG_LONG - LOG_SHORT))
    if left < BLOCK - LOG_LONG:
        return segments * LOG_SEGMENT + LOG_LONG + left
    pages, left = divmod(left - (BLOCK - LOG_LONG), BLOCK - LOG_SHORT)
    return segments * LOG_SEGMENT + (pages + 1) * BLOCK + LOG_SHORT + left


def read_log_position(file, where):
    """XLogCtl begins with Insert: a spinlock, then CurrBytePos."""
    data = read_region(file, where, "XLOG Ctl")
    return log_position(struct.unpack_from("<Q", data, 8)[0])


def region(text):
    offset, size = (int(part) for part in text.split(","))
    return offset, size


def read_region(file, where, name):
    file.seek(where[0])
    data = file.read(where[1])
    if len(data) != where[1]:
        sys.exit(f"{file.name}: {name} ends beyond the end of the copy")
    return data


def read_descriptors(file, where, count):
    data = read_region(file, where, "Buffer Descriptors")
    descriptors = [DESCRIPTOR.unpack_from(data, index * DESCRIPTOR_BYTES) for index in range(count)]
    for index, descriptor in enumerate(descriptors):
        if descriptor[0] != index:
            sys.exit(f"{file.name}: descriptor {index} says {descriptor[0]}: not PostgreSQL 15, or the wrong place")
    return descriptors


def describe(index, page, descriptor):
    _, _, _, flags, lower, upper, special, size_version, _ = HEADER.unpack_from(page)
    return (
        f"# buffer {index}: lsn {show_lsn(page_lsn(page))} flags {flags:#x} lower {lower} upper {upper} special {special} "
        f"size+version {size_version:#x}; state {descriptor[1]:#x} lock {descriptor[3]:#x}"
    )


def check(options):
    counts = dict.fromkeys(("sane", "empty", "moving", "bad", "ahead"), 0)
    with open(options.copy, "rb") as file:
        pages = read_region(file, options.blocks, "Buffer Blocks")
        count = options.blocks[1] // BLOCK
        described = read_descriptors(file, options.descriptors, count)
        log = read_log_position(file, options.log)
    for index in range(count):
        page = pages[index * BLOCK : (index + 1) * BLOCK]
        verdict = judge(page, described[index])
        counts[verdict] += 1
        counts["ahead"] += page_lsn(page) > log and not why_moving(described[index])
        if verdict in ("moving", "bad"):
            print(describe(index, page, described[index]), why_moving(described[index]) or "")
    return counts, log


def lsn_range(text):
    low, high = (parse_lsn(part) for part in text.split(","))
    return low, high


def main():
    parser = argparse.ArgumentParser(description="Judges the pages of a PostgreSQL buffer pool in a memory copy.")
    parser.add_argument("--blocks", type=region, required=True, metavar="OFFSET,SIZE")
    parser.add_argument("--descriptors", type=region, required=True, metavar="OFFSET,SIZE")
    parser.add_argument("--log", type=region, required=True, metavar="OFFSET,SIZE")
    parser.add_argument("--log-between", type=lsn_range, metavar="LSN,LSN", help="where the server says its log is")
    parser.add_argument("--processes", type=int, default=16, metavar="N", help="of the server, at most (default 16)")
    parser.add_argument("copy")
    options = parser.parse_args()
    counts, log = check(options)
    print(", ".join(f"{number} {name}" for name, number in counts.items()) + f" of the log, which is at {show_lsn(log)}")
    if options.log_between and not options.log_between[0] <= log <= options.log_between[1]:
        sys.exit("the log is not where the server says: not PostgreSQL 15?")
    wrong = counts["bad"] or counts["ahead"] or counts["moving"] > options.processes
    return 1 if wrong or not counts["sane"] else 0


sys.exit(main())
