"""Packing a bundle. Safe to kill and to run again: finished blobs stay and are used again."""

from __future__ import annotations

from typing import TYPE_CHECKING

import kit
from kit.bundle.bills_of_materials import describe_image, describe_tree
from kit.bundle.blob_store import writing
from kit.bundle.digest import blob_of
from kit.bundle.inventories import Inventories
from kit.bundle.known_frames import KnownFrames
from kit.bundle.manifest import Document, Manifest, dump_manifest
from kit.bundle.pack_cache import PackCache
from kit.bundle.pack_image import ImagePacker
from kit.bundle.pack_listener import NoListener, PackedImage
from kit.bundle.pack_tree import pack_tree
from kit.bundle.save_ahead import SaveAhead
from kit.bundle.source import trusted_manifest
from kit.bundle.upstream import find_upstream

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from kit.bundle.engine import ImageSource
    from kit.bundle.manifest import Image
    from kit.bundle.pack_image import WantedImage
    from kit.bundle.pack_listener import PackListener
    from kit.bundle.pack_request import LocalDocument, PackRequest
    from kit.bundle.target import BundleTarget, PackedBlobs
    from kit.progress import Progress

NOBODY = NoListener()


def pack_bundle(
    request: PackRequest,
    engine: ImageSource,
    target: BundleTarget,
    progress: Progress,
    sign: Callable[[bytes], bytes] | None = None,
    listener: PackListener = NOBODY,
) -> Manifest:
    """Make the target the bundle that the request describes, and return its manifest.

    The same request gives the same kit.json; `sign` is given its bytes and returns kit.json.sig.
    What was packed before is used again. On any failure the bundle that stood there stays valid.
    Raises EngineError, VerificationError (a file that changed since it was locked), ConfigError,
    UnfitError and TransferError (disks).
    """
    with target.opened():
        cache = PackCache.load(target.state / "pack.json")
        upstream = find_upstream(request.upstream, engine, cache)
        inventories = Inventories(target.state / "inventories")
        frames, ahead = KnownFrames(target), SaveAhead(engine)
        packer = ImagePacker(engine, ahead, target, cache, frames, upstream, inventories, progress)
        wanted = packer.begin(request.images)
        packed = dict(_packed(packer, wanted[:1], listener))
        # The engine needs a while before the first byte of a large image comes.
        trees = tuple(pack_tree(tree, target, cache.indexes, progress) for tree in request.trees)
        packed |= _packed(packer, wanted[1:], listener)
        images = tuple(packed[name] for name, _ in request.images)
        bills = (
            *(describe_image(image, target, inventories) for image in images),
            *(describe_tree(tree, target) for tree in trees),
        )
        manifest = Manifest(
            name=request.name,
            stack=request.stack,
            kit_version=kit.__version__,
            lock_digest=blob_of(request.lock_bytes).digest,
            locked=request.locked,
            images=images,
            trees=trees,
            documents=_pack_documents((*request.documents, *bills), target),
        )
        data = dump_manifest(manifest)
        trusted_manifest(data)
        listener.release()
        target.publish(manifest, request.lock_bytes, sign(data) if sign else None)
        _tidy(cache, inventories, manifest)
    return manifest


def _packed(
    packer: ImagePacker, wanted: Iterable[WantedImage], listener: PackListener
) -> Iterator[tuple[str, Image]]:
    for one in wanted:
        image = packer.pack(one)
        listener.packed(PackedImage(image, packer.store, f"image {image.name}"))
        yield one.name, image


def _pack_documents(documents: tuple[LocalDocument, ...], store: PackedBlobs) -> tuple[Document, ...]:
    """Return the packed documents; of two with one name the first counts: what was asked for."""
    by_name = {document.name: document for document in reversed(documents)}
    return tuple(
        Document(document.name, document.media_type, store.keep(document.data))
        for document in reversed(by_name.values())
    )


def _tidy(cache: PackCache, inventories: Inventories, manifest: Manifest) -> None:
    cache.keep_only(manifest.blobs)
    inventories.keep_only(layer.diff_id for image in manifest.images for layer in image.layers)
    with writing(cache.file):
        cache.save()
