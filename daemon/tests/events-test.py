#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Subscriptions: who is told what, and that no writer waits for a subscriber. As root, in the virtual machine."""

import ctypes
import mmap
import os
import signal
import struct
import time

import wire
from harness import (ALICE, BOB, CGROUPS, Daemon, Guest, PAGE, Writer, cgroup, check, collect, enter, equal, libc,
                     main, memory, monitors_of, offsets, set_memory_max, test, wait_until)
from wire import DENIED, FAILED, OVERFLOW, PASSED, SUBSCRIBE_DENY, refused

WATCH = """
[rule administrators]
who = user:0
files = any
modes = watch deny
release = yes
queue = 16384
subscriptions = 1000
[rule own]
who = any
files = any
modes = watch deny
queue = 16384
"""


@test
def a_page_is_told_of_once_and_the_writer_goes_on():
    fd = memory()
    with Daemon(WATCH) as daemon:
        client, writer = daemon.connect(), Writer(fd)
        number = client.subscribe(fd, cookie=77)
        for page in (3, 3, 5, 3):
            writer.store(page)
        events = collect(client, 2)
        equal([(got, event["offset"], event["bytes"], event["outcome"], event["cookie"]) for got, event in events],
              [(number, page * PAGE, PAGE, PASSED, 77) for page in (3, 5)])
        equal(client.next_events(0.5), [])


@test
def write_and_truncate_are_told_too():
    fd = memory()
    with Daemon(WATCH) as daemon:
        client = daemon.connect()
        client.subscribe(fd)
        os.pwrite(fd, b"x", 2 * PAGE)
        os.ftruncate(fd, 8 * PAGE)
        events = collect(client, 9)
        equal(events[0][1]["type"], wire.WRITE)
        equal(sorted(offsets(events)), [2, *range(8, 16)])


@test
def again_ms_tells_again():
    fd = memory()
    with Daemon(WATCH) as daemon:
        once, again, writer = daemon.connect(), daemon.connect(), Writer(fd)
        again.subscribe(fd, again=50)
        events = []
        for _ in range(200):
            writer.store(1)
            events += again.next_events(0.05)
            if len(events) >= 3:
                break
        check(len(events) >= 3 and set(offsets(events)) == {1}, events)
        again.close()
        wait_until(lambda: monitors_of(fd)[wire.SYNC] == 0)
        once.subscribe(fd)
        writer.store(1)
        time.sleep(0.5)
        writer.store(1)
        equal(offsets(collect(once, 2, 1)), [1])


@test
def who_comes_and_goes_does_not_put_off_what_others_are_told_again():
    fd = memory()
    with Daemon(WATCH) as daemon:
        client, other, writer = daemon.connect(), daemon.connect(), Writer(fd)
        client.subscribe(fd, again=400)
        writer.store(1)
        equal(offsets(collect(client, 1)), [1])
        end = time.monotonic() + 20
        while time.monotonic() < end and not client.readable(0):
            other.unsubscribe(other.subscribe(fd, again=300, offset=8 * PAGE))
            writer.store(1)
            time.sleep(0.05)
        equal(offsets(collect(client, 1, 0.1)), [1])


@test
def a_subscriber_is_told_of_his_range():
    fd = memory()
    with Daemon(WATCH) as daemon:
        low, high, writer = daemon.connect(), daemon.connect(), Writer(fd)
        low.subscribe(fd, 0, 4 * PAGE)
        high.subscribe(fd, 4 * PAGE, wire.TO_END)
        equal(monitors_of(fd)[wire.SYNC], 1)
        for page in (2, 9, 3, 4):
            writer.store(page)
        equal(offsets(collect(low, 2)), [2, 3])
        equal(offsets(collect(high, 2)), [9, 4])
        equal((low.next_events(0.2), high.next_events(0.2)), ([], []))


