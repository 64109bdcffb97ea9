# SPDX-License-Identifier: GPL-2.0-or-later
"""What the tests of wpfiled have in common: TAP, a daemon, memory, clients who are somebody else. As root."""

import array
import contextlib
import ctypes
import fcntl
import mmap
import os
import resource
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
import traceback

import wire

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PROGRAM = os.environ.get("WPFILED") or os.path.join(ROOT, "build", "wpfiled")
PAGE = wire.PAGE
IOC_QUERY, IOC_MONITOR, IOC_PROTECT, IOC_SCAN = 0xBD00, 0xBD01, 0xBD20, 0xBD22
CLONE_NEWUSER = 0x10000000
PR_SET_DUMPABLE = 4
PR_SET_KEEPCAPS = 8
SYS_CAPSET = 126
CAPABILITY_VERSION_3 = 0x20080522

ALICE, BOB = 1001, 1002
QUICK = 5  # seconds: what is not held up
OWN = """
[rule own]
who = any
files = own
modes = track capture snapshot
"""

libc = ctypes.CDLL(None, use_errno=True)

# --- TAP ---

TESTS = []


class Skip(Exception):
    """The precondition of a test does not hold; says why."""


def test(function):
    TESTS.append(function)
    return function


def check(what, message="it does not hold"):
    if not what:
        raise AssertionError(message)


def equal(got, wanted):
    check(got == wanted, f"{got!r} is not {wanted!r}")


def run_one(number, function):
    try:
        function()
    except Skip as reason:
        print(f"ok {number} - {function.__name__} # SKIP {reason}", flush=True)
        return True
    except Exception:
        print(f"not ok {number} - {function.__name__}")
        print("".join(f"# {line}\n" for line in traceback.format_exc().splitlines()), end="", flush=True)
        return False
    print(f"ok {number} - {function.__name__}", flush=True)
    return True


def main():
    resource.setrlimit(resource.RLIMIT_NOFILE, (16384, 16384))
    wanted = [function for function in TESTS if not sys.argv[1:] or function.__name__ in sys.argv[1:]]
    print("TAP version 13")
    print(f"1..{len(wanted)}", flush=True)
    results = [run_one(number, function) for number, function in enumerate(wanted, 1)]
    for daemon in DAEMONS:
        daemon.process.kill()
    sys.exit(0 if results and all(results) else 1)


# --- the daemon ---


DAEMONS = []


class Daemon:
    """A wpfiled with a policy, a socket and a log of its own."""

    def __init__(self, policy, *, env=None, pass_fds=(), nofile=None, options=(), wait=True, directory=None,
                 before=()):
        self.dir = directory or tempfile.mkdtemp(prefix="wpfiled-", dir="/tmp")
        os.chmod(self.dir, 0o755)
        self.socket = os.path.join(self.dir, "socket")
        self.config = os.path.join(self.dir, "wpfiled.conf")
        self.log_path = os.path.join(self.dir, f"log.{time.monotonic_ns()}")
        self.write_policy(policy)
        command = [*before, PROGRAM, "--verbose", "--config", self.config, "--socket", self.socket, *options]
        if nofile:
            command = ["prlimit", f"--nofile={nofile}:{nofile}", *command]
        with open(self.log_path, "wb") as log:
            self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=log, pass_fds=pass_fds,
                                            env={**os.environ, **(env or {})})
        DAEMONS.append(self)
        if wait:
            self.wait_for("ready")
            with contextlib.suppress(FileNotFoundError):
                os.chmod(self.socket, 0o666)

    @property
    def pid(self):
        return self.process.pid

    def write_policy(self, policy):
        with open(self.config, "w") as file:
            file.write(policy)

    def log(self):
        with open(self.log_path) as file:
            return file.read()

    def wait_for(self, text, seconds=60):
        """The first line of the log with that text."""
        for _ in range(seconds * 50):
            for line in self.log().splitlines():
                if text in line:
                    return line
            if self.process.poll() is not None and text not in self.log():
                raise AssertionError(f"wpfiled has ended ({self.process.returncode}):\n{self.log()}")
            time.sleep(0.02)
        raise AssertionError(f"no {text!r} in the log:\n{self.log()[-3000:]}")

    def reload(self, policy):
        """Returns the line that says what came of it."""
        before = self.log().count("\n")
        self.write_policy(policy)
        self.process.send_signal(signal.SIGHUP)
        for _ in range(3000):
            for line in self.log().splitlines()[before:]:
                if "the policy" in line:
                    return line
            time.sleep(0.02)
        raise AssertionError("nothing was said")

    def connect(self, greet=True):
        return wire.Client.connect(self.socket, greet)

    def stop(self):
        """Until SIGCONT. A signal is sent at once, but threads stop one after the other."""
        self.process.send_signal(signal.SIGSTOP)
        wait_until(lambda: all(is_stopped(f"/proc/{self.pid}/task/{tid}/stat")
                               for tid in os.listdir(f"/proc/{self.pid}/task")))

    def kill(self, number=signal.SIGKILL):
        self.process.send_signal(number)
        return self.process.wait(60)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.process.terminate()
            try:
                status = self.process.wait(60)
            except subprocess.TimeoutExpired:
                self.process.kill()
                raise AssertionError("wpfiled does not end") from None
            check(status == 0, f"wpfiled has ended with {status}:\n{self.log()[-3000:]}")


