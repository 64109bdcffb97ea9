#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Who may do what: credentials, rules, lists, and what the log says of it. As root, in the virtual machine."""

import os
import shutil
import signal
import socket
import struct

import wire
from harness import (ALICE, BOB, OWN, Child, Daemon, Guest, PAGE, Skip, become, check, connect_child, equal, main,
                     memory, monitors_of, protect, reopen, send_fd, test, wait_until)
from wire import CAPTURE, DENY, SYNC, TRACK, refused

NOBODY = 65534
CAP_SYS_ADMIN = 1 << 21


# --- who ---


def table(policy, rows):
    """Each row: arguments of Guest, what becomes of a snapshot of root's memory."""
    fd = memory()
    with Daemon(policy) as daemon:
        for who, wanted in rows:
            guest = Guest(daemon, **who)
            got = refused(guest.snapshot, fd, PAGE)
            check(got == wanted, f"{who}: {got}, not {wanted}")
            guest.close()


@test
def a_user_is_known_by_his_uid():
    table(f"[rule r]\nwho = user:{ALICE}\nfiles = any\nmodes = snapshot\n", [
        ({"uid": ALICE}, "granted"),
        ({"uid": BOB}, "EACCES"),
        ({"uid": BOB, "gid": ALICE, "groups": [ALICE]}, "EACCES"),
    ])


@test
def a_group_is_that_of_the_process_or_one_more():
    table("[rule r]\nwho = group:2000\nfiles = any\nmodes = snapshot\n", [
        ({"uid": ALICE, "gid": 2000}, "granted"),
        ({"uid": ALICE, "groups": [3000, 2000, 4000]}, "granted"),
        ({"uid": ALICE, "groups": list(range(1000, 1200)) + [2000]}, "granted"),
        ({"uid": ALICE, "groups": [2001]}, "EACCES"),
        ({"uid": 2000, "gid": 1}, "EACCES"),
    ])


@test
def a_capability_counts_in_our_user_namespace_only():
    if not os.path.exists("/proc/self/ns/user"):
        raise Skip("no user namespaces")
    table("[rule r]\nwho = capability:CAP_SYS_ADMIN\nfiles = any\nmodes = snapshot\n", [
        ({"uid": ALICE, "capabilities": CAP_SYS_ADMIN}, "granted"),
        ({"uid": ALICE}, "EACCES"),
        ({"uid": ALICE, "capabilities": 1 << 1}, "EACCES"),
        ({"uid": ALICE, "namespace": True}, "EACCES"),
        ({"uid": 0, "capabilities": 0}, "EACCES"),
    ])


def connect_and_execute(sock, path, program):
    become(ALICE, ALICE)
    client = wire.Client.connect(path, greet=False)
    send_fd(sock, client.sock.fileno())
    os.execv(program, [program, "1000"])


def capabilities_of(pid):
    with open(f"/proc/{pid}/status") as file:
        return int(next(line for line in file if line.startswith("CapEff:")).split()[1], 16)


@test
def a_capability_that_a_program_gives_is_not_the_clients():
    """He has connected before, and the daemon looks at him later."""
    fd = memory()
    with Daemon("[rule r]\nwho = capability:CAP_SYS_ADMIN\nfiles = any\nmodes = snapshot\n") as daemon:
        os.chmod(daemon.dir, 0o755)
        for kind in ("set-user-id", "capability"):
            program = shutil.copy("/bin/sleep", os.path.join(daemon.dir, kind))
            os.chmod(program, 0o4755 if kind == "set-user-id" else 0o755)
            if kind == "capability":
                os.setxattr(program, "security.capability", struct.pack("=IIIII", 0x02000001, CAP_SYS_ADMIN, 0, 0, 0))
            daemon.stop()
            child = Child(connect_and_execute, daemon.socket, program)
            client = wire.Client(socket.socket(fileno=child.take_fd()))
            wait_until(lambda pid=child.pid: capabilities_of(pid) & CAP_SYS_ADMIN)
            os.kill(daemon.pid, signal.SIGCONT)
            client.hello()
            equal(refused(client.snapshot, fd, PAGE), "EACCES")
            client.close()
            child.kill()


