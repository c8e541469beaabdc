"""A bundle that stands where a new one is being packed: its blobs are used again."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from kit.bundle.digest import hash_chunks
from kit.errors import KitError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from kit.bundle.manifest import Blob
    from kit.bundle.source import BundleSource


def stamps(paths: Iterable[Path]) -> bytes:
    """Return name, size, time of change and inode of files, as JSON. Raises OSError."""
    found = ((path.name, path.stat()) for path in paths)
    lines = [[name, status.st_size, status.st_mtime_ns, status.st_ino] for name, status in found]
    return json.dumps(lines).encode()


class StandingBundle:
    """A bundle, and which of its blobs are proven to be whole."""

    def __init__(self, source: BundleSource, *, unchanged: bool) -> None:
        """`unchanged`: its files have not been written since they were made, blob for blob hashed."""
        self.source = source
        self._blobs = {blob.digest: blob for blob in source.manifest.blobs}
        self._proven = set(self._blobs) if unchanged else set[str]()

    def has(self, blob: Blob) -> bool:
        """Tell whether the blob is in it and whole; hashed once unless the files are unchanged."""
        if self._blobs.get(blob.digest) != blob:
            return False
        if blob.digest not in self._proven:
            try:
                if hash_chunks(self.source.read_range(blob.digest, 0)) != blob:
                    return False
            except KitError:
                return False
            self._proven.add(blob.digest)
        return True
