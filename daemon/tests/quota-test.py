#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""How much of it: quotas, and a policy that changes. As root, in the virtual machine."""

import os
import signal
import time

import wire
from harness import (ALICE, BOB, OWN, Child, Daemon, Guest, PAGE, become, check, equal, main, memory, monitors_of,
                     protect, test, wait_until)
from wire import CAPTURE, DENY, SYNC, TRACK, refused

# --- quotas ---


@test
def monitors_are_counted_by_user_as_long_as_they_live():
    fd = memory(uid=ALICE)
    with Daemon(OWN + "monitors = 3\n") as daemon:
        alice, again = Guest(daemon, ALICE), Guest(daemon, ALICE)
        monitors = [alice.monitor(fd), again.monitor(fd), alice.monitor(fd)]
        equal(refused(again.monitor, fd), "EDQUOT")
        check("rule=own errno=EDQUOT" in daemon.wait_for("refused"))
        # Also when the user is forgotten: the ledger is not.
        alice.close()
        again.close()
        time.sleep(0.2)
        alice = Guest(daemon, ALICE)
        equal(refused(alice.monitor, fd), "EDQUOT")
        os.close(monitors.pop())
        equal(refused(alice.monitor, fd), "granted")
        equal(refused(alice.monitor, memory(uid=ALICE)), "EDQUOT" if len(alice.holdings()) == 3 else "granted")


def take_monitors(sock, daemon, fd, count):
    become(ALICE, ALICE)
    client = daemon.connect()
    held = [client.monitor(fd) for _ in range(count)]
    sock.send(b"%d" % len(held))
    sock.recv(1)


@test
def monitors_of_a_client_that_is_killed_are_counted_no_more():
    fd = memory(uid=ALICE)
    with Daemon(OWN + "monitors = 4\n") as daemon:
        child = Child(take_monitors, daemon, fd, 4, keep=[fd])
        equal(child.sock.recv(8), b"4")
        alice = Guest(daemon, ALICE)
        equal(refused(alice.monitor, fd), "EDQUOT")
        child.kill()
        wait_until(lambda: monitors_of(fd)[TRACK] == 0)
        equal(refused(alice.monitor, fd), "granted")


@test
def captured_bytes_are_limited_by_user():
    fd = memory(uid=ALICE)
    with Daemon(OWN + "captured = 8M\n") as daemon:
        alice = Guest(daemon, ALICE)
        equal(refused(alice.snapshot, fd, 9 << 20), "EDQUOT")
        first, _ = alice.snapshot(fd, 3 << 20)
        equal(refused(alice.monitor, fd, CAPTURE, limit=6 << 20), "EDQUOT")
        rest, limit = alice.snapshot(fd)
        equal(limit, 5 << 20)
        equal(refused(alice.snapshot, fd), "EDQUOT")
        equal(refused(alice.snapshot, fd, 1), "EDQUOT")
        equal(refused(alice.monitor, fd, TRACK), "granted")
        os.close(first)
        equal(alice.snapshot(fd)[1], 3 << 20)
        os.close(rest)
        equal(refused(Guest(daemon, BOB).snapshot, memory(uid=BOB), 8 << 20), "granted")


@test
def queues_and_subscriptions_are_limited():
    fd = memory(uid=ALICE)
    with Daemon("[rule r]\nwho = any\nfiles = own\nmodes = watch sync\nqueue = 10\nsubscriptions = 2\n") as daemon:
        alice, again = Guest(daemon, ALICE), Guest(daemon, ALICE)
        equal(refused(alice.subscribe, fd, queue=11), "EDQUOT")
        equal(refused(alice.monitor, fd, SYNC, limit=PAGE, queue=11), "EDQUOT")
        equal(refused(alice.monitor, fd, SYNC, limit=PAGE, queue=10), "granted")
        first = alice.subscribe(fd, queue=10)
        again.subscribe(fd)
        equal(refused(alice.subscribe, fd), "EDQUOT")
        alice.unsubscribe(first)
        equal(refused(alice.subscribe, fd), "granted")
        again.close()
        wait_until(lambda: refused(alice.subscribe, fd) == "granted")
        equal(refused(alice.unsubscribe, first), "ENOENT")


@test
def a_queue_is_what_policy_or_the_system_allows():
    """Events that nobody waits for, of a monitor that nobody reads."""
    path = "/proc/sys/vm/wpfile/max_queued_events"
    with open(path) as file:
        system = file.read()
    try:
        for allowed, wanted in ((1000, 5), (3, 3)):
            with open(path, "w") as file:
                file.write(str(allowed))
            fd = memory()
            with Daemon("[rule r]\nwho = any\nfiles = any\nmodes = deny\nqueue = 5\n") as daemon:
                # DENIED_EVENTS
                monitor = daemon.connect().monitor(fd, DENY, flags=2, limit=PAGE)
                protect(monitor)
                for _ in range(10):
                    try:
                        os.pwrite(fd, b"x", 0)
                    except PermissionError:
                        pass
                equal(len(os.read(monitor, 100 * 64)) // 64, wanted + 1)
    finally:
        with open(path, "w") as file:
            file.write(system)


@test
def connections_are_limited():
    with Daemon("[daemon]\nconnections = 5\nuser_connections = 3\n" + OWN) as daemon:
        guests = [Guest(daemon, ALICE) for _ in range(3)]
        check(wire.is_gone(Guest(daemon, ALICE, greet=False)), "a fourth of one user")
        check("errno=EUSERS" in daemon.wait_for("type=connect"))
        guests += [Guest(daemon, BOB) for _ in range(2)]
        check(wire.is_gone(Guest(daemon, BOB + 1, greet=False)), "a sixth")
        guests.pop().close()
        time.sleep(0.2)
        Guest(daemon, BOB + 1)


@test
def requests_wait_where_there_are_too_many():
    with Daemon("[daemon]\nrequests = 20\n" + OWN) as daemon:
        client = daemon.connect()
        begin = time.monotonic()
        for _ in range(60):
            client.metrics()
        check(time.monotonic() - begin > 1.5, "60 requests of 20 in a second")


# --- the policy anew ---


@test
def a_new_policy_is_for_what_is_asked_then():
    fd = memory(uid=ALICE)
    with Daemon(OWN) as daemon:
        alice = Guest(daemon, ALICE)
        snapshot, _ = alice.snapshot(fd, PAGE)
        check("1 rules" in daemon.reload("[rule own]\nwho = any\nfiles = own\nmodes = track\n"))
        equal(refused(alice.snapshot, fd, PAGE), "EACCES")
        equal(refused(alice.monitor, fd), "granted")
        equal(os.pread(snapshot, 1, 0), b"\xaa")


@test
def a_bad_policy_leaves_the_old_one_and_names_the_line():
    fd = memory(uid=ALICE)
    with Daemon(OWN) as daemon:
        alice = Guest(daemon, ALICE)
        line = daemon.reload(OWN + "\n[rule two]\nwho = user:who-is-that\n")
        check(f"{daemon.config}:8: who: user:who-is-that does not exist here" in line, line)
        equal(refused(alice.snapshot, fd, PAGE), "granted")
        check("reloads_failed_total 1" in alice.metrics())
        os.unlink(daemon.config)
        os.kill(daemon.pid, signal.SIGHUP)
        daemon.wait_for("No such file")
        equal(refused(alice.snapshot, fd, PAGE), "granted")


main()
