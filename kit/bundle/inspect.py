"""What a bundle holds, as values for `kit inspect`. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from kit.bundle.digest import blob_of
from kit.bundle.manifest import Image, dump_manifest

if TYPE_CHECKING:
    from kit.bundle.manifest import FileTree, Manifest


@dataclass(frozen=True, slots=True)
class PartSummary:
    """An image, model or dataset in a few words."""

    kind: str
    """`image`, `model` or `dataset`."""
    name: str
    digest: str
    """What identifies it: an image's config, a model's or dataset's manifest."""
    reference: str
    """An image's identity tag; where a model or dataset came from."""
    pieces: int
    """Layers or files."""
    size: int
    """Stored bytes, blobs shared with other parts included."""


@dataclass(frozen=True, slots=True)
class BundleSummary:
    """A bundle in a few words."""

    name: str
    stack: str
    digest: str
    """sha256 of kit.json."""
    kit_version: str
    lock_digest: str
    blobs: int
    size: int
    """Stored bytes, each blob once."""
    parts: tuple[PartSummary, ...]


def _summarize_part(part: Image | FileTree) -> PartSummary:
    size = sum({blob.digest: blob.size for blob in part.blobs}.values())
    if isinstance(part, Image):
        return PartSummary("image", part.name, part.config.digest, part.identity_tag, len(part.layers), size)
    return PartSummary(part.kind, part.name, part.manifest.digest, part.source, len(part.files), size)


def summarize(manifest: Manifest) -> BundleSummary:
    """Return the summary of a bundle. Who signed it stands beside kit.json, not in it."""
    return BundleSummary(
        name=manifest.name,
        stack=manifest.stack,
        digest=blob_of(dump_manifest(manifest)).digest,
        kit_version=manifest.kit_version,
        lock_digest=manifest.lock_digest,
        blobs=len(manifest.blobs),
        size=sum(blob.size for blob in manifest.blobs),
        parts=tuple(_summarize_part(part) for part in manifest.parts),
    )
