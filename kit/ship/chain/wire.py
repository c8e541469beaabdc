"""What two hosts of a chain say to each other: messages with limits, read without trust. Pure.

A message is one byte for its kind, four for its length (big-endian), and that many bytes:

- HELLO (giver, once): this connection is the one that counts.
- WANT (taker): JSON, `{"blobs": {"sha256:…": [[start, stop], …]}, "again": {…}}`. The frames that it
  lacks, in place of all it asked for before; those under `again` are meant although they were given.
- FRAME (giver): 32 bytes of the blob's sha256, four of the frame's number, the frame's bytes.
- ALIVE (both): nothing.
"""

from __future__ import annotations

import json
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from kit.bundle.manifest import DIGEST
from kit.ship.chain.tls import LinkLostError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from kit.ship.framed import FramedBlob, FrameRanges

    class _Link(Protocol):
        def read(self, size: int) -> bytes: ...


HELLO, WANT, FRAME, ALIVE = b"h", b"w", b"f", b"a"
FRAME_LIMIT = 64 << 20
"""Most bytes of a frame that hosts pass on; a blob with a larger one comes from the sender alone."""
WANT_LIMIT = 16 << 20
_HEAD = struct.Struct(">cI")
_FRAME = struct.Struct(">32sI")
_PREFIX = "sha256:"


@dataclass(frozen=True, slots=True)
class Want:
    """What a taker asks for."""

    blobs: Mapping[str, FrameRanges]
    again: Mapping[str, FrameRanges]


@dataclass(frozen=True, slots=True)
class FrameHead:
    """What stands before a frame's bytes."""

    digest: str
    frame: int
    length: int


def hello() -> bytes:
    """Return the message that opens a connection."""
    return _HEAD.pack(HELLO, 0)


def alive() -> bytes:
    """Return the message that says nothing."""
    return _HEAD.pack(ALIVE, 0)


def want_message(want: Want) -> bytes:
    """Return a request for frames."""
    document = {"blobs": dict(want.blobs), "again": dict(want.again)}
    data = json.dumps(document, separators=(",", ":")).encode()
    return _HEAD.pack(WANT, len(data)) + data


def frame_message(digest: str, frame: int, length: int) -> bytes:
    """Return what goes before the bytes of a frame."""
    head = _FRAME.pack(bytes.fromhex(digest.removeprefix(_PREFIX)), frame)
    return _HEAD.pack(FRAME, len(head) + length) + head


def read_kind(link: _Link) -> tuple[bytes, int]:
    """Return kind and length of the next message. Raises LinkLostError."""
    kind, length = _HEAD.unpack(link.read(_HEAD.size))
    limit = {HELLO: 0, ALIVE: 0, WANT: WANT_LIMIT, FRAME: FRAME_LIMIT + _FRAME.size}.get(kind)
    if limit is None or length > limit:
        raise LinkLostError(f"a message of kind {kind!r} with {length} bytes")
    return kind, length


def read_frame_head(link: _Link, length: int, blobs: Mapping[str, FramedBlob]) -> FrameHead:
    """Return which frame follows, and how many bytes of it. Raises LinkLostError for one that is none."""
    if length < _FRAME.size:
        raise LinkLostError(f"a frame message of {length} bytes")
    raw, frame = _FRAME.unpack(link.read(_FRAME.size))
    found = FrameHead(_PREFIX + raw.hex(), frame, length - _FRAME.size)
    blob = blobs.get(found.digest)
    if blob is None or frame >= len(blob) or blob.extent(frame, frame + 1)[1] != found.length:
        raise LinkLostError(f"{found.length} bytes as frame {frame} of {found.digest}")
    return found


def read_want(link: _Link, length: int, blobs: Mapping[str, FramedBlob]) -> Want:
    """Return what a taker asks for. Raises LinkLostError for a request that makes no sense here."""
    try:
        document = json.loads(link.read(length))
        return Want(_ranges(document["blobs"], blobs), _ranges(document["again"], blobs))
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
        raise LinkLostError(f"a request that is none: {error!r:.200}") from error


def _ranges(document: Any, blobs: Mapping[str, FramedBlob]) -> dict[str, FrameRanges]:
    found = {}
    for digest, ranges in document.items():
        if not DIGEST.match(digest) or digest not in blobs:
            raise ValueError(f"{digest[:80]} is not here")
        found[digest] = checked_ranges(ranges, len(blobs[digest]))
    return found


def checked_ranges(document: Any, count: int) -> FrameRanges:
    """Return ranges of frame numbers below `count`. Raises ValueError or TypeError for anything else."""
    ranges = []
    last = 0
    for start, stop in document:
        if type(start) is not int or type(stop) is not int or not last <= start < stop <= count:
            raise ValueError("ranges that are none")
        last = stop
        ranges.append((start, stop))
    return tuple(ranges)
