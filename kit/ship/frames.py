"""Blobs on a stream: frames of a length and that many bytes; a length of 0 ends the blob.

The sender may so end a blob early (its file shrank), and the receiver never loses its place.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Protocol

from kit.errors import TransferError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

FRAME_LIMIT = 16 << 20
"""Most bytes of one frame."""
_LENGTH = struct.Struct(">I")
_READ = 1 << 18
END = _LENGTH.pack(0)


class Input(Protocol):
    """What frames are read from."""

    def read(self, size: int, /) -> bytes:
        """Return `size` bytes, fewer only at the end."""

    def read1(self, size: int, /) -> bytes:
        """Return at most `size` bytes, as soon as there are any; none at the end."""


def frames(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Yield one blob's chunks as frames, and its end."""
    for chunk in chunks:
        if chunk:
            yield _LENGTH.pack(len(chunk))
            yield chunk
    yield END


def _cut_off() -> TransferError:
    return TransferError(
        "the sender went away in the middle of a blob", fix="run kit ship again; what arrived is kept"
    )


def read_frames(stream: Input) -> Iterator[bytes]:
    """Yield the pieces of one blob, as they come, up to its end.

    Raises TransferError when the stream ends before.
    """
    while True:
        head = stream.read(_LENGTH.size)
        if len(head) < _LENGTH.size:
            raise _cut_off()
        left = _LENGTH.unpack(head)[0]
        if left == 0:
            return
        if left > FRAME_LIMIT:
            raise TransferError(f"a frame of {left} bytes; at most {FRAME_LIMIT} are sent")
        while left:
            piece = stream.read1(min(left, _READ))
            if not piece:
                raise _cut_off()
            left -= len(piece)
            yield piece
