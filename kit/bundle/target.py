"""Where a bundle is packed: a folder (`folder_target`), one tarball or volumes (`tar_target`)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path

    from kit.bundle.manifest import Blob, Manifest


class PackedBlobs(Protocol):
    """The blobs of a bundle that is being packed, those of the bundle that it replaces among them."""

    def has(self, blob: Blob) -> bool:
        """Tell whether the blob is here and whole. Raises TransferError when it cannot be read."""

    def write(self, chunks: Iterable[bytes], expected: Blob | None = None) -> Blob:
        """Write a stream as a blob, once, and return it; nothing stays behind when it fails.

        One blob is written at a time; a second writer waits. Raises VerificationError when it is
        not `expected`, UnfitError or TransferError when the disk fails, and whatever the stream
        raises.
        """

    def keep(self, data: bytes) -> Blob:
        """Return the blob of bytes in memory, written unless it is here. Raises as `write` does."""

    def read(self, blob: Blob, offset: int = 0, length: int | None = None) -> Iterator[bytes]:
        """Yield bytes of a blob that is here, unverified. Raises TransferError when reading fails."""


class BundleTarget(PackedBlobs, Protocol):
    """The place of one bundle. The bundle that stands there stays valid until `publish` is through."""

    @property
    def state(self) -> Path:
        """A folder for what packing remembers. It never travels; losing it costs time only."""

    def opened(self) -> AbstractContextManager[None]:
        """Keep other packs out, and finish or remove what an interrupted one left.

        Raises ConfigError when another pack is at work, UnfitError or TransferError (disk).
        """

    def publish(self, manifest: Manifest, lock_bytes: bytes, signature: bytes | None) -> None:
        """Make this the bundle that stands here, and drop what it does not need.

        Every blob of the manifest must be here. Without a signature, that of the bundle that stood
        here stays when kit.json is the very same. Raises VerificationError, UnfitError, TransferError.
        """
