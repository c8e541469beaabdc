from __future__ import annotations

import copy
from typing import Any

import pytest
import yaml

from kit.data_files import data_folder
from kit.errors import ConfigError
from kit.images.stacks import BuiltImage, Debootstrap, PulledImage, UpstreamImage, find_stack, parse_stacks


@pytest.fixture
def document() -> dict[str, Any]:
    text = (data_folder("images") / "stacks.yaml").read_text(encoding="utf-8")
    return copy.deepcopy(yaml.safe_load(text))


def test_both_stacks_have_the_images_that_kit_yaml_may_ask_for() -> None:
    assert {rule.name for rule in find_stack("cpu").images} == {"kit", "train", "serve", "proxy", "data"}
    gpu = {rule.name for rule in find_stack("cu126").images}
    assert gpu == {"kit", "train", "serve", "serve-sglang", "proxy", "data"}


def test_what_computes_on_stack_cpu_shares_one_root() -> None:
    train, serve = (find_stack("cpu").built_image(name).base for name in ("train", "serve"))
    assert isinstance(train, Debootstrap)
    assert train == serve


def test_kits_own_root_holds_no_compiler() -> None:
    own, train = (find_stack("cpu").built_image(name).base for name in ("kit", "train"))
    assert isinstance(own, Debootstrap)
    assert isinstance(train, Debootstrap)
    assert set(own.packages) < set(train.packages)
    assert not {"g++", "gcc", "python3-dev"} & set(own.packages)


def test_operators_are_compiled_for_the_stack_with_gpus_alone() -> None:
    with_gpu, without = find_stack("cu126").image("train"), find_stack("cpu").image("train")
    assert isinstance(with_gpu, BuiltImage)
    assert isinstance(without, BuiltImage)
    assert with_gpu.devel == PulledImage(
        "nvidia/cuda:12.6.3-cudnn-devel-ubuntu22.04",
        "sha256:b3e7fba84d169f46939f00c25be7d016f712a8d651f4756d6a55e693d84d94f2",
    )
    assert without.devel is None


def test_easy_dataset_tells_which_mount_starts_as_a_copy_of_the_image() -> None:
    rule = find_stack("cpu").image("data")
    assert isinstance(rule, UpstreamImage)
    assert {mount.container: mount.seeded for mount in rule.mounts} == {
        "/app/local-db": False,
        "/app/prisma": True,
    }


def test_unknown_image_names_the_known_ones() -> None:
    with pytest.raises(ConfigError, match=r"no image 'serve-sglang'.*kit, train, serve, proxy, data"):
        find_stack("cpu").image("serve-sglang")


def test_unknown_stack_is_refused() -> None:
    with pytest.raises(ConfigError, match="no stack named 'rocm'"):
        find_stack("rocm")


@pytest.mark.parametrize(
    ("path", "value", "complaint"),
    [
        (
            ("stacks", "cpu", "images", "train", "colour"),
            "red",
            "stacks.cpu.images.train.colour: unknown key",
        ),
        (("stacks", "cpu", "images", "train", "layers"), ["*"], "stacks.cpu.images.train.layers: a mapping"),
        (
            ("stacks", "cpu", "images", "train", "drop"),
            "torch",
            "stacks.cpu.images.train.drop: a list of texts",
        ),
        (("stacks", "cpu", "images", "train", "base"), "debian", "stacks.cpu.images.train.base: a mapping"),
        (
            ("stacks", "cpu", "images", "train", "base", "over"),
            ["haproxy"],
            "stacks.cpu.images.train.base.over: packages of include",
        ),
        (("stacks", "cpu", "torch"), "cpu", "stacks.cpu.torch: unknown key"),
        (("leave_out",), "torch/test", "leave_out: a list of texts"),
        (("leave_out",), ["../kit/tests"], "leave_out: '../kit/tests' is not a path below a package"),
        (("leave_out",), ["**/tests"], "leave_out: '**/tests' is not a path below a package"),
        (("leave_out",), ["torch"], "leave_out: 'torch' is not a path below a package"),
        (("stacks", "cpu", "images", "data", "pull"), {}, "stacks.cpu.images.data.pull.image: missing"),
    ],
)
def test_a_mistake_in_stacks_yaml_is_named_by_its_key(
    document: dict[str, Any], path: tuple[str, ...], value: object, complaint: str
) -> None:
    place = document
    for name in path[:-1]:
        place = place[name]
    place[path[-1]] = value
    with pytest.raises(ConfigError) as caught:
        parse_stacks(document)
    assert complaint in str(caught.value)
