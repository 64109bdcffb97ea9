# SPDX-License-Identifier: LGPL-2.1-or-later
"""wpfiled, who makes monitors for those whom its policy allows, and tells many subscribers of one file's events."""

import ctypes
import os
import threading
import time
from typing import Iterator, NamedTuple, Optional, Union

from . import _abi, event
from ._abi import Mode, lib
from ._error import Callback, call, once
from ._handle import Handle
from .event import Event

_free = ctypes.CDLL(None).free
_free.restype, _free.argtypes = None, [ctypes.c_void_p]


class Holding(NamedTuple):
    """An open monitor, or a shared one of subscribers, that wpfiled knows of."""

    id: int  #: for Broker.release(); 0: cannot be
    inode: int  #: 0: no longer known
    device: int
    uid: int  #: of the client
    pid: int  #: 0: no longer known
    mode: Union[Mode, int]
    subscribers: int  #: 0: the monitor was handed out
    capture_limit: int
    overflows: int  #: events dropped for subscribers


class Broker(Handle):
    """A connection. Give it to Target.use_broker()."""

    _free = lib.wpfile_broker_free

    def __init__(self, path: Union[str, bytes, os.PathLike, None] = None):
        super().__init__(lib.wpfile_broker_open, None if path is None else os.fsencode(path))
        self._subscriptions: dict[int, "Subscription"] = {}
        # Held from the daemon's answer until it is entered: another thread may read its first events before.
        self._subscribing = threading.Lock()

    def fileno(self) -> int:
        """Readable when there are events; lent."""
        return lib.wpfile_broker_fd(self._handle)

    def read(self, timeout: Optional[float] = None) -> tuple["Subscription", list[Event]]:
        """One message: the events of one subscription. BlockingIOError: none within @timeout seconds."""
        end = None if timeout is None else time.monotonic() + timeout
        while True:
            left = -1 if end is None else max(0, round((end - time.monotonic()) * 1000))
            try:
                number, events = self._read(left)
            except InterruptedError:
                continue
            with self._subscribing:
                subscription = self._subscriptions.get(number)
            if subscription:  # else it was closed when this was under way
                return subscription, events

    def _read(self, timeout_ms):
        data, number = event.buffer(_abi.WPFILE_BROKER_EVENTS), ctypes.c_uint64()
        size = once(lib.wpfile_broker_read, self._handle, data, _abi.WPFILE_BROKER_EVENTS, timeout_ms,
                    ctypes.byref(number))
        return number.value, event.parse(data, size)

    def _subscribe(self, target, args: _abi.wpfile_subscription) -> "Subscription":
        number = ctypes.c_uint64()
        with self._subscribing:
            call(lib.wpfile_subscribe, target, ctypes.byref(args), ctypes.byref(number))
            self._subscriptions[number.value] = Subscription(self, number.value)
            return self._subscriptions[number.value]

    def events(self, timeout: Optional[float] = None) -> Iterator[tuple["Subscription", Event]]:
        """Waits for events, again and again, until none comes for @timeout seconds."""
        while True:
            try:
                subscription, events = self.read(timeout)
            except BlockingIOError:
                return
            for each in events:
                yield subscription, each

    def holdings(self) -> list[Holding]:
        """The caller's own, or everybody's if policy lets him release them."""
        found = []

        def add(entry, _data):
            of = entry.contents
            found.append(Holding(of.id, of.inode, os.makedev(of.dev_major, of.dev_minor), of.uid, of.pid,
                                 event._known(Mode, of.mode), of.subscribers, of.capture_limit, of.overflows))

        callback = Callback(_abi.wpfile_holding_fn, add)
        callback.call(lib.wpfile_broker_each, self._handle, callback, None)
        return found

    def release(self, holding: Union[Holding, int]) -> None:
        """Ends a monitor that wpfiled holds, for all who subscribe."""
        call(lib.wpfile_broker_release, self._handle, holding.id if isinstance(holding, Holding) else holding)

    def metrics(self) -> str:
        """OpenMetrics text."""
        text = ctypes.c_void_p()
        call(lib.wpfile_broker_metrics, self._handle, ctypes.byref(text))
        try:
            return ctypes.string_at(text).decode()
        finally:
            _free(text)


class Subscription:
    """Made by Target.subscribe(); its events come from Broker.read(). Ends with close(), or with the connection."""

    def __init__(self, broker: Broker, number: int):
        self.broker = broker
        self.id = number

    def close(self) -> None:
        """May be called again."""
        if self.broker._subscriptions.pop(self.id, None) and not self.broker.closed:
            call(lib.wpfile_unsubscribe, self.broker._handle, self.id)

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.close()
