# SPDX-License-Identifier: GPL-2.0-or-later
"""ring.py write FILE | check FILE IMAGE | tear FILE: a file in shared memory that one process goes on writing.

Step N stores N in one word, of another page than the step before. So the words tell which step was the last, and
that what every byte of the file was then: there is one right content for each instant, and a copy that took time has none.
"""

import mmap
import os
import sys

PAGES = 256
WORDS = PAGES * mmap.PAGESIZE // 8
STRIDE = 513  # words: prime to their number, and longer than a page

assert WORDS & WORDS - 1 == 0


def place(step):
    return step * STRIDE % WORDS


def content_after(last):
    words = memoryview(bytearray(WORDS * 8)).cast("Q")
    for step in range(max(1, last - WORDS + 1), last + 1):
        words[place(step)] = step
    return words.obj


def write(path):
    """Until it is killed. A store of a word is one store."""
    file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o644)
    os.ftruncate(file, WORDS * 8)
    words = memoryview(mmap.mmap(file, WORDS * 8)).cast("Q")
    step = 0
    while True:
        step += 1
        words[place(step)] = step


def last_step(image):
    return max(memoryview(image).cast("Q"))


def is_right(image):
    return len(image) == WORDS * 8 and image == content_after(last_step(image))


def check(path, image):
    """Silent if the image is right, and not empty, and not what the file is now."""
    with open(image, "rb") as file:
        image = file.read()
    if not is_right(image):
        sys.exit("the image is of no instant")
    if last_step(image) == 0:
        sys.exit("the image is of an instant before the first step")
    with open(path, "rb") as file:
        if last_step(file.read()) == last_step(image):
            sys.exit("nobody writes the file")


def tear(path):
    """Copies page by page until a copy is of no instant: this is what a snapshot is for."""
    file = os.open(path, os.O_RDONLY)
    for _ in range(100):
        image = b""
        while page := os.pread(file, mmap.PAGESIZE, len(image)):
            image += page
            os.sched_yield()
        if not is_right(image):
            return
    sys.exit("100 plain copies were right: the writer does not write")


{"write": write, "check": check, "tear": tear}[sys.argv[1]](*sys.argv[2:])
