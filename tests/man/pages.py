# SPDX-License-Identifier: GPL-2.0-or-later
"""What the tests of the manual pages share: results as TAP, pages, their programs, and a file to run them on."""

import contextlib
import glob
import mmap
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PAGE = os.sysconf("SC_PAGESIZE")
KSFT_SKIP = 4


def read(path):
    with open(os.path.join(ROOT, path)) as file:
        return file.read()


# --- TAP ---


class Skip(Exception):
    pass


class Results:
    """Each check is a function that returns what is wrong, as text, or nothing."""

    def __init__(self):
        self.number = 0
        self.failed = False

    def report(self, name, check, *arguments):
        self.number += 1
        try:
            wrong, skip = check(*arguments), ""
        except Skip as reason:
            wrong, skip = None, f" # SKIP {reason}"
        for line in (wrong or "").splitlines():
            print(f"# {line}")
        print(f"{'not ok' if wrong else 'ok'} {self.number} - {name}{skip}", flush=True)
        self.failed = self.failed or bool(wrong)

    def end(self):
        print(f"1..{self.number}")
        sys.exit(1 if self.failed else 0)


def need_tools():
    for tool in ("scdoc", "gcc"):
        if not shutil.which(tool):
            print(f"1..0 # SKIP no {tool} here: apt-get install {tool}")
            sys.exit(KSFT_SKIP)


def output_of(*command, **options):
    """What a command says, on failure at least its status."""
    result = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False, **options)
    return result.stdout or (f"{command[0]}: exit status {result.returncode}" if result.returncode else "")


# --- the pages ---


def renders(page, work):
    """scdoc, and where there is man also groff, have nothing to say."""
    rendered = os.path.join(work, os.path.basename(page)[: -len(".scd")])
    with open(page) as source, open(rendered, "w") as target:
        result = subprocess.run(["scdoc"], stdin=source, stdout=target, stderr=subprocess.PIPE, text=True, check=False)
    if result.returncode or result.stderr:
        return f"scdoc: exit status {result.returncode} {result.stderr}"
    if not shutil.which("man"):
        return None
    result = subprocess.run(["man", "--warnings", "-l", rendered], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                            text=True, env={**os.environ, "MANWIDTH": "80", "LC_ALL": "C.UTF-8"}, check=False)
    return result.stderr or (f"man: exit status {result.returncode}" if result.returncode else None)


def literal_blocks(page):
    return re.findall(r"^```\n(.*?)^```$", page, re.S | re.M)


def programs(page):
    """The programs of a page by their names, which their usage tells."""
    return {re.search(r'"usage: (\w+) ', block)[1]: block for block in literal_blocks(page) if "int main(" in block}


def compile_c(source, name, work, *options):
    path = os.path.join(work, f"{name}.c")
    with open(path, "w") as file:
        file.write(source)
    return output_of("gcc", "-std=gnu11", "-O2", "-Wall", "-Wextra", "-Werror", f"-I{ROOT}/uapi",
                     "-o", os.path.join(work, name), path, *options)


# --- what they say ---


def is_in(name, page):
    """As a word; scdoc's underscores around it are none of it."""
    return re.search(rf"(?<![A-Za-z0-9]){name}(?!_?[A-Za-z0-9])", page)


def missing(names, *pages):
    absent = sorted({name for name in names if not any(is_in(name, page) for page in pages)})
    return f"not described: {' '.join(absent)}" if absent else None


def structures(text):
    """Declarations of fields, by the name of the structure."""
    found = {}
    for name, body in re.findall(r"^struct (wpfile_\w+) \{\n(.*?)^\};", text, re.S | re.M):
        body = re.sub(r"/\*.*?\*/", "", body, flags=re.S)
        found[name] = re.findall(r"[\w\[\] ]+;", body)
    return found


# --- the programs, at work ---


def protecting(process):
    """How many of its monitors have protected something."""
    nr = 0
    for path in glob.glob(f"/proc/{process.pid}/fdinfo/*"):
        with contextlib.suppress(FileNotFoundError), open(path) as file:  # it may close some meanwhile
            nr += bool(re.search(r"^protected_pages:\t[1-9]", file.read(), re.M))
    return nr


def wait_for_protection(process, monitors=1):
    """Until the handler has protected something, with so many monitors, or 30 seconds."""
    end = time.monotonic() + 30
    while time.monotonic() < end and process.poll() is None:
        if protecting(process) == monitors:
            return True
        time.sleep(0.05)
    return False


class Shared:
    """A file in shared memory, with a mapping."""

    def __init__(self, pages=8):
        self.before = b"".join(bytes([65 + page]) * PAGE for page in range(pages))
        self.fd, self.path = tempfile.mkstemp(dir="/dev/shm")
        os.write(self.fd, self.before)
        self.map = mmap.mmap(self.fd, len(self.before))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.map.close()
        os.close(self.fd)
        os.unlink(self.path)


def need_kernel():
    if not os.path.exists("/dev/wpfile"):
        raise Skip("no /dev/wpfile here")
