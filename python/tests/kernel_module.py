# SPDX-License-Identifier: GPL-2.0-or-later
"""The module on a kernel with wpfile, as root."""

import asyncio
import errno
import mmap
import os
import signal
import tempfile

import wpfile
import wpfile.aio
from memory import PAGE, Memory, Writer
from wpfile import Feature, Mode, Outcome, Range, State, Type, Verdict


class System(Memory):
    def test_query_tells_features_and_monitors(self):
        self.assertIn(Feature.SNAPSHOT | Feature.TRACK | Feature.SYNC, wpfile.query().features)
        self.assertEqual(set(self.target.query().monitors.values()), {0})
        self.monitor(Mode.DENY)
        query = self.target.query()
        self.assertEqual(query.monitors, {Mode.TRACK: 0, Mode.CAPTURE: 0, Mode.SYNC: 0, Mode.DENY: 1})
        self.assertEqual(query.state, State(0))
        self.assertGreater(query.max_ranges, 1)
        self.assertGreater(query.max_wait_ms, 0)

    def test_targets_of_all_kinds_are_the_same_file(self):
        self.monitor(Mode.CAPTURE)
        for target in (wpfile.Target.from_pid_fd(os.getpid(), self.file),
                       wpfile.Target.from_pid_map(os.getpid(), "memfd:wpfile-python"),
                       wpfile.Target.from_path(f"/proc/self/fd/{self.file}"), wpfile.Target.at_address(self.memory)):
            with target:
                self.assertEqual(target.query().monitors[Mode.CAPTURE], 1)

    def test_anonymous_memory_by_address(self):
        with mmap.mmap(-1, 4 * PAGE) as memory:
            memory[PAGE:PAGE + 3] = b"old"
            with wpfile.Target.at_address(memory) as target, target.snapshot() as snapshot:
                memory[PAGE:PAGE + 3] = b"new"
                self.assertEqual(os.pread(snapshot.fileno(), 3, PAGE), b"old")
                self.assertEqual(self.assert_errno(errno.EINVAL, target.fileno)[:6], "a size")

    def test_forbidden_files_get_no_monitor(self):
        self.target.forbid()
        self.assertEqual(self.target.query().state, State.FORBIDDEN)
        self.assertIn("forbidden", self.assert_errno(errno.EPERM, self.target.monitor, Mode.TRACK))

    def test_joined(self):
        self.target.join()
        self.assertEqual(self.target.query().state, State.JOINED)


class Snapshots(Memory):
    def test_content_is_that_of_the_instant(self):
        with self.target.snapshot() as snapshot:
            for page in range(self.PAGES):
                self.fill(page, 255)
            self.assertEqual(snapshot.size, self.PAGES * PAGE)
            self.assertGreater(snapshot.cut_ns, 0)
            self.assertEqual(snapshot.pinned_pages, 0)
            self.assertEqual(snapshot.read(), b"".join(map(self.page, range(self.PAGES))))
            with mmap.mmap(snapshot.fileno(), 0, prot=mmap.PROT_READ) as view:
                self.assertEqual(view[3 * PAGE:4 * PAGE], self.page(3))

    def test_saves_with_holes(self):
        hole = os.memfd_create("hole")
        self.addCleanup(os.close, hole)
        os.ftruncate(hole, 64 * PAGE)
        os.pwrite(hole, self.page(7), 9 * PAGE)
        with wpfile.Target.from_fd(hole) as target, target.snapshot() as snapshot, \
                tempfile.TemporaryDirectory() as work:
            path = os.path.join(work, "image")
            self.assertEqual(snapshot.save(path), PAGE)
            with open(path, "rb") as image:
                self.assertEqual(image.read(), bytes(9 * PAGE) + self.page(7) + bytes(54 * PAGE))

    def test_over_the_limit_is_eio_and_says_so(self):
        with self.target.snapshot(capture_limit=PAGE) as snapshot:
            for page in range(3):
                self.fill(page, 255)
            self.assert_errno(errno.EIO, os.pread, snapshot.fileno(), PAGE, 2 * PAGE)
            with tempfile.TemporaryFile() as out:
                self.assertIn("lost", self.assert_errno(errno.EIO, snapshot.save, out))

    def test_of_a_file_that_is_not_shared_memory(self):
        with tempfile.NamedTemporaryFile(dir="/") as file, wpfile.Target.from_fd(file) as target:
            self.assertIn("not shared memory", self.assert_errno(errno.ENOTTY, target.snapshot))


