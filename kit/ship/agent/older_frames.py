"""Frames that blobs on this host hold already: what did not change from one bundle to the next."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING

from kit.bundle.digest import open_regular, read_file
from kit.bundle.frame_index import INDEX_LIMIT, read_records
from kit.errors import KitError
from kit.ship.framed import numbers_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from kit.bundle.blob_store import BlobStore
    from kit.ship.agent.growing_blob import GrowingBlob


class OlderFrames:
    """Finds frames by the sha256 of their stored bytes. Read before the first blob grows, then only asked."""

    def __init__(self, store: BlobStore) -> None:
        self._places: dict[bytes, tuple[Path, int]] = {}
        for blob, index in _indexed(store):
            self._read(blob, index)

    def _read(self, blob: Path, index: Path) -> None:
        offset = 0
        # What cannot be read or is no index holds no frames; nothing is lost by that.
        with suppress(KitError, OSError, ValueError):
            size = blob.stat().st_size
            for frame in read_records(b"".join(read_file(index, 0, INDEX_LIMIT))):
                if offset + frame.stored_size > size:
                    return
                self._places.setdefault(frame.stored, (blob, offset))
                offset += frame.stored_size

    def fill(self, growing: GrowingBlob) -> None:
        """Copy into a blob all frames that are here and that it lacks; its sha256 proves them.

        Raises UnfitError, TransferError when the disk fails.
        """
        wanted: dict[Path, list[tuple[int, int]]] = {}
        for number in numbers_of(growing.missing()):
            place = self._places.get(growing.framed.frames[number].stored)
            if place is not None:
                wanted.setdefault(place[0], []).append((number, place[1]))
        for path, frames in wanted.items():
            _copy(growing, path, frames)


def _copy(growing: GrowingBlob, path: Path, frames: list[tuple[int, int]]) -> None:
    try:
        source = open_regular(path)
    except KitError:
        return
    try:
        for number, offset in frames:
            growing.copy(number, source, offset)
    finally:
        os.close(source)


def _indexed(store: BlobStore) -> Iterator[tuple[Path, Path]]:
    """Yield the blobs that are here with the indexes of their frames, the newest first."""
    indexes = (store.folder / "frames").glob("*")
    for index in sorted(indexes, key=lambda path: -path.lstat().st_mtime):
        blob = store.path(index.name)
        if blob.is_file() and not blob.is_symlink():
            yield blob, index
