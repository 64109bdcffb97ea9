#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The fd store, played by the test: what outlives the daemon, and how it is found again. As root, in the VM."""

import array
import os
import signal
import socket
import time

import wire
from harness import (ALICE, PAGE, Daemon, Guest, Writer, check, collect, equal, is_denied, libc, main, memory, monitors_of,
                     offsets, test, wait_until)
from wire import DENY, SUBSCRIBE_DENY, SYNC, refused

PTRACE_ATTACH, PTRACE_DETACH, WALL = 16, 17, 0x40000000
POLICY = """
[rule r]
who = any
files = any
modes = track watch deny
monitors = 2
"""


class Manager:
    """What systemd does: keeps descriptors by name, and passes them to the next daemon."""

    def __init__(self):
        self.path = f"/tmp/notify.{time.monotonic_ns()}"
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.sock.bind(self.path)
        self.store = []  # (name, descriptor)
        self.states = []

    def read(self, seconds=0.2):
        self.sock.settimeout(seconds)
        while True:
            try:
                data, ancillary, _, _ = self.sock.recvmsg(4096, socket.CMSG_SPACE(64))
            except TimeoutError:
                return
            fds = array.array("i")
            for _, _, payload in ancillary:
                fds.frombytes(payload)
            self.take(data.decode(), list(fds))

    def take(self, text, fds):
        state = dict(line.split("=", 1) for line in text.splitlines())
        self.states.append(state)
        if "FDSTORE" in state:
            self.store += [(state["FDNAME"], fd) for fd in fds]
        elif "FDSTOREREMOVE" in state:
            for name, fd in self.store:
                if name == state["FDNAME"]:
                    os.close(fd)
            self.store = [entry for entry in self.store if entry[0] != state["FDNAME"]]

    def wait_for(self, key, seconds=30):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.read(0.1)
            for state in self.states:
                if key in state:
                    return state
        raise AssertionError(f"no {key}: {self.states}")

    def names(self):
        self.read()
        return sorted(name for name, _ in self.store)

    def start(self, policy=POLICY, extra=(), env=None, **kwargs):
        """A daemon that finds what is in the store, and @extra, (name, descriptor)."""
        passed = [*self.store, *extra]
        env = {"NOTIFY_SOCKET": self.path, **(env or {})}
        if not passed:
            return Daemon(policy, env=env, **kwargs)
        return Activated(policy, passed, env, **kwargs)

    def close(self):
        for _, fd in self.store:
            os.close(fd)
        self.store = []


class Activated(Daemon):
    """LISTEN_PID has to be the daemon's own, and the descriptors begin with 3: a shell sees to that."""

    def __init__(self, policy, passed, env, **kwargs):
        self.moved = [(name, os.dup(fd)) for name, fd in passed]
        # First out of the way, then where they belong.
        moves = "".join(f"exec {100 + index}<&{fd} {fd}<&-\n" for index, (_, fd) in enumerate(self.moved))
        moves += "".join(f"exec {3 + index}<&{100 + index} {100 + index}<&-\n" for index in range(len(self.moved)))
        env = {**env, "LISTEN_FDS": str(len(passed)), "LISTEN_FDNAMES": ":".join(name for name, _ in passed)}
        super().__init__(policy, env=env, pass_fds=[fd for _, fd in self.moved],
                         before=["bash", "-c", moves + 'export LISTEN_PID=$$; exec "$@"', "bash"], **kwargs)
        for _, fd in self.moved:
            os.close(fd)


def listener():
    path = f"/tmp/activated.{time.monotonic_ns()}"
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    sock.bind(path)
    sock.listen(100)
    os.chmod(path, 0o666)
    return sock, path


@test
def it_says_when_it_is_ready_reloading_and_stopping():
    manager = Manager()
    with manager.start() as daemon:
        manager.wait_for("READY")
        equal(manager.names(), ["ledger"])
        manager.states.clear()
        daemon.reload(POLICY)
        check("MONOTONIC_USEC" in manager.wait_for("RELOADING"))
        manager.wait_for("READY")
    manager.wait_for("STOPPING")
    manager.close()


@test
def a_socket_that_is_passed_is_used():
    manager = Manager()
    sock, path = listener()
    with manager.start(extra=[("wpfiled.socket", sock.fileno())]) as daemon:
        check(wire.Client.connect(path).metrics())
        check(not os.path.exists(daemon.socket), "it has made one of its own, too")
    check(os.path.exists(path), "it has removed a socket that is not its own")
    manager.close()


