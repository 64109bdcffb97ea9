# SPDX-License-Identifier: LGPL-2.1-or-later
"""Negative errno of the library as OSError, with what the library means by it."""

import errno
import os

# One meaning for each errno, whichever ioctl: those of <linux/wpfile.h>.
KERNEL = {
    errno.E2BIG: "this module is newer than the kernel, which knows no such request",
    errno.EACCES: "the file is not open for reading",
    errno.EAGAIN: "no event",
    errno.EBADF: "no such file descriptor",
    errno.EBUSY: "the file has as many monitors, or the monitor as many files, as it may have;"
                 " or it cannot be forbidden while it has any",
    errno.EDQUOT: "the user has as many monitors as he may have (sysctl user.max_wpfile_monitors)",
    errno.EEXIST: "the monitor has the file already",
    errno.EFAULT: "no shared mapping at the address",
    errno.EINTR: "interrupted by a signal",
    errno.EINVAL: "a size, offset, length, mode or flag is wrong; offsets and lengths are whole pages",
    errno.EIO: "content is lost: the capture is over its limit or out of memory, or a page could not be read",
    errno.EMFILE: "the process has no free file descriptor",
    errno.ENFILE: "the system has no free file descriptor",
    errno.ENODATA: "the page is neither protected nor captured",
    errno.ENOENT: "the event does not wait for an answer any more",
    errno.ENOMEM: "no memory",
    errno.ENOTTY: "the file is not shared memory, or the kernel has no wpfile: wpfile.query() tells which",
    errno.EOPNOTSUPP: "not for this file (hugetlb), this mode of monitor or a broker",
    errno.EOVERFLOW: "the range ends beyond the largest file",
    errno.EPERM: "the file is not open for writing, or sealed, or not the caller's own;"
                 " or monitors of it have been forbidden",
    errno.ETIMEDOUT: "writers would have been held up too long (sysctl vm.wpfile.max_cut_ms);"
                     " a capture may have failed",
}

NO_PROCESS = {errno.ESRCH: "no such process", errno.EACCES: "not allowed to trace the process"}
BROKER = {errno.EDQUOT: "a quota of wpfiled's policy, or of user.max_wpfile_monitors, is used up",
          errno.EPIPE: "the connection to wpfiled is gone: open another"}
ASKED = {**BROKER, errno.EACCES: "the file is not open for reading, or no rule of wpfiled's policy allows it"}
NOT_A_FILE = {errno.ENOTTY: "not a regular file in memory", errno.ENOENT: os.strerror(errno.ENOENT),
              errno.EACCES: os.strerror(errno.EACCES), errno.EPERM: os.strerror(errno.EPERM)}

# What the library adds, or means differently in one of its functions.
FUNCTIONS = {
    "wpfile_target_dup_fd": NOT_A_FILE,
    "wpfile_target_open_path": NOT_A_FILE,
    "wpfile_target_open_pid_fd": {**NOT_A_FILE, **NO_PROCESS, errno.ENOENT: "the process has no such descriptor"},
    "wpfile_target_open_pid_map": {
        **NO_PROCESS, errno.ENOENT: "the process has no such shared mapping",
        errno.EPERM: "needs CAP_CHECKPOINT_RESTORE or CAP_SYS_ADMIN",
        errno.ENOTUNIQ: "several files are mapped under that name: give a range of addresses",
        errno.ESTALE: "the mapping was replaced meanwhile"},
    "wpfile_target_at_address": {errno.ENOENT: "there is no /dev/wpfile: the kernel has no wpfile"},
    "wpfile_each_map": NO_PROCESS,
    "wpfile_each_mon": NO_PROCESS,
    "wpfile_query_system": {errno.ENOSYS: "this kernel has no wpfile"},
    "wpfile_query": BROKER,
    "wpfile_snapshot": ASKED,
    "wpfile_mon_open": ASKED,
    "wpfile_mon_info": {errno.EBADMSG: "the kernel tells it in a way that libwpfile does not know"},
    "wpfile_broker_open": {errno.ENOENT: "no wpfiled there", errno.ECONNREFUSED: "no wpfiled there",
                           errno.EACCES: "not allowed to connect to wpfiled",
                           errno.EPROTO: "what answers there is not wpfiled"},
    "wpfile_subscribe": {**ASKED, errno.EINVAL: "the target has no broker, or a range or flag is wrong"},
    "wpfile_broker_read": {**BROKER, errno.EAGAIN: "no event in time"},
    "wpfile_broker_each": BROKER,
    "wpfile_broker_metrics": BROKER,
    "wpfile_unsubscribe": {**BROKER, errno.ENOENT: "no such subscription"},
    "wpfile_broker_release": {**BROKER, errno.ENOENT: "wpfiled holds no such monitor",
                              errno.EACCES: "no rule of wpfiled's policy allows it"},
    "wpfile_save": {errno.EIO: "content of the snapshot is lost", errno.EINVAL: os.strerror(errno.EINVAL)},
}

# Of these functions, what is not named above is about a file or a socket, not about a monitor.
SYSTEM = {"wpfile_save", "wpfile_broker_open", "wpfile_target_open_path", "wpfile_target_open_pid_map"}


def meaning(function: str, number: int) -> str:
    """What errno @number of @function says."""
    own = FUNCTIONS.get(function, {})
    return own.get(number) or (None if function in SYSTEM else KERNEL.get(number)) or os.strerror(number)


def error(function: str, number: int) -> OSError:
    return OSError(number, meaning(function, number))


def once(function, *arguments) -> int:
    """What @function of the library returns, unless that is an error."""
    result = function(*arguments)
    if result < 0:
        raise error(function.__name__, -result)
    return result


def call(function, *arguments) -> int:
    """The same; a call that a signal has interrupted is repeated after the signal's handler."""
    while True:
        try:
            return once(function, *arguments)
        except InterruptedError:
            pass


class Callback:
    """A Python function for a C prototype: an exception in it stops the call, and is raised after it."""

    STOP = 1  # no errno

    def __init__(self, prototype, function):
        self.function = function
        self.exception = None
        self.entry = prototype(self._enter)

    def _enter(self, *arguments):
        try:
            self.function(*arguments)
            return 0
        except BaseException as exception:
            self.exception = exception
            return self.STOP

    def call(self, function, *arguments) -> int:
        """Calls @function; an argument that is this object becomes the C function."""
        try:
            result = function(*(self.entry if argument is self else argument for argument in arguments))
            if self.exception:
                raise self.exception
            if result < 0:
                raise error(function.__name__, -result)
            return result
        finally:
            self.exception = None
