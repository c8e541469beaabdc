from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from kit.bundle.manifest import Blob, Document, dump_manifest
from kit.bundle.parse_manifest import parse_manifest
from kit.errors import VerificationError
from tests.unit.bundle.test_oci_layout import digest, manifest

if TYPE_CHECKING:
    from collections.abc import Callable


def canonical(document: dict[str, Any]) -> bytes:
    return json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode() + b"\n"


def changed(change: Callable[[dict[str, Any]], object]) -> bytes:
    document = json.loads(dump_manifest(manifest()))
    change(document)
    return canonical(document)


def test_dumping_and_parsing_is_identity() -> None:
    assert parse_manifest(dump_manifest(manifest())) == manifest()


def test_shared_blobs_are_listed_once() -> None:
    assert len({blob.digest for blob in manifest().blobs}) == len(manifest().blobs)


def test_parts_are_found_by_name() -> None:
    assert manifest().image("train") == manifest().images[0]
    assert manifest().image("serve") is None
    assert manifest().tree("model", "tiny") == manifest().trees[0]
    assert manifest().tree("dataset", "tiny") is None


def _tree(key: str, value: object) -> Callable[[dict[str, Any]], object]:
    return lambda document: document["trees"][0].update({key: value})


def _file(key: str, value: object) -> Callable[[dict[str, Any]], object]:
    return lambda document: document["trees"][0]["files"][0].update({key: value})


def _documents(*changes: dict[str, Any]) -> Callable[[dict[str, Any]], object]:
    good = {"name": "notes.txt", "media_type": "text/plain", "blob": {"digest": digest("8"), "size": 3}}
    return lambda document: document.update(documents=[good | change for change in changes])


@pytest.mark.parametrize(
    ("key", "change"),
    [
        ("kit_bundle", lambda d: d.update(kit_bundle=3)),
        ("kit_bundle", lambda d: d.pop("kit_bundle")),
        ("name", lambda d: d.update(name="../up")),
        ("name", lambda d: d.update(name="line\n")),
        ("extra", lambda d: d.update(extra=1)),
        ("lock_digest", lambda d: d.update(lock_digest="sha256:" + "A" * 64)),
        ("lock_digest", lambda d: d.update(lock_digest=digest("0") + "\n")),
        ("images", lambda d: d.update(images={})),
        ("images[0]", lambda d: d.update(images=[1])),
        ("images[0].layers[0].size", lambda d: d["images"][0]["layers"][0].update(size=-1)),
        ("images[0].layers[0].size", lambda d: d["images"][0]["layers"][0].update(size=True)),
        ("images[0].layers[0].size", lambda d: d["images"][0]["layers"][0].update(size=2**63)),
        ("images[0].config", lambda d: d["images"][0].update(config=None)),
        ("trees[0].kind", _tree("kind", "program")),
        ("trees[0].source", _tree("source", "\x1b[2J")),
        ("trees[0].files[0].path", _file("path", "../etc/passwd")),
        ("trees[0].files[0].path", _file("path", "/etc/passwd")),
        ("trees[0].files[0].path", _file("path", "a//b")),
        ("trees[0].files[0].path", _file("path", "a\\b")),
        ("trees[0].files[0].path", _file("path", "a\0b")),
        ("trees[0].files[0].path", _file("path", "")),
        ("trees[0].files", _file("path", "model.safetensors")),
        ("trees[0].files", _file("path", "model.safetensors/inside")),
        ("two sizes", _file("digest", digest("4"))),
        ("locked", lambda d: d.update(locked="yesterday")),
        ("images[0].layers[0].index", lambda d: d["images"][0]["layers"][0].pop("index")),
        ("trees[0].files[0].index.size", _file("index", {"digest": digest("9"), "size": -1})),
        ("documents[0].name", _documents({"name": "../up"})),
        ("documents[0].media_type", _documents({"media_type": "text"})),
        ("documents", _documents({}, {})),
        ("two sizes", _documents({"blob": {"digest": digest("1"), "size": 11}})),
        ("twice", lambda d: d["images"].append(d["images"][0])),
    ],
)
def test_anything_unknown_or_unsafe_is_refused_with_its_key(
    key: str, change: Callable[[dict[str, Any]], object]
) -> None:
    with pytest.raises(VerificationError) as caught:
        parse_manifest(changed(change))
    assert key in caught.value.what


def test_a_bundle_of_an_older_kit_is_called_that_and_made_again() -> None:
    with pytest.raises(VerificationError) as caught:
        parse_manifest(changed(lambda d: d.update(kit_bundle=1)))
    assert "format 1" in caught.value.what
    assert "older" in caught.value.why
    assert "kit bundle" in caught.value.fix


def test_indexes_and_documents_are_blobs_of_the_bundle() -> None:
    index, text = Blob(digest("8"), 8), Blob(digest("9"), 9)
    plain = manifest()
    image, tree = plain.images[0], plain.trees[0]
    image = replace(image, layers=(replace(image.layers[0], index=index),))
    tree = replace(tree, files=(replace(tree.files[0], index=index), *tree.files[1:]))
    whole = replace(
        plain, images=(image,), trees=(tree,), documents=(Document("a/b.txt", "text/plain", text),)
    )
    assert parse_manifest(dump_manifest(whole)) == whole
    assert {blob.digest for blob in whole.blobs} - {blob.digest for blob in plain.blobs} == {
        index.digest,
        text.digest,
    }
    assert index not in image.oci_blobs


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]",
        b"\xff",
        b"[" * 100_000,
        b'{"a":NaN}',
        dump_manifest(manifest()).rstrip(),
        dump_manifest(manifest()).replace(b'"cpu"', b'"\\ud800"'),
        dump_manifest(manifest()).replace(b'"cpu"', b'"\\u0063pu"'),
        dump_manifest(manifest()).replace(b",", b", ", 1),
    ],
)
def test_bytes_that_are_not_canonical_are_refused(data: bytes) -> None:
    with pytest.raises(VerificationError):
        parse_manifest(data)
