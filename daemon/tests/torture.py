#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Daemon, clients and writers are killed at random points under load; every event is accounted for.

A writer touches page after page of a part of the file that is its own, in order; so each subscriber is to be told of
consecutive pages. One may be told twice (a writer that did not wait any longer), and may be missing only where an
OVERFLOW stands, which says how many at least, or where the connection ended. When all is quiet, the last page that each
writer touched has been told to each subscriber, or an OVERFLOW has come after what he was told. Half of the files are
watched, half are denied. No writer may stand still.

    torture.py [--minutes N] [--seed N]

As root, in the virtual machine.
"""

import argparse
import contextlib
import ctypes
import mmap
import os
import random
import resource
import sys
import time

import wire
from harness import PAGE, Child, Daemon, check

PART = 1 << 20  # pages of a writer
WRITERS = 8  # parts of a file
KEEP = 64  # pages that a writer leaves behind
STILL = 60  # seconds that no writer may stand still

POLICY = """
[daemon]
wait_limit_ms = 500
requests = 1000000
[rule r]
who = any
files = any
modes = track capture snapshot watch deny
monitors = 1000
subscriptions = 1000
queue = 16384
captured = 64M
"""

libc = ctypes.CDLL(None, use_errno=True)


def write_for_ever(_sock, fd, part, progress, denied):
    """Page after page; progress[part] is the last one that was touched."""
    number = progress[part]
    while True:
        number += 1
        offset = (part * PART + number % PART) * PAGE
        # Also what nobody watched counts, or a writer who is killed before he counts begins long before what he was told of.
        with contextlib.suppress(PermissionError):
            os.pwrite(fd, b"x", offset)
        progress[part] = number
        if number % KEEP == 0 and not denied:
            start = max(0, offset - 2 * KEEP * PAGE)
            libc.fallocate(fd, 3, ctypes.c_long(start), ctypes.c_long(KEEP * PAGE))
        time.sleep(0.01)


def disturb(_sock, daemon, fds, seed):
    """Asks for all sorts of things until it is killed."""
    rng = random.Random(seed)
    client, held = None, []
    while True:
        try:
            if not client or rng.random() < 0.1:
                client = daemon.connect()
            fd = rng.choice(fds)
            wire.refused(rng.choice((
                lambda: held.append(client.monitor(fd)),
                lambda: held.append(client.snapshot(fd, PAGE)[0]),
                lambda: client.subscribe(fd, again=rng.choice((0, 10)), queue=rng.choice((1, 1000)),
                                         length=rng.choice((PAGE, wire.TO_END))),
                lambda: client.holdings(), lambda: client.metrics(), lambda: client.next_events(0.01),
                lambda: client.send(b"nonsense"), client.close)))
            while len(held) > 4:
                os.close(held.pop(0))
        except (OSError, ValueError, wire.Gone):  # closed by either
            client = None
            time.sleep(0.01)


class File:
    def __init__(self, denied):
        self.denied = denied
        self.fd = os.memfd_create("torture", 0)
        os.ftruncate(self.fd, WRITERS * PART * PAGE)
        self.shared = mmap.mmap(-1, 8 * WRITERS)
        self.progress = memoryview(self.shared).cast("Q")
        self.writers = {}
        self.moved = {}

    def start_writer(self, part):
        self.writers[part] = Child(write_for_ever, self.fd, part, self.progress, self.denied, keep=[self.fd])
        self.moved[part] = (self.progress[part], time.monotonic())

    def check_moving(self):
        for part, (before, since) in self.moved.items():
            now = self.progress[part]
            if now != before:
                self.moved[part] = (now, time.monotonic())
            check(time.monotonic() - since < STILL, f"a writer stands still: denied={self.denied} part={part}")

    def stop(self):
        for child in self.writers.values():
            child.kill()


class Subscriber:
    """Checks what it is told of a file, over one connection after the other."""

    def __init__(self, file, counts):
        self.file = file
        self.counts = counts
        self.client = None
        self.error = None

    def start(self, daemon, rng):
        self.last = {}  # page of a part
        self.unsure = {}  # an OVERFLOW since that?
        self.missing = 0
        self.told_lost = 0
        self.exact = True
        try:
            self.client = daemon.connect()
            flags = wire.SUBSCRIBE_DENY if self.file.denied else 0
            self.client.subscribe(self.file.fd, flags=flags, queue=rng.choice((20, 200, 16384)))
            self.lazy_until = 0
            self.counts["epochs"] += 1
        except (OSError, wire.Gone) as error:
            self.counts["failed"] = self.counts.get("failed", 0) + 1
            self.error = repr(error)
            self.client = None

    def read(self, timeout=0):
        try:
            events = self.client.next_events(timeout)
        except wire.Gone:
            self.client = None
            return 0
        for _, event in events:
            self.take(event)
        return len(events)

    def take(self, event):
        if event["type"] == wire.OVERFLOW:
            self.counts["overflows"] += 1
            self.counts["lost"] += event["bytes"]
            self.told_lost += event["bytes"]
            self.exact &= bool(event["bytes"])
            self.unsure = dict.fromkeys(range(WRITERS), True)
            return
        if event["type"] != wire.WRITE:
            return
        self.counts["events"] += 1
        part, page = divmod(event["offset"] // PAGE, PART)
        last = self.last.get(part)
        if last is not None:
            gap = (page - last - 1) % PART
            if gap not in (0, PART - 1):
                check(self.unsure.get(part),
                      f"part {part} denied={self.file.denied}: page {page} after {last}, and no overflow")
                self.missing += gap
        self.unsure[part] = False
        self.last[part] = page

    def check_sum(self):
        check(not self.exact or self.missing <= self.told_lost,
              f"{self.missing} events are missing, {self.told_lost} are told to be lost")

    def check_end(self):
        for part, last in self.last.items():
            wanted = self.file.progress[part] % PART
            check((last - wanted) % PART in (0, 1) or self.unsure.get(part),
                  f"part {part} denied={self.file.denied}: the last event is of page {last}, not {wanted}")


class Run:
    def __init__(self, seed):
        self.rng = random.Random(seed)
        self.counts = dict.fromkeys("events overflows lost epochs daemons disturbers writers".split(), 0)
        self.daemon = Daemon(POLICY)
        self.files = [File(False), File(True)]
        self.subscribers = [Subscriber(file, self.counts) for file in self.files for _ in range(4)]
        self.disturbers = []
        self.kills = 0

    def start(self):
        for file in self.files:
            for part in range(WRITERS):
                file.start_writer(part)
        for _ in range(3):
            self.start_disturber()

    def start_disturber(self):
        # Watched files only: what they deny besides would be told to others, too.
        self.disturbers.append(Child(disturb, self.daemon, [self.files[0].fd], self.rng.random(),
                                     keep=[self.files[0].fd]))

    def kill_something(self):
        what = self.rng.random()
        self.kills += 1
        if what < 0.2 or self.kills == 4:
            self.daemon.kill()
            self.daemon = Daemon(POLICY, directory=self.daemon.dir)
            self.counts["daemons"] += 1
        elif what < 0.6:
            self.disturbers.pop(self.rng.randrange(len(self.disturbers))).kill()
            self.start_disturber()
            self.counts["disturbers"] += 1
        else:
            file, part = self.rng.choice(self.files), self.rng.randrange(WRITERS)
            file.writers[part].kill()
            # He may have touched one page more than he says: the next one begins with that.
            file.start_writer(part)
            self.counts["writers"] += 1

    def step(self):
        for subscriber in self.subscribers:
            if not subscriber.client:
                subscriber.start(self.daemon, self.rng)
            elif time.monotonic() > subscriber.lazy_until:
                end = time.monotonic() + 0.2
                while subscriber.client and subscriber.read() and time.monotonic() < end:
                    pass
                subscriber.check_sum()
                subscriber.lazy_until = time.monotonic() + self.rng.choice((0, 0, 0.1, 1, 4))
        for file in self.files:
            file.check_moving()

    def finish(self):
        for file in self.files:
            file.stop()
        for child in self.disturbers:
            child.kill()
        for subscriber in self.subscribers:
            while subscriber.client and subscriber.read(2):
                pass
            check(subscriber.client, f"the daemon has ended the connection of one who reads: {subscriber.error}")
            subscriber.check_sum()
        return self.counts


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--minutes", type=float, default=1)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    options = parser.parse_args()
    resource.setrlimit(resource.RLIMIT_NOFILE, (16384, 16384))
    print(f"TAP version 13\n1..2\n# seed {options.seed}", flush=True)
    run = Run(options.seed)
    end = time.monotonic() + 60 * options.minutes
    run.start()
    try:
        kill_at = time.monotonic() + 1
        while time.monotonic() < end:
            run.step()
            if time.monotonic() > kill_at:
                run.kill_something()
                kill_at = time.monotonic() + run.rng.uniform(0, 2)
            time.sleep(0.01)
        # Who was disconnected by the last kill comes again.
        settle = time.monotonic() + 10
        while time.monotonic() < settle:
            run.step()
        counts = run.finish()
        for subscriber in run.subscribers:
            subscriber.check_end()
    except AssertionError as error:
        print(f"not ok 1 - every_event_is_accounted_for\n# {error}\n# {run.counts}")
        print("# " + run.daemon.log()[-2000:].replace("\n", "\n# "))
        sys.exit(1)
    print(f"ok 1 - every_event_is_accounted_for\n# {counts}")
    empty = [name for name, count in counts.items() if not count]
    print(f"{'not ok' if empty else 'ok'} 2 - all_that_was_to_happen_has_happened\n# never: {empty}")
    with run.daemon:
        pass
    sys.exit(bool(empty))


main()
