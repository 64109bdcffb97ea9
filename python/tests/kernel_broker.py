# SPDX-License-Identifier: GPL-2.0-or-later
"""The module and wpfiled, on a kernel with wpfile, as root."""

import asyncio
import errno
import os
import select
import subprocess
import sys
import tempfile
import time

import wpfile
import wpfile.aio
from memory import PAGE, Memory, Writer
from wpfile import Mode, Outcome, Type

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
DAEMON = "/usr/sbin/wpfiled" if "--installed" in sys.argv else os.path.join(ROOT, "build/wpfiled")
STRANGER = 4711  # a uid

POLICY = f"""
[rule strangers]
who = user:{STRANGER}
files = any
modes = snapshot

[rule root]
who = user:0
files = any
modes = track capture snapshot deny watch
monitors = 4
release = yes
"""


class Brokered(Memory):
    """With a daemon of its own, which ends with the test."""

    def setUp(self):
        super().setUp()
        if not os.access(DAEMON, os.X_OK):
            self.skipTest(f"there is no {DAEMON}")
        work = tempfile.TemporaryDirectory()
        self.addCleanup(work.cleanup)
        os.chmod(work.name, 0o755)
        policy = os.path.join(work.name, "wpfiled.conf")
        with open(policy, "w") as file:
            file.write(POLICY)
        self.socket = os.path.join(work.name, "socket")
        self.daemon = subprocess.Popen([DAEMON, "--config", policy, "--socket", self.socket])
        self.addCleanup(self.stop)
        self.await_socket()
        os.chmod(self.socket, 0o666)
        self.broker = self.connect()
        self.target.use_broker(self.broker)

    def await_socket(self):
        end = time.monotonic() + 60
        while not os.path.exists(self.socket):
            self.assertIsNone(self.daemon.poll(), "wpfiled has ended")
            self.assertLess(time.monotonic(), end, "wpfiled has no socket")
            time.sleep(0.05)

    def stop(self):
        self.daemon.terminate()
        self.daemon.wait(60)

    def connect(self):
        """It may be there before it listens."""
        for _ in range(100):
            try:
                broker = wpfile.Broker(self.socket)
                self.addCleanup(broker.close)
                return broker
            except ConnectionRefusedError:
                time.sleep(0.05)
        return self.fail("nobody listens")

    def as_stranger(self, function):
        """The exit status of a child without rights that can only read the file."""
        def child():
            file = os.open(f"/proc/self/fd/{self.file}", os.O_RDONLY)
            os.setgroups([])
            os.setgid(STRANGER)
            os.setuid(STRANGER)
            with wpfile.Target.from_fd(file) as target:
                function(target)

        return Writer(child).wait()


class Broker(Brokered):
    def test_a_stranger_gets_the_snapshot_that_policy_allows(self):
        def snapshot(target):
            with target.snapshot() as snapshot:
                os._exit(0 if snapshot.read(PAGE) == self.page(0) else 1)

        def by_broker(use):
            def child(target):
                with wpfile.Broker(self.socket) as broker:
                    target.use_broker(broker)
                    use(target)
            return child

        self.assertEqual(self.as_stranger(snapshot), errno.EPERM)
        self.assertEqual(self.as_stranger(by_broker(snapshot)), 0)
        self.assertEqual(self.as_stranger(by_broker(lambda target: target.monitor(Mode.TRACK))), errno.EACCES)

    def test_what_no_rule_allows_is_refused_and_says_so(self):
        self.assertIn("policy", self.assert_errno(errno.EACCES, self.target.monitor, Mode.SYNC))

    def test_quota(self):
        monitors = [self.monitor(Mode.TRACK) for _ in range(4)]
        self.assertIn("quota", self.assert_errno(errno.EDQUOT, self.target.monitor, Mode.TRACK))
        monitors[0].close()
        self.monitor(Mode.TRACK)

    def test_a_monitor_that_was_handed_out_is_the_clients_own(self):
        tracker = self.monitor(Mode.TRACK)
        holding, = self.broker.holdings()
        self.assertEqual((holding.mode, holding.subscribers, holding.uid), (Mode.TRACK, 0, 0))
        tracker.protect()
        self.stop()
        self.fill(3, 0)
        self.assertEqual(list(tracker.dirty()), [(3 * PAGE, PAGE)])

    def test_metrics(self):
        self.assertTrue(self.broker.metrics().endswith("# EOF\n"))

    def test_a_closed_broker_is_not_gone_around(self):
        self.broker.close()
        self.assertRaises(ValueError, self.target.snapshot)
        self.target.use_broker(None)
        self.target.snapshot().close()

    def test_nobody_there(self):
        self.assertIn("no wpfiled", self.assert_errno(errno.ENOENT, wpfile.Broker, "/run/there-is-none"))

    def test_a_daemon_that_is_gone_says_so(self):
        self.stop()
        self.assertIn("open another", self.assert_errno(errno.EPIPE, self.target.monitor, Mode.TRACK))