@test
def a_uid_without_translation_has_to_be_named():
    table("[rule r]\nwho = any group:65534\nfiles = any\nmodes = snapshot\n", [
        ({"uid": NOBODY}, "EACCES"),
        ({"uid": ALICE}, "granted"),
    ])
    table(f"[rule r]\nwho = user:{NOBODY}\nfiles = any\nmodes = snapshot\n", [({"uid": NOBODY}, "granted")])
    fd = memory(uid=NOBODY)
    with Daemon(f"[rule r]\nwho = user:{NOBODY}\nfiles = own\nmodes = snapshot\n") as daemon:
        equal(refused(Guest(daemon, NOBODY).snapshot, fd), "EACCES")


def while_daemon_sleeps(daemon):
    """A client that connects, unseen by the daemon. (its process, its socket)"""
    daemon.stop()
    child = Child(connect_child, daemon.socket, False, {"uid": 0, "gid": 0, "capabilities": CAP_SYS_ADMIN})
    return child, wire.Client(socket.socket(fileno=child.take_fd()))


@test
def a_process_that_has_ended_is_refused():
    with Daemon("[rule r]\nwho = any\nfiles = any\nmodes = snapshot\n") as daemon:
        child, client = while_daemon_sleeps(daemon)
        child.kill()
        os.kill(daemon.pid, signal.SIGCONT)
        check(wire.is_gone(client), "it is served")
        line = daemon.wait_for("type=connect")
        check(f"pid={child.pid} uid=0" in line and "errno=ESRCH" in line, line)


@test
def a_process_that_has_ended_but_was_not_reaped_is_refused():
    with Daemon("[rule r]\nwho = any\nfiles = any\nmodes = snapshot\n") as daemon:
        child, client = while_daemon_sleeps(daemon)
        os.kill(child.pid, signal.SIGKILL)
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
        os.kill(daemon.pid, signal.SIGCONT)
        check(wire.is_gone(client), "it is served")
        check("errno=ESRCH" in daemon.wait_for("type=connect"))
        child.wait()


@test
def a_pid_that_was_used_again_is_refused():
    if not os.path.exists("/proc/sys/kernel/ns_last_pid"):
        raise Skip("no ns_last_pid to choose a pid with")
    with Daemon("[rule r]\nwho = capability:CAP_SYS_ADMIN\nfiles = any\nmodes = snapshot\n") as daemon:
        child, client = while_daemon_sleeps(daemon)
        child.kill()
        with open("/proc/sys/kernel/ns_last_pid", "w") as file:
            file.write(str(child.pid - 1))
        other = Child(lambda sock: sock.recv(1))
        if other.pid != child.pid:
            other.kill()
            raise Skip("the pid was not to be had again")
        os.kill(daemon.pid, signal.SIGCONT)
        check(wire.is_gone(client), "the other process's rights were taken for his")
        other.kill()


# --- rules ---


@test
def by_default_everybody_looks_at_his_own_files_only():
    with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "wpfiled.conf")) as file:
        policy = file.read()
    mine, his = memory(uid=ALICE), memory(uid=BOB)
    with Daemon(policy) as daemon:
        alice = Guest(daemon, ALICE)
        for mode, wanted in ((TRACK, "granted"), (CAPTURE, "granted"), (SYNC, "EACCES"), (DENY, "EACCES")):
            equal(refused(alice.monitor, mine, mode, limit=0 if mode == TRACK else 1 << 20), wanted)
            equal(refused(alice.monitor, his, mode), "EACCES")
        equal(refused(alice.snapshot, mine), "granted")
        equal(refused(alice.snapshot, his), "EACCES")
        equal(refused(alice.subscribe, mine), "EACCES")
        equal(refused(alice.subscribe, his), "EACCES")


@test
def each_mode_is_a_right_of_its_own():
    fd = memory()
    calls = {
        "track": lambda client: client.monitor(fd, TRACK),
        "capture": lambda client: client.monitor(fd, CAPTURE, limit=PAGE),
        "sync": lambda client: client.monitor(fd, SYNC, limit=PAGE),
        "deny": lambda client: client.monitor(fd, DENY, limit=PAGE),
        "snapshot": lambda client: client.snapshot(fd, PAGE),
        "watch": lambda client: client.subscribe(fd),
    }
    for right in (*calls, "none"):
        with Daemon(f"[rule r]\nwho = any\nfiles = any\nmodes = {right}\n") as daemon:
            client = daemon.connect()
            for name, call in calls.items():
                got = refused(call, client)
                check(got == ("granted" if name == right else "EACCES"), f"modes = {right}: {name} is {got}")
            equal(refused(client.monitor, fd, 4), "EINVAL")
    with Daemon("[rule r]\nwho = any\nfiles = any\nmodes = deny\n") as daemon:
        equal(refused(daemon.connect().subscribe, fd, flags=wire.SUBSCRIBE_DENY), "EACCES")
    with Daemon("[rule r]\nwho = any\nfiles = any\nmodes = watch\n") as daemon:
        equal(refused(daemon.connect().subscribe, fd, flags=wire.SUBSCRIBE_DENY), "EACCES")
    with Daemon("[rule r]\nwho = any\nfiles = any\nmodes = watch deny\n") as daemon:
        equal(refused(daemon.connect().subscribe, fd, flags=wire.SUBSCRIBE_DENY), "granted")


