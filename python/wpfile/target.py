# SPDX-License-Identifier: LGPL-2.1-or-later
"""Which file: targets, and what kernel and file can do."""

import ctypes
import errno
import os
from typing import NamedTuple, Optional, Union

from . import _abi
from ._abi import Feature, Mode, State, lib
from ._error import Callback, call, error
from ._handle import Handle
from .broker import Broker, Subscription
from .monitor import Monitor
from .snapshot import Snapshot


class Query(NamedTuple):
    """What the kernel, and one file, can do."""

    features: Feature
    monitors: dict[Mode, int]  #: of the file now
    max_monitors: int  #: of a file
    max_ranges: int  #: of one call
    max_wait_ms: int  #: of Mode.SYNC
    max_files: int  #: of a monitor
    state: State


class Map(NamedTuple):
    """A shared mapping of a process."""

    start: int
    end: int
    offset: int  #: of the file, at start
    inode: int
    device: int  #: as of os.stat()
    name: str


def _query(function, *handle) -> Query:
    args = _abi.wpfile_query(size=ctypes.sizeof(_abi.wpfile_query))
    call(function, *handle, ctypes.byref(args))
    return Query(Feature(args.ret_features), {mode: args.ret_monitors[mode] for mode in Mode}, args.ret_max_monitors,
                 args.ret_max_ranges, args.ret_max_wait_ms, args.ret_max_files, State(args.ret_state))


def query() -> Query:
    """What this kernel can do. ENOSYS: it has no wpfile."""
    return _query(lib.wpfile_query_system)


def maps(pid: int, name: Optional[str] = None) -> list[Map]:
    """The shared mappings of process @pid that match @name: as /proc/PID/maps shows it, or START-END, or an address."""
    found = []

    def add(entry, _data):
        of = entry.contents
        found.append(Map(of.start, of.end, of.offset, of.inode, os.makedev(of.dev_major, of.dev_minor),
                         os.fsdecode(of.name or b"")))

    callback = Callback(_abi.wpfile_map_fn, add)
    callback.call(lib.wpfile_each_map, pid, None if name is None else os.fsencode(name), callback, None)
    return found


def _address(memory) -> int:
    return memory if isinstance(memory, int) else ctypes.addressof(ctypes.c_char.from_buffer(memory))


class Target(Handle):
    """A file in shared memory, open or named by an address. Made by its from_ methods."""

    _free = lib.wpfile_target_free
    _broker: Optional[Broker] = None

    @property
    def _handle(self) -> ctypes.c_void_p:
        if self._broker is not None:
            self._broker._handle  # pylint: disable=pointless-statement,protected-access
        return super()._handle

    @classmethod
    def from_fd(cls, file) -> "Target":
        """The file behind @file, a descriptor or something with fileno(), which stays the caller's."""
        return cls(lib.wpfile_target_dup_fd, _fileno(file))

    @classmethod
    def from_path(cls, path: Union[str, bytes, os.PathLike]) -> "Target":
        """The file @path, on tmpfs."""
        return cls(lib.wpfile_target_open_path, os.fsencode(path))

    @classmethod
    def from_pid_fd(cls, pid: int, fd: int) -> "Target":
        """The file behind descriptor @fd of process @pid."""
        return cls(lib.wpfile_target_open_pid_fd, pid, fd)

    @classmethod
    def from_pid_map(cls, pid: int, name: str) -> "Target":
        """The file that process @pid maps, shared, under @name: see maps()."""
        return cls(lib.wpfile_target_open_pid_map, pid, os.fsencode(name))

    @classmethod
    def at_address(cls, memory) -> "Target":
        """The file mapped at @memory, an address or a writable mmap, in the process that uses the target."""
        return cls(lib.wpfile_target_at_address, _address(memory))

    def fileno(self) -> int:
        """The open file, lent; EINVAL for a target by address."""
        return call(lib.wpfile_target_fd, self._handle)

    def use_broker(self, broker: Optional[Broker]) -> None:
        """From now on query(), snapshot() and monitor() go to @broker, or with None to the kernel."""
        handle = super()._handle
        call(lib.wpfile_target_use_broker, handle, None if broker is None else broker._handle)
        self._broker = broker

    def query(self) -> Query:
        """What the kernel can do for this file, and its monitors now."""
        return _query(lib.wpfile_query, self._handle)

    def join(self) -> None:
        """The calling process accepts to be held up, or refused, by all monitors of the file."""
        call(lib.wpfile_join, self._handle)

    def forbid(self) -> None:
        """No monitor and no snapshot of the file any more, for ever."""
        call(lib.wpfile_forbid, self._handle)

    def snapshot(self, *, capture_limit: int = 0) -> Snapshot:
        """The file as it stands at one instant; it may keep @capture_limit bytes, 0: no limit."""
        args = _abi.wpfile_snapshot(size=ctypes.sizeof(_abi.wpfile_snapshot), capture_limit=capture_limit)
        fd = call(lib.wpfile_snapshot, self._handle, ctypes.byref(args))
        return Snapshot(fd, args.ret_bytes, args.ret_cut_ns, args.ret_pinned_pages)

    def monitor(self, mode: Mode, *, wait_limit_ms: int = 0, capture_limit: int = 0, queue_limit: int = 0,
                denied_events: bool = False, cookie: int = 0) -> Monitor:
        """A monitor of the file that protects nothing yet. @wait_limit_ms is for Mode.SYNC, @denied_events for DENY."""
        args = _abi.wpfile_monitor(
            size=ctypes.sizeof(_abi.wpfile_monitor), flags=_abi.WPFILE_DENIED_EVENTS if denied_events else 0, mode=mode,
            wait_limit_ms=wait_limit_ms, capture_limit=capture_limit, queue_limit=queue_limit, cookie=cookie)
        return Monitor(lib.wpfile_mon_open, self._handle, ctypes.byref(args))

    def subscribe(self, offset: int = 0, length: Optional[int] = None, *, deny: bool = False, again_ms: int = 0,
                  queue_limit: int = 0, cookie: int = 0) -> Subscription:
        """To be told of writes by wpfiled; the target has a broker. None is a length without end."""
        args = _abi.wpfile_subscription(
            offset=offset, length=_abi.TO_END if length is None else length,
            flags=_abi.WPFILE_SUBSCRIBE_DENY if deny else 0, again_ms=again_ms, queue_limit=queue_limit, cookie=cookie)
        if self._broker is None:
            raise error("wpfile_subscribe", errno.EINVAL)
        return self._broker._subscribe(self._handle, args)


def _fileno(file) -> int:
    return file if isinstance(file, int) else file.fileno()