class Subscriptions(Brokered):
    def test_writes_are_told_to_all_who_subscribe(self):
        low = self.target.subscribe(0, 4 * PAGE, cookie=1)
        everything = self.target.subscribe(cookie=2)
        self.assertEqual(self.target.query().monitors[Mode.SYNC], 1)
        writer = Writer(lambda: [self.fill(page, 255) for page in (2, 9)])
        self.assertEqual(writer.wait(), 0)
        told = {(subscription, event.offset // PAGE, event.cookie, event.type, event.tgid)
                for subscription, event in self.broker.events(timeout=2)}
        self.assertEqual(told, {(low, 2, 1, Type.STORE, writer.pid), (everything, 2, 2, Type.STORE, writer.pid),
                                (everything, 9, 2, Type.STORE, writer.pid)})

    def test_the_end_of_the_last_ends_the_monitor(self):
        with self.target.subscribe():
            self.assertEqual(self.target.query().monitors[Mode.SYNC], 1)
        self.assertEqual(self.target.query().monitors[Mode.SYNC], 0)
        self.fill(0, 255)
        self.assertRaises(BlockingIOError, self.broker.read, 0.1)

    def test_writes_are_refused_and_told(self):
        with self.target.subscribe(deny=True):
            self.assertEqual(self.target.query().monitors[Mode.DENY], 1)
            self.assert_errno(errno.EPERM, os.pwrite, self.file, b"x", 0)
            _, events = self.broker.read(10)
            self.assertEqual([(event.type, event.outcome) for event in events], [(Type.WRITE, Outcome.DENIED)])

    def test_released_by_who_may(self):
        self.target.subscribe()
        other = self.connect()
        holding, = other.holdings()
        self.assertEqual((holding.subscribers, holding.inode), (1, os.fstat(self.file).st_ino))
        other.release(holding)
        self.assertEqual(other.holdings(), [])
        self.assert_errno(errno.ENOENT, other.release, holding)
        self.assert_errno(errno.EPIPE, self.broker.read, 10)

    def test_asyncio(self):
        async def pages(number):
            seen = []
            async for _, event in wpfile.aio.events(self.broker):
                seen.append(event.offset // PAGE)
                if len(seen) == number:
                    return seen

        self.target.subscribe()
        writer = Writer(lambda: [self.fill(page, 255) for page in range(5)])
        self.assertEqual(asyncio.run(asyncio.wait_for(pages(5), 60)), list(range(5)))
        self.assertEqual(writer.wait(), 0)

    def test_readable_when_there_are_events(self):
        self.target.subscribe()
        self.assertEqual(select.select([self.broker], [], [], 0)[0], [])
        self.assertEqual(Writer(lambda: self.fill(0, 255)).wait(), 0)
        self.assertEqual(select.select([self.broker], [], [], 10)[0], [self.broker])
