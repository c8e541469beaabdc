"""What the loopback registry serves for an image, in the form that the host's engine can take. Pure.

A containerd store from engine 25 on takes the bundle's own manifest and its zstd layers as they are.
Every other store takes uncompressed layers, named by their diffIDs; engine 20.10 refuses zstd.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from kit.bundle.digest import blob_of
from kit.ship.identity import plain_manifest

if TYPE_CHECKING:
    from collections.abc import Mapping

    from kit.bundle.manifest import Blob, Image, Layer

ZSTD_SINCE = 25
"""First engine release whose containerd store is known to take zstd layers."""


@dataclass(frozen=True, slots=True)
class Store:
    """An engine's image store."""

    containerd: bool
    version: str
    """The engine's version, e.g. `20.10.24`."""

    @property
    def takes_zstd(self) -> bool:
        """Whether layers can be served as they lie in the bundle."""
        major = self.version.split(".", 1)[0]
        return self.containerd and major.isdigit() and int(major) >= ZSTD_SINCE


@dataclass(frozen=True, slots=True)
class Served:
    """An image as it is served."""

    manifest: bytes | None
    """Made on the spot; None when it is the blob that the bundle brings."""
    digest: str
    """The manifest's digest: what is pulled, and the image's ID in a containerd store."""
    stored: Mapping[str, Blob]
    """Digest in a request -> blob served as it lies in the store."""
    unpacked: Mapping[str, Layer]
    """Digest in a request -> layer served uncompressed."""
    order: tuple[str, ...]
    """Digests of the layers as they are served, lowest first, each once."""


def served_form(image: Image, store: Store) -> Served:
    """Return the form in which an engine gets the image."""
    if store.takes_zstd:
        stored = {blob.digest: blob for blob in image.oci_blobs}
        order = dict.fromkeys(layer.digest for layer in image.layers)
        return Served(None, image.manifest.digest, stored, {}, tuple(order))
    manifest = plain_manifest(image)
    unpacked = {layer.diff_id: layer for layer in image.layers}
    return Served(
        manifest, blob_of(manifest).digest, {image.config.digest: image.config}, unpacked, tuple(unpacked)
    )
