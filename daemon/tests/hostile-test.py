#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Clients that break the rules, that are many, or that leave the daemon no room. As root, in the virtual machine."""

import grp
import os
import random
import resource
import socket
import struct
import subprocess
import time

import wire
from harness import (Daemon, Guest, PAGE, Skip, check, equal, main, memory, monitors_of, test, wait_until)
from wire import HELLO, METRICS, MONITOR, TRACK, message, refused

ALL = """
[daemon]
requests = 1000000
user_connections = 3000
[rule r]
who = any
files = any
modes = track capture snapshot watch
monitors = 100000
subscriptions = 1000
"""

HELLO_BODY = struct.pack("=II", 1, 0)
TRACK_BODY = wire.MONITOR_ARGS.pack(wire.MONITOR_ARGS.size, 0, 0, TRACK, 0, 0, 0, 0, 0)
SUBSCRIBE_BODY = wire.SUBSCRIPTION.pack(0, wire.TO_END, 0, 0, 0, 0, 0)


def is_dropped(daemon, data, fds=(), greet=True):
    """Is who sends that disconnected, and nobody else?"""
    client = daemon.connect(greet)
    client.send(data, fds)
    return wire.is_gone(client, 20) and bool(daemon.connect().metrics())


@test
def who_breaks_the_rules_is_disconnected():
    fd = memory()
    rows = {
        "shorter than a header": (b"x" * 15, []),
        "one byte": (b"x", []),
        "a size that is not its own": (message(METRICS, size=17), []),
        "a size of 0": (message(METRICS, size=0), []),
        "type 0": (message(0), []),
        "a type that there is not": (message(11), []),
        "events, which only the daemon sends": (message(wire.EVENTS, b"\0" * 8), []),
        "the greatest type": (message(65535), []),
        "reserved": (message(METRICS, reserved=1), []),
        "serial 0": (message(METRICS, serial=0), []),
        "a result": (message(METRICS, result=-1), []),
        "a body too short": (message(MONITOR, TRACK_BODY[:-8]), [fd]),
        "a body too long": (message(MONITOR, TRACK_BODY + b"\0" * 8), [fd]),
        "a body where there is none": (message(METRICS, b"\0" * 8), []),
        "no descriptor": (message(MONITOR, TRACK_BODY), []),
        "two descriptors": (message(MONITOR, TRACK_BODY), [fd, fd]),
        "253 descriptors": (message(MONITOR, TRACK_BODY), [fd] * 253),
        "a descriptor with a request that has none": (message(METRICS), [fd]),
        "an address in the daemon": (message(MONITOR, struct.pack("=IIQ", 48, 1, 4096) + TRACK_BODY[16:]), [fd]),
        "a structure longer than it is": (message(MONITOR, struct.pack("=I", 4096) + TRACK_BODY[4:]), [fd]),
        "a second hello": (message(HELLO, HELLO_BODY), []),
        "longer than any request": (message(METRICS, b"\0" * 4000), []),
        "as long as can be": (message(METRICS, b"\0" * 65000), []),
        "longer than any message": (message(METRICS, b"\0" * 150000), []),
    }
    with Daemon(ALL) as daemon:
        for name, (data, fds) in rows.items():
            check(is_dropped(daemon, data, fds), name)
        check(is_dropped(daemon, message(METRICS), greet=False), "no hello")
        check(is_dropped(daemon, message(HELLO, struct.pack("=II", 0, 0)), greet=False), "version 0")
        check(is_dropped(daemon, message(HELLO, struct.pack("=II", 1, 1)), greet=False), "hello with reserved")
        equal(daemon.connect(greet=False).hello(99), 1)
        wait_until(lambda: "wpfiled_clients 1\n" in daemon.connect().metrics())
        equal(monitors_of(fd), [0] * 4)


