"""An image as one archive that `docker load` of every engine from 20.10 on takes, whatever its image store.

Two descriptions lie beside the same uncompressed blobs, as in what newer engines save: manifest.json, which
classic stores read, and an OCI layout, which containerd stores read. The manifest in the layout is the one
that follows from the image, so that its ID in either store is one of those that kit knows it by.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from kit.bundle.compress_layers import plain_layer
from kit.bundle.digest import blob_of
from kit.bundle.oci_layout import INDEX_TYPE, MANIFEST_TYPE, OCI_LAYOUT
from kit.bundle.tar_form import BLOCK, END, INDEX_NAME, LAYOUT_NAME, blob_name, padded, tar_header
from kit.ship.engine.identity import plain_manifest

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from kit.bundle.manifest import Image, Layer
    from kit.bundle.source import BundleSource

_CLASSIC_NAME = "manifest.json"


def _member(name: str, size: int, chunks: Iterable[bytes]) -> Iterator[bytes]:
    yield tar_header(name, size)
    yield from chunks
    yield b"\0" * (padded(size) - size)


def _plain_layers(image: Image) -> dict[str, Layer]:
    """Return the layers by the digest of their uncompressed bytes, each once."""
    return {layer.diff_id: layer for layer in image.layers}


def _documents(image: Image) -> tuple[tuple[str, bytes], ...]:
    """Return the small members: (name, content)."""
    manifest = plain_manifest(image)
    manifest_blob = blob_of(manifest)
    names = {
        "io.containerd.image.name": image.identity_tag,
        "org.opencontainers.image.ref.name": image.identity_tag.rpartition(":")[2],
    }
    entry = {
        "mediaType": MANIFEST_TYPE,
        "digest": manifest_blob.digest,
        "size": manifest_blob.size,
        "annotations": names,
    }
    classic = {
        "Config": blob_name(image.config.digest),
        "RepoTags": [image.identity_tag],
        "Layers": [blob_name(layer.diff_id) for layer in image.layers],
    }
    index = {"schemaVersion": 2, "mediaType": INDEX_TYPE, "manifests": [entry]}
    return (
        (LAYOUT_NAME, OCI_LAYOUT),
        (INDEX_NAME, json.dumps(index).encode()),
        (_CLASSIC_NAME, json.dumps([classic]).encode()),
        (blob_name(manifest_blob.digest), manifest),
    )


def portable_archive_size(image: Image) -> int:
    """Return the bytes that `portable_archive_chunks` yields."""
    sizes = [len(content) for _, content in _documents(image)]
    sizes += [image.config.size, *(layer.plain_size for layer in _plain_layers(image).values())]
    return sum(BLOCK + padded(size) for size in sizes) + len(END)


def portable_archive_chunks(source: BundleSource, image: Image) -> Iterator[bytes]:
    """Yield the archive of an image under its identity tag.

    Raises VerificationError when a blob is damaged, before the archive is whole.
    """
    for name, content in _documents(image):
        yield from _member(name, len(content), (content,))
    yield from _member(blob_name(image.config.digest), image.config.size, source.read(image.config.digest))
    for digest, layer in _plain_layers(image).items():
        chunks = plain_layer(source.read(layer.digest), layer, source.where)
        yield from _member(blob_name(digest), layer.plain_size, chunks)
    yield END
