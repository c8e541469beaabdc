"""The bytes that make a bundle an OCI image layout. Pure: all of it follows from kit.json.

Formats: OCI image-spec 1.1 (manifest, index, layout) and CNCF ModelPack model-spec (config with
`modelfs`, one raw layer a file, its path in the annotation `org.cncf.model.filepath`).
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from kit.bundle.digest import blob_of
from kit.bundle.manifest import IDENTITY_REGISTRY, dump_manifest
from kit.errors import VerificationError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from kit.bundle.manifest import Blob, File, FileTree, Image, Layer, Manifest

MANIFEST_TYPE = "application/vnd.oci.image.manifest.v1+json"
INDEX_TYPE = "application/vnd.oci.image.index.v1+json"
IMAGE_CONFIG_TYPE = "application/vnd.oci.image.config.v1+json"
LAYER_TYPE = "application/vnd.oci.image.layer.v1.tar+zstd"
MODEL_TYPE = "application/vnd.cncf.model.manifest.v1+json"
MODEL_CONFIG_TYPE = "application/vnd.cncf.model.config.v1+json"
WEIGHT_TYPE = "application/vnd.cncf.model.weight.v1.raw"
WEIGHT_CONFIG_TYPE = "application/vnd.cncf.model.weight.config.v1.raw"
DOC_TYPE = "application/vnd.cncf.model.doc.v1.raw"
CODE_TYPE = "application/vnd.cncf.model.code.v1.raw"
DATASET_TYPE = "application/vnd.cncf.model.dataset.v1.raw"
FILE_PATH = "org.cncf.model.filepath"
BUNDLE_DIGEST = "invalid.kit.bundle.digest"
REFERENCE_NAME = "org.opencontainers.image.ref.name"

OCI_LAYOUT = b'{"imageLayoutVersion":"1.0.0"}'
"""The whole of the file `oci-layout`."""

CONFIG_LIMIT = 16 << 20
"""Most bytes that an image's config may have; it is held in memory."""

_WEIGHTS = (".safetensors", ".gguf", ".bin", ".pt", ".pth", ".ckpt", ".onnx", ".pkl")
_DOCUMENTS = (".md", ".txt.license", ".pdf", ".png", ".jpg")


@dataclass(frozen=True, slots=True)
class TreeForm:
    """The two small blobs that describe a model or dataset."""

    config: bytes
    manifest: bytes


def _canonical(document: dict[str, Any]) -> bytes:
    return json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def _descriptor(media_type: str, blob: Blob, **more: Any) -> dict[str, Any]:
    return {"mediaType": media_type, "digest": blob.digest, "size": blob.size, **more}


def _manifest(config: dict[str, Any], layers: list[dict[str, Any]], **more: Any) -> bytes:
    return _canonical(
        {"schemaVersion": 2, "mediaType": MANIFEST_TYPE, "config": config, "layers": layers, **more}
    )


def image_manifest(config: Blob, layers: Iterable[Layer]) -> bytes:
    """Return the OCI manifest of an image with zstd layers."""
    return _manifest(
        _descriptor(IMAGE_CONFIG_TYPE, config), [_descriptor(LAYER_TYPE, layer.blob) for layer in layers]
    )


def file_type(kind: str, path: str) -> str:
    """Return the ModelPack media type of a file, told by its name."""
    name = path.rsplit("/", 1)[-1].lower()
    if kind == "dataset":
        return DATASET_TYPE
    if name.endswith(_WEIGHTS):
        return WEIGHT_TYPE
    if name.endswith(".py"):
        return CODE_TYPE
    if name.startswith(("license", "notice", "readme")) or name.endswith(_DOCUMENTS):
        return DOC_TYPE
    return WEIGHT_CONFIG_TYPE


def tree_form(kind: str, name: str, source: str, files: Iterable[File]) -> TreeForm:
    """Return the ModelPack config and manifest of a model or dataset."""
    files = tuple(files)
    config = _canonical(
        {
            "config": {},
            "descriptor": {"name": name, "sourceURL": source},
            "modelfs": {"type": "layers", "diffIds": [file.digest for file in files]},
        }
    )
    layers = [
        _descriptor(file_type(kind, file.path), file.blob, annotations={FILE_PATH: file.path})
        for file in files
    ]
    manifest = _manifest(_descriptor(MODEL_CONFIG_TYPE, blob_of(config)), layers, artifactType=MODEL_TYPE)
    return TreeForm(config, manifest)


def tree_reference(tree: FileTree) -> str:
    """Return the name of a model or dataset in index.json, e.g. `kit.invalid/model/qwen3:1f3a5c7e9b2d`."""
    short = tree.manifest.digest.removeprefix("sha256:")[:12]
    return f"{IDENTITY_REGISTRY}/{tree.kind}/{tree.name}:{short}"


def index_json(manifest: Manifest) -> bytes:
    """Return the bundle's index.json. It names kit.json's digest, so that damage to either shows."""
    entries = [
        _descriptor(MANIFEST_TYPE, image.manifest, annotations={REFERENCE_NAME: image.identity_tag})
        for image in manifest.images
    ]
    entries += [
        _descriptor(
            MANIFEST_TYPE,
            tree.manifest,
            artifactType=MODEL_TYPE,
            annotations={REFERENCE_NAME: tree_reference(tree)},
        )
        for tree in manifest.trees
    ]
    annotations = {BUNDLE_DIGEST: blob_of(dump_manifest(manifest)).digest}
    return _canonical(
        {"schemaVersion": 2, "mediaType": INDEX_TYPE, "manifests": entries, "annotations": annotations}
    )


def _refuse(part: Image | FileTree, what: str) -> VerificationError:
    return VerificationError(
        f"the {what} of {part.name!r} is not the one that its description gives",
        where="kit.json",
        fix="make or fetch the bundle again",
    )


def check_descriptions(manifest: Manifest) -> None:
    """Raise VerificationError unless every part's own manifest says what kit.json says. Pure."""
    for image in manifest.images:
        if image.config.size > CONFIG_LIMIT:
            raise _refuse(image, "config")
        if blob_of(image_manifest(image.config, image.layers)) != image.manifest:
            raise _refuse(image, "manifest")
    for tree in manifest.trees:
        form = tree_form(tree.kind, tree.name, tree.source, tree.files)
        if blob_of(form.config) != tree.config:
            raise _refuse(tree, "config")
        if blob_of(form.manifest) != tree.manifest:
            raise _refuse(tree, "manifest")


def config_diff_ids(config: bytes) -> tuple[str, ...]:
    """Return the diffIDs in an image's config. Raises VerificationError when there are none to read."""
    try:
        found = json.loads(config)["rootfs"]["diff_ids"]
        if isinstance(found, list) and all(isinstance(item, str) for item in found):
            return tuple(found)
    except (ValueError, TypeError, KeyError, RecursionError):
        pass
    raise VerificationError("an image's config has no list rootfs.diff_ids", where="config blob")


def check_image_config(image: Image, config: bytes) -> None:
    """Raise VerificationError unless the config is the image's and names its layers in order."""
    if blob_of(config) != image.config:
        raise _refuse(image, "config")
    if config_diff_ids(config) != tuple(layer.diff_id for layer in image.layers):
        raise VerificationError(
            f"the config of {image.name!r} names other layers than kit.json",
            where="kit.json",
            fix="make or fetch the bundle again",
        )