@test
def deny_refuses_and_tells_each_time():
    fd = memory()
    with Daemon(WATCH) as daemon:
        client = daemon.connect()
        number = client.subscribe(fd, 0, 4 * PAGE, flags=SUBSCRIBE_DENY)
        for _ in range(3):
            try:
                os.pwrite(fd, b"x", PAGE)
                check(False, "it was written")
            except PermissionError:
                pass
        events = collect(client, 3)
        equal([(event["offset"], event["outcome"]) for _, event in events], [(PAGE, DENIED)] * 3)
        os.pwrite(fd, b"x", 5 * PAGE)
        client.unsubscribe(number)
        os.pwrite(fd, b"x", PAGE)


@test
def who_leaves_takes_his_denial_along_and_leaves_that_of_others():
    fd = memory()
    with Daemon(WATCH) as daemon:
        one, two, three = (daemon.connect() for _ in range(3))
        number = one.subscribe(fd, 0, 8 * PAGE, flags=SUBSCRIBE_DENY)
        two.subscribe(fd, 2 * PAGE, 2 * PAGE, flags=SUBSCRIBE_DENY)
        three.subscribe(fd, 3 * PAGE, 2 * PAGE, flags=SUBSCRIBE_DENY)
        one.unsubscribe(number)
        denied = []
        for page in range(16):
            try:
                os.pwrite(fd, b"x", page * PAGE)
            except PermissionError:
                denied.append(page)
        equal(denied, [2, 3, 4])
        two.close()
        three.close()
        wait_until(lambda: monitors_of(fd)[wire.DENY] == 0)
        os.pwrite(fd, b"x", 3 * PAGE)


@test
def the_writer_is_named_to_himself_and_to_who_may_see_all():
    fd = memory()
    with Daemon(WATCH) as daemon:
        alice, bob, root = Guest(daemon, ALICE), Guest(daemon, BOB), daemon.connect()
        for client in (alice, bob, root):
            client.subscribe(fd)
        writer = Writer(fd, uid=ALICE, gid=ALICE)
        writer.store(7)
        for client, named in ((alice, True), (bob, False), (root, True)):
            event = collect(client, 1)[0][1]
            wanted = (writer.pid, writer.pid, ALICE) if named else (0, 0, 0)
            equal((event["tid"], event["tgid"], event["uid"]), wanted)


@test
def of_64_subscribers_one_that_never_reads_loses_and_no_other():
    pages, rounds = 128, 40
    fd = memory(pages)
    with Daemon(WATCH) as daemon:
        lazy = daemon.connect()
        lazy.subscribe(fd, queue=100, again=10)
        others = [daemon.connect() for _ in range(63)]
        for client in others:
            client.subscribe(fd, queue=16384, again=10)
        writer, stored, lost = Writer(fd), 0, 0
        seen = [0] * 63
        for _ in range(rounds):
            for page in range(pages):
                writer.store(page)
            for index, client in enumerate(others):
                got = client.next_events(5)
                while got:
                    check(all(event["type"] != OVERFLOW for _, event in got), "another has lost events")
                    seen[index] += len(got)
                    got = client.next_events(0)
            if "wpfiled_events_dropped_total 0\n" not in others[0].metrics():
                break
        time.sleep(1)
        for index, client in enumerate(others):
            while got := client.next_events(0.3):
                seen[index] += len(got)
        check(len(set(seen)) == 1, f"not all have been told the same: {sorted(set(seen))}")
        check(seen[0] >= pages, "too few events")
        while got := lazy.next_events(2):
            stored += sum(event["type"] != OVERFLOW for _, event in got)
            lost += sum(event["bytes"] for _, event in got if event["type"] == OVERFLOW)
        check(lost, "the one that does not read was never overrun: the test proves nothing")
        equal(stored + lost, seen[0])