@test
def what_is_cut_off_is_no_message():
    """The beginning would be a request, if its end did not matter."""
    with Daemon(ALL) as daemon:
        data = message(METRICS, serial=5)
        check(is_dropped(daemon, data + b"\0" * 500), "a tail")
        check(is_dropped(daemon, message(METRICS, b"\0" * 240, size=256) + b"x"), "one byte too many")


@test
def what_came_with_a_bad_message_is_closed():
    fd = memory()
    with Daemon(ALL) as daemon:
        table = f"/proc/{daemon.pid}/fd"
        before = len(os.listdir(table))
        for _ in range(20):
            is_dropped(daemon, message(METRICS), [fd] * 50)
            is_dropped(daemon, b"x" * 4000, [fd] * 50)
            is_dropped(daemon, message(MONITOR, TRACK_BODY), [fd] * 2)
        wait_until(lambda: len(os.listdir(table)) <= before)


@test
def a_connection_that_is_closed_half_is_closed():
    with Daemon(ALL) as daemon:
        client = daemon.connect()
        client.sock.shutdown(socket.SHUT_WR)
        check(wire.is_gone(client))
        client = daemon.connect()
        client.sock.shutdown(socket.SHUT_RD)
        client.send(message(METRICS, serial=9))
        other = daemon.connect()
        wait_until(lambda: "wpfiled_clients 1\n" in other.metrics())


@test
def random_messages_do_not_stop_the_daemon():
    seed = int(os.environ.get("SEED", "1"))
    rng = random.Random(seed)
    fd, other = memory(), os.open("/dev/null", os.O_RDWR)
    bodies = [b"", HELLO_BODY, TRACK_BODY, SUBSCRIBE_BODY, struct.pack("=Q", 0),
              wire.SNAPSHOT_ARGS.pack(wire.SNAPSHOT_ARGS.size, 0, 0, PAGE, 0, 0, 0),
              wire.QUERY_ARGS.pack(wire.QUERY_ARGS.size, *[0] * 13)]
    with Daemon(ALL) as daemon:
        client = daemon.connect()
        for _ in range(4000):
            body = bytearray(rng.choice(bodies))
            for _ in range(rng.choice((0, 0, 1, 3))):
                if body:
                    body[rng.randrange(len(body))] = rng.choice((0, 1, 255, rng.randrange(256)))
            data = message(rng.randrange(0, 12), bytes(body), serial=rng.randrange(0, 4))
            try:
                client.send(data, [rng.choice((fd, other)) for _ in range(rng.choice((0, 1, 1, 2)))])
                while client.readable(0):
                    for taken in client.receive()[4]:
                        os.close(taken)
            except wire.Gone:
                client.close()
                client = daemon.connect()
        check(daemon.connect().metrics().endswith("# EOF\n"), f"seed {seed}")
        client.close()
        wait_until(lambda: monitors_of(fd) == [0] * 4)


@test
def a_daemon_without_descriptors_answers_and_goes_on():
    fd, other = memory(), memory()
    with Daemon(ALL, nofile=40) as daemon:
        table = f"/proc/{daemon.pid}/fd"
        first = daemon.connect()
        check(first.monitor(fd))
        crowd = []
        while len(os.listdir(table)) < 40:
            client = wire.Client.connect(daemon.socket, greet=False)
            try:
                client.hello()
            except wire.Gone:
                break
            crowd.append(client)
        # One place, at the most: the file may find room, the monitor does not.
        check(len(os.listdir(table)) >= 39)
        for call in (first.monitor, first.snapshot, first.subscribe):
            equal(refused(call, fd), "EMFILE")
        # None: the file gets lost on the way.
        resource.prlimit(daemon.pid, resource.RLIMIT_NOFILE, (3, 40))
        for call in (first.monitor, first.snapshot, first.subscribe, first.query):
            equal(refused(call, fd), "EMFILE")
        equal(refused(first.unsubscribe, 1 << 40), "ENOENT")
        resource.prlimit(daemon.pid, resource.RLIMIT_NOFILE, (39, 40))
        check(wire.is_gone(wire.Client.connect(daemon.socket, greet=False)), "one more is served")
        daemon.wait_for("no more descriptors")
        resource.prlimit(daemon.pid, resource.RLIMIT_NOFILE, (40, 40))
        for client in crowd:
            client.close()
        wait_until(lambda: len(os.listdir(table)) < 30)
        equal(refused(first.monitor, fd), "granted")
        equal(refused(first.subscribe, other), "granted")
        check(daemon.connect().metrics())


