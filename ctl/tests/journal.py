#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""journal.py FILE: plays syslogd: what comes to /dev/log is appended to FILE, a line each."""

import socket
import sys

with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as log, open(sys.argv[1], "a", buffering=1) as file:
    log.bind("/dev/log")
    while True:
        file.write(log.recv(65536).rstrip(b"\n\0").decode() + "\n")
