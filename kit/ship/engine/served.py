"""What the loopback registry serves for an image, in the form that the host's engine can take. Pure.

A containerd store from engine 25 on takes the bundle's own manifest and its zstd layers as they are.
The others take uncompressed layers, named by their diffIDs; engine 20.10 refuses zstd. A newer classic
store takes both. It unpacks zstd far slower than kit does, so it gets that only where the uncompressed
layers, which it holds twice while they come, would take too much room.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from kit.bundle.digest import blob_of
from kit.ship.engine.identity import plain_manifest

if TYPE_CHECKING:
    from collections.abc import Mapping

    from kit.bundle.manifest import Blob, Image, Layer

ZSTD_SINCE = 25
"""First engine release that is known to take zstd layers of many frames."""


@dataclass(frozen=True, slots=True)
class Store:
    """An engine's image store."""

    containerd: bool
    version: str
    """The engine's version, e.g. `20.10.24`."""

    @property
    def takes_zstd(self) -> bool:
        """Whether layers could be served as they lie in the bundle."""
        major = self.version.split(".", 1)[0]
        return major.isdigit() and int(major) >= ZSTD_SINCE

    @property
    def takes_oci_archives(self) -> bool:
        """Whether `docker load` takes an OCI layout with zstd layers, and keeps its manifest."""
        return self.containerd and self.takes_zstd

    def gets_zstd(self, image: Image) -> bool:
        """Tell whether the layers of an image are served as they lie in the bundle."""
        sizes = {layer.diff_id: layer.plain_size for layer in image.layers}.values()
        return self.takes_zstd and (self.containerd or 2 * max(sizes, default=0) > sum(sizes))


@dataclass(frozen=True, slots=True)
class Served:
    """An image as it is served."""

    manifest: bytes | None
    """Made on the spot; None when it is the blob that the bundle brings."""
    digest: str
    """The manifest's digest: what is pulled, and the image's ID in a containerd store."""
    stored: Mapping[str, Blob]
    """Digest in a request -> blob served as it lies in the store."""
    layers: Mapping[str, Layer]
    """Digest in a request -> layer, lowest first, each once."""

    def is_unpacked(self, digest: str) -> bool:
        """Tell whether a layer is served uncompressed."""
        return digest in self.layers and digest not in self.stored


def served_form(image: Image, store: Store) -> Served:
    """Return the form in which an engine gets the image."""
    if store.gets_zstd(image):
        stored = {blob.digest: blob for blob in image.oci_blobs}
        layers = {layer.digest: layer for layer in image.layers}
        return Served(None, image.manifest.digest, stored, layers)
    manifest = plain_manifest(image)
    layers = {layer.diff_id: layer for layer in image.layers}
    return Served(manifest, blob_of(manifest).digest, {image.config.digest: image.config}, layers)
