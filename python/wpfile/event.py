# SPDX-License-Identifier: LGPL-2.1-or-later
"""Events, as a monitor or wpfiled tells them."""

import ctypes
from typing import NamedTuple, Union

from ._abi import Outcome, Type, lib, wpfile_event
from ._error import call


class Event(NamedTuple):
    """One write, or why some are not told. A type that this module does not know is a plain int: skip it."""

    type: Union[Type, int]
    outcome: Union[Outcome, int]
    offset: int  #: bytes
    bytes: int  #: length of the range; Type.OVERFLOW from wpfiled: events lost; Type.FAILED: 2**64 - 1 if all is lost
    time_ns: int  #: CLOCK_MONOTONIC
    tid: int  #: of the writer; 0: not for the reader to know
    tgid: int
    uid: int
    id: int  #: for Monitor.resolve()
    cookie: int  #: of the file, or the subscription


def _known(kind, number):
    try:
        return kind(number)
    except ValueError:
        return number


def _event(of: wpfile_event) -> Event:
    return Event(_known(Type, of.type), _known(Outcome, of.outcome), of.offset, of.bytes, of.time_ns, of.tid, of.tgid,
                 of.uid, of.id, of.cookie)


def buffer(size: int):
    """Aligned for events."""
    return (ctypes.c_uint64 * (size // 8))()


def parse(data, size: int) -> list[Event]:
    """The events in the first @size bytes of a buffer(). EBADMSG: they are none."""
    position, entry, events = ctypes.c_size_t(), ctypes.POINTER(wpfile_event)(), []
    while call(lib.wpfile_event_next, data, size, ctypes.byref(position), ctypes.byref(entry)):
        events.append(_event(entry.contents))
    return events
