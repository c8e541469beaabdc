from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from kit.errors import ConfigError, EngineError
from kit.images import base_image
from kit.images.build_image import Builder, build_image, build_recipe
from kit.images.image_inputs import Recipe, read_packages
from kit.images.lock_image import ImageResolver
from kit.images.stacks import BuiltImage, PulledImage, find_stack
from kit.progress import NoProgress
from kit.project.lock import ImageLock
from kit.project.model import Mirrors
from tests.unit.images.fakes import DIGEST, FakeEngine, FakeInstaller, FakeRegistry, FakeRoots


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KIT_CACHE", str(tmp_path / "cache"))


def _builder(engine: FakeEngine) -> Builder:
    installer = FakeInstaller(files={"pkg/__init__.py": b"", "bin/tool": b"#!/usr/bin/python3\n"})
    return Builder(Mirrors(), engine, NoProgress(), installer, FakeRoots())


def _recipe(name: str, stack: str = "cpu") -> Recipe:
    pins = find_stack(stack)
    rule = pins.image(name)
    assert isinstance(rule, BuiltImage)
    lock = read_packages(rule, pins)
    return Recipe(rule, pins, replace(lock, pending=())).with_base_digest(DIGEST)


def test_the_context_holds_dockerfile_proofs_and_every_layer() -> None:
    engine = FakeEngine()
    build_recipe(_recipe("train"), _builder(engine))
    ((request, names),) = engine.builds
    site = "lib/python3.11/site-packages"
    assert request.dockerfile == "Dockerfile"
    assert {
        "Dockerfile",
        "build/expected.json",
        "build/prove.py",
        "build/smoke.py",
        "layers/cudnn",
        f"layers/torch/{site}/pkg/__init__.py",
        "layers/torch/bin/tool",
        f"layers/engine/{site}/torchaudio/__init__.py",
    } <= set(names)
    assert not [name for name in names if name.endswith((".lock", ".in"))]


def test_the_label_is_the_digest_of_everything_the_build_reads() -> None:
    engine = FakeEngine()
    recipe = _recipe("serve")
    build_recipe(recipe, _builder(engine))
    args = dict(engine.builds[0][0].args)
    assert args["INPUTS"] == recipe.digest
    assert args["STACK"] == "cpu"
    assert args["BASE"].startswith("kit.invalid/base:")


def test_an_image_that_the_engine_has_is_not_built_again() -> None:
    engine = FakeEngine()
    builder = _builder(engine)
    first = build_recipe(_recipe("train"), builder)
    assert build_recipe(_recipe("train"), builder) == first
    assert len(engine.builds) == 1


def test_changed_pins_make_another_image() -> None:
    recipe = _recipe("train")
    changed = replace(recipe, packages=replace(recipe.packages, pins=recipe.packages.pins[1:]))
    assert changed.digest != recipe.digest


def test_a_changed_base_makes_another_image() -> None:
    recipe = _recipe("serve", "cu126")
    other = replace(recipe, rule=replace(recipe.rule, base=PulledImage("python:3.11", "sha256:" + "0" * 64)))
    assert other.digest != recipe.digest


def test_a_root_that_is_made_in_another_way_makes_another_image(monkeypatch: pytest.MonkeyPatch) -> None:
    before = _recipe("train").digest
    monkeypatch.setattr(base_image, "_FORM", base_image._FORM + 1)
    assert _recipe("train").digest != before


def test_operators_for_gpus_are_added_in_a_second_build_that_alone_bears_the_label() -> None:
    engine = FakeEngine()
    recipe = _recipe("train", "cu126")
    image_id = build_recipe(recipe, _builder(engine))
    plain, operators = (request for request, _ in engine.builds)
    assert dict(plain.args)["INPUTS"] == f"{recipe.digest}-without-operators"
    assert operators.dockerfile == "ops.Dockerfile"
    assert dict(operators.args)["BASE"] == plain.tag
    assert dict(operators.args)["INPUTS"] == recipe.digest
    assert engine.find_image("kit.inputs", recipe.digest) == image_id
    pulled = [reference for reference, _ in engine.pulled]
    assert pulled[1].startswith("nvidia/cuda@sha256:b3e7fba8")


def test_the_second_build_does_not_send_the_packages_again() -> None:
    engine = FakeEngine()
    build_recipe(_recipe("train", "cu126"), _builder(engine))
    assert not [name for name in engine.builds[1][1] if name.startswith("layers/torch")]


def test_kits_own_image_holds_the_running_kit_and_what_it_brings() -> None:
    engine = FakeEngine()
    build_recipe(_recipe("kit"), _builder(engine))
    names = set(engine.builds[0][1])
    place = "layers/engine/lib/python3.11/site-packages"
    assert {
        f"{place}/kit/errors.py",
        f"{place}/kit/bundle/manifest.py",
        f"{place}/kit/_data/images/stacks.yaml",
        f"{place}/kit/_data/bundles/demo/kit.yaml",
        "layers/engine/bin/kit",
        "layers/engine/bin/airgap-kit",
    } <= names
    assert not [name for name in names if name.endswith((".lock", ".pyc"))]


def test_a_failed_build_is_told_and_leaves_no_label() -> None:
    engine = FakeEngine(broken=True)
    with pytest.raises(EngineError):
        build_recipe(_recipe("train"), _builder(engine))
    assert ("kit.inputs", _recipe("train").digest) not in engine.labels


def test_a_lock_of_other_build_files_is_refused_before_anything_is_done() -> None:
    engine = FakeEngine()
    lock = ImageResolver("cpu", Mirrors(), offline=True).lock("train")
    stale = replace(lock, inputs_digest="sha256:" + "0" * 64)
    with pytest.raises(ConfigError, match="locked with other build files") as caught:
        build_image("train", "cpu", stale, Mirrors(), engine, NoProgress())
    assert caught.value.fix == "kit lock"
    assert engine.builds == []
    assert engine.imported == []


def test_a_lock_of_other_packages_is_refused() -> None:
    engine = FakeEngine()
    lock = ImageResolver("cpu", Mirrors(), offline=True).lock("train")
    stale = replace(lock, packages_digest="sha256:" + "0" * 64)
    with pytest.raises(ConfigError, match="packages of train are not the ones"):
        build_image("train", "cpu", stale, Mirrors(), engine, NoProgress())


def test_an_upstream_image_is_pulled_by_the_digest_of_the_lock() -> None:
    reference = "ghcr.io/conardli/easy-dataset:1.7.3"
    engine, registry = FakeEngine(), FakeRegistry({reference: DIGEST})
    lock = ImageResolver("cpu", Mirrors(), offline=False, registry=registry).lock("data")
    built = build_image("data", "cpu", lock, Mirrors(), engine, NoProgress())
    assert built.image_id == "sha256:pulled"
    assert engine.pulled[0][0] == f"ghcr.io/conardli/easy-dataset@{DIGEST}"


def test_an_image_of_the_users_choice_is_pulled_from_its_mirror_under_its_name() -> None:
    engine = FakeEngine()
    lock = ImageLock("my-tool", "registry.example/team/tool:1.2", DIGEST, "sha256:1", None, (), "linux/amd64")
    mirrors = Mirrors(registry={"registry.example": "mirror.lan:5000/cache"})
    assert build_image("my-tool", "cpu", lock, mirrors, engine, NoProgress()).name == "my-tool"
    assert engine.pulled == [(f"mirror.lan:5000/cache/team/tool@{DIGEST}", "kit.invalid/my-tool:upstream")]
