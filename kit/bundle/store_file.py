"""Files that are stored as they are, with an index over their pieces of 4 MiB. One pass, constant memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kit.bundle.frame_index import PIECE, Frame, dump_index, piece_of
from kit.bundle.ordered_work import in_order

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from kit.bundle.manifest import Blob
    from kit.bundle.target import PackedBlobs


def cut_pieces(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the same bytes in pieces of 4 MiB; only the last may be shorter."""
    gathered: list[bytes | memoryview] = []
    missing = PIECE
    for chunk in chunks:
        rest = memoryview(chunk)
        while rest:
            piece, rest = rest[:missing], rest[missing:]
            gathered.append(piece)
            missing -= len(piece)
            if not missing:
                yield b"".join(gathered)
                gathered, missing = [], PIECE
    if gathered:
        yield b"".join(gathered)


def _with_records(chunks: Iterable[bytes], frames: list[Frame]) -> Iterator[bytes]:
    for frame, piece in in_order(lambda piece: (piece_of(piece), piece), cut_pieces(chunks)):
        frames.append(frame)
        yield piece


def store_file(chunks: Iterable[bytes], expected: Blob, store: PackedBlobs) -> Blob | None:
    """Write a stream that must be the blob `expected`; return its index, None for a file of one piece.

    Raises VerificationError when it is another one, what the stream raises, UnfitError or
    TransferError when the disk fails.
    """
    if expected.size <= PIECE:
        store.write(chunks, expected)
        return None
    frames: list[Frame] = []
    store.write(_with_records(chunks, frames), expected)
    return store.keep(dump_index(frames))


def index_stored(blob: Blob, store: PackedBlobs) -> Blob | None:
    """Return the index of a file that is in the store already; None for a file of one piece.

    Raises UnfitError or TransferError when the disk fails.
    """
    if blob.size <= PIECE:
        return None
    frames: list[Frame] = []
    for _ in _with_records(store.read(blob, 0, blob.size), frames):
        pass
    return store.keep(dump_index(frames))