def is_stopped(path):
    with open(path) as file:
        return file.read().rpartition(")")[2].split()[0] == "T"


# --- memory ---


def memory(pages=16, uid=0, gid=0):
    """A memfd that belongs to somebody, with content."""
    fd = os.memfd_create("daemon-test", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    os.pwrite(fd, b"\xaa" * (pages * PAGE), 0)
    os.fchown(fd, uid, gid)
    return fd


def reopen(fd, flags):
    return os.open(f"/proc/self/fd/{fd}", flags | os.O_CLOEXEC)


def protect(monitor, offset=0, length=wire.TO_END):
    ranges = ctypes.create_string_buffer(struct.pack("=QQ", offset, length))
    args = struct.pack("=IIQIIQQ", 40, 0, ctypes.addressof(ranges), 1, 0, 0, 0)
    fcntl.ioctl(monitor, IOC_PROTECT, args)


def is_denied(fd, page):
    try:
        os.pwrite(fd, b"x", page * PAGE)
    except PermissionError:
        return True
    return False


def monitors_of(fd):
    """How many monitors the kernel knows of the file, by mode."""
    args = bytearray(wire.QUERY_ARGS.pack(wire.QUERY_ARGS.size, *[0] * 13))
    fcntl.ioctl(fd, IOC_QUERY, args)
    return list(wire.QUERY_ARGS.unpack(args)[4:8])


def wait_until(condition, seconds=60):
    for _ in range(seconds * 50):
        if condition():
            return
        time.sleep(0.02)
    raise AssertionError("it does not come to that")


# --- memory cgroups ---

CGROUPS = "/sys/fs/cgroup"


def put(path, name, text):
    with open(os.path.join(path, name), "w") as file:
        file.write(text)


def enter(path, pid):
    put(path, "cgroup.procs", str(pid))


def set_memory_max(path, text):
    put(path, "memory.max", text)


@contextlib.contextmanager
def cgroup():
    """A new one, whose limit goes before those who were in it."""
    put(CGROUPS, "cgroup.subtree_control", "+memory")
    path = tempfile.mkdtemp(prefix="wpfiled-", dir=CGROUPS)
    try:
        yield path
    finally:
        set_memory_max(path, "max")
        wait_until(lambda: not open_and_read(path, "cgroup.procs"))
        os.rmdir(path)


def open_and_read(path, name):
    with open(os.path.join(path, name)) as file:
        return file.read()


# --- processes ---


def close_others(keep):
    """What a child has of ours would keep connections and monitors alive."""
    for name in os.listdir("/proc/self/fd"):
        if int(name) > 2 and int(name) not in keep:
            with contextlib.suppress(OSError):
                os.close(int(name))


class Child:
    """A forked process that runs a function, with a socket to talk to it, and the descriptors @keep."""

    def __init__(self, function, *args, keep=()):
        self.sock, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.pid = os.fork()
        if self.pid:
            theirs.close()
            return
        status = 1
        try:
            close_others({theirs.fileno(), *keep})
            function(theirs, *args)
            status = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(status)

    def kill(self, number=signal.SIGKILL):
        os.kill(self.pid, number)
        return self.wait()

    def wait(self):
        self.sock.close()
        return os.waitpid(self.pid, 0)[1]

    def take_fd(self):
        data, ancillary, _, _ = self.sock.recvmsg(64, socket.CMSG_SPACE(4))
        check(data and ancillary, "the child has sent nothing")
        fds = array.array("i")
        fds.frombytes(ancillary[0][2])
        return fds[0]


def send_fd(sock, fd):
    sock.sendmsg([b"fd"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [fd]))])


