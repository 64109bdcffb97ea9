# SPDX-License-Identifier: GPL-2.0-or-later
"""client.py as-member|over-restart|over-upgrade|over-kill: a client of the wpfiled that systemd runs. Silent if all is well."""

import errno
import glob
import grp
import mmap
import os
import pwd
import signal
import subprocess
import sys
import time

import wpfile

PAGE = mmap.PAGESIZE


def memfd():
    fd = os.memfd_create("client")
    os.ftruncate(fd, 4 * PAGE)
    os.pwrite(fd, b"content", 0)
    return fd


def become(name):
    user = pwd.getpwnam(name)
    os.setgroups([grp.getgrnam("wpfile").gr_gid])
    os.setgid(user.pw_gid)
    os.setuid(user.pw_uid)


def as_member():
    """A file of root's that is open for reading."""
    file = os.open(f"/proc/self/fd/{memfd()}", os.O_RDONLY)
    become("member")
    with wpfile.Target.from_fd(file) as target, wpfile.Broker() as broker:
        try:
            target.snapshot()
            sys.exit("the kernel gave the snapshot away")
        except PermissionError:
            pass
        target.use_broker(broker)
        with target.snapshot() as snapshot:
            assert snapshot.read(7) == b"content"


def monitors(file):
    with wpfile.Target.from_fd(file) as target:
        return target.query().monitors


def subscribed(file):
    """A broker and a subscription that was told of a write."""
    broker = wpfile.Broker()
    target = wpfile.Target.from_fd(file)
    target.use_broker(broker)
    target.subscribe(again_ms=1)
    os.pwrite(file, b"x", PAGE)
    _, events = broker.read(10)
    assert events[0].offset == PAGE, events
    return broker, target


def over_restart(*command):
    """The daemon's own monitor stays, and one that it handed out, which it still counts."""
    file = memfd()
    broker, target = subscribed(file)
    tracker = target.monitor(wpfile.Mode.TRACK)
    subprocess.run(command or ["systemctl", "restart", "wpfiled"], check=True)
    try:
        while True:  # one write may be told more than once: it is tried again after the answer
            broker.read(10)
    except BrokenPipeError:
        pass
    assert monitors(file)[wpfile.Mode.SYNC] == 1, monitors(file)
    again = wpfile.Broker()
    held = {(holding.mode, holding.subscribers > 0) for holding in again.holdings()}
    assert (wpfile.Mode.TRACK, False) in held, held
    broker, target = subscribed(file)
    assert monitors(file)[wpfile.Mode.SYNC] == 1, monitors(file)
    tracker.close()


def over_upgrade():
    """To the version that is there, which dpkg does not know."""
    over_restart("dpkg", "--install", "--force-confold", *glob.glob("/mnt/build/deb/wpfiled_*.deb"))


def over_kill():
    """Writers go on at once, and the daemon is there again."""
    file = memfd()
    kept = subscribed(file)
    pid = int(subprocess.run(["systemctl", "show", "--value", "--property=MainPID", "wpfiled"], check=True,
                             capture_output=True, text=True).stdout)
    os.kill(pid, signal.SIGKILL)
    start = time.monotonic()
    for page in range(4):
        os.pwrite(file, b"y", page * PAGE)
    assert time.monotonic() - start < 30
    end = start + 60
    while True:
        try:
            kept += subscribed(file)
            return
        except OSError as error:
            assert error.errno in (errno.EPIPE, errno.ECONNREFUSED, errno.EPROTO), error
            assert time.monotonic() < end, "the daemon did not come back"
            time.sleep(0.5)


{"as-member": as_member, "over-restart": over_restart, "over-upgrade": over_upgrade,
 "over-kill": over_kill}[sys.argv[1]]()
