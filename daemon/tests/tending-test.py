#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Files whose inode lock somebody holds for as long as he likes: he holds up nobody else. As root, in the virtual machine."""

import ctypes
import fcntl
import mmap
import os
import signal
import struct
import time

import wire
from harness import (ALICE, BOB, OWN, PAGE, QUICK, Asked, Child, Daemon, Guest, Writer, check, collect, equal,
                     is_denied, libc, main, memory, monitors_of, offsets, test, wait_until)
from wire import CAPTURE, DENY, SNAPSHOT, SUBSCRIBE, SUBSCRIBE_DENY, SYNC, UNSUBSCRIBE, message, refused

PR_SET_PDEATHSIG = 1
SYS_USERFAULTFD = 323
UFFDIO_API, UFFDIO_REGISTER = 0xC018AA3F, 0xC020AA00
REGISTER_MISSING = 1
WATCH = "[rule r]\nwho = any\nfiles = any\nmodes = watch deny\n"
LAST = 15  # page, of those that memory() has, which is used to hold the lock


# --- who holds a lock ---


def hold(sock, fd):
    """write() takes the inode lock, and then wants a page that nobody fills."""
    libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    area = mmap.mmap(-1, PAGE)
    address = ctypes.addressof(ctypes.c_char.from_buffer(area))
    uffd = libc.syscall(SYS_USERFAULTFD, os.O_CLOEXEC)
    check(uffd >= 0, f"userfaultfd: {os.strerror(ctypes.get_errno())}")
    fcntl.ioctl(uffd, UFFDIO_API, struct.pack("=QQQ", 0xAA, 0, 0))
    fcntl.ioctl(uffd, UFFDIO_REGISTER, struct.pack("=QQQQ", address, PAGE, REGISTER_MISSING, 0))
    sock.send(b"ready")
    libc.pwrite(fd, ctypes.c_void_p(address), PAGE, ctypes.c_long(LAST * PAGE))


def probe(_sock, fd):
    libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    os.pwrite(fd, b"x", LAST * PAGE)


class Holder(Child):
    """Holds the inode lock of a file, which others are seen to wait for, until it is killed."""

    def __init__(self, fd):
        super().__init__(hold, fd, keep=[fd])
        equal(self.sock.recv(5), b"ready")
        time.sleep(0.1)
        self.probe = Child(probe, fd, keep=[fd])
        time.sleep(0.3)
        equal(os.waitpid(self.probe.pid, os.WNOHANG)[0], 0)

    def let_go(self):
        self.kill()
        equal(self.probe.wait(), 0)


# --- snapshots ---


def ask_snapshot(client, fd, limit=0):
    client.send(message(SNAPSHOT, wire.SNAPSHOT_ARGS.pack(wire.SNAPSHOT_ARGS.size, 0, 0, limit, 0, 0, 0), 7), [fd])


@test
def a_snapshot_waits_for_who_writes_the_file_and_nobody_else_does():
    fd = memory(uid=ALICE)
    with Asked(OWN) as daemon:
        alice, again = Guest(daemon, ALICE), Guest(daemon, ALICE)
        holder = Holder(fd)
        ask_snapshot(alice, fd, PAGE)
        alice.send(message(wire.METRICS, serial=8))
        daemon.is_quick_for(1)
        again.timeout = QUICK
        os.close(again.snapshot(memory(uid=ALICE), PAGE)[0])
        check(not alice.readable(0), "he does not wait: the test proves nothing")
        holder.let_go()
        kind, serial, result, _, fds = alice.receive(QUICK)
        equal((kind, serial, result, len(fds)), (SNAPSHOT, 7, 0, 1))
        equal(os.pread(fds[0], 2, 0), b"\xaa\xaa")
        equal(alice.receive(QUICK)[:3], (wire.METRICS, 8, 0))
        equal(daemon.log().count("type=snapshot"), 2)


@test
def what_is_being_made_counts():
    """Two at a time, over two connections, where there is room for one."""
    for policy in ("monitors = 1\n", "captured = 1M\n"):
        fd = memory(uid=ALICE)
        with Asked(OWN + policy) as daemon:
            alice, again = Guest(daemon, ALICE), Guest(daemon, ALICE)
            holder = Holder(fd)
            ask_snapshot(alice, fd, PAGE)
            daemon.is_quick_for(0.2)
            again.timeout = QUICK
            equal(refused(again.snapshot, memory(uid=ALICE), PAGE), "EDQUOT")
            equal(refused(again.monitor, memory(uid=ALICE), CAPTURE, limit=PAGE), "EDQUOT")
            holder.let_go()
            snapshot, = alice.receive(QUICK)[4]
            equal(refused(again.snapshot, fd, PAGE), "EDQUOT")
            os.close(snapshot)
            # A thread closes the daemon's own, which only her next request waits for.
            wait_until(lambda: refused(again.snapshot, fd, PAGE) == "granted", QUICK)


