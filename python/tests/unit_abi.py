# SPDX-License-Identifier: GPL-2.0-or-later
"""Is what the module believes of the library what the headers say?"""

import ctypes
import enum
import errno
import os
import re
import shlex
import subprocess
import tempfile
import unittest

import wpfile
from wpfile import _abi, _error

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
UAPI, INCLUDE = os.path.join(ROOT, "uapi"), os.path.join(ROOT, "libwpfile/include")
PREFIX = {wpfile.Mode: "WPFILE_", wpfile.Feature: "WPFILE_FEATURE_", wpfile.State: "WPFILE_STATE_",
          wpfile.Type: "WPFILE_EVENT_", wpfile.Outcome: "WPFILE_", wpfile.Verdict: "WPFILE_"}
# Done by Python itself.
UNUSED = re.compile(r"wpfile_(scan_each|loop_\w+|(mode|event|outcome)_name)")
BY_NAME = {"int": ctypes.c_int, "pid_t": ctypes.c_int, "unsigned int": ctypes.c_uint, "uint32_t": ctypes.c_uint32,
           "uint64_t": ctypes.c_uint64, "size_t": ctypes.c_size_t, "ssize_t": ctypes.c_ssize_t, "void": None,
           "void *": ctypes.c_void_p, "char *": ctypes.c_char_p,
           "char * *": ctypes.POINTER(ctypes.c_void_p),  # to be freed: ctypes would make bytes of it
           **dict.fromkeys(("wpfile_target *", "wpfile_mon *", "wpfile_broker *"), ctypes.c_void_p)}


def header(name):
    with open(os.path.join(ROOT, name)) as file:
        return file.read()


LIBRARY = header("libwpfile/include/wpfile.h")
KERNEL = header("uapi/linux/wpfile.h")


def errno_name(number):
    return {errno.EOPNOTSUPP: "EOPNOTSUPP"}.get(number, errno.errorcode[number])  # one number, two names


def structures():
    return {name: value for name, value in vars(_abi).items()
            if isinstance(value, type) and issubclass(value, ctypes.Structure) and value is not ctypes.Structure}


def constants():
    found = {name: value for name, value in vars(_abi).items() if re.fullmatch("WPFILE_[A-Z_]+", name)}
    found["WPFILE_TO_END"] = _abi.TO_END
    for kind, prefix in PREFIX.items():
        found.update((prefix + each.name, each.value) for each in kind)
    return found


def from_c(lines):
    """What a C program says that prints each of @lines, expressions, as a number."""
    with tempfile.TemporaryDirectory() as work:
        source, program = os.path.join(work, "abi.c"), os.path.join(work, "abi")
        with open(source, "w") as file:
            file.write("#include <stdio.h>\n#include <wpfile.h>\nint main(void)\n{\n")
            file.writelines(f'\tprintf("%llu\\n", (unsigned long long)({line}));\n' for line in lines)
            file.write("\treturn 0;\n}\n")
        compiler = shlex.split(os.environ.get("CC", "cc"))
        subprocess.run([*compiler, f"-I{UAPI}", f"-I{INCLUDE}", "-o", program, source], check=True)
        output = subprocess.run([program], check=True, capture_output=True, text=True).stdout
    return dict(zip(lines, map(int, output.split())))


def ctype_of(text):
    """The ctypes of a C type, without const."""
    text = " ".join(re.sub(r"\bconst\b|\bstruct\b", "", text).replace("*", " * ").split())
    if text in BY_NAME:
        return BY_NAME[text]
    if text.endswith(" *"):
        return ctypes.POINTER(ctype_of(text.removesuffix(" *")))
    return getattr(_abi, text)


def prototypes():
    """Of the library's header: {name: (result, argument...)}."""
    text = re.sub(r"/\*.*?\*/", "", LIBRARY, flags=re.S)
    text = re.sub(r"^(#|typedef).*(?:\n[ \t].*)*", "", text, flags=re.M)
    found = {}
    for result, name, arguments in re.findall(r"^([\w ]+[ *]+)(wpfile_\w+)\(([^)]*)\);", text, re.M):
        types = [re.sub(r"\w+$", "", argument) for argument in arguments.split(",")]
        found[name] = (result, *types)
    return found


class Abi(unittest.TestCase):
    def test_sizes_and_offsets_are_those_of_c(self):
        expected = {}
        for name, kind in structures().items():
            expected[f"sizeof(struct {name})"] = ctypes.sizeof(kind)
            for field, _ in kind._fields_:
                expected[f"offsetof(struct {name}, {field})"] = getattr(kind, field).offset
                expected[f"sizeof(((struct {name} *)0)->{field})"] = getattr(kind, field).size
        self.assertGreater(len(structures()), 10)
        self.assertEqual(from_c(list(expected)), expected)

    def test_constants_are_those_of_c(self):
        expected = constants()
        self.assertEqual(from_c(list(expected)), expected)

    def test_no_value_of_an_enumeration_is_missing(self):
        """Those whose names have a prefix of their own; of modes there is a number."""
        for kind, prefix in ((wpfile.Feature, "FEATURE"), (wpfile.State, "STATE"), (wpfile.Type, "EVENT")):
            names = re.findall(rf"#define WPFILE_{prefix}_(\w+)", KERNEL)
            self.assertEqual(sorted(names), sorted(each.name for each in kind))
        self.assertEqual(len(wpfile.Mode), _abi.WPFILE_NR_MODES)

    def test_every_function_is_there_or_done_by_python(self):
        declared = {name for name in prototypes() if not UNUSED.fullmatch(name)}
        self.assertEqual(declared, set(_abi.PROTOTYPES))

    def test_prototypes_are_those_of_the_header(self):
        declared = {name: tuple(map(ctype_of, types)) for name, types in prototypes().items()
                    if not UNUSED.fullmatch(name)}
        self.assertEqual(declared, _abi.PROTOTYPES)

    def test_every_errno_of_the_kernel_has_a_meaning(self):
        essay = KERNEL[KERNEL.index("One meaning for each errno"):KERNEL.index("Features are told by")]
        names = re.findall(r"^ \*   (E\w+)\t", essay, re.M) + re.findall(r"\((ENFILE):", essay)
        self.assertGreater(len(names), 15)
        self.assertEqual(sorted(names), sorted(map(errno_name, _error.KERNEL)))

    def test_meanings_are_of_functions_that_there_are(self):
        self.assertLessEqual(set(_error.FUNCTIONS) | _error.SYSTEM, set(_abi.PROTOTYPES))


class Types(unittest.TestCase):
    def test_enumerations_print_names(self):
        self.assertIsInstance(wpfile.Mode.TRACK, enum.IntEnum)
        self.assertEqual(wpfile.Type.STORE.name, "STORE")