class Track(Memory):
    PAGES = 1024

    def setUp(self):
        super().setUp()
        self.tracker = self.monitor(Mode.TRACK)
        self.tracker.protect()

    def test_what_was_written_is_dirty(self):
        self.assertEqual(list(self.tracker.dirty()), [])
        for page in (2, 3, 9):
            self.fill(page, 0)
        os.pwrite(self.file, b"x", 20 * PAGE)
        expected = [Range(2 * PAGE, 2 * PAGE), Range(9 * PAGE, PAGE), Range(20 * PAGE, PAGE)]
        self.assertEqual(list(self.tracker.dirty()), expected)
        self.assertEqual(list(self.tracker.dirty(3 * PAGE, 7 * PAGE)), [Range(3 * PAGE, PAGE), Range(9 * PAGE, PAGE)])
        self.assertEqual(list(self.tracker.dirty(protect=True)), expected)
        self.assertEqual(list(self.tracker.dirty()), [])

    def test_more_ranges_than_one_scan_tells(self):
        for page in range(0, self.PAGES, 2):
            self.fill(page, 0)
        found = list(self.tracker.dirty(protect=True))
        self.assertEqual(found, [Range(page * PAGE, PAGE) for page in range(0, self.PAGES, 2)])

    def test_what_was_not_looked_at_stays_dirty(self):
        for page in (1, 3, 5):
            self.fill(page, 0)
        for first in self.tracker.dirty(protect=True):
            break
        self.assertEqual(first, Range(PAGE, PAGE))
        self.assertEqual(list(self.tracker.dirty()), [Range(3 * PAGE, PAGE), Range(5 * PAGE, PAGE)])

    def test_unprotected_is_dirty(self):
        self.tracker.unprotect((4 * PAGE, PAGE), Range(6 * PAGE, 2 * PAGE))
        self.assertEqual(list(self.tracker.dirty()), [Range(4 * PAGE, PAGE), Range(6 * PAGE, 2 * PAGE)])
        self.tracker.protect((4 * PAGE, PAGE))
        self.assertEqual(list(self.tracker.dirty()), [Range(6 * PAGE, 2 * PAGE)])

    def test_bad_ranges_are_einval(self):
        self.assertIn("whole pages", self.assert_errno(errno.EINVAL, self.tracker.protect, (1, PAGE)))

    def test_info_and_list(self):
        info = self.tracker.info()
        self.assertEqual((info.mode, info.failed), (Mode.TRACK, False))
        self.assertEqual((info.inode, info.device), (os.fstat(self.file).st_ino, os.fstat(self.file).st_dev))
        self.assertEqual(wpfile.monitors(os.getpid()), [(os.getpid(), self.tracker.fileno(), info)])
        self.assertIn((os.getpid(), self.tracker.fileno(), info), wpfile.monitors())

    def test_a_descriptor_becomes_a_monitor(self):
        self.fill(5, 0)
        with wpfile.Monitor.from_fd(self.tracker) as other:
            self.tracker.close()
            self.assertEqual(list(other.dirty()), [Range(5 * PAGE, PAGE)])


