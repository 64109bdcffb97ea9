#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Clients who pass what cannot be closed at once: nobody else waits for that. As root, in the virtual machine."""

import contextlib
import ctypes
import errno
import fcntl
import functools
import os
import resource
import signal
import socket
import struct
import time

import wire
from harness import (ALICE, OWN, PAGE, QUICK, Asked, Child, Guest, Skip, check, equal, libc, main, memory, monitors_of,
                     test, wait_until)
from wire import METRICS, QUERY, message, refused

SIOCSIFFLAGS = 0x8914
LINGER = 60  # seconds
MOUNT = "/tmp/fuse"
QUERY_BODY = wire.QUERY_ARGS.pack(wire.QUERY_ARGS.size, *[0] * 13)
FEW = OWN + "[daemon]\nuser_connections = 6\n"

# --- a socket that lingers ---


def lingering(seconds=LINGER):
    """A TCP socket whose last close waits so long, unless a signal comes, and who keeps it from ending."""
    with socket.socket() as sock:
        fcntl.ioctl(sock, SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", 0x41))
    with socket.socket() as server:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, PAGE)
        server.bind(("127.0.0.1", 0))
        server.listen()
        mine = socket.create_connection(server.getsockname())
        peer, _ = server.accept()
    mine.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, PAGE)
    mine.setblocking(False)
    with contextlib.suppress(BlockingIOError):
        while True:
            mine.send(b"x" * 65536)
    mine.setblocking(True)
    mine.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, seconds))
    return mine, peer


@functools.cache
def sockets_linger():
    mine, peer = lingering(2)
    begin = time.monotonic()
    mine.close()
    peer.close()
    return time.monotonic() - begin > 1


class Lingering:
    """Such sockets, until the daemon has the last of them."""

    def __init__(self, count):
        if not sockets_linger():
            raise Skip("the close of a socket does not linger here")
        pairs = [lingering() for _ in range(count)]
        self.socks = [mine for mine, _ in pairs]
        self.peers = [peer for _, peer in pairs]
        self.fds = [sock.fileno() for sock in self.socks]

    def are_closed(self):
        return not any(is_connected(peer) for peer in self.peers)


def is_connected(peer):
    """The other end has not been closed, nor is its close waiting."""
    theirs, ours = peer.getpeername()[1], peer.getsockname()[1]
    with open("/proc/net/tcp") as file:
        return f" 0100007F:{theirs:04X} 0100007F:{ours:04X} 01 " in file.read()


