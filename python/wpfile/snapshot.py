# SPDX-License-Identifier: LGPL-2.1-or-later
"""A file as it stood at one instant."""

import contextlib
import ctypes
import io
import os
import stat
import tempfile
from typing import Callable, Optional

from . import _abi
from ._abi import lib
from ._error import Callback


@contextlib.contextmanager
def _appearing(path):
    """A file that appears under its name when it is complete and not before. Only the caller may read it."""
    path = os.fsdecode(path)
    if os.path.exists(path) and not stat.S_ISREG(os.stat(path).st_mode):
        raise FileExistsError(f"{path} is not a regular file: save to an open one")
    directory, name = os.path.split(path)
    fd, temporary = tempfile.mkstemp(prefix=f".{name[:200]}.", dir=directory or os.curdir)
    try:
        yield fd
        os.fsync(fd)
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise
    finally:
        os.close(fd)


class Snapshot(io.FileIO):
    """An open, unbuffered binary file with the content; mmap.mmap() and os.pread() work on its fileno(), too.

    Reads fail with EIO where the content is lost, which it is when keeping it needs more memory than there is.
    """

    def __init__(self, fd: int, size: int, cut_ns: int = 0, pinned_pages: int = 0):
        super().__init__(fd, "rb")
        self.size = size  #: bytes
        self.cut_ns = cut_ns  #: how long writers were held at most
        self.pinned_pages = pinned_pages  #: these may be newer than the instant, in part

    def save(self, out, *, stream: bool = False, progress: Optional[Callable[[int, int], None]] = None) -> int:
        """Copies it to @out: a path, where the file appears when it is complete; a descriptor; or an open file.

        Holes stay holes, and what was in the file is lost; with @stream, @out is anything that can be written to, from
        where it stands. @progress(done, total) is called after each piece, and may stop by an exception. Returns how
        many bytes were no hole. Moves the position of the snapshot.
        """
        if isinstance(out, (str, bytes, os.PathLike)):
            with _appearing(out) as fd:
                return self._save(fd, stream, progress)
        if not isinstance(out, int):
            out.flush()
            out = out.fileno()
        return self._save(out, stream, progress)

    def _save(self, fd, stream, progress):
        def tell(done, total, _data):
            if progress:
                progress(done, total)

        written = ctypes.c_uint64()
        callback = Callback(_abi.wpfile_progress_fn, tell)
        callback.call(lib.wpfile_save, self.fileno(), fd, _abi.WPFILE_SAVE_STREAM if stream else 0, callback, None,
                      ctypes.byref(written))
        return written.value
