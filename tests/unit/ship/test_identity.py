from __future__ import annotations

import json
from pathlib import Path

import pytest

from kit.bundle.digest import blob_of
from kit.bundle.manifest import Image
from kit.ship.engine.identity import (
    SeenImage,
    diff_ids,
    is_same,
    is_there,
    plain_manifest,
    shared_layers,
)
from tests.unit.ship.factories import ship_bundle_source


@pytest.fixture
def image(tmp_path: Path) -> Image:
    found = ship_bundle_source(tmp_path).manifest.image("train")
    assert found is not None
    return found


def seen(image: Image, **changes: object) -> SeenImage:
    fields = {"id": image.config.digest, "tags": (image.identity_tag,), "layers": diff_ids(image), **changes}
    return SeenImage(**fields)  # type: ignore[arg-type]


def test_a_classic_store_names_an_image_by_its_config(image: Image) -> None:
    assert is_same(image, seen(image))


def test_a_containerd_store_names_it_by_a_manifest_that_was_served(image: Image) -> None:
    assert is_same(image, seen(image, id=image.manifest.digest))
    assert is_same(image, seen(image, id=blob_of(plain_manifest(image)).digest))


def test_a_tag_proves_nothing(image: Image) -> None:
    assert not is_same(image, seen(image, id="sha256:" + "0" * 64))
    assert not is_same(image, seen(image, layers=diff_ids(image)[:1]))
    assert not is_same(image, seen(image, layers=diff_ids(image)[::-1]))


def test_an_image_is_there_when_its_tag_and_its_content_are(image: Image) -> None:
    assert is_there(image, (seen(image),))
    assert not is_there(image, (seen(image, tags=("kit.invalid/train:other",)),))
    assert not is_there(image, (seen(image, id="sha256:other"),))
    assert not is_there(image, ())


def test_the_plain_manifest_names_layers_by_their_diff_ids(image: Image) -> None:
    document = json.loads(plain_manifest(image))
    assert [layer["digest"] for layer in document["layers"]] == list(diff_ids(image))
    assert [layer["size"] for layer in document["layers"]] == [layer.plain_size for layer in image.layers]
    assert document["config"]["digest"] == image.config.digest


def test_layers_are_shared_from_the_lowest_on(image: Image) -> None:
    low, high = diff_ids(image)
    assert shared_layers(image, ()) == 0
    assert shared_layers(image, (seen(image, layers=(low, "sha256:x")),)) == 1
    assert shared_layers(image, (seen(image, layers=(high, low)),)) == 0
    assert shared_layers(image, (seen(image, layers=(low, high, "sha256:x")),)) == 2
