from __future__ import annotations

import json
from dataclasses import replace

import pytest

from kit.bundle.digest import blob_of
from kit.bundle.manifest import Blob, File, FileTree, Image, Layer, Manifest
from kit.bundle.oci_layout import (
    CONFIG_LIMIT,
    check_descriptions,
    check_image_config,
    config_diff_ids,
    file_type,
    image_manifest,
    index_json,
    tree_form,
)
from kit.errors import VerificationError


def digest(letter: str) -> str:
    return "sha256:" + letter * 64


LAYER = Layer(digest("1"), 10, digest("2"), 20)
CONFIG = json.dumps({"rootfs": {"diff_ids": [digest("2")]}}).encode()


def image() -> Image:
    config = blob_of(CONFIG)
    return Image("train", config, blob_of(image_manifest(config, (LAYER,))), (LAYER,))


def tree() -> FileTree:
    files = (File("config.json", digest("3"), 5), File("model.safetensors", digest("4"), 6))
    form = tree_form("model", "tiny", "folder:model", files)
    return FileTree("tiny", "model", "folder:model", blob_of(form.config), blob_of(form.manifest), files)


def manifest() -> Manifest:
    return Manifest("demo", "cpu", "0.1.0", digest("0"), "2026-05-01T12:30:00Z", (image(),), (tree(),))


def test_an_image_manifest_names_zstd_layers() -> None:
    document = json.loads(image_manifest(blob_of(CONFIG), (LAYER,)))
    assert document["schemaVersion"] == 2
    assert document["config"]["digest"] == blob_of(CONFIG).digest
    assert document["layers"] == [
        {
            "mediaType": "application/vnd.oci.image.layer.v1.tar+zstd",
            "digest": LAYER.digest,
            "size": 10,
        }
    ]


def test_a_model_is_a_modelpack_artifact() -> None:
    form = tree_form("model", "tiny", "folder:model", tree().files)
    document, config = json.loads(form.manifest), json.loads(form.config)
    assert document["artifactType"] == "application/vnd.cncf.model.manifest.v1+json"
    assert document["config"]["mediaType"] == "application/vnd.cncf.model.config.v1+json"
    assert [layer["annotations"]["org.cncf.model.filepath"] for layer in document["layers"]] == [
        "config.json",
        "model.safetensors",
    ]
    assert set(config) == {"config", "descriptor", "modelfs"}
    assert config["modelfs"] == {"type": "layers", "diffIds": [digest("3"), digest("4")]}


@pytest.mark.parametrize(
    ("kind", "path", "ending"),
    [
        ("model", "a/model-1.safetensors", "weight.v1.raw"),
        ("model", "tokenizer.json", "weight.config.v1.raw"),
        ("model", "README.md", "doc.v1.raw"),
        ("model", "LICENSE", "doc.v1.raw"),
        ("model", "modeling_x.py", "code.v1.raw"),
        ("dataset", "notes.json", "dataset.v1.raw"),
    ],
)
def test_files_have_the_media_type_of_their_role(kind: str, path: str, ending: str) -> None:
    assert file_type(kind, path) == "application/vnd.cncf.model." + ending


def test_the_index_names_images_by_identity_tag() -> None:
    entries = json.loads(index_json(manifest()))["manifests"]
    assert entries[0]["digest"] == image().manifest.digest
    assert entries[0]["annotations"]["org.opencontainers.image.ref.name"] == image().identity_tag
    assert entries[1]["annotations"]["org.opencontainers.image.ref.name"].startswith(
        "kit.invalid/model/tiny:"
    )


def test_parts_that_agree_pass() -> None:
    check_descriptions(manifest())
    check_image_config(image(), CONFIG)


def test_a_part_whose_manifest_says_something_else_is_refused() -> None:
    wrong = blob_of(b"{}")
    parts = [
        replace(manifest(), images=(replace(image(), manifest=wrong),)),
        replace(manifest(), images=(replace(image(), layers=(replace(LAYER, size=11),)),)),
        replace(manifest(), images=(replace(image(), config=Blob(digest("9"), CONFIG_LIMIT + 1)),)),
        replace(manifest(), trees=(replace(tree(), manifest=wrong),)),
        replace(manifest(), trees=(replace(tree(), config=wrong),)),
        replace(manifest(), trees=(replace(tree(), source="elsewhere"),)),
    ]
    for part in parts:
        with pytest.raises(VerificationError):
            check_descriptions(part)


def test_a_config_that_names_other_layers_is_refused() -> None:
    other = json.dumps({"rootfs": {"diff_ids": [digest("5")]}}).encode()
    with pytest.raises(VerificationError, match="config"):
        check_image_config(image(), other)
    with pytest.raises(VerificationError, match="layers"):
        check_image_config(replace(image(), config=blob_of(other)), other)


@pytest.mark.parametrize("config", [b"", b"[]", b"{}", b'{"rootfs":{"diff_ids":[1]}}', b'{"rootfs":[]}'])
def test_a_config_without_layers_to_read_is_refused(config: bytes) -> None:
    with pytest.raises(VerificationError):
        config_diff_ids(config)
