"""A row of bytes that lies in one file or, cut at equal distances, in several: read in place."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from kit.bundle.digest import read_file

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class FileRange:
    """Bytes of one file."""

    path: Path
    offset: int
    length: int


@dataclass(frozen=True, slots=True)
class Extent:
    """Bytes to read. Every file but the last has `part_size` of them."""

    paths: tuple[Path, ...]
    part_size: int
    size: int
    """Bytes in all."""

    @classmethod
    def of_file(cls, path: Path, size: int) -> Extent:
        """Return the bytes of one file."""
        return cls((path,), max(size, 1), size)

    def ranges(self, offset: int, length: int) -> Iterator[FileRange]:
        """Yield where bytes lie, fewer where they end. Pure."""
        end = min(offset + length, self.size)
        while offset < end:
            index, within = divmod(offset, self.part_size)
            here = min(end - offset, self.part_size - within)
            yield FileRange(self.paths[index], within, here)
            offset += here

    def read(self, offset: int, length: int) -> Iterator[bytes]:
        """Yield bytes, fewer where they end. Raises TransferError, VerificationError (no plain file)."""
        for part in self.ranges(offset, length):
            wanted = part.length
            for chunk in read_file(part.path, part.offset, part.length):
                wanted -= len(chunk)
                yield chunk
            if wanted:
                # A file that ends early must not let the next one's bytes move up.
                return

    def bytes(self, offset: int, length: int) -> bytes:
        """Return what `read` yields."""
        return b"".join(self.read(offset, length))

    def where(self, offset: int) -> str:
        """Return the path of the file that holds a byte, for messages."""
        return str(self.paths[min(max(offset, 0) // self.part_size, len(self.paths) - 1)])
