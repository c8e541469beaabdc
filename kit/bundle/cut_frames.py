"""Cutting a layer's tar where its contents say so, so that an unchanged file is an unchanged frame.

The payload of a large member is cut every 4 MiB from its own start. Small neighbours share a group
whose end is chosen by a checksum of the member's header: what comes before does not matter, so one
changed file changes one group. Bytes that are no tar are cut every 4 MiB.
"""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

from kit.bundle.frame_index import PIECE
from kit.bundle.normalise_tar import normalised_head
from kit.bundle.tar_walk import Head, TarWalk

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from kit.bundle.watch_layer import LayerWatch, Piece

LARGE = 1 << 20
"""A member's payload beyond this stands in frames of its own."""
LEAST = 1 << 18
"""Bytes of a group before a checksum may end it."""
_SPACING = 3 << 18
"""Bytes, on average, from there to its end."""
MOST = 5 << 19
"""A group ends at the latest when it has this many bytes."""
_SCALE = (1 << 32) // _SPACING


def cut_tar(
    chunks: Iterable[bytes], *, normalise: bool = False, watch: LayerWatch | None = None
) -> Iterator[bytes]:
    """Yield the frames of a tar, none empty or beyond 4 MiB; joined they are the tar, normalised if asked.

    Where the cuts are depends on the tar alone, not on the chunks that it comes in. `watch` hears
    of every member.
    """
    walk = TarWalk(chunks)
    group: list[bytes | memoryview] = []
    size = 0
    while isinstance(head := walk.head(), Head):
        data = normalised_head(head.blocks) if normalise else b"".join(head.blocks)
        group.append(data)
        size += len(data)
        wanting = watch if watch is not None and watch.head(head) else None
        large = head.payload > LARGE
        if not large:
            group.extend(_shown(walk.pieces(head.payload), wanting))
            size += head.payload
        if large or _ends(size, data, len(data) + head.payload):
            yield from _pieces(b"".join(group))
            group, size = [], 0
        if large:
            yield from _shown(_cut(walk, head.payload), wanting)
    rest = b"".join((*group, head.data))
    yield from _pieces(rest + walk.read(max(PIECE - len(rest), 0)))
    yield from _cut(walk, None)


def _shown(pieces: Iterable[Piece], watch: LayerWatch | None) -> Iterable[Piece]:
    """Return the pieces of a payload, shown to the watch that wants them as they go by."""
    return pieces if watch is None else watch.shown(pieces)


def _ends(size: int, head: bytes, member: int) -> bool:
    """Tell whether a group ends after a member: the more bytes it adds, the more likely."""
    return size >= MOST or (size >= LEAST and zlib.crc32(head) < member * _SCALE)


def _cut(walk: TarWalk, size: int | None) -> Iterator[bytes]:
    """Yield the next `size` bytes, or all there are, in pieces."""
    left = size
    while left is None or left:
        piece = walk.read(PIECE if left is None else min(PIECE, left))
        if not piece:
            return
        yield piece
        if left is not None:
            left -= len(piece)


def _pieces(data: bytes) -> Iterator[bytes]:
    if 0 < len(data) <= PIECE:
        yield data
        return
    for place in range(0, len(data), PIECE):
        yield data[place : place + PIECE]
