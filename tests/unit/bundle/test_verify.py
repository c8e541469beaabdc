from __future__ import annotations

import json
import random
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import pytest

from kit.bundle.check_frames import frames_of
from kit.bundle.digest import blob_of
from kit.bundle.frame_index import PIECE, Frame, dump_index
from kit.bundle.manifest import dump_manifest
from kit.bundle.oci_layout import image_manifest, index_json
from kit.bundle.pack_request import LocalDocument
from kit.bundle.source import open_bundle
from kit.bundle.verify import verify_bundle
from kit.errors import VerificationError
from kit.progress import NoProgress
from tests.unit.bundle.factories import local_tree, packed_bundle
from tests.unit.bundle.fake_engine import FakeEngine, tar_of

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from kit.bundle.manifest import File, Layer
    from kit.bundle.source import BundleSource


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

    def report(self, task: str, text: str, fraction: float | None = None) -> None:
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
    assert "2 of 10 blobs" in caught.value.what
    assert "image train" in caught.value.what
    assert "model tiny" in caught.value.what


NOISE = random.Random(5)
LARGE = NOISE.randbytes(PIECE + 1000)


def indexed_bundle(folder: Path) -> tuple[BundleSource, Layer, File]:
    """A bundle of a layer and a file that have indexes."""
    engine = FakeEngine()
    image = engine.add(tar_of({"large": LARGE, "small": b"text"}), tar_of({"a": b"one frame"}))
    tree = local_tree(folder / "m", {"w.safetensors": LARGE + b"!"})
    source = packed_bundle(folder, engine, images=(("train", image),), trees=(tree,))
    layer, file = source.manifest.images[0].layers[0], source.manifest.trees[0].files[0]
    assert layer.index
    assert file.index
    return source, layer, file


def with_index(folder: Path, source: BundleSource, layer: Layer, frames: Iterable[Frame]) -> BundleSource:
    """The same bundle with another index for a layer, every digest of which fits."""
    data = dump_index(frames)
    image = source.manifest.images[0]
    changed = replace(image, layers=(replace(layer, index=blob_of(data)), *image.layers[1:]))
    manifest = replace(source.manifest, images=(changed,))
    (folder / "bundle" / "blobs" / blob_of(data).digest.replace(":", "/")).write_bytes(data)
    (folder / "bundle" / "index.json").write_bytes(index_json(manifest))
    (folder / "bundle" / "kit.json").write_bytes(dump_manifest(manifest))
    return open_bundle(folder / "bundle")


def test_frames_and_pieces_are_counted_and_layers_decompressed_on_demand(tmp_path: Path) -> None:
    source, layer, file = indexed_bundle(tmp_path)
    plain = verify_bundle(source, NoProgress())
    assert plain.frames == len(frames_of(source, layer)) + len(frames_of(source, file))
    assert plain.deep_size is None
    deep = verify_bundle(source, NoProgress(), deep=True)
    layers = source.manifest.images[0].layers
    assert (deep.deep_layers, deep.deep_size) == (2, sum(layer.plain_size for layer in layers))


@pytest.mark.parametrize("part", ["layer", "layer index", "file", "file index"])
def test_damage_to_blobs_with_frames_is_named(tmp_path: Path, part: str) -> None:
    source, layer, file = indexed_bundle(tmp_path)
    item = layer if part.startswith("layer") else file
    blob = item.index if part.endswith("index") else item.blob
    assert blob is not None
    spoil(tmp_path, blob.digest)
    owner = "image train" if item is layer else "model tiny"
    with pytest.raises(VerificationError, match=owner):
        verify_bundle(source, NoProgress())


def test_an_index_of_other_bytes_is_refused(tmp_path: Path) -> None:
    source, layer, _ = indexed_bundle(tmp_path)
    first, *rest = frames_of(source, layer)
    forged = with_index(tmp_path, source, layer, (replace(first, stored=b"x" * 32), *rest))
    with pytest.raises(VerificationError, match=r"1 of its \d+ frames: 0"):
        verify_bundle(forged, NoProgress())


def test_an_index_of_other_plain_bytes_is_found_by_looking_deep(tmp_path: Path) -> None:
    source, layer, _ = indexed_bundle(tmp_path)
    first, *rest = frames_of(source, layer)
    forged = with_index(tmp_path, source, layer, (replace(first, plain=b"x" * 32), *rest))
    verify_bundle(forged, NoProgress())
    with pytest.raises(VerificationError, match=r"image train.*other bytes"):
        verify_bundle(forged, NoProgress(), deep=True)


def test_an_index_that_lies_about_sizes_is_found_by_looking_deep(tmp_path: Path) -> None:
    source, layer, _ = indexed_bundle(tmp_path)
    first, *middle, last = frames_of(source, layer)
    lying = (
        replace(first, plain_size=first.plain_size + 8),
        *middle,
        replace(last, plain_size=last.plain_size - 8),
    )
    forged = with_index(tmp_path, source, layer, lying)
    verify_bundle(forged, NoProgress())
    with pytest.raises(VerificationError, match=r"image train.*another size"):
        verify_bundle(forged, NoProgress(), deep=True)


def test_a_damaged_document_is_named(tmp_path: Path) -> None:
    source = packed_bundle(tmp_path, documents=(LocalDocument("sbom/a.json", "text/plain", b"{} "),))
    spoil(tmp_path, source.manifest.documents[0].blob.digest)
    with pytest.raises(VerificationError, match=r"document sbom/a\.json"):
        verify_bundle(source, NoProgress())


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
