# SPDX-License-Identifier: LGPL-2.1-or-later
"""What <linux/wpfile.h> and <wpfile.h> say, for ctypes: structures, constants, functions.

Names are those of C, so that python/tests/test_abi.py can compare each with the headers.
"""

import ctypes
import enum
from ctypes import (CFUNCTYPE, POINTER, Structure, c_char_p, c_int, c_int32, c_size_t, c_ssize_t, c_uint, c_uint32,
                    c_uint64, c_void_p)

TO_END = (1 << 64) - 1

# Flags of the structures and calls below.
WPFILE_DENIED_EVENTS = 1 << 1
WPFILE_ALL_FILES = 1 << 0
WPFILE_SCAN_PROTECT = 1 << 0
WPFILE_SAVE_STREAM = 1 << 0
WPFILE_SUBSCRIBE_DENY = 1 << 0

WPFILE_BROKER_EVENTS = 16384
WPFILE_NR_MODES = 4


class Mode(enum.IntEnum):
    """What a write to a protected page does."""

    TRACK = 0  #: it is noted
    CAPTURE = 1  #: the old content is kept
    SYNC = 2  #: the writer waits for an answer
    DENY = 3  #: it fails


class Feature(enum.IntFlag):
    """What a kernel can do."""

    TRACK = 1 << 0
    CAPTURE = 1 << 1
    SNAPSHOT = 1 << 2
    SCAN_PROTECT = 1 << 3
    ADDRESS = 1 << 4
    HUGE = 1 << 5
    PINNED = 1 << 6
    SYNC = 1 << 7
    DENY = 1 << 8
    ATTACH = 1 << 9


class State(enum.IntFlag):
    """State of a file."""

    FORBIDDEN = 1 << 0  #: it gets no monitors any more
    JOINED = 1 << 1  #: the calling process has joined


class Type(enum.IntEnum):
    """Types of events."""

    FAILED = 1
    OVERFLOW = 2
    STORE = 3
    WRITE = 4
    DISCARD = 5
    FILL = 6
    PIN = 7


class Outcome(enum.IntEnum):
    """What became of a write."""

    PASSED = 0
    WAITING = 1
    DENIED = 2


class Verdict(enum.IntEnum):
    """What becomes of those who wait."""

    ALLOW = 0
    FAIL = 1


# --- of the kernel ---


class wpfile_range(Structure):
    _fields_ = [("offset", c_uint64), ("length", c_uint64)]


class wpfile_query(Structure):
    _fields_ = [("size", c_uint32), ("flags", c_uint32), ("address", c_uint64), ("ret_features", c_uint64),
                ("ret_monitors", c_uint32 * WPFILE_NR_MODES), ("ret_max_monitors", c_uint32),
                ("ret_max_ranges", c_uint32), ("ret_max_wait_ms", c_uint32), ("ret_state", c_uint32),
                ("ret_max_files", c_uint32), ("reserved", c_uint32)]


class wpfile_monitor(Structure):
    _fields_ = [("size", c_uint32), ("flags", c_uint32), ("address", c_uint64), ("mode", c_uint32),
                ("wait_limit_ms", c_uint32), ("capture_limit", c_uint64), ("queue_limit", c_uint32),
                ("reserved", c_uint32), ("cookie", c_uint64)]


class wpfile_snapshot(Structure):
    _fields_ = [("size", c_uint32), ("flags", c_uint32), ("address", c_uint64), ("capture_limit", c_uint64),
                ("ret_bytes", c_uint64), ("ret_cut_ns", c_uint64), ("ret_pinned_pages", c_uint64)]


class wpfile_protect(Structure):
    _fields_ = [("size", c_uint32), ("flags", c_uint32), ("ranges", c_uint64), ("nr_ranges", c_uint32),
                ("reserved", c_uint32), ("ret_cut_ns", c_uint64), ("ret_pinned_pages", c_uint64)]


class wpfile_scan(Structure):
    _fields_ = [("size", c_uint32), ("flags", c_uint32), ("offset", c_uint64), ("length", c_uint64),
                ("ranges", c_uint64), ("nr_ranges", c_uint32), ("ret_nr_ranges", c_uint32), ("ret_next", c_uint64),
                ("ret_pages", c_uint64)]


class wpfile_event(Structure):
    _fields_ = [("length", c_uint32), ("type", c_uint32), ("outcome", c_uint32), ("tid", c_uint32), ("id", c_uint64),
                ("offset", c_uint64), ("bytes", c_uint64), ("time_ns", c_uint64), ("tgid", c_uint32),
                ("uid", c_uint32), ("cookie", c_uint64)]


# --- of the library ---


class wpfile_map(Structure):
    _fields_ = [("start", c_uint64), ("end", c_uint64), ("offset", c_uint64), ("inode", c_uint64),
                ("dev_major", c_uint32), ("dev_minor", c_uint32), ("name", c_char_p)]


class wpfile_mon_info(Structure):
    _fields_ = [("mode", c_uint32), ("failed", c_uint32), ("inode", c_uint64), ("dev_major", c_uint32),
                ("dev_minor", c_uint32), ("protected_pages", c_uint64), ("pinned_pages", c_uint64),
                ("captured_bytes", c_uint64), ("waiting", c_uint64), ("overflows", c_uint64)]


