# SPDX-License-Identifier: LGPL-2.1-or-later
"""What targets, monitors and brokers have in common: a handle of the library that somebody must free."""

import ctypes

from ._error import call


class Handle:
    """Ends with close(), at the end of a with block, or with the last reference.

    As in the library, several threads may use one handle, but close() must be the last call.
    """

    _free = None  # the library's function

    def __init__(self, make, *arguments):
        pointer = ctypes.c_void_p()
        self._pointer = None
        call(make, *arguments, ctypes.byref(pointer))
        self._pointer = pointer

    @property
    def _handle(self) -> ctypes.c_void_p:
        if self._pointer is None:
            raise ValueError(f"operation on a closed {type(self).__name__}")
        return self._pointer

    @property
    def closed(self) -> bool:
        return self._pointer is None

    def close(self) -> None:
        """May be called again."""
        pointer, self._pointer = getattr(self, "_pointer", None), None
        if pointer is not None:
            self._free(pointer)

    def __enter__(self):
        self._handle  # pylint: disable=pointless-statement
        return self

    def __exit__(self, *exception):
        self.close()

    def __del__(self):
        self.close()
