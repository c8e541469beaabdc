"""What lies in a bundle's folder and belongs to no bundle: blobs of interrupted packs, unfinished files."""

from __future__ import annotations

import shutil
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from kit.bundle.blob_store import writing
from kit.bundle.folder_target import alone
from kit.bundle.source import open_bundle
from kit.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_UNFINISHED = ("new-*", "next", "done")


@dataclass(frozen=True, slots=True)
class Leftover:
    """A file or folder that nothing needs."""

    path: Path
    size: int
    """Bytes."""

    def remove(self) -> None:
        """Remove it. Raises TransferError."""
        with writing(self.path):
            if self.path.is_dir() and not self.path.is_symlink():
                shutil.rmtree(self.path)
            else:
                self.path.unlink(missing_ok=True)


def size_of(path: Path) -> int:
    """Return the bytes of a file, or of all files below a folder; links count as themselves."""
    if path.is_symlink() or not path.is_dir():
        return path.lstat().st_size
    return sum(file.lstat().st_size for file in path.rglob("*") if file.is_symlink() or not file.is_dir())


@contextmanager
def leftovers(folder: Path) -> Iterator[tuple[Leftover, ...]]:
    """Yield what the bundle in a folder does not need, while no pack can start there.

    Raises ConfigError when there is no bundle or a pack is at work, VerificationError when the
    bundle is not right: what such a folder needs cannot be told.
    """
    if not folder.is_dir():
        raise ConfigError("not a bundle's folder", where=str(folder), fix="a tarball has nothing to spare")
    manifest = open_bundle(folder).manifest
    with alone(folder / "partial"):
        named = {blob.digest.removeprefix("sha256:") for blob in manifest.blobs}
        blobs = (path for path in (folder / "blobs" / "sha256").glob("*") if path.name not in named)
        unfinished = (path for pattern in _UNFINISHED for path in (folder / "partial").glob(pattern))
        yield tuple(Leftover(path, size_of(path)) for path in sorted((*blobs, *unfinished)))
