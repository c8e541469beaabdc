"""Packing a bundle into a folder that grows in place.

Safe to kill and to run again: finished blobs stay and are used again, kit.json changes in one
step after every blob is in place, and what only the old bundle needed goes last.
"""

from __future__ import annotations

import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

import kit
from kit.bundle.blob_store import BlobStore, writing
from kit.bundle.digest import blob_of
from kit.bundle.manifest import Document, Manifest, dump_manifest
from kit.bundle.pack_cache import PackCache
from kit.bundle.pack_image import ImagePacker
from kit.bundle.pack_tree import pack_tree
from kit.bundle.source import trusted_manifest
from kit.bundle.switch import choose, settle, stage
from kit.bundle.tar_form import MANIFEST_NAME, SIGNATURE_NAME, fixed_files
from kit.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from kit.bundle.engine import ImageSource
    from kit.bundle.pack_request import LocalDocument, PackRequest
    from kit.progress import Progress


@contextmanager
def _alone(out: Path) -> Iterator[None]:
    """Keep a second pack out of the folder."""
    with writing(out):
        (out / "partial").mkdir(parents=True, exist_ok=True)
        file = (out / "partial" / "lock").open("w")
    with file:
        if sys.platform != "win32":
            import fcntl

            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                raise ConfigError(
                    "another kit bundle is writing here", where=str(out), fix="wait for it to end"
                ) from error
        yield


def pack_bundle(request: PackRequest, engine: ImageSource, out: Path, progress: Progress) -> Manifest:
    """Make `out` the bundle that the request describes, and return its manifest.

    The same request gives the same kit.json. What was packed before is used again. On any failure
    the bundle that was in `out` stays valid. Raises EngineError, VerificationError (a file that
    changed since it was locked), ConfigError, UnfitError and TransferError (disks).
    """
    with _alone(out):
        settle(out)
        store = BlobStore(out)
        store.remove_unfinished()
        cache = PackCache.load(store.partial / "pack.json")
        packer = ImagePacker(engine, store, cache, progress)
        manifest = Manifest(
            name=request.name,
            stack=request.stack,
            kit_version=kit.__version__,
            lock_digest=blob_of(request.lock_bytes).digest,
            locked=request.locked,
            images=tuple(packer.pack(name, reference) for name, reference in request.images),
            trees=tuple(pack_tree(tree, store, progress) for tree in request.trees),
            documents=tuple(_pack_document(document, store) for document in request.documents),
        )
        _publish(out, manifest, request.lock_bytes)
        _tidy(store, cache, manifest)
    return manifest


def _pack_document(document: LocalDocument, store: BlobStore) -> Document:
    return Document(document.name, document.media_type, store.keep(document.data))


def _publish(out: Path, manifest: Manifest, lock_bytes: bytes) -> None:
    data = dump_manifest(manifest)
    trusted_manifest(data)
    stage(out, fixed_files(manifest, data, lock_bytes, _kept_signature(out, data)))
    choose(out)
    settle(out)


def _kept_signature(out: Path, data: bytes) -> bytes | None:
    """Return the signature in a settled folder when it stands beside the very same kit.json."""
    manifest, signature = out / MANIFEST_NAME, out / SIGNATURE_NAME
    if not signature.is_file() or not manifest.is_file() or manifest.read_bytes() != data:
        return None
    return signature.read_bytes()


def _tidy(store: BlobStore, cache: PackCache, manifest: Manifest) -> None:
    with writing(store.folder):
        store.remove_others(manifest.blobs)
        cache.keep_only(manifest.blobs)
        cache.save()