@test
def who_leaves_before_his_snapshot_is_made_does_not_get_it():
    fd = memory(uid=ALICE)
    with Asked(OWN + "monitors = 1\n") as daemon:
        alice = Guest(daemon, ALICE)
        holder = Holder(fd)
        ask_snapshot(alice, fd, PAGE)
        daemon.is_quick_for(0.2)
        alice.close()
        daemon.wait_for("EPIPE")
        check(daemon.has("wpfiled_clients 2"), "his place is free again")
        daemon.is_quick_for(1)
        holder.let_go()
        wait_until(lambda: daemon.has("wpfiled_clients 1"), QUICK)
        equal(monitors_of(fd), [0] * 4)
        equal(refused(Guest(daemon, ALICE).snapshot, fd, PAGE), "granted")


# --- subscriptions ---


def ask_subscription(client, fd, offset=0, pages=8, flags=0, again=0):
    """Not of the page with which the lock is held."""
    body = wire.SUBSCRIPTION.pack(offset * PAGE, pages * PAGE, flags, again, 0, 0, 0)
    client.send(message(SUBSCRIBE, body, 7), [fd])


def subscribe(client, fd, offset=0, pages=8, **kwargs):
    return client.subscribe(fd, offset * PAGE, pages * PAGE, **kwargs)


class Others:
    """Somebody who watches another file, and who writes it."""

    def __init__(self, daemon):
        self.daemon = daemon
        self.client, self.fd = daemon.connect(), memory()
        self.writer, self.page = Writer(self.fd), 0
        self.client.subscribe(self.fd)

    def are_quick(self):
        self.daemon.is_quick_for(1)
        for _ in range(4):
            self.writer.store(self.page, QUICK)
            equal(offsets(collect(self.client, 1, QUICK)), [self.page])
            self.page += 1
        self.client.timeout = QUICK
        self.client.unsubscribe(self.client.subscribe(memory()))


@test
def a_subscription_waits_for_who_writes_the_file_and_nobody_else_does():
    fd = memory()
    with Asked(WATCH) as daemon:
        others, alice, again = Others(daemon), Guest(daemon, ALICE), Guest(daemon, ALICE)
        holder = Holder(fd)
        for client in (alice, again):
            ask_subscription(client, fd)
        others.are_quick()
        check(not alice.readable(0) and not again.readable(0), "he does not wait: the test proves nothing")
        holder.let_go()
        for client in (alice, again):
            equal(client.receive(QUICK)[:3], (SUBSCRIBE, 7, 0))
        Writer(fd).store(1)
        for client in (alice, again):
            equal(offsets(collect(client, 1, QUICK)), [1])


@test
def who_waits_is_told_nothing_before_his_number():
    fd = memory()
    with Asked(WATCH) as daemon:
        alice, again = Guest(daemon, ALICE), Guest(daemon, ALICE)
        subscribe(alice, fd)
        holder = Holder(fd)
        ask_subscription(again, fd)
        daemon.is_quick_for(0.2)
        Writer(fd).store(1, QUICK)
        equal(offsets(collect(alice, 1, QUICK)), [1])
        daemon.is_quick_for(0.2)
        holder.let_go()
        equal(again.receive(QUICK)[:3], (SUBSCRIBE, 7, 0))
        equal(offsets(collect(again, 1, QUICK)), [1])


@test
def to_protect_again_waits_for_who_writes_the_file_and_nobody_else_does():
    fd = memory()
    with Asked(WATCH) as daemon:
        others, alice, writer = Others(daemon), Guest(daemon, ALICE), Writer(fd)
        subscribe(alice, fd, again=50)
        holder = Holder(fd)
        writer.store(1)
        equal(offsets(collect(alice, 1, QUICK)), [1])
        time.sleep(0.5)
        others.are_quick()
        writer.store(1, QUICK)
        check(not alice.next_events(0.2), "it is protected again: the test proves nothing")
        # Nor does who writes what is still protected.
        writer.store(2, QUICK)
        equal(offsets(collect(alice, 1, QUICK)), [2])
        ask_subscription(alice, fd)
        others.are_quick()
        check(not alice.readable(0), "he does not wait")
        holder.let_go()
        equal(alice.receive(QUICK)[:3], (SUBSCRIBE, 7, 0))
        writer.store(1)
        equal(offsets(collect(alice, 2, QUICK)), [1, 1])