@test
def who_does_not_read_his_answers_is_dropped():
    with Daemon(ALL) as daemon:
        client = daemon.connect()
        client.sock.setblocking(False)
        end = time.monotonic() + 40
        while time.monotonic() < end:
            try:
                client.sock.send(message(METRICS))
            except BlockingIOError:
                time.sleep(0.01)
                if "does not read its answers" in daemon.log():
                    break
            except (BrokenPipeError, ConnectionResetError):
                break
        daemon.wait_for("does not read its answers", 1)
        check(daemon.connect().metrics())


@test
def monitors_in_answers_that_nobody_reads_are_counted():
    fd = memory()
    with Daemon(ALL.replace("monitors = 100000", "monitors = 5")) as daemon:
        client = daemon.connect()
        for serial in range(20):
            client.send(message(MONITOR, TRACK_BODY, serial + 2), [fd])
        wait_until(lambda: monitors_of(fd)[TRACK] == 5)
        time.sleep(0.5)
        equal(monitors_of(fd)[TRACK], 5)
        client.close()
        wait_until(lambda: monitors_of(fd)[TRACK] == 0)


@test
def a_thousand_clients():
    files = [memory(1) for _ in range(50)]
    with Daemon(ALL) as daemon:
        clients = [daemon.connect() for _ in range(1000)]
        check("wpfiled_clients 1000\n" in clients[0].metrics())
        for index, client in enumerate(clients):
            client.subscribe(files[index % 50])
        for fd in files:
            equal(monitors_of(fd)[wire.SYNC], 1)
            os.pwrite(fd, b"x", 0)
        for client in clients:
            check(len(client.next_events()) == 1)
        for client in clients:
            client.close()
        wait_until(lambda: all(monitors_of(fd)[wire.SYNC] == 0 for fd in files))


@test
def clients_that_come_and_go_leave_nothing_behind():
    fd = memory()
    with Daemon(ALL) as daemon:
        table = f"/proc/{daemon.pid}/fd"
        daemon.connect().close()
        wait_until(lambda: "wpfiled_clients 1\n" in daemon.connect().metrics())
        before = len(os.listdir(table))
        for _ in range(100):
            client = daemon.connect()
            client.subscribe(fd)
            os.close(client.monitor(fd))
            client.close()
        wait_until(lambda: len(os.listdir(table)) <= before)
        check("wpfiled_watches 0\n" in daemon.connect().metrics())


@test
def the_socket_is_for_its_group_only():
    daemon = Daemon(ALL, wait=False)
    daemon.wait_for("ready")
    with daemon:
        equal(os.stat(daemon.socket).st_mode & 0o777, 0o600)
        os.chmod(daemon.dir, 0o755)
        try:
            Guest(daemon, 1001)
            check(False, "a stranger may connect")
        except AssertionError as error:
            check("sent nothing" in str(error), error)
    try:
        group = grp.getgrnam("daemon")
    except KeyError:
        raise Skip("no group daemon") from None
    daemon = Daemon(ALL, wait=False, options=["--group", "no-such-group"])
    equal(daemon.process.wait(60), 1)
    check("the group no-such-group does not exist" in daemon.log() and not os.path.exists(daemon.socket))
    daemon = Daemon(ALL, wait=False, options=["--group", "daemon"])
    with daemon:
        daemon.wait_for("ready")
        stat = os.stat(daemon.socket)
        equal((stat.st_mode & 0o777, stat.st_gid), (0o660, group.gr_gid))


