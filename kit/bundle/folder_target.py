"""Packing into a folder that grows in place.

kit.json changes in one step after every blob is in place, and what only the old bundle needed
goes last.
"""

from __future__ import annotations

import sys
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING

from kit.bundle.blob_store import BlobStore, writing
from kit.bundle.manifest import dump_manifest
from kit.bundle.switch import choose, settle, stage
from kit.bundle.tar_form import MANIFEST_NAME, SIGNATURE_NAME, fixed_files
from kit.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from kit.bundle.manifest import Blob, Manifest


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Make the folder, and keep a second pack out of it.

    Raises ConfigError when one is at work, UnfitError or TransferError (disk).
    """
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        file = (folder / "lock").open("w")
    with file:
        _lock(file, folder)
        yield


def _lock(file: IO[str], folder: Path) -> None:
    if sys.platform != "win32":
        import fcntl

        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise ConfigError(
                "another kit bundle is writing here", where=str(folder), fix="wait for it to end"
            ) from error


class FolderTarget:
    """A BundleTarget that is a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._store = BlobStore(folder)

    @property
    def state(self) -> Path:
        """`partial/`, which no reader of the bundle looks into but for files just chosen."""
        return self._store.partial

    @contextmanager
    def opened(self) -> Iterator[None]:
        """Keep other packs out; finish what was published, remove what was not finished."""
        with alone(self._store.partial):
            settle(self._folder)
            self._store = BlobStore(self._folder)
            self._store.remove_unfinished()
            yield

    def has(self, blob: Blob) -> bool:
        """Tell whether the blob is here and whole."""
        return self._store.has(blob)

    def write(self, chunks: Iterable[bytes], expected: Blob | None = None) -> Blob:
        """Write a stream as a blob and return it."""
        return self._store.write(chunks, expected)

    def keep(self, data: bytes) -> Blob:
        """Return the blob of bytes in memory, written unless it is here."""
        return self._store.keep(data)

    def read(self, blob: Blob, offset: int = 0, length: int | None = None) -> Iterator[bytes]:
        """Yield bytes of a blob, unverified."""
        return self._store.read(blob, offset, length)

    def publish(self, manifest: Manifest, lock_bytes: bytes, signature: bytes | None) -> None:
        """Put the describing files in place in one step, then remove blobs of the old bundle alone."""
        data = dump_manifest(manifest)
        signature = self._kept_signature(data) if signature is None else signature
        stage(self._folder, fixed_files(manifest, data, lock_bytes, signature))
        choose(self._folder)
        settle(self._folder)
        with writing(self._folder):
            self._store.remove_others(manifest.blobs)

    def _kept_signature(self, data: bytes) -> bytes | None:
        """Return the signature in the settled folder when it stands beside the very same kit.json."""
        manifest, signature = self._folder / MANIFEST_NAME, self._folder / SIGNATURE_NAME
        if not signature.is_file() or not manifest.is_file() or manifest.read_bytes() != data:
            return None
        return signature.read_bytes()
