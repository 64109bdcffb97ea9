#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""A process with shared memory, driven by lines on stdin; answers each with a line.

It has a memfd "ctl-test" with holes, mapped twice; an anonymous shared mapping; two memfds of one name "ctl-twin".
"""

import mmap
import os
import sys

PAGE = 4096
SIZE = 8 << 20


def pattern(first, pages):
    return b"".join((b"%08d" % page) * (PAGE // 8) for page in range(first, first + pages))


def make_memfd(name, size):
    fd = os.memfd_create(name)
    os.ftruncate(fd, size)
    return fd


def pwrite(fd, offset, pages):
    """Writes a byte to each page, in a call of its own."""
    try:
        for page in range(pages):
            os.pwrite(fd, b"\xa5", offset + page * PAGE)
    except PermissionError:
        return "refused"
    return "done"


def main():
    fd = make_memfd("ctl-test", SIZE)
    for first, pages in ((0, 16), (512, 100), (2047, 1)):
        os.pwrite(fd, pattern(first, pages), first * PAGE)
    memory = mmap.mmap(fd, SIZE)
    again = mmap.mmap(fd, SIZE // 2)
    anonymous = mmap.mmap(-1, SIZE // 8)
    anonymous[PAGE:3 * PAGE] = pattern(1, 2)
    twins = [mmap.mmap(make_memfd("ctl-twin", PAGE), PAGE) for _ in range(2)]

    print(f"ready {fd}", flush=True)
    for line in sys.stdin:
        verb, *rest = line.split()
        answer = "done"
        if verb == "write":
            offset, length = map(int, rest)
            memory[offset:offset + length] = b"\xa5" * length
        elif verb == "pwrite":
            answer = pwrite(fd, *map(int, rest))
        elif verb in ("dump", "dump-anonymous"):
            # Reading a hole through a mapping would fill it.
            with open(rest[0], "wb") as file:
                file.write(os.pread(fd, SIZE, 0) if verb == "dump" else anonymous)
        print(answer, flush=True)
    del again, twins


main()
