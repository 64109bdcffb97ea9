# SPDX-License-Identifier: GPL-2.0-or-later
"""What needs no kernel with wpfile: handles, errors, events, saving, walking over what a scan says."""

import ctypes
import errno
import mmap
import os
import tempfile
import unittest
from unittest import mock

import wpfile
from wpfile import _abi, _error, event

PAGE = mmap.PAGESIZE


def memfd(size=PAGE):
    fd = os.memfd_create("wpfile-python")
    os.ftruncate(fd, size)
    return open(fd, "r+b", buffering=0)


def errno_of(test, function, *arguments, **options):
    with test.assertRaises(OSError) as caught:
        function(*arguments, **options)
    return caught.exception


class Handles(unittest.TestCase):
    def test_a_target_has_a_descriptor_of_its_own_and_gives_it_back(self):
        with memfd() as file:
            with wpfile.Target.from_fd(file) as target:
                fd = target.fileno()
                self.assertNotEqual(fd, file.fileno())
                self.assertEqual(os.fstat(fd).st_ino, os.fstat(file.fileno()).st_ino)
                self.assertFalse(os.get_inheritable(fd))
            self.assertEqual(errno_of(self, os.fstat, fd).errno, errno.EBADF)

    def test_a_closed_handle_is_refused_and_may_be_closed_again(self):
        with memfd() as file:
            target = wpfile.Target.from_fd(file)
        target.close()
        target.close()
        self.assertTrue(target.closed)
        for use in (target.fileno, target.query, target.snapshot, target.__enter__):
            self.assertRaises(ValueError, use)

    def test_the_last_reference_closes(self):
        with memfd() as file:
            target = wpfile.Target.from_fd(file)
            fd = target.fileno()
            del target
            self.assertEqual(errno_of(self, os.fstat, fd).errno, errno.EBADF)

    def test_a_handle_that_was_not_made_is_no_trouble(self):
        with mock.patch.object(wpfile.Target, "_free") as free:
            errno_of(self, wpfile.Target.from_fd, -1)
            free.assert_not_called()


class Errors(unittest.TestCase):
    def test_errno_and_meaning(self):
        missing = errno_of(self, wpfile.Target.from_path, "/dev/shm/wpfile-there-is-none")
        self.assertIsInstance(missing, FileNotFoundError)
        nobody = errno_of(self, wpfile.Target.from_pid_fd, 2**22 + 1, 0)
        self.assertIsInstance(nobody, ProcessLookupError)
        self.assertEqual(nobody.strerror, "no such process")
        device = errno_of(self, wpfile.Target.from_path, "/dev/null")
        self.assertEqual((device.errno, device.strerror), (errno.ENOTTY, "not a regular file in memory"))

    def test_one_errno_means_what_its_function_says(self):
        self.assertIn("policy", _error.meaning("wpfile_mon_open", errno.EDQUOT))
        self.assertNotIn("policy", _error.meaning("wpfile_mon_attach", errno.EDQUOT))
        self.assertEqual(_error.meaning("wpfile_save", errno.ENOSPC), os.strerror(errno.ENOSPC))
        self.assertEqual(_error.meaning("wpfile_protect", errno.EXDEV), os.strerror(errno.EXDEV))

    def test_a_call_that_a_signal_interrupts_is_repeated(self):
        function = mock.Mock(__name__="wpfile_mon_fd", side_effect=[-errno.EINTR, -errno.EINTR, 7])
        self.assertEqual(_error.call(function, 1), 7)
        self.assertEqual(function.call_count, 3)

    def test_an_exception_in_a_callback_stops_the_call_and_comes_out(self):
        class Stop(Exception):
            pass

        seen = []

        def stop(done, total):
            seen.append((done, total))
            raise Stop

        with memfd(16 * PAGE) as file, memfd() as out:
            os.pwrite(file.fileno(), b"x" * PAGE * 16, 0)
            self.assertRaises(Stop, wpfile.Snapshot(os.dup(file.fileno()), 16 * PAGE).save, out, progress=stop)
        self.assertEqual(len(seen), 1)


class Maps(unittest.TestCase):
    def test_own_mappings_by_name_and_address(self):
        with memfd(4 * PAGE) as file, mmap.mmap(file.fileno(), 2 * PAGE, offset=PAGE) as memory:
            address = ctypes.addressof(ctypes.c_char.from_buffer(memory))
            for name in ("memfd:wpfile-python", f"{address:x}", f"{address:x}-{address + 2 * PAGE:x}"):
                found, = wpfile.maps(os.getpid(), name)
                self.assertEqual((found.start, found.end, found.offset), (address, address + 2 * PAGE, PAGE))
                self.assertEqual(found.inode, os.fstat(file.fileno()).st_ino)
                self.assertEqual(found.device, os.fstat(file.fileno()).st_dev)
                self.assertIn("memfd:wpfile-python", found.name)
            self.assertIn(found, wpfile.maps(os.getpid()))


