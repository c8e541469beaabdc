"""A folder of blobs, each a file named by its sha256: `blobs/sha256/<hex>`.

Bytes come in through `partial/` and are renamed into place once they are hashed and on the disk,
so a file under its final name was whole when it got there.
"""

from __future__ import annotations

import errno
import os
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from kit.bundle.digest import Hasher, blob_of, read_file, wrong_bytes
from kit.bundle.known_files import KnownFiles
from kit.bundle.write_behind import WriteBehind
from kit.errors import TransferError, UnfitError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from kit.bundle.manifest import Blob

_UNFINISHED = "new-"


@contextmanager
def writing(where: Path) -> Iterator[None]:
    """Turn a failing disk into UnfitError (no room left) or TransferError."""
    try:
        yield
    except OSError as error:
        why = error.strerror or str(error)
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise UnfitError("no room left", where=str(where), why=why, fix=f"df -h {where}") from error
        raise TransferError("cannot be written", where=str(where), why=why) from error


def sync_folder(folder: Path) -> None:
    """Make renames in a folder survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


class BlobStore:
    """The blobs of one folder, and the record of those that were verified."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._blobs = folder / "blobs" / "sha256"
        self.partial = folder / "partial"
        """Where bytes wait until they are proven. Beside the blobs, so that a rename suffices."""
        self.known = KnownFiles.load(self.partial / "verified.jsonl")

    def path(self, digest: str) -> Path:
        """Return where the blob stands or would stand."""
        return self._blobs / digest.removeprefix("sha256:")

    def has(self, blob: Blob) -> bool:
        """Tell whether the blob is here and whole; a file not verified before is hashed now."""
        path = self.path(blob.digest)
        if path.is_symlink() or not path.is_file() or path.stat().st_size != blob.size:
            return False
        return self.known.blob_of(path) == blob

    def read(self, blob: Blob, offset: int = 0, length: int | None = None) -> Iterator[bytes]:
        """Yield bytes of a blob that is here, unverified. Raises TransferError when reading fails."""
        return read_file(self.path(blob.digest), offset, length)

    def write(self, chunks: Iterable[bytes], expected: Blob | None = None) -> Blob:
        """Write a stream as a blob and return it; nothing stays behind when it fails.

        Raises VerificationError when it is not `expected`, UnfitError or TransferError when the
        disk fails, and whatever the stream raises.
        """
        with writing(self.partial):
            self.partial.mkdir(parents=True, exist_ok=True)
            descriptor, name = tempfile.mkstemp(prefix=_UNFINISHED, dir=self.partial)
        temporary = Path(name)
        try:
            blob = _fill(descriptor, chunks, temporary, expected)
            self._place(temporary, blob)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        return blob

    def keep(self, data: bytes) -> Blob:
        """Return the blob of bytes in memory, written unless it is here. Raises as `write` does."""
        blob = blob_of(data)
        if not self.has(blob):
            self.write((data,), blob)
        return blob

    def adopt(self, temporary: Path, blob: Blob) -> None:
        """Move a file of `partial/` into place. Its bytes must have been verified to be the blob's."""
        with writing(temporary):
            descriptor = os.open(temporary, os.O_RDONLY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
        self._place(temporary, blob)

    def _place(self, temporary: Path, blob: Blob) -> None:
        path = self.path(blob.digest)
        with writing(path):
            self._blobs.mkdir(parents=True, exist_ok=True)
            temporary.chmod(0o444)
            temporary.replace(path)
            self.known.remember(path, blob.digest)

    def remove_unfinished(self) -> None:
        """Remove what killed writers left. Nobody else may be writing."""
        for path in self.partial.glob(_UNFINISHED + "*"):
            path.unlink(missing_ok=True)

    def remove_others(self, kept: Iterable[Blob]) -> int:
        """Remove every blob that is not in `kept`; return the bytes freed."""
        names = {self.path(blob.digest).name for blob in kept}
        freed = 0
        for path in self._blobs.glob("*"):
            if path.name not in names:
                freed += path.lstat().st_size
                path.unlink()
        self.known.compact()
        return freed


def _fill(descriptor: int, chunks: Iterable[bytes], path: Path, expected: Blob | None) -> Blob:
    hasher = Hasher()
    with os.fdopen(descriptor, "wb", buffering=0) as file:
        behind = WriteBehind(file.fileno())
        for chunk in chunks:
            hasher.update(chunk)
            if expected is not None and hasher.size > expected.size:
                break
            with writing(path):
                _write_all(file.fileno(), chunk)
            behind.wrote(hasher.size)
        with writing(path):
            os.fsync(file.fileno())
    if expected is not None and hasher.blob != expected:
        raise wrong_bytes(expected, str(path.parent), f"{hasher.size} bytes with {hasher.digest} came")
    return hasher.blob


def _write_all(descriptor: int, chunk: bytes) -> None:
    view = memoryview(chunk)
    while view:
        view = view[os.write(descriptor, view) :]
