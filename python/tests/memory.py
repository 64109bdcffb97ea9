# SPDX-License-Identifier: GPL-2.0-or-later
"""Shared memory for the tests on a kernel with wpfile, and processes that write it."""

import errno
import mmap
import os
import signal
import unittest

import wpfile

PAGE = mmap.PAGESIZE


def no_kernel():
    """Why the tests cannot run here, or None."""
    try:
        wpfile.query()
        return None
    except OSError as error:
        return str(error)


class Writer:
    """A child process that runs @function."""

    def __init__(self, function):
        self.pid = os.fork()
        if not self.pid:
            signal.alarm(60)
            try:
                function()
                os._exit(0)
            except OSError as error:
                os._exit(error.errno)
            finally:
                os._exit(255)

    def done(self):
        """Its exit status, -signal, or None while it runs."""
        pid, status = os.waitpid(self.pid, os.WNOHANG)
        return os.waitstatus_to_exitcode(status) if pid else None

    def wait(self):
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


class Memory(unittest.TestCase):
    """A memfd of PAGES pages, each full of its number, mapped as memory; and a target for it."""

    PAGES = 16

    def setUp(self):
        reason = no_kernel()
        if reason:
            self.skipTest(reason)
        self.file = os.memfd_create("wpfile-python")
        self.addCleanup(os.close, self.file)
        os.ftruncate(self.file, self.PAGES * PAGE)
        self.memory = mmap.mmap(self.file, self.PAGES * PAGE)
        self.addCleanup(self.memory.close)
        for page in range(self.PAGES):
            self.fill(page, page)
        self.target = wpfile.Target.from_fd(self.file)
        self.addCleanup(self.target.close)

    def fill(self, page, byte):
        """Stores through the mapping."""
        self.memory[page * PAGE:(page + 1) * PAGE] = self.page(byte)

    @staticmethod
    def page(byte):
        return bytes([byte % 256]) * PAGE

    def monitor(self, mode, **options):
        monitor = self.target.monitor(mode, **options)
        self.addCleanup(monitor.close)
        return monitor

    def assert_errno(self, number, function, *arguments, **options):
        with self.assertRaises(OSError) as caught:
            function(*arguments, **options)
        self.assertEqual(errno.errorcode[caught.exception.errno], errno.errorcode[number])
        return caught.exception.strerror
