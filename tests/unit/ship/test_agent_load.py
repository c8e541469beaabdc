from __future__ import annotations

import io
import json
import tarfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from kit.bundle.blob_store import BlobStore
from kit.bundle.manifest import Image
from kit.bundle.source import BundleSource
from kit.errors import EngineError, TransferError, VerificationError
from kit.ship.engine.identity import SeenImage, diff_ids
from kit.ship.engine.layer_supply import Coming
from kit.ship.engine.load import load_images
from kit.ship.engine.served import served_form
from tests.unit.ship.factories import ship_bundle_source
from tests.unit.ship.fake_image_engine import CLASSIC, CONTAINERD, FakeImageEngine


@pytest.fixture
def source(tmp_path: Path) -> BundleSource:
    return ship_bundle_source(tmp_path)


@pytest.fixture
def blobs(tmp_path: Path, source: BundleSource) -> BlobStore:
    del source
    return BlobStore(tmp_path / "bundle")


def train_of(source: BundleSource) -> Image:
    image = source.manifest.image("train")
    assert image is not None
    return image


def load(
    engine: FakeImageEngine, blobs: BlobStore, image: Image, coming: Coming | None = None
) -> tuple[str, ...]:
    events: list[dict[str, Any]] = []
    return load_images(engine, engine.store, blobs, (image,), events.append, coming or Coming())


@pytest.mark.parametrize("store", [CLASSIC, CONTAINERD])
def test_a_missing_image_is_pulled_compared_tagged_and_its_pull_name_removed(
    source: BundleSource, blobs: BlobStore, store: Any
) -> None:
    image, engine = train_of(source), FakeImageEngine(store)
    engine.offer(image)
    assert load(engine, blobs, image) == (image.identity_tag,)
    assert [call[0] for call in engine.calls] == ["pull", "tag", "remove"]
    reference = engine.calls[0][1]
    assert reference.startswith("127.0.0.1:")
    assert reference.endswith("@" + served_form(image, store).digest)
    assert list(engine.images) == [image.identity_tag]


def test_an_image_that_is_there_and_right_is_left_alone(source: BundleSource, blobs: BlobStore) -> None:
    image, engine = train_of(source), FakeImageEngine()
    engine.bear(image)
    assert load(engine, blobs, image) == ()
    assert engine.calls == []


@pytest.mark.parametrize("wrong", [{"id": "sha256:" + "0" * 64}, {"layers": ("sha256:" + "0" * 64,)}])
def test_a_false_image_under_the_identity_tag_is_replaced(
    source: BundleSource, blobs: BlobStore, wrong: dict[str, Any]
) -> None:
    image, engine = train_of(source), FakeImageEngine()
    engine.bear(image, **wrong)
    engine.offer(image)
    assert load(engine, blobs, image) == (image.identity_tag,)
    assert engine.images[image.identity_tag].id == image.config.digest


def test_an_engine_that_pulls_something_else_never_gives_it_the_trusted_name(
    source: BundleSource, blobs: BlobStore
) -> None:
    image, engine = train_of(source), FakeImageEngine()
    engine.offer(image)
    engine.offered = {
        digest: replace(seen, id="sha256:" + "0" * 64) for digest, seen in engine.offered.items()
    }
    with pytest.raises(VerificationError, match="another image"):
        load(engine, blobs, image)
    assert [call[0] for call in engine.calls] == ["pull", "remove"]
    assert engine.images == {}


@pytest.mark.parametrize("step", ["pull", "tag"])
def test_an_engine_that_fails_leaves_no_name_behind(
    source: BundleSource, blobs: BlobStore, step: str
) -> None:
    image, engine = train_of(source), FakeImageEngine(fails=step)
    engine.offer(image)
    with pytest.raises(EngineError, match=step):
        load(engine, blobs, image)
    assert engine.images == {}


def test_bytes_that_a_containerd_store_left_out_are_brought_by_an_archive(
    source: BundleSource, blobs: BlobStore
) -> None:
    image, engine = train_of(source), FakeImageEngine(CONTAINERD)
    engine.offer(image)
    whole = engine.offered[image.manifest.digest]
    engine.offered[image.manifest.digest] = SeenImage(whole.id, (), ())
    engine.by_archive[image.manifest.digest] = whole
    assert load(engine, blobs, image) == (image.identity_tag,)
    assert [call[0] for call in engine.calls] == ["pull", "load", "tag", "remove"]


def test_names_that_a_pull_left_when_it_was_killed_are_taken_away(
    source: BundleSource, blobs: BlobStore
) -> None:
    image, engine = train_of(source), FakeImageEngine()
    left = f"127.0.0.1:4711/{'ab' * 16}/train@sha256:" + "0" * 64
    other = "registry.lan/train@sha256:" + "0" * 64
    engine.bear(image, references=(left, other))
    engine.images[left] = engine.images[other] = engine.images[image.identity_tag]
    assert load(engine, blobs, image) == ()
    assert engine.calls == [("remove", left)]


def test_a_classic_store_that_has_the_lower_layers_gets_an_archive_of_the_others(
    source: BundleSource, blobs: BlobStore
) -> None:
    image, engine = train_of(source), FakeImageEngine()
    low, high = image.layers
    blobs.path(low.digest).unlink()
    engine.by_archive[image.config.digest] = SeenImage(image.config.digest, (), diff_ids(image))
    assert load(engine, blobs, image, Coming(left_out=frozenset((low.digest,)))) == (image.identity_tag,)
    assert [call[0] for call in engine.calls] == ["load", "tag"]
    with tarfile.open(fileobj=io.BytesIO(engine.archives[0])) as archive:
        members = archive.getnames()
    assert members == ["manifest.json", f"{image.config.digest[7:]}.json", f"{high.diff_id[7:]}.tar"]
    (listed,) = json.loads(engine.archives[0][512:].split(b"\0", 1)[0])
    assert (len(listed["Layers"]), listed["RepoTags"]) == (2, None)


@pytest.mark.parametrize("store", [CLASSIC, CONTAINERD])
def test_what_ends_the_waiting_ends_the_load_and_leaves_no_name(
    source: BundleSource, blobs: BlobStore, store: Any
) -> None:
    image, engine = train_of(source), FakeImageEngine(store)
    engine.offer(image)

    def wait(digest: str) -> None:
        raise TransferError("the sender fell silent", where=digest)

    with pytest.raises(TransferError, match="fell silent"):
        load(engine, blobs, image, Coming(wait))
    assert (engine.images, engine.calls) == ({}, [])