class wpfile_subscription(Structure):
    _fields_ = [("offset", c_uint64), ("length", c_uint64), ("flags", c_uint32), ("again_ms", c_uint32),
                ("queue_limit", c_uint32), ("reserved", c_uint32), ("cookie", c_uint64)]


class wpfile_holding(Structure):
    _fields_ = [("id", c_uint64), ("inode", c_uint64), ("dev_major", c_uint32), ("dev_minor", c_uint32),
                ("uid", c_uint32), ("pid", c_uint32), ("mode", c_uint32), ("subscribers", c_uint32),
                ("capture_limit", c_uint64), ("overflows", c_uint64)]


wpfile_map_fn = CFUNCTYPE(c_int, POINTER(wpfile_map), c_void_p)
wpfile_progress_fn = CFUNCTYPE(c_int, c_uint64, c_uint64, c_void_p)
wpfile_mon_fn = CFUNCTYPE(c_int, c_int32, c_int, POINTER(wpfile_mon_info), c_void_p)
wpfile_holding_fn = CFUNCTYPE(c_int, POINTER(wpfile_holding), c_void_p)

# Handles are c_void_p. What Python does in its own way is not here: wpfile_scan_each() is a generator, and a loop of
# one's own is selectors or asyncio.
PROTOTYPES = {
    "wpfile_target_dup_fd": (c_int, c_int, POINTER(c_void_p)),
    "wpfile_target_open_path": (c_int, c_char_p, POINTER(c_void_p)),
    "wpfile_target_open_pid_fd": (c_int, c_int32, c_int, POINTER(c_void_p)),
    "wpfile_target_open_pid_map": (c_int, c_int32, c_char_p, POINTER(c_void_p)),
    "wpfile_target_at_address": (c_int, c_void_p, POINTER(c_void_p)),
    "wpfile_target_fd": (c_int, c_void_p),
    "wpfile_target_free": (None, c_void_p),
    "wpfile_each_map": (c_int, c_int32, c_char_p, wpfile_map_fn, c_void_p),
    "wpfile_broker_open": (c_int, c_char_p, POINTER(c_void_p)),
    "wpfile_broker_free": (None, c_void_p),
    "wpfile_target_use_broker": (c_int, c_void_p, c_void_p),
    "wpfile_query_system": (c_int, POINTER(wpfile_query)),
    "wpfile_query": (c_int, c_void_p, POINTER(wpfile_query)),
    "wpfile_join": (c_int, c_void_p),
    "wpfile_forbid": (c_int, c_void_p),
    "wpfile_snapshot": (c_int, c_void_p, POINTER(wpfile_snapshot)),
    "wpfile_save": (c_int, c_int, c_int, c_uint, wpfile_progress_fn, c_void_p, POINTER(c_uint64)),
    "wpfile_mon_open": (c_int, c_void_p, POINTER(wpfile_monitor), POINTER(c_void_p)),
    "wpfile_mon_dup_fd": (c_int, c_int, POINTER(c_void_p)),
    "wpfile_mon_attach": (c_int, c_void_p, c_void_p, c_uint64, POINTER(c_void_p)),
    "wpfile_mon_fd": (c_int, c_void_p),
    "wpfile_mon_free": (None, c_void_p),
    "wpfile_protect": (c_int, c_void_p, POINTER(wpfile_range), c_size_t, c_uint, POINTER(wpfile_protect)),
    "wpfile_protect_all": (c_int, c_void_p, POINTER(wpfile_protect)),
    "wpfile_unprotect": (c_int, c_void_p, POINTER(wpfile_range), c_size_t),
    "wpfile_scan": (c_int, c_void_p, POINTER(wpfile_scan)),
    "wpfile_pread": (c_ssize_t, c_void_p, c_void_p, c_size_t, c_uint64),
    "wpfile_pwrite": (c_ssize_t, c_void_p, c_void_p, c_size_t, c_uint64),
    "wpfile_mon_info": (c_int, c_void_p, POINTER(wpfile_mon_info)),
    "wpfile_each_mon": (c_int, c_int32, wpfile_mon_fn, c_void_p),
    "wpfile_read_events": (c_ssize_t, c_void_p, c_void_p, c_size_t),
    "wpfile_event_next": (c_int, c_void_p, c_size_t, POINTER(c_size_t), POINTER(POINTER(wpfile_event))),
    "wpfile_resolve": (c_int, c_void_p, c_uint64, c_uint),
    "wpfile_subscribe": (c_int, c_void_p, POINTER(wpfile_subscription), POINTER(c_uint64)),
    "wpfile_unsubscribe": (c_int, c_void_p, c_uint64),
    "wpfile_broker_fd": (c_int, c_void_p),
    "wpfile_broker_read": (c_ssize_t, c_void_p, c_void_p, c_size_t, c_int, POINTER(c_uint64)),
    "wpfile_broker_each": (c_int, c_void_p, wpfile_holding_fn, c_void_p),
    "wpfile_broker_release": (c_int, c_void_p, c_uint64),
    "wpfile_broker_metrics": (c_int, c_void_p, POINTER(c_void_p)),
}


def load(name: str) -> ctypes.CDLL:
    """The library, with the prototypes of its functions."""
    library = ctypes.CDLL(name)
    for function, (result, *arguments) in PROTOTYPES.items():
        try:
            entry = getattr(library, function)
        except AttributeError:
            raise ImportError(f"{name} has no {function}: it is older than this module") from None
        entry.restype, entry.argtypes = result, arguments
    return library


lib = load("libwpfile.so.1")
