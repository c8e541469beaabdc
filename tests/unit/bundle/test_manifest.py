from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from kit.bundle.manifest import dump_manifest, parse_manifest
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


@pytest.mark.parametrize(
    ("key", "change"),
    [
        ("kit_bundle", lambda d: d.update(kit_bundle=2)),
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
        ("twice", lambda d: d["images"].append(d["images"][0])),
    ],
)
def test_anything_unknown_or_unsafe_is_refused_with_its_key(
    key: str, change: Callable[[dict[str, Any]], object]
) -> None:
    with pytest.raises(VerificationError) as caught:
        parse_manifest(changed(change))
    assert key in caught.value.what


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
