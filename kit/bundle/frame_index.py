"""The index of a blob's frames: what stands where, and the sha256 of each frame in both its forms. Pure.

A blob of its own, named in kit.json beside the blob that it describes. Sixteen bytes come first: the
magic `kitframe`, the version and the number of frames (32 bits each, big-endian). Then 72 bytes for
each frame, in the order in which they stand: plain size, stored size (32 bits each), sha256 of the
plain bytes, sha256 of the stored bytes. A file that is stored as it is has the same index over its
pieces of 4 MiB, with both sizes and both digests equal.
"""

from __future__ import annotations

import hashlib
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

from kit.errors import VerificationError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from kit.bundle.manifest import Blob, Layer

PIECE = 4 << 20
"""Bytes of a file's pieces but the last; most plain bytes that a frame may have."""
STORED_LIMIT = PIECE + (1 << 16)
"""Most bytes that a frame may have as it is stored; zstd adds a little to what does not compress."""
MAGIC = b"kitframe"
VERSION = 1
_HEAD = struct.Struct(">8sII")
_RECORD = struct.Struct(">II32s32s")
INDEX_LIMIT = 1 << 30
"""Most bytes of an index: 15 million frames, enough for a blob of 60 TB."""


@dataclass(frozen=True, slots=True)
class Frame:
    """A part of a blob that can be checked, sent and used again by itself."""

    plain_size: int
    stored_size: int
    plain: bytes
    """sha256 of its plain bytes, 32 bytes."""
    stored: bytes
    """sha256 of its bytes as they lie in the blob, 32 bytes."""


def piece_of(data: bytes) -> Frame:
    """Return the record of a piece that is stored as it is."""
    digest = hashlib.sha256(data).digest()
    return Frame(len(data), len(data), digest, digest)


def index_size(count: int) -> int:
    """Return the bytes of an index of so many frames."""
    return _HEAD.size + count * _RECORD.size


def dump_index(frames: Iterable[Frame]) -> bytes:
    """Return the bytes of an index; `parse_index` is its inverse."""
    records = [_RECORD.pack(f.plain_size, f.stored_size, f.plain, f.stored) for f in frames]
    return _HEAD.pack(MAGIC, VERSION, len(records)) + b"".join(records)


def _refuse(blob: Blob, why: str) -> VerificationError:
    return VerificationError(
        f"the frame index of {blob.digest} cannot be used",
        where="frame index",
        why=why,
        fix="fetch the bundle again from where it was made, or run kit bundle there",
    )


def parse_index(data: bytes, blob: Blob, plain_size: int) -> tuple[Frame, ...]:
    """Return the frames of a blob whose plain form has `plain_size` bytes.

    Raises VerificationError unless the bytes are an index of exactly that blob: nothing before,
    between or after the frames, and both sums equal to its sizes.
    """
    try:
        frames = read_records(data)
    except ValueError as error:
        raise _refuse(blob, str(error)) from error
    if sum(frame.stored_size for frame in frames) != blob.size:
        raise _refuse(blob, f"its frames do not make the {blob.size} bytes of the blob")
    if sum(frame.plain_size for frame in frames) != plain_size:
        raise _refuse(blob, f"its frames do not make {plain_size} plain bytes")
    return frames


def read_records(data: bytes) -> tuple[Frame, ...]:
    """Return the frames in an index, of whatever blob. Raises ValueError unless it is one."""
    if len(data) < _HEAD.size or len(data) > INDEX_LIMIT:
        raise ValueError(f"{len(data)} bytes")
    magic, version, count = _HEAD.unpack_from(data)
    if (magic, version) != (MAGIC, VERSION):
        raise ValueError("not an index that this version of kit reads")
    if len(data) != index_size(count):
        raise ValueError(f"{len(data)} bytes for {count} frames")
    frames = tuple(Frame(*record) for record in _RECORD.iter_unpack(memoryview(data)[_HEAD.size :]))
    for frame in frames:
        if not 0 < frame.plain_size <= PIECE or not 0 < frame.stored_size <= STORED_LIMIT:
            raise ValueError(f"a frame of {frame.plain_size} bytes stored as {frame.stored_size}")
    return frames


def single_frame(layer: Layer) -> Frame:
    """Return the frame of a layer that has no index because it is one."""
    plain, stored = (bytes.fromhex(word.removeprefix("sha256:")) for word in (layer.diff_id, layer.digest))
    return Frame(layer.plain_size, layer.size, plain, stored)


def parse_piece_index(data: bytes, blob: Blob) -> tuple[Frame, ...]:
    """Return the pieces of a blob that is stored as it is.

    Raises VerificationError, also when a piece is not one of exactly 4 MiB (the last may be
    shorter) with equal sizes and digests.
    """
    frames = parse_index(data, blob, blob.size)
    if any((f.plain_size, f.plain) != (f.stored_size, f.stored) for f in frames):
        raise _refuse(blob, "a piece with two forms, of a file that has one")
    if any(frame.plain_size != PIECE for frame in frames[:-1]):
        raise _refuse(blob, f"a piece that has not {PIECE} bytes")
    return frames