@test
def monitors_that_were_handed_out_are_counted_by_the_next_daemon():
    fd = memory(uid=ALICE)
    manager = Manager()
    with manager.start() as daemon:
        alice = Guest(daemon, ALICE)
        held = [alice.monitor(fd) for _ in range(2)]
        equal(refused(alice.monitor, fd), "EDQUOT")
        manager.wait_for("FDSTORE")
        daemon.kill()
    with manager.start() as daemon:
        alice = Guest(daemon, ALICE)
        equal(refused(alice.monitor, fd), "EDQUOT")
        equal(len(alice.holdings()), 2)
        os.close(held.pop())
        equal(refused(alice.monitor, fd), "granted")
    manager.close()


def restarted(manager, number):
    """A daemon with two watches, ended by that signal. (the files, their subscribers)"""
    one, two = memory(), memory()
    with manager.start() as daemon:
        client = daemon.connect()
        client.subscribe(one, again=100)
        client.subscribe(two, flags=SUBSCRIBE_DENY)
        wait_until(lambda: len(manager.names()) == 5)
        daemon.kill(number)
        check(wire.is_gone(client), "he is not told")
        manager.read()
    return one, two


@test
def watches_go_on_after_a_restart():
    for number in (signal.SIGKILL, signal.SIGTERM):
        manager = Manager()
        one, two = restarted(manager, number)
        equal(len(manager.names()), 5)
        equal((monitors_of(one)[SYNC], monitors_of(two)[DENY]), (1, 1))
        writer = Writer(one)
        writer.begin(3)
        check(not writer.has_ended(0.05), "it is not protected")
        with manager.start() as daemon:
            check(writer.has_ended(30), "nobody answers the writer")
            try:
                os.pwrite(two, b"x", 0)
                check(False, "it was written")
            except PermissionError:
                pass
            client = daemon.connect()
            check("wpfiled_watches 2\n" in client.metrics())
            check([entry["subscribers"] for entry in client.holdings()] in ([], [0, 0]))
            client.subscribe(one)
            equal((monitors_of(one)[SYNC], monitors_of(two)[DENY]), (1, 1))
            writer.store(3)
            equal(offsets(collect(client, 1)), [3])
            # Nobody comes for the other one.
            wait_until(lambda: manager.names() and monitors_of(two)[DENY] == 0, 60)
            os.pwrite(two, b"x", 0)
            equal(monitors_of(one)[SYNC], 1)
            equal(len(manager.names()), 3)
            client.close()
            wait_until(lambda: monitors_of(one)[SYNC] + len(manager.names()) == 1)
        manager.close()
        equal(monitors_of(one), [0] * 4)


def denied_before(manager):
    """A file with two halves that two have denied, and a daemon ended."""
    fd = memory()
    with manager.start() as daemon:
        one, two = daemon.connect(), daemon.connect()
        one.subscribe(fd, 0, 4 * PAGE, flags=SUBSCRIBE_DENY)
        two.subscribe(fd, 4 * PAGE, 4 * PAGE, flags=SUBSCRIBE_DENY)
        wait_until(lambda: len(manager.names()) == 3)
        daemon.kill()
        manager.read()
    check(is_denied(fd, 1) and is_denied(fd, 5), "it is not denied any more")
    return fd


@test
def what_nobody_comes_for_again_is_lifted():
    manager = Manager()
    fd = denied_before(manager)
    with manager.start() as daemon:
        client = daemon.connect()
        client.subscribe(fd, 4 * PAGE, 4 * PAGE, flags=SUBSCRIBE_DENY)
        check(is_denied(fd, 1), "he could not come again")
        wait_until(lambda: not is_denied(fd, 1), 60)
        check(is_denied(fd, 5), "another has lost his")
    manager.close()


@test
def who_comes_and_goes_takes_nothing_from_who_may_come_again():
    manager = Manager()
    fd = denied_before(manager)
    with manager.start() as daemon:
        client = daemon.connect()
        client.unsubscribe(client.subscribe(fd, 0, 8 * PAGE, flags=SUBSCRIBE_DENY))
        equal(refused(client.subscribe, fd, 1, PAGE, flags=SUBSCRIBE_DENY), "EINVAL")
        manager.read()
        check(is_denied(fd, 1) and is_denied(fd, 5), "it was lifted")
        client.subscribe(fd, 0, 4 * PAGE, flags=SUBSCRIBE_DENY)
        wait_until(lambda: not is_denied(fd, 5), 60)
        check(is_denied(fd, 1), "he has lost his")
        client.close()
        wait_until(lambda: monitors_of(fd)[DENY] + len(manager.names()) == 1)
    manager.close()


