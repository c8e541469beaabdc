"""An image as an OCI layout in a tar, which containerd stores load with its own manifest and zstd layers.

`docker load` of the older form makes such a store invent a manifest, and so another ID; and a pull
leaves out the bytes of layers that it has unpacked already from another form of them.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from kit.bundle.oci_layout import INDEX_TYPE, MANIFEST_TYPE, OCI_LAYOUT
from kit.bundle.tar_form import BLOCK, END, INDEX_NAME, LAYOUT_NAME, blob_name, padded, tar_header

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from kit.bundle.manifest import Blob, Image


def _index(image: Image) -> bytes:
    names = {
        "io.containerd.image.name": image.identity_tag,
        "org.opencontainers.image.ref.name": image.identity_tag.rpartition(":")[2],
    }
    entry = {
        "mediaType": MANIFEST_TYPE,
        "digest": image.manifest.digest,
        "size": image.manifest.size,
        "annotations": names,
    }
    return json.dumps({"schemaVersion": 2, "mediaType": INDEX_TYPE, "manifests": [entry]}).encode()


def _blobs(image: Image) -> tuple[Blob, ...]:
    return tuple({blob.digest: blob for blob in image.oci_blobs}.values())


def _member(name: str, size: int, chunks: Iterable[bytes]) -> Iterator[bytes]:
    yield tar_header(name, size)
    yield from chunks
    yield b"\0" * (padded(size) - size)


def oci_archive_size(image: Image) -> int:
    """Return the bytes that `oci_archive_chunks` yields."""
    sizes = [len(OCI_LAYOUT), len(_index(image)), *(blob.size for blob in _blobs(image))]
    return sum(BLOCK + padded(size) for size in sizes) + len(END)


def oci_archive_chunks(image: Image, read: Callable[[str], Iterable[bytes]]) -> Iterator[bytes]:
    """Yield the archive of an image under its identity tag; `read` gives a blob's bytes by digest."""
    index = _index(image)
    yield from _member(LAYOUT_NAME, len(OCI_LAYOUT), (OCI_LAYOUT,))
    yield from _member(INDEX_NAME, len(index), (index,))
    for blob in _blobs(image):
        yield from _member(blob_name(blob.digest), blob.size, read(blob.digest))
    yield END
