"""A row of bytes on a disk that is written at any place: one file, or files of equal size."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from kit.bundle.blob_store import sync_folder, writing
from kit.bundle.extent import Extent

if TYPE_CHECKING:
    from pathlib import Path

_ONE_FILE = 1 << 62


def sync_file(path: Path) -> None:
    """Make a file's bytes survive a power cut. Raises UnfitError or TransferError."""
    with writing(path):
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


class Space:
    """The files `1`, `2`, … of a folder, each but the last of `part_size` bytes; None: one file."""

    def __init__(self, folder: Path, part_size: int | None) -> None:
        self._folder = folder
        self._part_size = part_size or _ONE_FILE
        self._unsynced: set[Path] = set()

    def path(self, index: int) -> Path:
        """Return the file that holds the bytes from `index` times the part size on."""
        return self._folder / str(index + 1)

    def paths(self, size: int) -> tuple[Path, ...]:
        """Return the files of the first `size` bytes, in order."""
        return tuple(self.path(index) for index in range(-(-size // self._part_size)))

    def holds(self, size: int) -> bool:
        """Tell whether there are files for so many bytes, each as long as it must be."""
        return all(
            path.is_file() and path.stat().st_size >= min(size - index * self._part_size, self._part_size)
            for index, path in enumerate(self.paths(size))
        )

    def write(self, offset: int, data: bytes | memoryview) -> None:
        """Write at any place. Raises UnfitError or TransferError."""
        view = memoryview(data)
        while view:
            index, within = divmod(offset, self._part_size)
            count = self._write_part(self.path(index), within, view[: self._part_size - within])
            view, offset = view[count:], offset + count

    def _write_part(self, path: Path, offset: int, view: memoryview) -> int:
        self._unsynced.add(path)
        with writing(path):
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | getattr(os, "O_BINARY", 0), 0o644)
            try:
                os.lseek(descriptor, offset, os.SEEK_SET)
                return os.write(descriptor, view)
            finally:
                os.close(descriptor)

    def truncate(self, size: int) -> None:
        """Drop every byte from `size` on. Raises TransferError."""
        with writing(self._folder):
            for path in self._folder.iterdir():
                if not path.name.isdigit():
                    continue
                start = (int(path.name) - 1) * self._part_size
                if start >= size:
                    self._unsynced.discard(path)
                    path.unlink()
                elif path.stat().st_size > size - start:
                    os.truncate(path, size - start)

    def sync(self) -> None:
        """Make what was written survive a power cut. Raises UnfitError or TransferError."""
        for path in sorted(self._unsynced):
            sync_file(path)
        self._unsynced.clear()
        with writing(self._folder):
            sync_folder(self._folder)

    def extent(self, size: int) -> Extent:
        """Return the first `size` bytes, to be read."""
        return Extent(self.paths(size), self._part_size, size)
