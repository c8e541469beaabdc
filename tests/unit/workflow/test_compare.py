from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path

import pytest

from kit.errors import ConfigError
from kit.project.lock import PinnedFile, write_lock
from kit.sbom.package import Package
from kit.workflow.compare import FileChange, PackageChange, ValueChange
from kit.workflow.compare_places import compare_bundles, compare_places
from tests.unit.bundle.factories import BASE_LAYER, local_tree
from tests.unit.bundle.fake_engine import FakeEngine, tar_of
from tests.unit.workflow.described_bundle import (
    DIGEST,
    PACKAGES,
    a_lock,
    described_bundle,
    documents,
    undescribed,
)


def test_a_bundle_does_not_differ_from_itself(tmp_path: Path) -> None:
    described_bundle(tmp_path / "a")
    found = compare_places(tmp_path / "a" / "bundle", tmp_path / "a" / "bundle")
    assert found.same
    assert {part.change for part in found.parts} == {"same"}
    assert found.transfer is not None
    assert (found.transfer.blobs, found.transfer.size) == (0, 0)


def test_packages_of_two_bundles_are_held_against_each_other(tmp_path: Path) -> None:
    described_bundle(tmp_path / "a")
    newer = (PACKAGES[0], replace(PACKAGES[1], version="2.7.0"), Package("pypi", "fresh", "3"))
    described_bundle(tmp_path / "b", documents=documents(newer))
    image = compare_places(tmp_path / "a" / "bundle", tmp_path / "b" / "bundle").parts[0]
    assert image.packages == (
        PackageChange("pypi", "fresh", "", "3"),
        PackageChange("pypi", "secret", "1", ""),
        PackageChange("pypi", "torch", "2.6.0", "2.7.0"),
    )
    assert image.packages_known
    assert image.change == "changed"


def test_without_bills_of_materials_packages_are_not_known(tmp_path: Path) -> None:
    b = described_bundle(tmp_path / "b")
    image = compare_bundles(undescribed(described_bundle(tmp_path / "a")), b).parts[0]
    assert not image.packages_known
    assert image.packages == ()


def test_files_of_a_model_are_held_against_each_other(tmp_path: Path) -> None:
    described_bundle(tmp_path / "a")
    files = {"config.json": b"{}", "new.safetensors": bytes(9)}
    described_bundle(tmp_path / "b", trees=(local_tree(tmp_path / "other", files),))
    found = compare_places(tmp_path / "a" / "bundle", tmp_path / "b" / "bundle")
    assert found.parts[1].files == (
        FileChange("config.json", 19, 2),
        FileChange("new.safetensors", None, 9),
        FileChange("weights/model.safetensors", 16384, None),
    )


def test_a_host_needs_only_the_blobs_that_it_has_not(tmp_path: Path) -> None:
    a = described_bundle(tmp_path / "a")
    engine = FakeEngine()
    image = engine.add(BASE_LAYER, tar_of({"app/main.py": b"changed"}))
    b = described_bundle(tmp_path / "b", engine=engine, images=(("train", image),))
    found = compare_places(tmp_path / "a" / "bundle", tmp_path / "b" / "bundle")
    here = {blob.digest for blob in a.manifest.blobs}
    needed = [blob for blob in b.manifest.blobs if blob.digest not in here]
    assert found.transfer is not None
    assert found.transfer.blobs == len(needed) == 3  # config, manifest, top layer
    assert found.transfer.size == sum(blob.size for blob in needed)
    assert found.transfer.whole == sum(blob.size for blob in b.manifest.blobs)
    assert found.parts[0].values[0].name == "identity"


def test_frames_that_a_host_has_in_another_blob_are_not_needed_again(tmp_path: Path) -> None:
    big = random.Random(1).randbytes(9 << 20)
    engine = FakeEngine()
    for name, extra in (("a", b"one"), ("b", b"two")):
        image = engine.add(tar_of({"big": big, "small": extra}))
        described_bundle(tmp_path / name, engine=engine, images=(("train", image),), trees=())
    found = compare_places(tmp_path / "a" / "bundle", tmp_path / "b" / "bundle").transfer
    assert found is not None
    assert found.size > 9 << 20
    assert found.frames_size < 1 << 20
    weights = {"w.safetensors": big + b"one"}, {"w.safetensors": big + b"two"}
    for name, files in zip("cd", weights, strict=True):
        tree = local_tree(tmp_path / f"m{name}", files)
        described_bundle(tmp_path / name, images=(), trees=(tree,))
    found = compare_places(tmp_path / "c" / "bundle", tmp_path / "d" / "bundle").transfer
    assert found is not None
    assert found.size - found.frames_size == 8 << 20


def test_parts_that_only_one_has_are_new_or_gone(tmp_path: Path) -> None:
    described_bundle(tmp_path / "a")
    described_bundle(tmp_path / "b", trees=(local_tree(tmp_path / "m", name="other"),))
    found = compare_places(tmp_path / "a" / "bundle", tmp_path / "b" / "bundle")
    assert [(part.name, part.change) for part in found.parts] == [
        ("train", "same"),
        ("tiny", "gone"),
        ("other", "new"),
    ]


def test_two_locks_are_compared_pin_by_pin(tmp_path: Path) -> None:
    old = a_lock()
    write_lock(tmp_path / "old.lock", old)
    changed = replace(old.images[0], inputs_digest="sha256:" + "cd" * 32)
    tree = replace(old.trees[0], files=(PinnedFile("config.json", 20, DIGEST),))
    (tmp_path / "new").mkdir()
    write_lock(tmp_path / "new" / "kit.lock", replace(old, stack="cu126", images=(changed,), trees=(tree,)))
    found = compare_places(tmp_path / "old.lock", tmp_path / "new")
    assert found.facts == (ValueChange("stack", "cpu", "cu126"),)
    assert found.parts[0].values == (ValueChange("inputs_digest", DIGEST, "sha256:" + "cd" * 32),)
    assert found.parts[1].files == (FileChange("config.json", 19, 20),)
    assert found.transfer is None


def test_a_lock_is_compared_with_the_lock_in_a_bundle(tmp_path: Path) -> None:
    described_bundle(tmp_path)
    write_lock(tmp_path / "kit.lock", a_lock())
    assert compare_places(tmp_path / "kit.lock", tmp_path / "bundle").same


def test_bundles_of_other_versions_of_kit_are_compared_by_what_they_hold(tmp_path: Path) -> None:
    described_bundle(tmp_path / "a", lock_bytes=b'{"kit_lock": 999}')
    described_bundle(tmp_path / "b")
    found = compare_places(tmp_path / "a" / "bundle", tmp_path / "b" / "bundle")
    assert found.same


def test_what_is_no_bundle_is_refused(tmp_path: Path) -> None:
    described_bundle(tmp_path)
    with pytest.raises(ConfigError, match="no bundle"):
        compare_places(tmp_path / "bundle", tmp_path / "nothing")
