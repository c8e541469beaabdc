"""Reading from a pipe whose other end may vanish without a word: a cut line looks like silence."""

from __future__ import annotations

import io
import os
import select
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, cast

from kit.bundle.blob_store import writing
from kit.errors import TransferError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SILENCE = 180.0
"""Seconds without a byte from a sender that still owes some, after which it counts as gone."""
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


@contextmanager
def named_pipe(path: Path, silence: float = SILENCE) -> Iterator[io.BufferedReader]:
    """Make a named pipe for as long as the block runs; give the reader of its end.

    A process outside the container writes into it, past the engine, which would copy each byte
    three times on the way to a container's standard input. Raises UnfitError, TransferError.
    """
    with writing(path):
        path.unlink(missing_ok=True)
        os.mkfifo(path, 0o600)
        # Not waiting for a writer: one that never comes is noticed as silence.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    try:
        yield patient(descriptor, silence)
    finally:
        os.close(descriptor)
        path.unlink(missing_ok=True)