def ticks(daemon, tid):
    with open(f"/proc/{daemon.pid}/task/{tid}/stat") as file:
        return sum(map(int, file.read().rpartition(")")[2].split()[11:13]))


@test
def what_has_ended_does_not_keep_the_pump_busy():
    """While the service manager still has its copy."""
    fd = memory()
    manager = Manager()
    with manager.start() as daemon:
        client, other = daemon.connect(), daemon.connect()
        client.subscribe(fd, flags=SUBSCRIBE_DENY)
        wait_until(lambda: len(manager.names()) == 3)
        client.close()
        wait_until(lambda: "wpfiled_watches 0\n" in other.metrics())
        check(is_denied(fd, 1), "the copy is gone: the test proves nothing")
        pump = next(tid for tid, name in threads(daemon).items() if name == "wpfiled-pump")
        before = ticks(daemon, pump)
        time.sleep(2)
        check(ticks(daemon, pump) - before < 50, "it turns round and round")
    manager.close()
    check(not is_denied(fd, 1), "it is denied for nobody")


@test
def numbers_are_not_used_again():
    manager = Manager()
    one, two = restarted(manager, signal.SIGKILL)
    old = [int(name.split("-")[1]) for name in manager.names() if name.startswith("watch")]
    with manager.start() as daemon:
        client = daemon.connect()
        check(client.subscribe(memory()) > max(old))
    manager.close()
    del one, two


@test
def what_is_not_known_is_closed_and_taken_out_of_the_store():
    manager = Manager()
    pipe, keep = os.pipe()
    manager.store = [("pipe", os.dup(pipe)), ("watch-7-sync", os.dup(pipe)), ("watch-0-sync", os.dup(pipe)),
                     ("watch-8-track", os.dup(pipe))]
    with manager.start() as daemon:
        daemon.wait_for("a descriptor named pipe was passed")
        equal(manager.names(), ["ledger"])
        check(daemon.connect().metrics())
    manager.close()
    os.close(pipe)
    os.close(keep)


def threads(daemon):
    """Their names."""
    found = {}
    for tid in os.listdir(f"/proc/{daemon.pid}/task"):
        with open(f"/proc/{daemon.pid}/task/{tid}/comm") as file:
            found[int(tid)] = file.read().strip()
    return found


@test
def the_watchdog_is_fed_while_loop_and_pump_move():
    manager = Manager()
    with manager.start(env={"WATCHDOG_USEC": "1000000"}) as daemon:
        manager.wait_for("WATCHDOG")
        manager.states.clear()
        manager.wait_for("WATCHDOG")
        equal(sorted(threads(daemon).values()), ["wpfiled", "wpfiled-chore", "wpfiled-pump"])
        os.kill(daemon.pid, signal.SIGSTOP)
        manager.read()
        manager.states.clear()
        manager.read(3)
        check(not any("WATCHDOG" in state for state in manager.states), "it is fed by nobody")
        os.kill(daemon.pid, signal.SIGCONT)
        manager.wait_for("WATCHDOG")
    manager.close()


@test
def the_watchdog_is_not_fed_when_the_pump_stands_still():
    manager = Manager()
    with manager.start(env={"WATCHDOG_USEC": "1000000"}) as daemon:
        manager.wait_for("WATCHDOG")
        pump = next(tid for tid, name in threads(daemon).items() if name == "wpfiled-pump")
        check(libc.ptrace(PTRACE_ATTACH, pump, None, None) == 0, "it cannot be stopped")
        os.waitpid(pump, WALL)
        time.sleep(1)
        manager.read()
        manager.states.clear()
        manager.read(2)
        check(daemon.connect().metrics(), "the loop stands still, too: the test proves nothing")
        fed = any("WATCHDOG" in state for state in manager.states)
        libc.ptrace(PTRACE_DETACH, pump, None, None)
        check(not fed, "it is fed though the pump stands still")
        daemon.wait_for("the pump does not move")
        manager.wait_for("WATCHDOG")
    manager.close()


@test
def without_a_policy_it_does_not_start():
    for policy, said in ((None, "No such file"), ("[rule r]\nwho = any\n", "no line files"), ("x", "neither"),
                         ("[rule r]\nmonitors = -1\n", ":2: monitors"), ("[what]\na = b\n", ":2: [what]"),
                         ("[rule r]\nwhat = 1\n", ":2: [rule r]: the key what")):
        daemon = Daemon(policy or "", wait=False)
        if policy is None:
            daemon.kill()
            daemon = Daemon("", wait=False, options=["--config", "/nowhere"])
        equal(daemon.process.wait(60), 1)
        check(said in daemon.log(), daemon.log())
        check(not os.path.exists(daemon.socket))


main()
