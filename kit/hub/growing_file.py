"""A file that grows on the disk while its checksums are made: every byte is read once."""

from __future__ import annotations

import hashlib
import os
from typing import TYPE_CHECKING

from kit.bundle.blob_store import writing
from kit.bundle.digest import CHUNK
from kit.bundle.manifest import Blob

if TYPE_CHECKING:
    from pathlib import Path

    from kit.hub.port import HubFile


class GrowingFile:
    """The part of a file that is here. Raises UnfitError or TransferError when the disk fails."""

    def __init__(self, descriptor: int, path: Path, file: HubFile) -> None:
        self._descriptor = descriptor
        self._path = path
        self._file = file
        self.size = 0
        """Bytes that are here and in the checksums."""
        self._begin()

    def _begin(self) -> None:
        self.size = 0
        self._sha256 = hashlib.sha256()
        # git names a file by the sha1 over this header and its bytes (gitformat-pack, "blob").
        self._git = hashlib.sha1(b"blob %d\0" % self._file.size, usedforsecurity=False)

    def take_up(self) -> int:
        """Go on from what an earlier run left; return its size. Too much of it is thrown away."""
        with writing(self._path):
            if os.fstat(self._descriptor).st_size > self._file.size:
                os.ftruncate(self._descriptor, 0)
            os.lseek(self._descriptor, 0, os.SEEK_SET)
            while chunk := os.read(self._descriptor, CHUNK):
                self._count(chunk)
        return self.size

    def _count(self, chunk: bytes) -> None:
        self._sha256.update(chunk)
        if self._file.git_sha1 is not None:
            self._git.update(chunk)
        self.size += len(chunk)

    def start_over(self) -> None:
        """Throw everything away."""
        with writing(self._path):
            os.ftruncate(self._descriptor, 0)
            os.lseek(self._descriptor, 0, os.SEEK_SET)
        self._begin()

    def write(self, chunk: bytes) -> None:
        """Add bytes at the end."""
        view = memoryview(chunk)
        with writing(self._path):
            while view:
                view = view[os.write(self._descriptor, view) :]
        self._count(chunk)

    def flush(self) -> None:
        """Make what was written survive a power cut."""
        with writing(self._path):
            os.fsync(self._descriptor)

    @property
    def blob(self) -> Blob:
        """Digest and size of what is here."""
        return Blob("sha256:" + self._sha256.hexdigest(), self.size)

    def difference(self) -> str:
        """Return what is not as the hub or the lock says, empty when all is: expected and got."""
        file = self._file
        if self.size != file.size:
            return f"expected {file.size} bytes, got {self.size}"
        if file.digest is not None and self.blob.digest != file.digest:
            return f"expected {file.digest}, got {self.blob.digest}"
        if file.git_sha1 is not None and self._git.hexdigest() != file.git_sha1:
            return f"expected git object {file.git_sha1}, got {self._git.hexdigest()}"
        return ""
