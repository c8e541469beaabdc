"""Having the disk begin early with what is synced at the end, so that little is left to wait for."""

from __future__ import annotations

import sys
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

STEP = 16 << 20
"""Bytes between two hints."""
_WRITE = 2
"""SYNC_FILE_RANGE_WRITE of linux/fs.h: begin to write what is dirty, and wait for nothing."""


@cache
def _sync_file_range() -> Callable[..., Any] | None:
    """Return sync_file_range(2), which Python does not have, where libc has it."""
    import ctypes

    found = getattr(ctypes.CDLL(None), "sync_file_range", None) if sys.platform == "linux" else None
    if found is not None:
        found.argtypes = (ctypes.c_int, ctypes.c_int64, ctypes.c_int64, ctypes.c_uint)
    return found


class WriteBehind:
    """Tells the kernel of bytes of a file that are written and will not change any more.

    It is a hint and promises nothing; fsync(2) does, and finds less to do. Elsewhere than on Linux nothing
    happens.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._told = 0

    def wrote(self, stop: int) -> None:
        """Take note that all bytes before `stop` are written."""
        hint = _sync_file_range() if stop - self._told >= STEP else None
        if hint is not None:
            hint(self._descriptor, self._told, stop - self._told, _WRITE)
            self._told = stop
