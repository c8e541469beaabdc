"""Hearing of images as soon as they are packed, long before the bundle is whole."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from kit.bundle.digest import verified
from kit.errors import VerificationError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kit.bundle.manifest import Image
    from kit.bundle.target import PackedBlobs


@dataclass(frozen=True, slots=True)
class PackedImage:
    """An image of a bundle that is still being packed: VerifiedBlobs, those of the image."""

    image: Image
    blobs: PackedBlobs
    where: str

    def read(self, digest: str) -> Iterator[bytes]:
        """Yield a blob's bytes, hashed on the way. Raises VerificationError, TransferError."""
        for blob in self.image.blobs:
            if blob.digest == digest:
                return verified(self.blobs.read(blob), blob, self.where)
        raise VerificationError(f"image {self.image.name} has no blob {digest}", where=self.where)


class PackListener(Protocol):
    """Hears of images while a bundle is packed."""

    def packed(self, image: PackedImage) -> None:
        """Hear of an image, at once after it was packed. It may be read, from any thread, until `release`."""

    def release(self) -> None:
        """Return when none of them is read any more: their blobs are about to move."""


class NoListener:
    """Wants to hear of nothing."""

    def packed(self, image: PackedImage) -> None:
        """Ignore."""

    def release(self) -> None:
        """Nothing is read."""
