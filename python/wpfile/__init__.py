# SPDX-License-Identifier: LGPL-2.1-or-later
"""Monitors and snapshots of shared memory: libwpfile in Python.

    with wpfile.Target.from_pid_map(4711, "/dev/zero") as target, target.snapshot() as snapshot:
        snapshot.save("buffers.img")

    with target.monitor(wpfile.Mode.TRACK) as monitor:
        monitor.protect()
        ...
        for offset, length in monitor.dirty(protect=True):
            ...

Offsets and lengths are bytes. What fails raises OSError, whose errno means what <linux/wpfile.h> and libwpfile(3) say.
Needs libwpfile.so.1, and a kernel with wpfile: query() tells.
"""

from ._abi import TO_END, Feature, Mode, Outcome, State, Type, Verdict
from .broker import Broker, Holding, Subscription
from .event import Event
from .monitor import Cut, Monitor, MonitorInfo, Range, monitors
from .snapshot import Snapshot
from .target import Map, Query, Target, maps, query

__all__ = ["TO_END", "Broker", "Cut", "Event", "Feature", "Holding", "Map", "Mode", "Monitor", "MonitorInfo",
           "Outcome", "Query", "Range", "Snapshot", "State", "Subscription", "Target", "Type", "Verdict", "maps",
           "monitors", "query"]