@test
def the_first_rule_that_names_both_decides():
    policy = (f"[rule not]\nwho = user:{ALICE}\nfiles = user:{BOB}\nmodes = none\n"
              f"[rule group]\nwho = any\nfiles = group:2000\nmodes = track\n"
              f"[rule rest]\nwho = any\nfiles = any\nmodes = snapshot\n")
    with Daemon(policy) as daemon:
        alice, bob = Guest(daemon, ALICE), Guest(daemon, BOB)
        his, group = memory(uid=BOB), memory(uid=5, gid=2000)
        equal(refused(alice.snapshot, his, PAGE), "EACCES")
        check("rule=not" in daemon.wait_for("refused"))
        equal(refused(bob.snapshot, his, PAGE), "granted")
        equal(refused(bob.snapshot, group, PAGE), "EACCES")
        equal(refused(bob.monitor, group, TRACK), "granted")


@test
def the_descriptor_has_to_allow_it_too():
    mine = memory(uid=ALICE)
    with Daemon("[rule r]\nwho = any\nfiles = any\nmodes = track capture snapshot sync deny watch\n") as daemon:
        alice = Guest(daemon, ALICE)
        write_only, read_only = reopen(mine, os.O_WRONLY), reopen(mine, os.O_RDONLY)
        path_only = reopen(mine, os.O_PATH)
        for call in (alice.monitor, alice.snapshot, alice.subscribe):
            equal(refused(call, write_only), "EACCES")
            equal(refused(call, path_only), "ENOTTY")
        equal(refused(alice.snapshot, read_only, PAGE), "granted")
        equal(refused(alice.monitor, read_only, TRACK), "granted")
        equal(refused(alice.monitor, read_only, SYNC, limit=PAGE), "EPERM")
        equal(refused(alice.subscribe, read_only), "EPERM")
        # Also where somebody who may has made the monitor.
        alice.subscribe(mine)
        equal(refused(alice.subscribe, read_only), "EPERM")


@test
def what_is_no_shared_memory_is_refused_before_it_is_asked_anything():
    with Daemon("[rule r]\nwho = any\nfiles = any\nmodes = track capture snapshot sync deny watch\n") as daemon:
        client = daemon.connect()
        pipe = os.pipe()[0]
        for fd in (pipe, os.open("/dev/null", os.O_RDWR), os.open("/dev/wpfile", os.O_RDWR),
                   os.open("/proc/self/maps", os.O_RDONLY), os.open("/tmp", os.O_RDONLY)):
            for call in (client.query, client.monitor, client.snapshot, client.subscribe):
                equal(refused(call, fd), "ENOTTY")


@test
def query_needs_the_descriptor_and_tells_nothing_about_the_daemon():
    fd = memory(uid=BOB)
    with Daemon(OWN) as daemon:
        alice = Guest(daemon, ALICE)
        answer = alice.query(fd)
        equal(list(answer[4:8]), [0, 0, 0, 0])
        check(answer[3] and not answer[11] & 2, "features, or the daemon's consent")


# --- monitors are the client's ---


@test
def a_monitor_works_and_ends_with_the_client():
    fd = memory(uid=ALICE)
    with Daemon(OWN) as daemon:
        alice = Guest(daemon, ALICE)
        monitor = alice.monitor(fd, TRACK)
        protect(monitor)
        equal(monitors_of(fd), [1, 0, 0, 0])
        equal([entry["mode"] for entry in alice.holdings()], [TRACK])
        os.close(monitor)
        equal(monitors_of(fd), [0, 0, 0, 0])
        equal(alice.holdings(), [])