class Watched(Asked):
    """It is to be as it was in the end."""

    patience = LINGER

    def __enter__(self):
        super().__enter__()
        check(self.has("wpfiled_clients 1"))
        self.before = self.count()
        return self

    @contextlib.contextmanager
    def standing_still(self, hostile):
        """What is sent meanwhile is then nobody's but the daemon's."""
        self.stop()
        try:
            yield
            for sock in hostile.socks:
                sock.close()
        finally:
            self.process.send_signal(signal.SIGCONT)

    def limit_numbers(self, limit):
        resource.prlimit(self.pid, resource.RLIMIT_NOFILE, (limit, 40))

    def count(self):
        return [len(os.listdir(f"/proc/{self.pid}/{name}")) for name in ("fd", "task")]

    def is_as_before(self):
        self.is_quick()
        wait_until(lambda: self.has("wpfiled_clients 1"))
        wait_until(lambda: self.count() == self.before, LINGER // 2)


def pass_each(daemon, hostile, *serials):
    """Clients, of whom each passes one of the sockets with each of these requests."""
    clients = [Guest(daemon, ALICE) for _ in hostile.fds]
    with daemon.standing_still(hostile):
        for client, fd in zip(clients, hostile.fds):
            for serial in serials:
                client.send(message(QUERY, QUERY_BODY, serial), [fd])
    return clients


def leave(*clients):
    """They have been told to."""
    for client in clients:
        check(wire.is_gone(client, QUICK), "he is not told")
        client.close()


@test
def what_comes_with_a_bad_message_is_closed_by_nobody_else():
    """More than he may have connections: each is dropped at once."""
    with Watched(FEW) as daemon:
        for _ in range(20):
            hostile = Lingering(1)
            client = Guest(daemon, ALICE)
            with daemon.standing_still(hostile):
                client.send(message(METRICS), hostile.fds)
            leave(client)
            daemon.is_quick()
            wait_until(hostile.are_closed, QUICK)
            wait_until(lambda: not daemon.has("wpfiled_clients 6"))
        daemon.is_as_before()


@test
def what_comes_with_a_request_is_closed_by_nobody_else():
    """He himself goes on when that is done."""
    with Watched(FEW) as daemon:
        hostile = Lingering(3)
        clients = pass_each(daemon, hostile, 7)
        for client in clients:
            equal(client.receive(QUICK)[1:3], (7, -errno.ENOTTY))
        daemon.is_quick()
        for client in clients:
            client.timeout = QUICK
            check(client.metrics())
            client.close()
        check(hostile.are_closed())
        daemon.is_as_before()


@test
def what_no_request_has_is_dropped_by_nobody_else():
    with Watched(FEW) as daemon:
        hostile = Lingering(10)
        client = Guest(daemon, ALICE)
        with daemon.standing_still(hostile):
            client.send(message(QUERY, QUERY_BODY), hostile.fds)
        leave(client)
        daemon.is_quick_for(1)
        daemon.is_as_before()
        check(hostile.are_closed())


@test
def what_was_never_read_is_closed_by_nobody_else():
    with Watched(FEW) as daemon:
        hostile = Lingering(8)
        clients = [Guest(daemon, ALICE) for _ in range(4)]
        with daemon.standing_still(hostile):
            for number, client in enumerate(clients):
                client.send(b"x")
                for fd in hostile.fds[2 * number:2 * number + 2]:
                    client.send(message(QUERY, QUERY_BODY), [fd])
        leave(*clients)
        daemon.is_quick_for(1)
        daemon.is_as_before()
        check(hostile.are_closed())


def come_and_go(daemon, fd):
    client = wire.Client.connect(daemon.socket, greet=False)
    client.send(message(QUERY, QUERY_BODY), [fd])
    client.close()


@test
def who_is_refused_is_closed_by_nobody_else():
    """More at once than the daemon closes at once."""
    with Watched(OWN + "[daemon]\nconnections = 1\n") as daemon:
        hostile = Lingering(100)
        with daemon.standing_still(hostile):
            for fd in hostile.fds:
                come_and_go(daemon, fd)
        daemon.is_quick_for(2)
        wait_until(lambda: daemon.has("wpfiled_connections_refused_total 100"))
        daemon.is_as_before()
        check(hostile.are_closed())
        check(wire.is_gone(wire.Client.connect(daemon.socket, greet=False), QUICK), "nobody is refused any more")


@test
def who_is_turned_away_is_closed_by_nobody_else():
    """Without descriptors there is one to give up, which comes back."""
    with Watched(OWN, nofile=40) as daemon:
        hostile = Lingering(5)
        with daemon.standing_still(hostile):
            for fd in hostile.fds:
                come_and_go(daemon, fd)
            daemon.limit_numbers(daemon.before[0])
        daemon.is_quick_for(2)
        wait_until(hostile.are_closed)
        check("no more descriptors" in daemon.log())
        daemon.limit_numbers(40)
        daemon.is_as_before()
        check(daemon.connect().metrics())


@test
def what_finds_no_number_is_dropped_by_nobody_else():
    with Watched(FEW, nofile=40) as daemon:
        hostile = Lingering(1)
        client = Guest(daemon, ALICE)
        with daemon.standing_still(hostile):
            client.send(message(QUERY, QUERY_BODY, 7), hostile.fds)
            daemon.limit_numbers(3)
        equal(client.receive(QUICK)[1:3], (7, -errno.EMFILE))
        client.timeout = QUICK
        equal(refused(client.unsubscribe, 1 << 40), "ENOENT")
        check(hostile.are_closed())
        daemon.limit_numbers(40)
        client.close()
        daemon.is_as_before()


# --- a file whose server does not answer ---


FUSE_IN = struct.Struct("=IIQQIIII")
ATTR = struct.pack("=QQQQQQIIIIIIIIII", 2, PAGE, 8, 0, 0, 0, 0, 0, 0, 0o100666, 1, 0, 0, 0, PAGE, 0)
ROOT_ATTR = struct.pack("=QQQQQQIIIIIIIIII", 1, 0, 0, 0, 0, 0, 0, 0, 0, 0o40777, 1, 0, 0, 0, PAGE, 0)
LOOKUP, FORGET, GETATTR, OPEN, RELEASE, FLUSH, INIT, INTERRUPT = 1, 2, 3, 14, 18, 25, 26, 36
ENTRY = struct.pack("=QQQQII", 2, 0, 60, 60, 0, 0) + ATTR


def answer_fuse(kind, node):
    """What is said to a request; None: nothing."""
    if kind == INIT:
        return struct.pack("=IIIIHHIIHHI", 7, 31, 65536, 0, 0, 0, 65536, 1, 0, 0, 0) + b"\0" * 28
    if kind == LOOKUP:
        return ENTRY
    if kind == GETATTR:
        return struct.pack("=QII", 60, 0, 0) + (ROOT_ATTR if node == 1 else ATTR)
    if kind in (OPEN, RELEASE):
        return struct.pack("=QII", 1, 0, 0) if kind == OPEN else b""
    return None if kind in (FORGET, INTERRUPT) else 0 if kind == FLUSH else -errno.ENOSYS


def serve_fuse(sock, fuse, pid):
    while True:
        request = os.read(fuse, 1 << 18)
        _, kind, unique, node, _, _, tid, _ = FUSE_IN.unpack_from(request)
        if kind == FLUSH and os.path.exists(f"/proc/{pid}/task/{tid}"):
            sock.send(b"flush")
            continue
        body = answer_fuse(kind, node)
        if isinstance(body, int):
            os.write(fuse, struct.pack("=IiQ", 16, body, unique))
        elif body is not None:
            os.write(fuse, struct.pack("=IiQ", 16 + len(body), 0, unique) + body)


class SilentServer(Child):
    """Serves a file, but does not let a process close it. That ends when the server does."""

    def __init__(self, pid):
        if not os.path.exists("/dev/fuse"):
            raise Skip("no /dev/fuse: this kernel has not CONFIG_FUSE_FS")
        os.makedirs(MOUNT, exist_ok=True)
        fuse = os.open("/dev/fuse", os.O_RDWR | os.O_CLOEXEC)
        options = f"fd={fuse},rootmode=40777,user_id=0,group_id=0,allow_other".encode()
        check(libc.mount(b"test", MOUNT.encode(), b"fuse", 0, options) == 0,
              f"mount: {os.strerror(ctypes.get_errno())}")
        super().__init__(serve_fuse, fuse, pid, keep=[fuse])
        os.close(fuse)
        self.file = os.open(MOUNT + "/file", os.O_RDWR | os.O_CLOEXEC)

    def wait_for_flushes(self, count):
        self.sock.settimeout(QUICK)
        for _ in range(count):
            equal(self.sock.recv(16), b"flush")

    def end(self):
        self.kill()
        with contextlib.suppress(OSError):
            os.close(self.file)
        libc.umount2(MOUNT.encode(), 2)


@test
def who_passes_a_file_of_a_silent_server_waits_for_it_alone():
    """His connections count until the server ends, and are as many as he may have."""
    with Watched(FEW) as daemon:
        server = SilentServer(daemon.pid)
        try:
            clients = [Guest(daemon, ALICE) for _ in range(6)]
            for client in clients[:5]:
                client.send(message(QUERY, QUERY_BODY, 7), [server.file])
                equal(client.receive(QUICK)[1:3], (7, -errno.ENOTTY))
                daemon.is_quick()
            clients[5].send(message(METRICS), [server.file])
            check(wire.is_gone(clients[5], QUICK), "who is dropped is not told")
            server.wait_for_flushes(6)
            clients[0].send(message(METRICS, serial=8))
            check(not clients[0].readable(1), "he does not wait")
            for client in clients:
                client.close()
            wait_until(lambda: daemon.has("wpfiled_clients 7"), 1)
            daemon.is_quick_for(2)
            check(daemon.has("wpfiled_clients 7"), "his places are free again")
            check(wire.is_gone(Guest(daemon, ALICE, greet=False), QUICK), "he may come again")
            # Each has a thread; one was there before, and may be one of them.
            check(daemon.count()[1] - daemon.before[1] in (5, 6), f"{daemon.count()[1]} threads")
        finally:
            server.end()
        daemon.is_as_before()
        equal(refused(Guest(daemon, ALICE).query, memory(uid=ALICE)), "granted")


@test
def who_has_gone_denies_nothing_while_his_file_is_closed():
    fd = memory(uid=ALICE)
    with Watched("[rule own]\nwho = any\nfiles = own\nmodes = watch deny\n") as daemon:
        server = SilentServer(daemon.pid)
        try:
            client = Guest(daemon, ALICE)
            client.subscribe(fd, flags=wire.SUBSCRIBE_DENY)
            equal(monitors_of(fd)[wire.DENY], 1)
            client.send(message(QUERY, QUERY_BODY, 7), [server.file])
            server.wait_for_flushes(1)
            client.close()
            wait_until(lambda: monitors_of(fd)[wire.DENY] == 0, QUICK)
            check(daemon.has("wpfiled_clients 2"), "it was closed: the test proves nothing")
        finally:
            server.end()
        daemon.is_as_before()


@test
def the_daemon_ends_while_something_lingers():
    with Watched(FEW) as daemon:
        hostile = Lingering(3)
        clients = pass_each(daemon, hostile, 7, 8)
        begin = time.monotonic()
        equal(daemon.kill(signal.SIGTERM), 0)
        check(time.monotonic() - begin < QUICK, "it waits")
        for client in clients:
            check(wire.is_gone(client, QUICK), "they are not told")


main()
