from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from kit.errors import ConfigError
from kit.images.lock_image import ImageResolver
from kit.images.stacks import find_stack
from kit.project.lock import ImageLock
from kit.project.model import Mirrors, NamedImage
from tests.unit.images.fakes import DIGEST, FakeArchives, FakeInstaller, FakeRegistry

TORCH = f"torch==2.6.0+cu126 --hash=sha256:{'a' * 64}\n"
BASE = "python:3.11-bookworm"
PYTHON = {BASE: DIGEST}
OTHER = "sha256:" + "cd" * 32


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KIT_CACHE", str(tmp_path / "cache"))


def resolver(stack: str = "cu126", *, offline: bool = False, **overrides: Any) -> ImageResolver:
    given: dict[str, Any] = {
        "mirrors": Mirrors(),
        "registry": FakeRegistry(dict(PYTHON)),
        "installer": FakeInstaller(printed=TORCH),
        "archives": FakeArchives(),
    }
    return ImageResolver(stack, offline=offline, **(given | overrides))


def offline_cpu(name: str) -> ImageLock:
    return resolver("cpu", offline=True).lock(name)


def offline(name: str) -> ImageLock:
    return resolver(offline=True).lock(name)


@pytest.mark.parametrize("name", ["kit", "train", "serve"])
def test_stack_cpu_asks_for_the_state_of_debian_alone(name: str) -> None:
    installer, registry, archives = FakeInstaller(out_of_reach=True), FakeRegistry(), FakeArchives()
    mirrors = Mirrors(apt="http://mirror.example/debian")
    found: dict[str, Any] = {
        "mirrors": mirrors,
        "installer": installer,
        "registry": registry,
        "archives": archives,
    }
    lock = resolver("cpu", **found).lock(name)
    assert lock.pending == ()
    assert (lock.base, lock.base_digest, lock.platform) == ("debootstrap:bookworm", archives.state, "")
    assert not lock.pulled
    assert archives.asked == [("bookworm", "http://mirror.example/debian")]
    assert lock.packages_digest is not None
    assert installer.commands == []
    assert registry.asked == []


def test_locking_twice_gives_the_same_lock() -> None:
    assert resolver("cpu").lock("train") == resolver("cpu").lock("train")


def test_another_state_of_debian_makes_another_image() -> None:
    before = resolver("cpu").lock("train")
    moved = resolver("cpu", archives=FakeArchives("sha256:" + "ef" * 32)).lock("train", before)
    assert moved.base_digest != before.base_digest
    assert moved.inputs_digest != before.inputs_digest


def test_a_state_of_debian_that_nobody_tells_is_pending() -> None:
    before = resolver("cpu").lock("train")
    lock = resolver("cpu", archives=FakeArchives(None)).lock("train", before)
    text = "state of Debian's bookworm (deb.debian.org: does not answer no such host)"
    assert (lock.base_digest, lock.pending) == (before.base_digest, (text,))
    assert offline_cpu("train").pending == ("state of Debian's bookworm",)


def test_offline_the_digest_and_pytorchs_own_build_are_pending() -> None:
    registry = FakeRegistry(dict(PYTHON))
    lock = resolver(offline=True, registry=registry).lock("train")
    assert lock.base_digest is None
    assert lock.pending == ("torch==2.6.0+cu126 (needs PyTorch's cu126 index)", f"digest of {BASE}")
    assert registry.asked == []


def test_online_nothing_is_pending_and_the_completed_packages_are_another_list() -> None:
    done, before = resolver().lock("train"), offline("train")
    assert done.pending == ()
    assert (done.base_digest, done.platform) == (DIGEST, "linux/amd64")
    assert done.packages_digest != before.packages_digest
    assert done.inputs_digest != before.inputs_digest


def test_packages_that_were_completed_once_need_no_index_again() -> None:
    done = resolver().lock("train")
    again = resolver(offline=True).lock("train", done)
    assert again.packages_digest == done.packages_digest
    assert again.pending == (f"digest of {BASE}",)


def test_an_index_or_registry_out_of_reach_leaves_its_part_pending_and_says_why() -> None:
    lock = resolver(installer=FakeInstaller(out_of_reach=True), registry=FakeRegistry()).lock("train")
    assert len(lock.pending) == 2
    assert "no such host" in lock.pending[1]


def test_a_digest_that_the_stack_gives_is_confirmed_and_never_replaced() -> None:
    rule = find_stack("cu126").built_image("train")
    assert rule.devel
    name = rule.devel.reference.partition(":")[0]
    asked = f"{name}@{rule.devel.digest}"
    registry = FakeRegistry({**PYTHON, asked: OTHER})
    assert resolver(registry=registry).lock("train").pending == ()
    assert registry.asked == [BASE, asked]
    with pytest.raises(ConfigError, match="no such image"):
        resolver(registry=FakeRegistry(dict(PYTHON), refused=(asked,))).lock("train")


def test_a_mirror_is_asked_for_the_digest() -> None:
    registry = FakeRegistry({"mirror.lan/conardli/easy-dataset:1.7.3": DIGEST})
    lock = resolver("cpu", registry=registry, mirrors=Mirrors(registry="mirror.lan")).lock("data")
    assert lock.base == "ghcr.io/conardli/easy-dataset:1.7.3"
    assert (lock.base_digest, lock.packages_digest, lock.pending) == (DIGEST, None, ())


def test_an_image_of_the_users_choice_is_pinned_under_its_name() -> None:
    tool = NamedImage(name="my-tool", image="registry.example/team/tool:1.2")
    registry = FakeRegistry({"registry.example/team/tool:1.2": DIGEST})
    lock = resolver("cpu", registry=registry).lock(tool)
    assert (lock.name, lock.base, lock.base_digest) == ("my-tool", "registry.example/team/tool:1.2", DIGEST)
    assert (lock.packages_digest, lock.pending, lock.platform) == (None, (), "linux/amd64")


def test_a_digest_that_the_user_gives_needs_no_network() -> None:
    tool = NamedImage(name="my-tool", image=f"registry.example/team/tool:1.2@{OTHER}")
    lock = resolver("cpu", offline=True).lock(tool)
    assert (lock.base, lock.base_digest, lock.pending) == ("registry.example/team/tool:1.2", OTHER, ())


def test_a_name_that_a_registry_does_not_have_is_an_error_and_not_pending() -> None:
    tool = NamedImage(name="my-tool", image="registry.example/team/tool:1.3")
    with pytest.raises(ConfigError, match="no such image"):
        resolver("cpu", registry=FakeRegistry(refused=(tool.image,))).lock(tool)


def test_an_image_that_the_stack_lacks_is_refused() -> None:
    with pytest.raises(ConfigError, match="no image 'serve-sglang'"):
        resolver("cpu", offline=True).lock("serve-sglang")
