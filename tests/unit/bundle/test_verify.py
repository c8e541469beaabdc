from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import pytest

from kit.bundle.digest import blob_of
from kit.bundle.manifest import dump_manifest
from kit.bundle.oci_layout import image_manifest, index_json
from kit.bundle.source import open_bundle
from kit.bundle.verify import verify_bundle
from kit.errors import VerificationError
from kit.progress import NoProgress
from tests.unit.bundle.factories import packed_bundle

if TYPE_CHECKING:
    from pathlib import Path


@dataclass
class Heard:
    """A Progress that counts."""

    total: int | None = None
    done: int = 0
    finished: list[str] = field(default_factory=list)

    def start(self, task: str, total: int | None = None) -> None:  # noqa: ARG002
        self.total = total

    def advance(self, task: str, amount: int) -> None:  # noqa: ARG002
        self.done += amount

    def finish(self, task: str) -> None:
        self.finished.append(task)

    def note(self, text: str) -> None:
        pass


def spoil(folder: Path, digest: str) -> None:
    path = folder / "bundle" / "blobs" / digest.replace(":", "/")
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.unlink()
    path.write_bytes(data)


def test_a_whole_bundle_is_hashed_to_its_last_byte(tmp_path: Path) -> None:
    source, heard = packed_bundle(tmp_path), Heard()
    report = verify_bundle(source, heard)
    assert report.blobs == len(source.manifest.blobs)
    assert report.size == heard.done == heard.total == sum(blob.size for blob in source.manifest.blobs)
    assert heard.finished == ["verify"]


def test_every_damaged_part_is_named(tmp_path: Path) -> None:
    source = packed_bundle(tmp_path)
    spoil(tmp_path, source.manifest.images[0].layers[1].digest)
    spoil(tmp_path, source.manifest.trees[0].files[0].digest)
    with pytest.raises(VerificationError) as caught:
        verify_bundle(source, NoProgress())
    assert "2 of 8 blobs" in caught.value.what
    assert "image train" in caught.value.what
    assert "model tiny" in caught.value.what


def test_a_config_with_other_layers_is_refused_although_every_hash_fits(tmp_path: Path) -> None:
    source = packed_bundle(tmp_path)
    image = source.manifest.images[0]
    config = json.dumps({"rootfs": {"diff_ids": [image.layers[0].diff_id]}}).encode()
    form = image_manifest(blob_of(config), image.layers)
    forged = replace(image, config=blob_of(config), manifest=blob_of(form))
    manifest = replace(source.manifest, images=(forged,))
    for data in (config, form):
        (tmp_path / "bundle" / "blobs" / blob_of(data).digest.replace(":", "/")).write_bytes(data)
    (tmp_path / "bundle" / "index.json").write_bytes(index_json(manifest))
    (tmp_path / "bundle" / "kit.json").write_bytes(dump_manifest(manifest))
    with pytest.raises(VerificationError, match="other layers"):
        verify_bundle(open_bundle(tmp_path / "bundle"), NoProgress())
