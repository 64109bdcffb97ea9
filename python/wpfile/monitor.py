# SPDX-License-Identifier: LGPL-2.1-or-later
"""One bit for each page of a file, protected or not, and what a write to a protected page does."""

import contextlib
import ctypes
import os
import select
from typing import TYPE_CHECKING, Iterator, NamedTuple, Optional, Union

from . import _abi, event
from ._abi import TO_END, Mode, Verdict, lib
from ._error import Callback, call
from ._handle import Handle
from .event import Event

if TYPE_CHECKING:
    from .target import Target

_BATCH = 256  # ranges of one SCAN
_EVENTS = 64 << 10  # bytes of one read()


class Range(NamedTuple):
    """Pages of a file, in bytes; a length of TO_END goes to the end, however far the file may grow."""

    offset: int
    length: int = TO_END


class Cut(NamedTuple):
    """What the kernel answers to protect()."""

    cut_ns: int  #: how long writers were held at most
    pinned_pages: int  #: to these somebody may write unseen


class MonitorInfo(NamedTuple):
    """What /proc tells about a monitor."""

    mode: Union[Mode, int]
    failed: bool  #: a capture has
    inode: int
    device: int  #: as of os.stat()
    protected_pages: int
    pinned_pages: int
    captured_bytes: int
    waiting: int  #: events not answered
    overflows: int  #: events dropped


def _array(ranges):
    return (_abi.wpfile_range * len(ranges))(*(tuple(Range(*each)) for each in ranges))


def _info(of: _abi.wpfile_mon_info) -> MonitorInfo:
    return MonitorInfo(event._known(Mode, of.mode), bool(of.failed), of.inode, os.makedev(of.dev_major, of.dev_minor),
                       of.protected_pages, of.pinned_pages, of.captured_bytes, of.waiting, of.overflows)


class Monitor(Handle):
    """Made by Target.monitor(); the protection ends with the last descriptor of the monitor."""

    _free = lib.wpfile_mon_free

    @classmethod
    def from_fd(cls, file) -> "Monitor":
        """A monitor that came as a descriptor, which stays the caller's."""
        return cls(lib.wpfile_mon_dup_fd, file if isinstance(file, int) else file.fileno())

    def fileno(self) -> int:
        """Readable when there are events; lent."""
        return lib.wpfile_mon_fd(self._handle)

    # --- protection ---

    def protect(self, *ranges: tuple, all_files: bool = False) -> Cut:
        """Protects @ranges, (offset, length) each, at one instant; without any, the file to its end.

        @all_files: the same ranges of each file of the monitor, see attach().
        """
        array = _array(ranges or [Range(0)])
        args = _abi.wpfile_protect()
        call(lib.wpfile_protect, self._handle, array, len(array), _abi.WPFILE_ALL_FILES if all_files else 0,
             ctypes.byref(args))
        return Cut(args.ret_cut_ns, args.ret_pinned_pages)

    def unprotect(self, *ranges: tuple) -> None:
        """Lifts the protection of @ranges; without any, of all. Lets those go on who wait there."""
        array = _array(ranges or [Range(0)])
        call(lib.wpfile_unprotect, self._handle, array, len(array))

    def dirty(self, offset: int = 0, length: Optional[int] = None, *, protect: bool = False) -> Iterator[Range]:
        """The ranges that are not protected, in ascending order; a range may come in several pieces.

        With @protect (Mode.TRACK) each is protected again before it is told: what one then reads of the file is current
        or will be told again. Of an iterator that is closed early, the ranges not told are unprotected.
        """
        end = TO_END if length is None else offset + length
        while offset < end:
            ranges, offset = self._scan(offset, TO_END if end == TO_END else end - offset, protect)
            with self._reported_again(ranges, protect):
                while ranges:
                    yield ranges.pop(0)

    def _scan(self, offset, length, protect):
        """One SCAN: the ranges, and where to go on."""
        array = (_abi.wpfile_range * _BATCH)()
        args = _abi.wpfile_scan(size=ctypes.sizeof(_abi.wpfile_scan), flags=_abi.WPFILE_SCAN_PROTECT if protect else 0,
                                offset=offset, length=length, ranges=ctypes.addressof(array), nr_ranges=_BATCH)
        call(lib.wpfile_scan, self._handle, ctypes.byref(args))
        return [Range(each.offset, each.length) for each in array[:args.ret_nr_ranges]], args.ret_next

    @contextlib.contextmanager
    def _reported_again(self, ranges, protect):
        """What is left of @ranges at the end."""
        try:
            yield
        finally:
            if ranges and protect and not self.closed:
                self.unprotect(*ranges)

    # --- content ---

    def pread(self, size: int, offset: int) -> bytes:
        """What protected and captured pages held when they were last protected; b"" at the end. Not Mode.TRACK."""
        data = ctypes.create_string_buffer(size)
        return ctypes.string_at(data, call(lib.wpfile_pread, self._handle, data, size, offset))

    def pwrite(self, data: bytes, offset: int) -> int:
        """Changes the file without asking this monitor, within its size; returns bytes. Mode.SYNC and DENY."""
        data = bytes(data)
        return call(lib.wpfile_pwrite, self._handle, data, len(data), offset)

    # --- events ---

    def read_events(self) -> list[Event]:
        """Those that there are; waits for the first, unless the descriptor is O_NONBLOCK (BlockingIOError).

        Each that is Outcome.WAITING must be answered by resolve().
        """
        data = event.buffer(_EVENTS)
        return event.parse(data, call(lib.wpfile_read_events, self._handle, data, _EVENTS))

    def events(self, timeout: Optional[float] = None) -> Iterator[Event]:
        """Waits for events, again and again, until none comes for @timeout seconds."""
        poll = select.poll()
        poll.register(self.fileno(), select.POLLIN)
        while poll.poll(None if timeout is None else timeout * 1000):
            yield from self.read_events()

    def resolve(self, waiting: Union[Event, int], verdict: Verdict = Verdict.ALLOW) -> bool:
        """Answers an event, or its id. False: nobody waits for that answer any more, which is no failure."""
        number = waiting.id if isinstance(waiting, Event) else waiting
        try:
            call(lib.wpfile_resolve, self._handle, number, verdict)
        except FileNotFoundError:
            return False
        return True

    # --- several files, and what there is ---

    def attach(self, target: "Target", *, cookie: int = 0) -> "Monitor":
        """Another file for the monitor, with a handle of its own; @cookie comes back in the events."""
        return Monitor(lib.wpfile_mon_attach, self._handle, target._handle, cookie)

    def info(self) -> MonitorInfo:
        """What /proc tells about it."""
        args = _abi.wpfile_mon_info()
        call(lib.wpfile_mon_info, self._handle, ctypes.byref(args))
        return _info(args)


def monitors(pid: int = 0) -> list[tuple[int, int, MonitorInfo]]:
    """(pid, descriptor, MonitorInfo) of process @pid, or of all that the caller may trace."""
    found = []
    callback = Callback(_abi.wpfile_mon_fn, lambda owner, fd, of, _data: found.append((owner, fd, _info(of.contents))))
    callback.call(lib.wpfile_each_mon, pid, callback, None)
    return found
