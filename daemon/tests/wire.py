# SPDX-License-Identifier: GPL-2.0-or-later
"""The wire format of libwpfile/src/wire.h, spoken directly, so that it can be spoken badly."""

import array
import errno
import os
import select
import socket
import struct

HELLO, QUERY, MONITOR, SNAPSHOT, SUBSCRIBE, UNSUBSCRIBE, LIST, RELEASE, METRICS, EVENTS = range(1, 11)
TRACK, CAPTURE, SYNC, DENY = range(4)
FAILED, OVERFLOW, STORE, WRITE = 1, 2, 3, 4
PASSED, WAITING, DENIED = range(3)
SUBSCRIBE_DENY = 1
TO_END = (1 << 64) - 1
PAGE = 4096

HEADER = struct.Struct("=IHHIi")
MONITOR_ARGS = struct.Struct("=IIQIIQIIQ")
SNAPSHOT_ARGS = struct.Struct("=IIQQQQQ")
QUERY_ARGS = struct.Struct("=IIQQIIIIIIIIII")
SUBSCRIPTION = struct.Struct("=QQIIIIQ")
EVENT = struct.Struct("=IIIIQQQQIIQ")
HOLDING = struct.Struct("=QQIIIIIIQQ")
LIST_HEAD = struct.Struct("=QII")

EVENT_FIELDS = "length type outcome tid id offset bytes time_ns tgid uid cookie".split()
HOLDING_FIELDS = "id inode dev_major dev_minor uid pid mode subscribers capture_limit overflows".split()


def message(kind, body=b"", serial=1, size=None, reserved=0, result=0):
    return HEADER.pack(HEADER.size + len(body) if size is None else size, kind, reserved, serial, result) + body


class Gone(Exception):
    """The daemon has ended the connection."""


class Refused(OSError):
    """The result of an answer."""


class Client:
    def __init__(self, sock, timeout=30):
        self.sock = sock
        self.timeout = timeout
        self.serial = 0
        self.events = []  # (subscription, event), that came while an answer was waited for

    @classmethod
    def connect(cls, path, greet=True):
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_CLOEXEC)
        sock.connect(path)
        client = cls(sock)
        if greet:
            client.hello()
        return client

    def close(self):
        self.sock.close()

    def send(self, data, fds=()):
        rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else []
        try:
            self.sock.sendmsg([data], rights, socket.MSG_NOSIGNAL)
        except (BrokenPipeError, ConnectionResetError):
            raise Gone from None

    def readable(self, timeout):
        poll = select.poll()
        poll.register(self.sock, select.POLLIN)
        return bool(poll.poll(timeout * 1000))

    def receive(self, timeout=None):
        """(kind, serial, result, body, fds)"""
        if not self.readable(self.timeout if timeout is None else timeout):
            raise TimeoutError("nothing came")
        try:
            data, ancillary, flags, _ = self.sock.recvmsg(65536, socket.CMSG_SPACE(4 * 16), socket.MSG_CMSG_CLOEXEC)
        except ConnectionResetError:
            raise Gone from None
        if not data:
            raise Gone
        assert not flags & (socket.MSG_TRUNC | socket.MSG_CTRUNC), flags
        fds = array.array("i")
        for _, _, payload in ancillary:
            fds.frombytes(payload)
        size, kind, reserved, serial, result = HEADER.unpack_from(data)
        assert size == len(data) and not reserved, (size, len(data), reserved)
        return kind, serial, result, data[HEADER.size:], list(fds)

    def answer(self, kind, serial):
        while True:
            got, number, result, body, fds = self.receive()
            if got == EVENTS:
                self.keep(body)
                continue
            assert (got, number) == (kind, serial), (got, number, kind, serial)
            if result:
                assert not body and not fds
                raise Refused(-result, os.strerror(-result))
            return body, fds

    def ask(self, kind, body=b"", fds=()):
        self.serial += 1
        self.send(message(kind, body, self.serial), fds)
        return self.answer(kind, self.serial)

    # --- requests ---

    def hello(self, version=1):
        body, _ = self.ask(HELLO, struct.pack("=II", version, 0))
        return struct.unpack("=II", body)[0]

    def query(self, fd):
        body, _ = self.ask(QUERY, QUERY_ARGS.pack(QUERY_ARGS.size, *[0] * 13), [fd])
        return QUERY_ARGS.unpack(body)

    def monitor(self, fd, mode=TRACK, flags=0, wait=0, limit=0, queue=0, cookie=0):
        args = MONITOR_ARGS.pack(MONITOR_ARGS.size, flags, 0, mode, wait, limit, queue, 0, cookie)
        return self.ask(MONITOR, args, [fd])[1][0]

    def snapshot(self, fd, limit=0):
        """(descriptor, capture limit)"""
        body, fds = self.ask(SNAPSHOT, SNAPSHOT_ARGS.pack(SNAPSHOT_ARGS.size, 0, 0, limit, 0, 0, 0), [fd])
        return fds[0], SNAPSHOT_ARGS.unpack(body)[3]

    def subscribe(self, fd, offset=0, length=TO_END, flags=0, again=0, queue=0, cookie=0):
        args = SUBSCRIPTION.pack(offset, length, flags, again, queue, 0, cookie)
        return struct.unpack("=Q", self.ask(SUBSCRIBE, args, [fd])[0])[0]

    def unsubscribe(self, number):
        self.ask(UNSUBSCRIBE, struct.pack("=Q", number))

    def holdings(self):
        found, begin = [], 0
        while True:
            body, _ = self.ask(LIST, struct.pack("=Q", begin))
            begin, count, _ = LIST_HEAD.unpack_from(body)
            assert len(body) == LIST_HEAD.size + count * HOLDING.size
            found += [dict(zip(HOLDING_FIELDS, fields)) for fields in HOLDING.iter_unpack(body[LIST_HEAD.size:])]
            if not begin:
                return found

    def release(self, number):
        self.ask(RELEASE, struct.pack("=Q", number))

    def metrics(self):
        return self.ask(METRICS)[0].decode()

    # --- events ---

    def keep(self, body):
        number, = struct.unpack_from("=Q", body)
        assert len(body) > 8 and (len(body) - 8) % EVENT.size == 0
        for fields in EVENT.iter_unpack(body[8:]):
            self.events.append((number, dict(zip(EVENT_FIELDS, fields))))

    def next_events(self, timeout=30):
        """All that have come, at least one; [] after the time."""
        if not self.events:
            if not self.readable(timeout):
                return []
            kind, serial, result, body, _ = self.receive()
            assert kind == EVENTS and not serial and not result, kind
            self.keep(body)
        events, self.events = self.events, []
        return events


def refused(call, *args, **kwargs):
    """The errno's name with which a request is refused, or "granted"."""
    try:
        call(*args, **kwargs)
    except Refused as error:
        return errno.errorcode[error.errno]
    return "granted"


def is_gone(client, timeout=30):
    """Has the daemon ended the connection?"""
    try:
        while True:
            client.receive(timeout)
    except Gone:
        return True
    except TimeoutError:
        return False
