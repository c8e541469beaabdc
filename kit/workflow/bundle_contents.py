"""All that a bundle holds, part by part: files, pins, packages and licences."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from kit.bundle.documents import bill_of_materials, image_document_name, tree_document_name
from kit.errors import ConfigError
from kit.project.lock import parse_lock
from kit.workflow.compare import pins_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from kit.bundle.manifest import FileTree, Image
    from kit.bundle.source import BundleSource
    from kit.project.lock import Lock
    from kit.sbom.read_document import BillOfMaterials

Count = tuple[str, int]
"""A name and how many there are of it."""
UNKNOWN = "unknown"
"""In place of a licence that nobody named."""


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A layer, a file or a document as it is stored."""

    name: str
    """A layer's diffID; a path."""
    digest: str
    size: int
    """Stored bytes."""


@dataclass(frozen=True, slots=True)
class PartContents:
    """An image, model or data set."""

    kind: str
    """`image`, `model` or `dataset`."""
    name: str
    identity: str
    """Digest of an image's config, of a model's or data set's manifest."""
    reference: str
    """An image's tag on the hosts; where a model or data set came from."""
    size: int
    """Stored bytes, blobs shared with other parts included."""
    pins: tuple[tuple[str, str], ...]
    """What kit.lock says about it: name and value."""
    described: bool
    """There is a bill of materials."""
    system: str
    """An image's distribution; empty when it names none."""
    packages: tuple[Count, ...]
    """Packages of each kind (`deb`, `pypi` …) in an image."""
    licences: tuple[Count, ...]
    """Packages under each licence, most first; a model or data set counts as one."""
    unread: str
    """Databases of packages that could not be read."""
    files: tuple[StoredFile, ...]
    """Layers, lowest first, or files."""


@dataclass(frozen=True, slots=True)
class BundleContents:
    """A bundle, part by part."""

    parts: tuple[PartContents, ...]
    documents: tuple[StoredFile, ...]


def bundle_contents(source: BundleSource) -> BundleContents:
    """Return what a bundle holds.

    Raises VerificationError when a document in it is damaged or none, TransferError when reading fails.
    """
    lock = _lock(source)
    manifest = source.manifest
    images = (
        _image(image, bill_of_materials(source, image_document_name(image.name)), lock)
        for image in manifest.images
    )
    trees = (
        _tree(tree, bill_of_materials(source, tree_document_name(tree.kind, tree.name)), lock)
        for tree in manifest.trees
    )
    documents = (StoredFile(item.name, item.blob.digest, item.blob.size) for item in manifest.documents)
    return BundleContents((*images, *trees), tuple(documents))


def _lock(source: BundleSource) -> Lock | None:
    """Return the lock in a bundle; one of another version of kit is as good as none."""
    try:
        return parse_lock(source.lock_bytes, f"{source.where}: kit.lock")
    except ConfigError:
        return None


def _stored(part: Image | FileTree) -> int:
    return sum({blob.digest: blob.size for blob in part.blobs}.values())


def _image(image: Image, bill: BillOfMaterials | None, lock: Lock | None) -> PartContents:
    packages = bill.packages if bill else ()
    return PartContents(
        kind="image",
        name=image.name,
        identity=image.config.digest,
        reference=image.identity_tag,
        size=_stored(image),
        pins=pins_of(lock.image(image.name) if lock else None),
        described=bill is not None,
        system=bill.system if bill else "",
        packages=tuple(sorted(Counter(package.kind for package in packages).items())),
        licences=licence_counts(package.licences for package in packages),
        unread=bill.unread if bill else "",
        files=tuple(StoredFile(layer.diff_id, layer.digest, layer.size) for layer in image.layers),
    )


def _tree(tree: FileTree, bill: BillOfMaterials | None, lock: Lock | None) -> PartContents:
    pins = lock.trees if lock else ()
    pin = next((pin for pin in pins if (pin.kind, pin.name) == (tree.kind, tree.name)), None)
    return PartContents(
        kind=tree.kind,
        name=tree.name,
        identity=tree.manifest.digest,
        reference=tree.source,
        size=_stored(tree),
        pins=pins_of(pin),
        described=bill is not None,
        system="",
        packages=(),
        licences=licence_counts((bill.licences,)) if bill else (),
        unread="",
        files=tuple(StoredFile(file.path, file.digest, file.size) for file in tree.files),
    )


def licence_counts(licences: Iterable[tuple[str, ...]]) -> tuple[Count, ...]:
    """Return how many are under each licence, most first; what names none counts as unknown, last."""
    counts = Counter(name for names in licences for name in (names or (UNKNOWN,)))
    order = sorted(counts.items(), key=lambda item: (item[0] == UNKNOWN, -item[1], item[0].lower()))
    return tuple(order)
