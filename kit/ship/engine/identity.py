"""Is an image in an engine the one of the bundle? Pure.

The identity of an image is its config with the diffIDs of its layers. A classic store names an image
by its config's digest; a containerd store by the digest of the manifest it was pulled by, and that
names config and layers. A tag alone proves nothing.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from kit.bundle.digest import blob_of

if TYPE_CHECKING:
    from kit.bundle.manifest import Image

OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_CONFIG = "application/vnd.oci.image.config.v1+json"
PLAIN_LAYER = "application/vnd.oci.image.layer.v1.tar"


@dataclass(frozen=True, slots=True)
class SeenImage:
    """An image as an engine describes it."""

    id: str
    """Digest of its config (classic store) or of its manifest (containerd store)."""
    tags: tuple[str, ...]
    layers: tuple[str, ...]
    """diffIDs, lowest first."""
    references: tuple[str, ...] = ()
    """Names with a digest, each left by a pull."""


def diff_ids(image: Image) -> tuple[str, ...]:
    """Return the diffIDs of an image, lowest layer first."""
    return tuple(layer.diff_id for layer in image.layers)


def plain_manifest(image: Image) -> bytes:
    """Return a manifest of the image with uncompressed layers, named by their diffIDs."""
    layers = [
        {"mediaType": PLAIN_LAYER, "digest": layer.diff_id, "size": layer.plain_size}
        for layer in image.layers
    ]
    config = {"mediaType": OCI_CONFIG, "digest": image.config.digest, "size": image.config.size}
    document = {"schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": config, "layers": layers}
    return json.dumps(document, sort_keys=True, separators=(",", ":")).encode()


def expected_ids(image: Image) -> frozenset[str]:
    """Return every ID under which an engine may rightly hold the image."""
    return frozenset((image.config.digest, image.manifest.digest, blob_of(plain_manifest(image)).digest))


def is_same(image: Image, seen: SeenImage) -> bool:
    """Tell whether what an engine has is the image of the bundle, config and layers."""
    return seen.id in expected_ids(image) and seen.layers == diff_ids(image)


def tagged(seen: tuple[SeenImage, ...], tag: str) -> SeenImage | None:
    """Return the image that bears a tag."""
    return next((image for image in seen if tag in image.tags), None)


def is_there(image: Image, seen: tuple[SeenImage, ...]) -> bool:
    """Tell whether the image stands in an engine under its identity tag, and is the right one."""
    found = tagged(seen, image.identity_tag)
    return found is not None and is_same(image, found)


def shared_layers(image: Image, seen: tuple[SeenImage, ...]) -> int:
    """Return how many of the lowest layers the engine has already, in that order."""
    wanted = diff_ids(image)
    best = 0
    for other in seen:
        pairs = zip(wanted, other.layers, strict=False)
        count = next((i for i, (a, b) in enumerate(pairs) if a != b), min(len(wanted), len(other.layers)))
        best = max(best, count)
    return best
