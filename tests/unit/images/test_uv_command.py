from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from kit.images.stacks import BuiltImage, find_stack
from kit.images.uv_command import (
    compile_argv,
    index_env,
    install_argv,
    link_options,
    override_lines,
    torch_index,
)

CPU = find_stack("cpu")


def _rule(name: str) -> BuiltImage:
    rule = CPU.image(name)
    assert isinstance(rule, BuiltImage)
    return rule


def test_mirror_of_kit_yaml_wins_over_every_setting() -> None:
    env = {"PIP_INDEX_URL": "pips", "UV_DEFAULT_INDEX": "uvs"}
    assert dict(index_env(env, "mirror")) == {"UV_DEFAULT_INDEX": "mirror"}


def test_what_pip_is_told_counts_when_uv_is_told_nothing() -> None:
    env = {
        "PIP_INDEX_URL": "main",
        "PIP_EXTRA_INDEX_URL": "more",
        "PIP_FIND_LINKS": "/a /b",
        "PIP_CERT": "ca",
    }
    assert dict(index_env(env, None)) == {
        "UV_DEFAULT_INDEX": "main",
        "UV_INDEX": "more",
        "UV_FIND_LINKS": "/a,/b",
        "SSL_CERT_FILE": "ca",
    }


def test_uvs_own_settings_are_left_alone() -> None:
    env = {"PIP_INDEX_URL": "pips", "UV_INDEX_URL": "old name", "PIP_FIND_LINKS": "/a", "UV_FIND_LINKS": "/b"}
    assert index_env(env, None) == ()


def test_wheel_folders_stay_known_beside_an_option_that_names_one() -> None:
    assert link_options({"PIP_FIND_LINKS": "/a /b"}) == ("--find-links", "/a", "--find-links", "/b")
    assert link_options({"PIP_FIND_LINKS": "/a", "UV_FIND_LINKS": "/c"}) == ("--find-links", "/c")
    assert link_options({}) == ()


def test_pytorchs_index_is_asked_for_its_own_build_alone() -> None:
    assert torch_index(CPU, "torch==2.13.0+cpu \\\n", ()) == ("--torch-backend", "cpu")
    assert torch_index(CPU, "torch==2.6.0 \\\n", ()) == ()
    assert torch_index(CPU, "torchdata==0.11.0\n", ()) == ()


def test_a_wheel_at_hand_spares_pytorchs_index() -> None:
    wheels = ("torch-2.13.0+cpu-cp311-cp311-manylinux_2_28_x86_64.whl",)
    assert torch_index(CPU, "torch==2.13.0+cpu", wheels) == ()
    assert torch_index(CPU, "torch==2.14.0+cpu", wheels) == ("--torch-backend", "cpu")


def test_packages_come_as_wheels_but_for_the_named_ones() -> None:
    argv = install_argv(_rule("train"), CPU, Path("in.txt"), Path("out"))
    assert argv[argv.index("--only-binary") :][:4] == ("--only-binary", ":all:", "--no-binary", "deepspeed")
    assert {"--require-hashes", "--no-deps"} <= set(argv)
    assert argv[-4:] == ("--target", "out", "-r", "in.txt")


def test_resolving_as_of_a_day_asks_for_nothing_newer() -> None:
    rule = replace(_rule("serve"), as_of="2025-05-20")
    argv = compile_argv(rule, CPU, Path("in"), Path("overrides"))
    assert argv[argv.index("--exclude-newer") + 1] == "2025-05-20"
    assert "--exclude-newer" not in compile_argv(_rule("serve"), CPU, Path("in"), Path("overrides"))


def test_dropped_packages_are_overridden_by_a_condition_that_never_holds() -> None:
    assert "triton ; sys_platform == 'never'\n" in override_lines(_rule("serve"))
