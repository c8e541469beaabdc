"""Reading from a pipe whose other end may vanish without a word: a cut line looks like silence."""

from __future__ import annotations

import io
import os
import select
from typing import Any, cast

from kit.errors import TransferError

SILENCE = 45.0
"""Seconds without a byte after which a sender counts as gone; it says that it lives more often."""
_BUFFER = 1 << 18


class _Patience(io.RawIOBase):
    """A descriptor to read from that gives up on silence."""

    def __init__(self, descriptor: int, silence: float) -> None:
        super().__init__()
        self._descriptor = descriptor
        self._silence = silence

    def readable(self) -> bool:
        """Tell that it can be read."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Read what there is, once there is something."""
        if not select.select([self._descriptor], [], [], self._silence)[0]:
            raise TransferError(
                f"the sender was silent for {self._silence:g} s", fix="run the same command again"
            )
        return os.readv(self._descriptor, [buffer])


def patient(descriptor: int, silence: float = SILENCE) -> io.BufferedReader:
    """Return a reader of a descriptor; reading raises TransferError after `silence` seconds."""
    # The cast: what a BufferedReader reads from is a type parameter in newer type stubs only.
    return cast("io.BufferedReader", io.BufferedReader(_Patience(descriptor, silence), _BUFFER))
