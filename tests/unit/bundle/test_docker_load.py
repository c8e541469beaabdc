from __future__ import annotations

import io
import json
import tarfile
from typing import TYPE_CHECKING

import pytest

from kit.bundle.docker_load import docker_load_chunks, docker_load_size
from kit.errors import VerificationError
from tests.unit.bundle.factories import BASE_LAYER, TOP_LAYER, packed_bundle
from tests.unit.bundle.fake_engine import FakeEngine
from tests.unit.bundle.test_verify import spoil

if TYPE_CHECKING:
    from pathlib import Path


def loaded(data: bytes) -> tuple[dict[str, object], dict[str, bytes]]:
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        files = {member.name: tar.extractfile(member).read() for member in tar}  # type: ignore[union-attr]
    (entry,) = json.loads(files["manifest.json"])
    return entry, files


def test_the_engine_gets_config_and_plain_layers_under_the_identity_tag(tmp_path: Path) -> None:
    source = packed_bundle(tmp_path)
    image = source.manifest.images[0]
    data = b"".join(docker_load_chunks(source, image))
    entry, files = loaded(data)
    assert entry["RepoTags"] == [image.identity_tag]
    assert [files[str(name)] for name in entry["Layers"]] == [BASE_LAYER, TOP_LAYER]  # type: ignore[attr-defined]
    assert json.loads(files[str(entry["Config"])])["rootfs"]["diff_ids"] == [
        layer.diff_id for layer in image.layers
    ]
    assert len(data) == docker_load_size(image)


def test_packed_layers_come_as_the_bundle_has_them(tmp_path: Path) -> None:
    source = packed_bundle(tmp_path)
    image = source.manifest.images[0]
    data = b"".join(docker_load_chunks(source, image, packed=True))
    entry, files = loaded(data)
    stored = [b"".join(source.read(layer.digest)) for layer in image.layers]
    assert [files[str(name)] for name in entry["Layers"]] == stored  # type: ignore[attr-defined]
    assert len(data) == docker_load_size(image, packed=True)


def test_a_layer_that_occurs_twice_is_sent_once(tmp_path: Path) -> None:
    engine = FakeEngine()
    image_id = engine.add(BASE_LAYER, TOP_LAYER, BASE_LAYER)
    source = packed_bundle(tmp_path, engine, images=(("twice", image_id),))
    image = source.manifest.images[0]
    entry, files = loaded(b"".join(docker_load_chunks(source, image)))
    assert len(image.layers) == len(entry["Layers"]) == 3  # type: ignore[arg-type]
    assert len(files) == 4


def test_a_damaged_layer_stops_before_the_archive_ends(tmp_path: Path) -> None:
    source = packed_bundle(tmp_path)
    image = source.manifest.images[0]
    spoil(tmp_path, image.layers[1].digest)
    with pytest.raises(VerificationError):
        list(docker_load_chunks(source, image))
