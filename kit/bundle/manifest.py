"""The bundle's manifest (`kit.json`): every output, named by sha256.

It is canonical JSON (sorted keys, no spaces, UTF-8, one newline at the end), so that the same
contents give the same bytes; its own sha256 is the bundle's digest. After packing, everything
acts on this manifest alone. `parse_manifest` reads it.
"""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass

FORMAT = 2
DIGEST = re.compile(r"^sha256:[0-9a-f]{64}\Z")
IDENTITY_REGISTRY = "kit.invalid"
"""Host part of identity tags. The top-level domain `invalid` never resolves (RFC 2606)."""


@dataclass(frozen=True, slots=True)
class Blob:
    """Bytes named by their sha256."""

    digest: str
    """`sha256:` and 64 hexadecimal digits."""
    size: int
    """Bytes."""


@dataclass(frozen=True, slots=True)
class Layer:
    """A layer as it is stored (zstd) and as the engine knows it (its uncompressed tar)."""

    digest: str
    size: int
    diff_id: str
    """sha256 of the uncompressed tar."""
    plain_size: int
    """Bytes of the uncompressed tar."""
    index: Blob | None = None
    """Where its frames lie; None when it is a single frame."""

    @property
    def blob(self) -> Blob:
        """The stored form."""
        return Blob(self.digest, self.size)

    @property
    def blobs(self) -> tuple[Blob, ...]:
        """Its index, which proves it frame by frame and so comes first, and the stored form."""
        return (self.blob,) if self.index is None else (self.index, self.blob)


@dataclass(frozen=True, slots=True)
class Image:
    """A container image. Its identity is the digest of its config."""

    name: str
    config: Blob
    manifest: Blob
    layers: tuple[Layer, ...]

    @property
    def identity_tag(self) -> str:
        """The name that the image bears on every host, e.g. `kit.invalid/train:1f3a5c7e9b2d`."""
        return f"{IDENTITY_REGISTRY}/{self.name}:{self.config.digest.removeprefix('sha256:')[:12]}"

    @property
    def blobs(self) -> tuple[Blob, ...]:
        """Everything the image is stored as."""
        return (self.config, self.manifest, *(blob for layer in self.layers for blob in layer.blobs))

    @property
    def oci_blobs(self) -> tuple[Blob, ...]:
        """The blobs that its OCI manifest leads to: all but the indexes."""
        return (self.config, self.manifest, *(layer.blob for layer in self.layers))


@dataclass(frozen=True, slots=True)
class File:
    """A file of a model or dataset."""

    path: str
    """Relative, with `/`, without `..`."""
    digest: str
    size: int
    index: Blob | None = None
    """Where its pieces of 4 MiB lie; None when it is a single piece."""

    @property
    def blob(self) -> Blob:
        """Its bytes."""
        return Blob(self.digest, self.size)

    @property
    def blobs(self) -> tuple[Blob, ...]:
        """Its index, which proves it piece by piece and so comes first, and its bytes."""
        return (self.blob,) if self.index is None else (self.index, self.blob)


@dataclass(frozen=True, slots=True)
class FileTree:
    """A model or a dataset: an OCI artifact with one blob a file."""

    name: str
    kind: str
    """`model` or `dataset`."""
    source: str
    """Where it came from, e.g. `modelscope:Qwen/Qwen3-32B@v1.0.0`."""
    config: Blob
    manifest: Blob
    files: tuple[File, ...]

    @property
    def blobs(self) -> tuple[Blob, ...]:
        """Everything the tree is stored as."""
        return (self.config, self.manifest, *(blob for file in self.files for blob in file.blobs))


@dataclass(frozen=True, slots=True)
class Document:
    """A text about the bundle that travels in it: a bill of materials, licences, evidence."""

    name: str
    """Relative, with `/`, e.g. `sbom/train.cdx.json`."""
    media_type: str
    """E.g. `application/vnd.cyclonedx+json`."""
    blob: Blob


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a bundle holds."""

    name: str
    stack: str
    kit_version: str
    lock_digest: str
    """sha256 of the kit.lock that the bundle was made from."""
    locked: str
    """UTC time at which kit.lock last changed, as in `2026-05-01T12:30:00Z`. Of the inputs, not of the
    packing, so that packing twice gives equal bytes."""
    images: tuple[Image, ...]
    trees: tuple[FileTree, ...]
    documents: tuple[Document, ...] = ()

    @property
    def parts(self) -> tuple[Image | FileTree, ...]:
        """Images, then models and datasets."""
        return (*self.images, *self.trees)

    @property
    def blobs(self) -> tuple[Blob, ...]:
        """Every blob once, in order of first use: documents, then the parts."""
        found: dict[str, Blob] = {}
        for blob in self.named_blobs:
            found.setdefault(blob.digest, blob)
        return tuple(found.values())

    @property
    def named_blobs(self) -> tuple[Blob, ...]:
        """Every blob as often as it is named."""
        documents = tuple(document.blob for document in self.documents)
        return (*documents, *(blob for part in self.parts for blob in part.blobs))

    def image(self, name: str) -> Image | None:
        """Return the image of that name, if the bundle has it."""
        return next((image for image in self.images if image.name == name), None)

    def tree(self, kind: str, name: str) -> FileTree | None:
        """Return the model or dataset of that name, if the bundle has it."""
        return next((tree for tree in self.trees if (tree.kind, tree.name) == (kind, name)), None)


def dump_manifest(manifest: Manifest) -> bytes:
    """Return the canonical bytes of a manifest."""
    document = {"kit_bundle": FORMAT, **asdict(manifest)}
    return json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode() + b"\n"