@test
def a_socket_where_somebody_answers_is_left_alone():
    with Daemon(ALL) as daemon:
        second = Daemon(ALL, wait=False, directory=daemon.dir)
        equal(second.process.wait(60), 1)
        check("Address already in use" in second.log(), second.log())
        check(daemon.connect().metrics())
    with Daemon(ALL) as daemon:
        daemon.kill()
        check(os.path.exists(daemon.socket))
        with Daemon(ALL, directory=daemon.dir) as third:
            check(third.connect().metrics())
    with Daemon(ALL) as daemon:
        pass
    with open(daemon.socket, "w"):
        pass
    second = Daemon(ALL, wait=False, directory=daemon.dir)
    equal(second.process.wait(60), 1)
    check(os.path.exists(daemon.socket) and "File exists" in second.log(), second.log())


@test
def who_reads_the_log_may_go():
    daemon = Daemon(ALL)
    with daemon:
        pass
    reader, writer = os.pipe()
    with open(daemon.log_path, "wb"):
        daemon.process = subprocess.Popen(daemon.process.args, stderr=writer)
    os.close(writer)
    with daemon:
        with open(reader, "rb") as log:
            check(any(b"ready" in line for line in log))
        for _ in range(3):
            check(is_dropped(daemon, b"x"))
        check(daemon.connect().metrics())


def status_of(pid):
    with open(f"/proc/{pid}/status") as file:
        return dict(line.rstrip("\n").split(":\t", 1) for line in file if ":\t" in line)


@test
def the_daemon_has_two_capabilities_and_no_way_to_more():
    with Daemon(ALL) as daemon:
        status = status_of(daemon.pid)
        wanted = 1 << 3 | 1 << 19
        for name in ("CapPrm", "CapEff", "CapBnd"):
            equal(int(status[name], 16), wanted)
        for name in ("CapInh", "CapAmb"):
            equal(int(status[name], 16), 0)
        equal(status["NoNewPrivs"], "1")
        # Not dumpable: its /proc is root's, and a tracer needs CAP_SYS_PTRACE.
        equal(os.stat(f"/proc/{daemon.pid}/environ").st_uid, 0)
        check(daemon.connect().metrics())


@test
def it_runs_as_a_user_with_ambient_capabilities_and_says_what_is_missing():
    fd = memory(uid=1001)
    daemon = Daemon(ALL)
    with daemon:
        pass
    os.chown(daemon.dir, 1003, 1003)
    caps = "+fowner,+sys_ptrace"
    command = ["setpriv", "--reuid=1003", "--regid=1003", "--clear-groups", f"--inh-caps=-all,{caps}",
               f"--ambient-caps={caps}", daemon.process.args[0], "--config", daemon.config, "--socket", daemon.socket]
    with open(daemon.log_path, "wb") as log:
        daemon.process = subprocess.Popen(command, stderr=log)
    with daemon:
        daemon.wait_for("ready")
        equal(int(status_of(daemon.pid)["CapEff"], 16), 1 << 3 | 1 << 19)
        equal(status_of(daemon.pid)["NoNewPrivs"], "1")
        client = daemon.connect()
        equal(refused(client.snapshot, fd, PAGE), "granted")
        equal(refused(client.monitor, os.open(f"/proc/self/fd/{fd}", os.O_RDONLY)), "granted")
        equal(refused(client.subscribe, fd), "granted")
        equal(len(client.holdings()), 3)
    command[4] = "--inh-caps=-all,+fowner"
    command[5] = "--ambient-caps=+fowner"
    result = subprocess.run(command, stderr=subprocess.PIPE, text=True, check=False)
    equal(result.returncode, 1)
    check("the capability sys_ptrace is missing" in result.stderr, result.stderr)


main()
