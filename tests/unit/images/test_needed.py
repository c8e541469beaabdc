from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from kit.errors import ConfigError
from kit.images.base_image import base_tag, root_digest
from kit.images.image_inputs import read_packages
from kit.images.install_packages import install_layers, packages_folder
from kit.images.needed import ImageHere, Needed, is_build_tag, needed_by, old_images
from kit.images.stacks import Debootstrap, find_stack
from kit.project.lock import ImageLock, Lock
from tests.unit.images.fakes import FakeInstaller

CPU = find_stack("cpu")
DIGEST = "sha256:" + "ab" * 32


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KIT_CACHE", str(tmp_path / "cache"))


def lock(*images: ImageLock, stack: str = "cpu") -> Lock:
    return Lock("0.1.0", stack, DIGEST, "2026-05-01T12:30:00Z", images, ())


def kit_image(stack: str = "cpu", **overrides: Any) -> ImageLock:
    found = find_stack(stack)
    packages = read_packages(found.built_image("kit"), found)
    return replace(ImageLock("kit", "x", DIGEST, "sha256:inputs", packages.digest), **overrides)


def test_a_lock_needs_the_package_sets_that_its_images_are_made_of() -> None:
    rule = CPU.built_image("kit")
    packages = read_packages(rule, CPU)
    installed = install_layers(rule, CPU, packages, FakeInstaller(files={"a.py": b""}), None)
    assert {layer.folder.name for layer in installed if layer.folder} == needed_by(
        lock(kit_image())
    ).package_sets
    assert {path.name for path in packages_folder().iterdir()} == needed_by(lock(kit_image())).package_sets


def test_a_lock_needs_its_inputs_and_its_base() -> None:
    found = needed_by(lock(kit_image()))
    base = CPU.built_image("kit").base
    assert isinstance(base, Debootstrap)
    base = replace(base, archive=DIGEST)
    assert found.inputs == {"sha256:inputs"}
    assert found.roots == {root_digest(base)}
    assert found.tags == {base_tag(base)}


def test_a_root_over_another_needs_that_one_too_and_it_is_the_one_of_kits_image() -> None:
    packages = read_packages(CPU.built_image("train"), CPU)
    train = ImageLock("train", "x", DIGEST, "sha256:inputs", packages.digest)
    beneath, whole = needed_by(lock(kit_image())), needed_by(lock(train))
    assert beneath.roots < whole.roots
    assert beneath.tags < whole.tags
    assert len(whole.roots) == 2


def test_a_lock_needs_the_pulled_base_that_it_pins() -> None:
    one = needed_by(lock(kit_image("cu126"), stack="cu126"))
    other = needed_by(lock(kit_image("cu126", base_digest="sha256:" + "cd" * 32), stack="cu126"))
    assert one.roots == frozenset()
    assert len(one.tags) == len(other.tags) == 1
    assert one.tags != other.tags
    assert len((one | other).tags) == 2


def test_an_image_taken_as_it_is_needs_its_tag_alone() -> None:
    found = needed_by(lock(ImageLock("data", "x", DIGEST, "", None)))
    assert found == Needed(tags=frozenset(("kit.invalid/data:upstream",)))


def test_packages_that_this_kit_does_not_know_are_not_guessed() -> None:
    with pytest.raises(ConfigError, match="packages of kit are not known"):
        needed_by(lock(kit_image(packages_digest="sha256:other")))


@pytest.mark.parametrize(
    ("tag", "is_one"),
    [
        ("kit.invalid/train:built-cpu", True),
        ("kit.invalid/train:built-cu126-without-operators", True),
        ("kit.invalid/base:0123456789ab", True),
        ("kit.invalid/data:upstream", True),
        ("kit.invalid/train:0123456789ab", False),
        ("registry.example/kit.invalid/train:built-cpu", False),
        ("python:3.11", False),
    ],
)
def test_identity_tags_and_other_peoples_tags_are_no_build_tags(tag: str, is_one: bool) -> None:  # noqa: FBT001
    assert is_build_tag(tag) is is_one


NEEDED = Needed(
    inputs=frozenset(("now",)), roots=frozenset(("root",)), tags=frozenset(("kit.invalid/base:" + "a" * 12,))
)


def image(name: str, *tags: str, inputs: str = "", root: str = "") -> ImageHere:
    return ImageHere(name, tags, inputs, root, 1)


def test_only_what_kit_built_and_nobody_needs_is_old() -> None:
    old = (
        image("dangling", inputs="before", root="root"),
        image("renamed", "kit.invalid/train:built-old", inputs="before"),
        image("operators", inputs="before-without-operators"),
        image("old root", "kit.invalid/base:" + "b" * 12, root="before"),
        image("old base", "kit.invalid/base:" + "c" * 12),
    )
    kept = (
        image("current", "kit.invalid/train:built-cpu", inputs="now", root="root"),
        image("current operators", inputs="now-without-operators"),
        image("on a host", "kit.invalid/train:0123456789ab", inputs="before"),
        image("two names", "kit.invalid/train:built-cpu", "mine:1", inputs="before"),
        image("root", "kit.invalid/base:" + "d" * 12, root="root"),
        image("base", "kit.invalid/base:" + "a" * 12),
        image("somebody's"),
        image("somebody's tagged", "python:3.11"),
    )
    found = old_images((*kept, *reversed(old)), NEEDED)
    assert {item.image_id for item in found} == {item.image_id for item in old}
    assert [item.image_id for item in found][-2:] == ["old base", "old root"]
