"""`kit diff`: opening two bundles or locks, and what a host that has one needs for the other."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kit.bundle.documents import bill_of_materials, image_document_name
from kit.bundle.frame_index import parse_index, parse_piece_index
from kit.bundle.source import open_bundle
from kit.errors import ConfigError
from kit.project.lock import Lock, load_lock, parse_lock
from kit.signature.read_trust import read_trust
from kit.workflow.compare import Difference, Part, Side, Transfer, compare, lock_facts, lock_parts, pins_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from kit.bundle.frame_index import Frame
    from kit.bundle.source import BundleSource

_LOCK = "kit.lock"


def compare_places(a: Path, b: Path) -> Difference:
    """Return what changes from `a` to `b`, each a bundle in any form, a kit.lock, or its folder.

    Raises ConfigError when something is neither, VerificationError (also when its signature is not
    what this machine demands) and TransferError.
    """
    before, after = _open(a), _open(b)
    if isinstance(before, Lock) or isinstance(after, Lock):
        return compare(_pinned_side(before, a), _pinned_side(after, b))
    return compare_bundles(before, after)


def compare_bundles(a: BundleSource, b: BundleSource) -> Difference:
    """Return what changes from one bundle to another. Raises VerificationError and TransferError."""
    return compare(_side(a), _side(b), transfer(a, b))


def _open(path: Path) -> BundleSource | Lock:
    if path.name.endswith(".lock") and path.is_file():
        return load_lock(path)
    if path.is_dir() and not (path / "kit.json").exists() and (path / _LOCK).is_file():
        return load_lock(path / _LOCK)
    # Its age does not matter here: one of the two is the older one.
    return open_bundle(path, read_trust().judge)


def _inner_lock(source: BundleSource) -> Lock:
    return parse_lock(source.lock_bytes, f"{source.where}: {_LOCK}")


def _pinned_side(opened: BundleSource | Lock, path: Path) -> Side:
    """Return what a lock pins: a lock itself, or the one in a bundle."""
    lock = opened if isinstance(opened, Lock) else _inner_lock(opened)
    return Side(str(path), lock_facts(lock), lock_parts(lock))


def _side(source: BundleSource) -> Side:
    try:
        lock: Lock | None = _inner_lock(source)
    except ConfigError:
        # Of another version of kit; the manifest tells enough.
        lock = None
    manifest = source.manifest
    facts = (
        ("name", manifest.name),
        ("stack", manifest.stack),
        ("kit_version", manifest.kit_version),
        ("locked", manifest.locked),
    )
    return Side(source.where, facts, (*_images(source, lock), *_trees(source, lock)))


def _images(source: BundleSource, lock: Lock | None) -> Iterator[Part]:
    for image in source.manifest.images:
        bill = bill_of_materials(source, image_document_name(image.name))
        pins = pins_of(lock.image(image.name)) if lock else ()
        packages = bill.packages if bill else None
        yield Part("image", image.name, image.config.digest, pins, packages=packages)


def _trees(source: BundleSource, lock: Lock | None) -> Iterator[Part]:
    pinned = {(tree.kind, tree.name): tree for tree in lock.trees} if lock else {}
    for tree in source.manifest.trees:
        pins = pins_of(pinned.get((tree.kind, tree.name)))
        files = tuple((file.path, file.digest, file.size) for file in tree.files)
        yield Part(tree.kind, tree.name, tree.manifest.digest, pins, files)


def transfer(a: BundleSource, b: BundleSource) -> Transfer:
    """Return what a host that has all of `a` needs for `b`.

    Raises VerificationError when a frame index is damaged, TransferError when reading fails.
    """
    here = {blob.digest for blob in a.manifest.blobs}
    missing = tuple(blob for blob in b.manifest.blobs if blob.digest not in here)
    size = sum(blob.size for blob in missing)
    again = _frames_again(a, b, {blob.digest for blob in missing}) if missing else 0
    return Transfer(len(missing), size, size - again, sum(blob.size for blob in b.manifest.blobs))


def _frames_again(a: BundleSource, b: BundleSource, missing: set[str]) -> int:
    """Return the bytes of frames that missing blobs of `b` have in common with any blob of `a`."""
    here = {frame.stored for _, frames in _indexed(a) for frame in frames}
    return sum(
        frame.stored_size
        for digest, frames in _indexed(b)
        if digest in missing
        for frame in frames
        if frame.stored in here
    )


def _indexed(source: BundleSource) -> Iterator[tuple[str, tuple[Frame, ...]]]:
    """Yield every blob that has a frame index, once, and its frames."""
    manifest = source.manifest
    layers = {layer.digest: layer for image in manifest.images for layer in image.layers}
    for digest, layer in layers.items():
        if layer.index:
            data = b"".join(source.read(layer.index.digest))
            yield digest, parse_index(data, layer.blob, layer.plain_size)
    for digest, file in {file.digest: file for tree in manifest.trees for file in tree.files}.items():
        if file.index:
            yield digest, parse_piece_index(b"".join(source.read(file.index.digest)), file.blob)