@test
def a_snapshot_is_the_content_at_one_instant():
    fd = memory(uid=ALICE)
    with Daemon(OWN) as daemon:
        snapshot, limit = Guest(daemon, ALICE).snapshot(fd, 1 << 20)
        os.pwrite(fd, b"new", 0)
        equal(os.pread(snapshot, 3, 0), b"\xaa" * 3)
        equal(limit, 1 << 20)


@test
def a_client_is_not_the_daemon_for_its_monitors():
    """They go on when it is killed."""
    fd = memory(uid=ALICE)
    with Daemon(OWN) as daemon:
        monitor = Guest(daemon, ALICE).monitor(fd, TRACK)
        daemon.kill()
        protect(monitor)
        equal(monitors_of(fd), [1, 0, 0, 0])


# --- list and release ---


@test
def one_sees_ones_own_and_who_may_release_sees_all():
    policy = ("[rule administrators]\nwho = user:0\nfiles = any\nmodes = none\nrelease = yes\n"
              "[rule own]\nwho = any\nfiles = own\nmodes = track watch\n")
    alices, bobs = memory(uid=ALICE), memory(uid=BOB)
    with Daemon(policy) as daemon:
        alice, bob, root = Guest(daemon, ALICE), Guest(daemon, BOB), daemon.connect()
        held = alice.monitor(alices)
        alice.subscribe(alices)
        bob.subscribe(bobs)
        equal(sorted(entry["uid"] for entry in root.holdings()), [ALICE, ALICE, BOB])
        equal([entry["uid"] for entry in alice.holdings()], [ALICE, ALICE])
        mine, = bob.holdings()
        equal((mine["inode"], mine["mode"], mine["subscribers"]), (os.fstat(bobs).st_ino, SYNC, 1))
        equal(refused(alice.release, mine["id"]), "EACCES")
        line = daemon.wait_for("type=release")
        check("refused" in line and f"uid={ALICE}" in line and f"owner={BOB}" in line, line)
        equal(refused(root.release, mine["id"]), "granted")
        check(wire.is_gone(bob), "he is not told")
        wait_until(lambda: monitors_of(bobs) == [0, 0, 0, 0])
        equal(refused(root.release, mine["id"]), "ENOENT")
        own = next(entry["id"] for entry in alice.holdings() if entry["id"])
        equal(refused(alice.release, own), "granted")
        wait_until(lambda: monitors_of(alices) == [1, 0, 0, 0])
        os.close(held)


@test
def a_ledger_of_others_is_not_seen():
    alices, bobs = memory(uid=ALICE), memory(uid=BOB)
    with Daemon(OWN) as daemon:
        alice, bob = Guest(daemon, ALICE), Guest(daemon, BOB)
        held = [alice.monitor(alices), bob.monitor(bobs)]
        equal([entry["uid"] for entry in alice.holdings()], [ALICE])
        equal(daemon.connect().holdings(), [])
        del held


@test
def a_list_of_many_comes_in_pages():
    with Daemon("[rule r]\nwho = any\nfiles = any\nmodes = track watch\nmonitors = 3000\nsubscriptions = 3000\n"
                "release = yes\n[daemon]\nrequests = 100000\n") as daemon:
        client, held = daemon.connect(), []
        files = [memory(1) for _ in range(1300)]
        for index in range(1000):
            held.append(client.monitor(files[index % 20]))
        for fd in files:
            client.subscribe(fd)
        body, _ = client.ask(wire.LIST, struct.pack("=Q", 0))
        first = wire.LIST_HEAD.unpack_from(body)[1]
        check(0 < first < len(files), f"{first} of {len(files)} watches are on the first page")
        found = client.holdings()
        equal(len(found), 2300)
        numbers = [entry["id"] for entry in found if entry["id"]]
        equal((len(numbers), numbers), (1300, sorted(set(numbers))))


@test
def every_refusal_says_who_what_whose_by_which_rule_and_why():
    fd = memory(uid=BOB)
    with Daemon(OWN) as daemon:
        alice = Guest(daemon, ALICE, gid=77)
        equal(refused(alice.snapshot, fd), "EACCES")
        line = daemon.wait_for("message=\"refused\"")
        stat = os.fstat(fd)
        for word in ("level=notice", f"pid={alice.child.pid}", f"uid={ALICE}", "gid=77", "type=snapshot",
                     f"file={os.major(stat.st_dev)}:{os.minor(stat.st_dev)}:{stat.st_ino}", f"owner={BOB}", "rule=none",
                     "errno=EACCES"):
            check(word in line.split(), f"{word} is not in {line}")


main()