@test
def who_leaves_waits_for_who_writes_the_file_and_nobody_else_does():
    fd = memory()
    with Asked(WATCH) as daemon:
        others, alice, again = Others(daemon), Guest(daemon, ALICE), Guest(daemon, ALICE)
        number = subscribe(alice, fd, 0, 2, flags=SUBSCRIBE_DENY)
        subscribe(again, fd, 2, 2, flags=SUBSCRIBE_DENY)
        subscribe(others.client, fd, 4, 2, flags=SUBSCRIBE_DENY)
        holder = Holder(fd)
        alice.send(message(UNSUBSCRIBE, struct.pack("=Q", number), 7))
        again.close()
        others.are_quick()
        check(not alice.readable(0), "he does not wait: the test proves nothing")
        check(daemon.has("wpfiled_clients 3"), "who has gone has not")
        holder.let_go()
        equal(alice.receive(QUICK)[:3], (UNSUBSCRIBE, 7, 0))
        check(not is_denied(fd, 1), "it is denied for nobody")
        wait_until(lambda: not is_denied(fd, 3), QUICK)
        check(is_denied(fd, 5), "another has lost his")


@test
def who_goes_while_he_waits_is_gone_and_pays_until_it_is_done():
    fd, other = memory(), memory()
    with Asked(WATCH + "subscriptions = 1\n") as daemon:
        alice, again = Guest(daemon, ALICE), Guest(daemon, ALICE)
        again.timeout = QUICK
        holder = Holder(fd)
        ask_subscription(alice, fd)
        daemon.is_quick_for(0.2)
        alice.close()
        daemon.wait_for("EPIPE")
        wait_until(lambda: daemon.has("wpfiled_clients 2"), QUICK)
        check(daemon.has("wpfiled_subscriptions 0"), "he is still subscribed")
        equal(refused(again.subscribe, other), "EDQUOT")
        again.close()
        again = Guest(daemon, ALICE)
        equal(refused(again.subscribe, other), "EDQUOT")
        # Somebody else's it is then.
        bob = Guest(daemon, BOB)
        ask_subscription(bob, fd)
        wait_until(lambda: refused(again.subscribe, other) == "granted", QUICK)
        check(daemon.has("wpfiled_watches 2"), "it is watched twice")
        holder.let_go()
        equal(bob.receive(QUICK)[:3], (SUBSCRIBE, 7, 0))
        bob.close()
        wait_until(lambda: monitors_of(fd) == [0] * 4, QUICK)


@test
def a_watch_that_nobody_is_left_of_ends_when_it_can():
    for flags, mode in ((0, SYNC), (SUBSCRIBE_DENY, DENY)):
        fd = memory()
        with Asked(WATCH) as daemon:
            alice, again = Guest(daemon, ALICE), Guest(daemon, ALICE)
            number = subscribe(alice, fd, flags=flags)
            holder = Holder(fd)
            ask_subscription(again, fd, 8, 2, flags)
            daemon.is_quick_for(0.2)
            again.close()
            alice.send(message(UNSUBSCRIBE, struct.pack("=Q", number), 7))
            daemon.is_quick_for(1)
            equal(monitors_of(fd)[mode], 1)
            holder.let_go()
            equal(alice.receive(QUICK)[:3], (UNSUBSCRIBE, 7, 0))
            equal(monitors_of(fd)[mode], 0)
            check(daemon.has("wpfiled_watches 0"))


@test
def the_daemon_ends_while_files_are_waited_for():
    one, two = memory(uid=ALICE), memory()
    with Asked(OWN + WATCH.replace("any", "user:0", 1)) as daemon:
        holders = [Holder(fd) for fd in (one, two)]
        alice, client = Guest(daemon, ALICE), daemon.connect()
        ask_snapshot(alice, one, PAGE)
        ask_subscription(client, two)
        daemon.is_quick_for(0.5)
        begin = time.monotonic()
        equal(daemon.kill(signal.SIGTERM), 0)
        check(time.monotonic() - begin < QUICK, "it waits")
        for holder in holders:
            holder.let_go()
        equal(monitors_of(two), [0] * 4)


main()