class Saving(unittest.TestCase):
    """A snapshot reads like any file, so any file will do."""

    def setUp(self):
        self.file = memfd(8 * PAGE)
        self.addCleanup(self.file.close)
        os.pwrite(self.file.fileno(), b"a" * PAGE, 2 * PAGE)
        os.pwrite(self.file.fileno(), b"b" * PAGE, 7 * PAGE)
        self.content = os.pread(self.file.fileno(), 8 * PAGE, 0)
        self.snapshot = wpfile.Snapshot(os.open(f"/proc/self/fd/{self.file.fileno()}", os.O_RDONLY), 8 * PAGE)
        self.addCleanup(self.snapshot.close)
        self.work = tempfile.TemporaryDirectory()
        self.addCleanup(self.work.cleanup)
        self.path = os.path.join(self.work.name, "image")

    def test_is_a_file(self):
        self.assertEqual(self.snapshot.read(), self.content)
        self.snapshot.seek(2 * PAGE)
        self.assertEqual(self.snapshot.read(3), b"aaa")
        self.assertFalse(self.snapshot.writable())

    def test_to_a_path_it_appears_when_complete(self):
        seen = []
        size = self.snapshot.save(self.path, progress=lambda done, total: seen.append(os.path.exists(self.path)))
        self.assertEqual(size, 2 * PAGE)
        self.assertEqual(set(seen), {False})
        with open(self.path, "rb") as image:
            self.assertEqual(image.read(), self.content)
        self.assertEqual(os.stat(self.path).st_mode & 0o777, 0o600)
        self.assertEqual(os.listdir(self.work.name), ["image"])

    def test_nothing_is_left_of_a_save_that_failed(self):
        self.assertRaises(ZeroDivisionError, self.snapshot.save, self.path, progress=lambda done, total: 1 / 0)
        self.assertEqual(os.listdir(self.work.name), [])

    def test_a_device_is_not_replaced(self):
        self.assertIsInstance(errno_of(self, self.snapshot.save, "/dev/null"), FileExistsError)

    def test_to_an_open_file_holes_stay_holes(self):
        with open(self.path, "w+b") as image:
            image.write(b"old" * PAGE * 8)
            self.snapshot.save(image)
            self.assertEqual(os.pread(image.fileno(), 9 * PAGE, 0), self.content)
            self.assertEqual(os.lseek(image.fileno(), 0, os.SEEK_DATA), 2 * PAGE)

    def test_as_a_stream(self):
        with open(self.path, "w+b") as image:
            image.write(b"head")
            self.snapshot.save(image, stream=True)
            self.assertEqual(os.pread(image.fileno(), 9 * PAGE, 0), b"head" + self.content)


class Events(unittest.TestCase):
    def test_bytes_become_events(self):
        data = event.buffer(4096)
        size = ctypes.sizeof(_abi.wpfile_event)
        known = _abi.wpfile_event(length=size, type=3, outcome=1, tid=5, id=9, offset=PAGE, bytes=PAGE, uid=7, cookie=1)
        longer = _abi.wpfile_event(length=size + 8, type=4711, outcome=0)
        ctypes.memmove(data, ctypes.byref(known), size)
        ctypes.memmove(ctypes.addressof(data) + size, ctypes.byref(longer), size)
        first, second = event.parse(data, 2 * size + 8)
        self.assertEqual((first.type, first.outcome), (wpfile.Type.STORE, wpfile.Outcome.WAITING))
        self.assertEqual((first.tid, first.id, first.offset, first.bytes, first.uid, first.cookie),
                         (5, 9, PAGE, PAGE, 7, 1))
        self.assertEqual(second.type, 4711)
        self.assertEqual(errno_of(self, event.parse, data, size - 8).errno, errno.EBADMSG)


class Dirty(unittest.TestCase):
    """The ranges 0, 2, 4 ... 598 of pages, a batch at a time, as a kernel tells them."""

    def setUp(self):
        def scan(_monitor, args):
            args = args._obj
            array = (_abi.wpfile_range * args.nr_ranges).from_address(args.ranges)
            page = -(-args.offset // PAGE // 2) * 2
            args.ret_nr_ranges = min(args.nr_ranges, max(0, 300 - page // 2))
            for index in range(args.ret_nr_ranges):
                array[index] = ((page + 2 * index) * PAGE, PAGE)
            full = args.ret_nr_ranges == args.nr_ranges
            args.ret_next = (page + 2 * args.ret_nr_ranges) * PAGE if full else args.offset + args.length
            return 0

        self.unprotected = []
        self.monitor = wpfile.Monitor.__new__(wpfile.Monitor)
        self.monitor._pointer = ctypes.c_void_p(1)
        self.monitor._free = lambda pointer: None
        self.monitor.unprotect = lambda *ranges: self.unprotected.extend(ranges)
        library = mock.Mock(wpfile_scan=scan)
        patch = mock.patch("wpfile.monitor.lib", library)
        patch.start()
        self.addCleanup(patch.stop)

    def test_goes_on_where_the_array_was_full(self):
        found = list(self.monitor.dirty(0, 1000 * PAGE))
        self.assertEqual(found, [wpfile.Range(page * PAGE, PAGE) for page in range(0, 600, 2)])
        self.assertEqual(self.unprotected, [])

    def test_what_was_not_told_is_told_again(self):
        walk = self.monitor.dirty(0, 1000 * PAGE, protect=True)
        next(walk), next(walk)
        walk.close()
        self.assertEqual(self.unprotected, [wpfile.Range(page * PAGE, PAGE) for page in range(4, 512, 2)])

    def test_without_protect_nothing_is_undone(self):
        walk = self.monitor.dirty(0, 1000 * PAGE)
        next(walk)
        walk.close()
        self.assertEqual(self.unprotected, [])
