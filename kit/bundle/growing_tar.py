"""A tar that grows blob by blob, and the record of the blobs that it holds whole.

A blob's name and size are known when it has passed, so its header is written last, in front of
it. A line of the record follows when both are on the disk: what a kill leaves behind the last
recorded blob is cut off, everything before is used again.
"""

from __future__ import annotations

import json
import os
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from kit.bundle.blob_store import writing
from kit.bundle.digest import Hasher, hash_chunks, verified, wrong_bytes
from kit.bundle.manifest import DIGEST, Blob
from kit.bundle.space import Space
from kit.bundle.tar_form import BLOCK, blob_name, padded, tar_header
from kit.errors import KitError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path


class GrowingTar:
    """Blobs as the first members of a tar in a folder. One thread writes at a time, others wait."""

    def __init__(self, folder: Path, part_size: int | None) -> None:
        """Take up what an earlier writer left, unless it cut its files at another size."""
        self._folder = folder
        self._record = folder / "blobs.jsonl"
        self._space = Space(folder, part_size)
        self._writing = threading.RLock()
        self._proving = threading.Lock()
        self._places: dict[str, tuple[int, Blob]] = {}
        """Offset of the header, by digest."""
        self._load(part_size)
        self._unproven = set(self._places)
        """Blobs of an earlier writer; they are hashed before they count."""
        self._end = max((_end(*place) for place in self._places.values()), default=0)
        with writing(folder):
            folder.mkdir(parents=True, exist_ok=True)
        self._space.truncate(self._end)
        self._rewrite(part_size)

    def _load(self, part_size: int | None) -> None:
        lines = []
        with suppress(OSError, UnicodeDecodeError):
            lines = self._record.read_text(encoding="utf-8").splitlines()
        if not lines or _parsed(lines[0]) != {"part_size": part_size}:
            return
        for line in lines[1:]:
            entry = _parsed(line)
            if _is_place(entry):
                blob = Blob(entry["digest"], entry["size"])
                self._places[blob.digest] = (entry["offset"], blob)
            elif isinstance(entry.get("dropped"), str):
                self._places.pop(entry["dropped"], None)
        for digest, place in tuple(self._places.items()):
            if not self._space.holds(_end(*place)):
                del self._places[digest]

    def _rewrite(self, part_size: int | None) -> None:
        lines = [{"part_size": part_size}, *(_line(*place) for place in self._places.values())]
        with writing(self._record):
            new = self._record.with_suffix(".new")
            new.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
            new.replace(self._record)

    def _tell(self, entry: dict[str, Any]) -> None:
        with writing(self._record), self._record.open("a", encoding="utf-8") as file:
            file.write(json.dumps(entry) + "\n")
            file.flush()
            os.fsync(file.fileno())

    def has(self, blob: Blob) -> bool:
        """Tell whether the blob is in the tar and whole; one of an earlier writer is hashed once."""
        if self._places.get(blob.digest, (0, None))[1] != blob:
            return False
        with self._proving:
            if blob.digest in self._unproven:
                if not self._is_whole(blob):
                    self._drop(blob.digest)
                self._unproven.discard(blob.digest)
        return blob.digest in self._places

    def _is_whole(self, blob: Blob) -> bool:
        try:
            return hash_chunks(self.read(blob)) == blob
        except KitError:
            return False

    def read(self, blob: Blob, offset: int = 0, length: int | None = None) -> Iterator[bytes]:
        """Yield bytes of a blob that is in the tar, unverified."""
        place = self._places[blob.digest][0] + BLOCK
        left = max(blob.size - offset, 0)
        wanted = left if length is None else min(length, left)
        return self._space.extent(place + blob.size).read(place + offset, wanted)

    def write(self, chunks: Iterable[bytes], expected: Blob | None = None) -> Blob:
        """Write a stream as a blob and return it; nothing stays behind when it fails.

        Raises VerificationError when it is not `expected`, UnfitError or TransferError when the
        disk fails, and whatever the stream raises.
        """
        with self._writing:
            try:
                blob = self._fill(chunks, expected)
                if self.has(blob):
                    self._space.truncate(self._end)
                else:
                    self._add(blob)
            except BaseException:
                self._space.truncate(self._end)
                raise
            return blob

    def _fill(self, chunks: Iterable[bytes], expected: Blob | None) -> Blob:
        hasher = Hasher()
        start = self._end + BLOCK
        for chunk in chunks:
            if expected is not None and hasher.size + len(chunk) > expected.size:
                raise wrong_bytes(expected, str(self._folder), f"more than its {expected.size} bytes")
            self._space.write(start + hasher.size, chunk)
            hasher.update(chunk)
        if expected is not None and hasher.blob != expected:
            why = f"{hasher.size} bytes with {hasher.digest} came"
            raise wrong_bytes(expected, str(self._folder), why)
        return hasher.blob

    def _add(self, blob: Blob) -> None:
        """Put header and padding around a blob's bytes at the end, and record it."""
        data_end = self._end + BLOCK + blob.size
        self._space.write(data_end, bytes(padded(blob.size) - blob.size))
        self._space.write(self._end, tar_header(blob_name(blob.digest), blob.size))
        self._space.sync()
        self._tell(_line(self._end, blob))
        self._places[blob.digest] = (self._end, blob)
        self._end = _end(self._end, blob)

    def _drop(self, digest: str) -> None:
        self._tell({"dropped": digest})
        del self._places[digest]

    def keep_only(self, kept: Iterable[Blob]) -> None:
        """Drop every other blob and close the gaps. Raises VerificationError, UnfitError, TransferError.

        A blob that is being moved when the power fails is lost, no other.
        """
        wanted = {blob.digest for blob in kept}
        with self._writing:
            for digest in [digest for digest in self._places if digest not in wanted]:
                self._drop(digest)
            places = sorted(self._places.values())
            self._end = 0
            for offset, blob in places:
                if offset == self._end:
                    self._end = _end(offset, blob)
                else:
                    self._move(blob)
            self._space.truncate(self._end)

    def _move(self, blob: Blob) -> None:
        source = self.read(blob)
        self._drop(blob.digest)
        # Forward and never upwards, so what is still to be read is not written over.
        self._fill(verified(source, blob, str(self._folder)), blob)
        self._add(blob)

    def finish(self, tail: Iterable[bytes]) -> tuple[Space, int]:
        """Write what follows the blobs; return the space and the bytes in it."""
        offset = self._end
        for chunk in tail:
            self._space.write(offset, chunk)
            offset += len(chunk)
        self._space.sync()
        return self._space, offset

    def forget(self) -> None:
        """Forget every blob and remove what is left of the files."""
        with writing(self._record):
            self._record.unlink(missing_ok=True)
        self._places.clear()
        self._end = 0
        self._space.truncate(0)


def _end(offset: int, blob: Blob) -> int:
    return offset + BLOCK + padded(blob.size)


def _line(offset: int, blob: Blob) -> dict[str, Any]:
    return {"offset": offset, "digest": blob.digest, "size": blob.size}


def _parsed(line: str) -> dict[str, Any]:
    try:
        entry = json.loads(line)
    except (ValueError, RecursionError):
        # The line that a power cut tore.
        return {}
    return entry if isinstance(entry, dict) else {}


def _is_place(entry: dict[str, Any]) -> bool:
    offset, size = entry.get("offset"), entry.get("size")
    counts = isinstance(offset, int) and isinstance(size, int) and offset >= 0 and size >= 0
    return counts and bool(DIGEST.match(str(entry.get("digest"))))