@test
def what_the_kernel_could_not_keep_is_told_with_its_number():
    path = "/proc/sys/vm/wpfile/max_queued_events"
    with open(path) as file:
        before = file.read()
    fd = memory()
    with Daemon(WATCH) as daemon:
        client = daemon.connect()
        try:
            with open(path, "w") as file:
                file.write("5")
            client.subscribe(fd, flags=SUBSCRIBE_DENY)
        finally:
            with open(path, "w") as file:
                file.write(before)
        for lost in (15, 7):
            daemon.stop()
            for _ in range(5 + lost):
                check(not try_to_write(fd), "it was written")
            os.kill(daemon.pid, signal.SIGCONT)
            events = [event for _, event in collect(client, 6)]
            equal([event["type"] for event in events], [wire.WRITE] * 5 + [OVERFLOW])
            equal(events[5]["bytes"], lost)


def try_to_write(fd):
    try:
        return os.pwrite(fd, b"x", PAGE)
    except PermissionError:
        return 0


@test
def an_overflow_stands_where_the_events_were_lost():
    """Who asks for one event at a time, and does not read, gets the first ones, how many were lost, then new ones."""
    fd = memory(8192)
    with Daemon(WATCH) as daemon:
        client, writer = daemon.connect(), Writer(fd)
        client.subscribe(fd, queue=1)
        for page in range(2000):
            writer.store(page)
        events = []
        while got := client.next_events(2):
            events += got
        kinds = [event["type"] == OVERFLOW for _, event in events]
        if not any(kinds):
            check(False, "it was never overrun")
        page = 0
        for _, event in events:
            if event["type"] == OVERFLOW:
                page += event["bytes"]
            else:
                equal(event["offset"] // PAGE, page)
                page += 1
        equal(page, 2000)


@test
def all_are_told_that_nothing_is_protected_any_more():
    """What a monitor needs is charged to where its maker was; there is no memory left."""
    fd = memory()
    os.ftruncate(fd, 1 << 31)
    with cgroup() as group, Daemon(WATCH) as daemon:
        enter(group, daemon.pid)
        whole, page, again = [daemon.connect() for _ in range(3)]
        whole.subscribe(fd)
        page.subscribe(fd, PAGE, PAGE)
        again.subscribe(fd, 2 * PAGE, PAGE, again=100)
        enter(CGROUPS, daemon.pid)
        set_memory_max(group, "0")
        # Far apart, so that each needs memory for itself.
        writer, told = Writer(fd), []
        for place in range(1, 1000):
            writer.store(place * 512)
            told += whole.next_events(0)
            if any(event["type"] == FAILED for _, event in told):
                break
        told += collect(whole, 1000, 2)
        check(all(event["bytes"] == wire.TO_END for _, event in told if event["type"] == FAILED), "a page is told of")
        check(any(event["type"] == FAILED for _, event in told), "it is not told")
        # Nor is there memory for events of single pages: OVERFLOW.
        told = [event["type"] for _, event in collect(page, 1000, 2)]
        equal(set(told) - {OVERFLOW}, {FAILED})
        daemon.wait_for("has lost what was protected")
        check("\nwpfiled_losses_total " in whole.metrics(), "there is no count")
        check("\nwpfiled_losses_total 0\n" not in whole.metrics(), "it is not counted")
        set_memory_max(group, "max")
        wait_until(lambda: is_told(writer, again, 2))
        writer.store(1)
        equal([event for _, event in page.next_events(1) if event["type"] == wire.STORE], [])


def pass_by(fd, page):
    """The kernel stores into memory of ours, and cannot be made to wait."""
    with mmap.mmap(fd, os.fstat(fd).st_size) as area:
        byte, memory_of = ctypes.create_string_buffer(b"P", 1), ctypes.c_char.from_buffer(area)
        local = struct.pack("=QQ", ctypes.addressof(byte), 1)
        remote = struct.pack("=QQ", ctypes.addressof(memory_of) + page * PAGE, 1)
        one, none = ctypes.c_ulong(1), ctypes.c_ulong(0)
        equal(libc.process_vm_writev(os.getpid(), local, one, remote, one, none), 1)
        del memory_of


@test
def content_that_is_lost_is_told_to_nobody():
    """Each page that passes was to be kept, and there is a limit of one page."""
    fd = memory()
    with Daemon(WATCH) as daemon:
        client = daemon.connect()
        client.subscribe(fd)
        for page in (3, 4, 5):
            pass_by(fd, page)
        events = collect(client, 1000, 2)
        equal([(event["type"], event["offset"] // PAGE) for _, event in events],
              [(wire.STORE, page) for page in (3, 4, 5)])
        check("\nwpfiled_losses_total 0\n" in client.metrics(), "it is taken for a loss of all")


def is_told(writer, client, number):
    writer.store(number)
    return number in [event["offset"] // PAGE for _, event in client.next_events(0.2) if event["type"] == wire.STORE]


@test
def policy_may_drop_who_is_slow():
    fd = memory(8192)
    with Daemon("[rule r]\nwho = any\nfiles = any\nmodes = watch\nslow = drop\n") as daemon:
        slow, other, writer = daemon.connect(), daemon.connect(), Writer(fd)
        slow.subscribe(fd, queue=10)
        other.subscribe(memory())
        for page in range(2000):
            writer.store(page)
        # Though he has read nothing by now.
        daemon.wait_for("is too slow")
        check(wire.is_gone(slow), "he is still there")
        check(other.metrics(), "another is gone, too")
        wait_until(lambda: monitors_of(fd)[wire.SYNC] == 0)


@test
def a_writer_never_waits_for_a_subscriber_or_for_the_daemon_longer_than_policy_says():
    fd = memory()
    with Daemon("[daemon]\nwait_limit_ms = 3000\n" + WATCH) as daemon:
        client, writer = daemon.connect(), Writer(fd)
        client.subscribe(fd)
        daemon.stop()
        begin = time.monotonic()
        writer.begin(0)
        check(not writer.has_ended(0.1), "nobody waits for the daemon: the test proves nothing")
        check(writer.has_ended(20), "the writer waits for ever")
        # Without what policy says it would be the 10 seconds of the system.
        check(time.monotonic() - begin < 9)
        os.kill(daemon.pid, signal.SIGCONT)
        equal(offsets(collect(client, 1)), [0])


@test
def a_writer_goes_on_when_the_daemon_is_killed():
    fd = memory()
    with Daemon("[daemon]\nwait_limit_ms = 10000\n" + WATCH) as daemon:
        client, writer = daemon.connect(), Writer(fd)
        client.subscribe(fd)
        daemon.stop()
        writer.begin(0)
        check(not writer.has_ended(0.2), "nobody waits for the daemon: the test proves nothing")
        begin = time.monotonic()
        daemon.kill()
        check(writer.has_ended(20) and time.monotonic() - begin < 5, "the writer is not let go")
        check(wire.is_gone(client))


@test
def a_subscription_ends_with_its_client():
    fd = memory()
    with Daemon(WATCH) as daemon:
        guest = Guest(daemon, ALICE)
        guest.subscribe(fd)
        equal(monitors_of(fd)[wire.SYNC], 1)
        guest.close()
        wait_until(lambda: monitors_of(fd)[wire.SYNC] == 0)


@test
def what_cannot_be_subscribed_to_leaves_nothing_behind():
    fd = memory()
    with Daemon(WATCH) as daemon:
        client = daemon.connect()
        equal(refused(client.subscribe, fd, 1, PAGE), "EINVAL")
        equal(refused(client.subscribe, fd, 0, 0), "EINVAL")
        equal(refused(client.subscribe, fd, 0, PAGE, flags=2), "EINVAL")
        equal(refused(client.subscribe, fd, 1 << 63, PAGE), "EOVERFLOW")
        equal(monitors_of(fd), [0] * 4)
        check("wpfiled_subscriptions 0\n" in client.metrics())


main()
