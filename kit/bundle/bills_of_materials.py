"""The bills of materials of a bundle's images, models and data sets, as documents to pack."""

from __future__ import annotations

from typing import TYPE_CHECKING

import kit
from kit.bundle.compress_layers import plain_layer
from kit.bundle.cut_frames import cut_tar
from kit.bundle.digest import verified
from kit.bundle.documents import image_document_name, tree_document_name
from kit.bundle.pack_request import LocalDocument
from kit.bundle.watch_layer import LayerWatch
from kit.sbom.cyclonedx import MEDIA_TYPE
from kit.sbom.image_contents import image_contents
from kit.sbom.image_document import image_document
from kit.sbom.tree_document import (
    LARGEST_TEXT,
    ListedFile,
    TreeContents,
    tells_licence,
    tree_document,
    tree_licences,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from kit.bundle.inventories import Inventories
    from kit.bundle.manifest import FileTree, Image, Layer
    from kit.bundle.target import PackedBlobs
    from kit.sbom.layer_records import LayerRecords


def observed(plain: Iterable[bytes]) -> LayerRecords:
    """Return the records of a layer's plain tar, read to its end. Raises what reading it raises."""
    watch = LayerWatch()
    for _ in cut_tar(plain, watch=watch):
        pass
    return watch.records()


def _records(layer: Layer, store: PackedBlobs, inventories: Inventories) -> LayerRecords:
    """Return a layer's records; a layer that was packed without them is read from the bundle, once."""
    known = inventories.get(layer.diff_id)
    if known is None:
        known = observed(plain_layer(store.read(layer.blob), layer, layer.digest))
        inventories.keep(layer.diff_id, known)
    return known


def describe_image(image: Image, store: PackedBlobs, inventories: Inventories) -> LocalDocument:
    """Return the bill of materials of a packed image.

    Raises VerificationError when a stored layer is damaged, TransferError when reading fails.
    """
    layers = tuple(_records(layer, store, inventories) for layer in image.layers)
    contents = image_contents(layers)
    data = image_document(image.name, image.config.digest, contents, kit.__version__)
    return LocalDocument(image_document_name(image.name), MEDIA_TYPE, data)


def describe_tree(tree: FileTree, store: PackedBlobs) -> LocalDocument:
    """Return the bill of materials of a packed model or data set.

    Raises VerificationError when a stored file is damaged, TransferError when reading fails.
    """
    texts = {
        file.path: b"".join(verified(store.read(file.blob), file.blob, file.path)).decode("utf-8", "replace")
        for file in tree.files
        if tells_licence(file.path) and file.size <= LARGEST_TEXT
    }
    contents = TreeContents(
        kind=tree.kind,
        name=tree.name,
        source=tree.source,
        digest=tree.manifest.digest,
        files=tuple(ListedFile(file.path, file.digest, file.size) for file in tree.files),
        licences=tree_licences(texts),
    )
    data = tree_document(contents, kit.__version__)
    return LocalDocument(tree_document_name(tree.kind, tree.name), MEDIA_TYPE, data)
