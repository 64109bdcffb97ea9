# SPDX-License-Identifier: LGPL-2.1-or-later
"""Events in the event loop of asyncio."""

import asyncio
import contextlib
import os
from typing import AsyncIterator, Union

from .broker import Broker, Subscription
from .event import Event
from .monitor import Monitor


@contextlib.contextmanager
def _readable(file):
    """An asyncio.Event that is set when the file is readable, and whenever it still is."""
    loop, ready = asyncio.get_running_loop(), asyncio.Event()
    loop.add_reader(file, ready.set)
    try:
        yield ready
    finally:
        loop.remove_reader(file)


async def events(source: Union[Monitor, Broker]) -> AsyncIterator[Union[Event, tuple[Subscription, Event]]]:
    """What source.events() tells, without blocking. A monitor becomes O_NONBLOCK, for all who have its descriptor."""
    if isinstance(source, Monitor):
        os.set_blocking(source.fileno(), False)
    with _readable(source.fileno()) as ready:
        while True:
            await ready.wait()
            ready.clear()
            for each in _those_there(source):
                yield each


def _those_there(source):
    """Not only the first message: a broker may have read more than one from its socket."""
    try:
        if isinstance(source, Monitor):
            return source.read_events()
    except BlockingIOError:
        return []
    return list(source.events(timeout=0))