def become(uid, gid, groups=(), capabilities=0, namespace=False):
    """The calling process, for good; @capabilities: bits that it keeps."""
    check(libc.prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) == 0)
    os.setgroups(list(groups))
    os.setresgid(gid, gid, gid)
    os.setresuid(uid, uid, uid)
    low, high = capabilities & 0xFFFFFFFF, capabilities >> 32
    header = struct.pack("=II", CAPABILITY_VERSION_3, 0)
    data = struct.pack("=IIIIII", low, low, 0, high, high, 0)
    check(libc.syscall(SYS_CAPSET, header, data) == 0, "capset")
    if namespace:
        check(libc.unshare(CLONE_NEWUSER) == 0, f"unshare: {os.strerror(ctypes.get_errno())}")


def connect_child(sock, path, greet, who):
    become(**who)
    libc.prctl(PR_SET_DUMPABLE, 1, 0, 0, 0)
    client = wire.Client.connect(path, greet)
    send_fd(sock, client.sock.fileno())
    sock.recv(1)


class Guest(wire.Client):
    """A connection of somebody else, whose process lives as long as it; used by us."""

    def __init__(self, daemon, uid, gid=None, groups=(), capabilities=0, namespace=False, greet=True):
        who = {"uid": uid, "gid": uid if gid is None else gid, "groups": groups, "capabilities": capabilities,
               "namespace": namespace}
        self.child = Child(connect_child, daemon.socket, greet, who)
        super().__init__(socket.socket(fileno=self.child.take_fd()))
        self.serial = 100

    def close(self):
        super().close()
        self.child.wait()


def writer_child(sock, fd, who):
    """Stores a byte into each page whose number comes, and says so."""
    area = mmap.mmap(fd, os.fstat(fd).st_size)
    if who:
        become(**who)
        libc.prctl(PR_SET_DUMPABLE, 1, 0, 0, 0)
    sock.send(b"ready")
    while data := sock.recv(4):
        page, = struct.unpack("=I", data)
        area[page * PAGE] = (area[page * PAGE] + 1) & 0xFF
        sock.send(data)


class Writer(Child):
    """A process that stores into a file when it is told to."""

    def __init__(self, fd, **who):
        super().__init__(writer_child, fd, who, keep=[fd])
        equal(self.sock.recv(5), b"ready")

    def begin(self, page):
        self.sock.send(struct.pack("=I", page))

    def has_ended(self, seconds):
        self.sock.settimeout(seconds)
        try:
            return len(self.sock.recv(4)) == 4
        except TimeoutError:
            return False
        finally:
            self.sock.settimeout(None)

    def store(self, page, seconds=60):
        self.begin(page)
        check(self.has_ended(seconds), f"the writer of page {page} does not go on")


class Asked(Daemon):
    """A daemon that somebody else asks how it does."""

    patience = QUICK

    def __enter__(self):
        super().__enter__()
        self.bob = Guest(self, BOB)
        self.bob.timeout = self.patience
        return self

    def is_quick(self):
        begin = time.monotonic()
        equal(wire.refused(self.bob.unsubscribe, 1 << 40), "ENOENT")
        took = time.monotonic() - begin
        check(took < QUICK, f"another client waits for {took:.1f} s")

    def is_quick_for(self, seconds):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.is_quick()
            time.sleep(0.05)

    def has(self, line):
        return line + "\n" in self.bob.metrics()


def offsets(events):
    return [event["offset"] // PAGE for _, event in events if event["type"] != wire.OVERFLOW]


def collect(client, count, seconds=60):
    """Events until there are so many, or the time is over."""
    events, end = [], time.monotonic() + seconds
    while len(events) < count and time.monotonic() < end:
        events += client.next_events(max(0, end - time.monotonic()))
    return events