class Handlers(Memory):
    def test_a_writer_waits_for_its_answer(self):
        sync = self.monitor(Mode.SYNC, cookie=99)
        sync.protect((3 * PAGE, PAGE))
        writer = Writer(lambda: self.fill(3, 255))
        event, = sync.read_events()
        self.assertEqual((event.type, event.outcome, event.offset, event.bytes, event.cookie),
                         (Type.STORE, Outcome.WAITING, 3 * PAGE, PAGE, 99))
        self.assertEqual(event.tgid, writer.pid)
        self.assertIsNone(writer.done())
        self.assertEqual(sync.info().waiting, 1)
        self.assertEqual(sync.pread(PAGE, 3 * PAGE), self.page(3))
        self.assertTrue(sync.resolve(event))
        self.assertEqual(writer.wait(), 0)
        self.assertEqual(self.memory[3 * PAGE], 255)
        self.assertFalse(sync.resolve(event))

    def test_a_writer_that_is_refused_gets_sigsegv(self):
        sync = self.monitor(Mode.SYNC)
        sync.protect()
        writer = Writer(lambda: self.fill(3, 255))
        self.assertTrue(sync.resolve(sync.read_events()[0], Verdict.FAIL))
        self.assertEqual(writer.wait(), -signal.SIGSEGV)
        self.assertEqual(self.memory[3 * PAGE], 3)

    def test_a_handler_may_change_the_page_first(self):
        sync = self.monitor(Mode.SYNC)
        sync.protect()
        writer = Writer(lambda: os.pwrite(self.file, b"two", 3 * PAGE + 3))
        event, = sync.read_events()
        self.assertEqual(event.type, Type.WRITE)
        self.assertEqual(sync.pwrite(b"one", 3 * PAGE), 3)
        sync.resolve(event.id)
        self.assertEqual(writer.wait(), 0)
        self.assertEqual(os.pread(self.file, 6, 3 * PAGE), b"onetwo")

    def test_writers_pass_after_their_limit(self):
        sync = self.monitor(Mode.SYNC, wait_limit_ms=50)
        sync.protect()
        self.assertEqual(Writer(lambda: self.fill(3, 255)).wait(), 0)
        self.assertEqual(sync.pread(1, 3 * PAGE), b"\3")

    def test_denied_and_told(self):
        deny = self.monitor(Mode.DENY, denied_events=True)
        deny.protect((0, PAGE))
        self.assert_errno(errno.EPERM, os.pwrite, self.file, b"x", 0)
        self.assertEqual(Writer(lambda: self.fill(0, 1)).wait(), -signal.SIGSEGV)
        os.pwrite(self.file, b"x", PAGE)
        told = [(event.type, event.outcome, event.tgid == os.getpid()) for event in deny.events(timeout=0.1)]
        self.assertEqual(told, [(Type.WRITE, Outcome.DENIED, True), (Type.STORE, Outcome.DENIED, False)])

    def test_old_content_of_a_capture(self):
        capture = self.monitor(Mode.CAPTURE)
        capture.protect((2 * PAGE, PAGE))
        self.fill(2, 255)
        self.assertEqual(capture.pread(4, 2 * PAGE), b"\2" * 4)
        self.assertEqual(capture.info().captured_bytes, PAGE)
        self.assertIn("neither", self.assert_errno(errno.ENODATA, capture.pread, 1, 0))
        self.assert_errno(errno.EOPNOTSUPP, capture.pwrite, b"x", 0)

    def test_two_files_at_one_instant(self):
        other = os.memfd_create("other")
        self.addCleanup(os.close, other)
        os.ftruncate(other, PAGE)
        deny = self.monitor(Mode.DENY)
        with wpfile.Target.from_fd(other) as target, deny.attach(target, cookie=5) as second:
            self.assertIn("already", self.assert_errno(errno.EEXIST, deny.attach, target))
            self.assertGreater(deny.protect(all_files=True).cut_ns, 0)
            self.assert_errno(errno.EPERM, os.pwrite, other, b"x", 0)
            second.unprotect()
            os.pwrite(other, b"x", 0)
            self.assert_errno(errno.EPERM, os.pwrite, self.file, b"x", 0)

    def test_no_event_is_blocking_io_error(self):
        sync = self.monitor(Mode.SYNC)
        os.set_blocking(sync.fileno(), False)
        self.assertRaises(BlockingIOError, sync.read_events)

    def test_asyncio_tells_events_of_several_monitors(self):
        async def answer(monitor, seen):
            async for event in wpfile.aio.events(monitor):
                monitor.resolve(event)
                seen.append(event.offset // PAGE)
                if len(seen) == 4:
                    return

        async def answer_both(first, second):
            await asyncio.wait_for(asyncio.gather(answer(*first), answer(*second)), 60)

        low, high = self.monitor(Mode.SYNC), self.monitor(Mode.SYNC)
        low.protect((0, 4 * PAGE))
        high.protect((8 * PAGE, 4 * PAGE))
        writers = [Writer(lambda first=first: [self.fill(first + page, 255) for page in range(4)]) for first in (0, 8)]
        below, above = [], []
        asyncio.run(answer_both((low, below), (high, above)))
        self.assertEqual([writer.wait() for writer in writers], [0, 0])
        self.assertEqual((below, above), ([0, 1, 2, 3], [8, 9, 10, 11]))


class Rights(Memory):
    def test_without_reading_it_is_eacces(self):
        with open(f"/proc/self/fd/{self.file}", "wb", buffering=0, opener=lambda path, _: os.open(path, os.O_WRONLY)) \
                as writable, wpfile.Target.from_fd(writable) as target:
            self.assertIn("not open for reading", self.assert_errno(errno.EACCES, target.snapshot))
