from __future__ import annotations

from pathlib import Path

import pytest

from kit.errors import ConfigError
from kit.images.lock_image import lock_image
from kit.project.model import Mirrors
from tests.unit.images.fakes import DIGEST, FakeEngine, FakeInstaller

TORCH = f"torch==2.6.0+cu126 --hash=sha256:{'a' * 64}\n"
NEITHER = Mirrors()


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KIT_CACHE", str(tmp_path / "cache"))


@pytest.mark.parametrize("name", ["kit", "train", "serve"])
def test_stack_cpu_is_locked_without_asking_anybody(name: str) -> None:
    installer = FakeInstaller(out_of_reach=True)
    lock = lock_image(name, "cpu", NEITHER, offline=True, engine=FakeEngine(), installer=installer)
    assert lock.pending == ()
    assert lock.base == "debootstrap:bookworm"
    assert lock.base_digest is None
    assert lock.packages_digest is not None
    assert installer.commands == []


def test_locking_twice_gives_the_same_lock() -> None:
    first = lock_image("train", "cpu", NEITHER, offline=True, engine=FakeEngine(), installer=FakeInstaller())
    again = lock_image("train", "cpu", NEITHER, offline=False, engine=FakeEngine(), installer=FakeInstaller())
    assert first == again


def test_offline_the_digest_and_pytorchs_own_build_are_pending() -> None:
    engine = FakeEngine(digests={"python:3.11-bookworm": DIGEST})
    lock = lock_image("train", "cu126", NEITHER, offline=True, engine=engine, installer=FakeInstaller())
    assert lock.base_digest is None
    assert lock.pending == (
        "torch==2.6.0+cu126 (needs PyTorch's cu126 index)",
        "digest of python:3.11-bookworm",
    )


def test_online_nothing_is_pending_and_the_completed_packages_are_another_list() -> None:
    engine = FakeEngine(digests={"python:3.11-bookworm": DIGEST})
    done = lock_image(
        "train", "cu126", NEITHER, offline=False, engine=engine, installer=FakeInstaller(printed=TORCH)
    )
    before = lock_image("train", "cu126", NEITHER, offline=True, engine=engine, installer=FakeInstaller())
    assert done.pending == ()
    assert done.base_digest == DIGEST
    assert done.packages_digest != before.packages_digest
    assert done.inputs_digest != before.inputs_digest


def test_an_index_or_registry_out_of_reach_leaves_its_part_pending_and_says_why() -> None:
    installer = FakeInstaller(out_of_reach=True)
    lock = lock_image("train", "cu126", NEITHER, offline=False, engine=FakeEngine(), installer=installer)
    assert len(lock.pending) == 2
    assert "no such host" in lock.pending[1]


def test_a_mirror_is_asked_for_the_digest() -> None:
    engine = FakeEngine(digests={"mirror.lan/conardli/easy-dataset:1.7.3": DIGEST})
    lock = lock_image("data", "cpu", Mirrors(registry="mirror.lan"), offline=False, engine=engine)
    assert lock.base == "ghcr.io/conardli/easy-dataset:1.7.3"
    assert lock.base_digest == DIGEST
    assert lock.packages_digest is None
    assert lock.pending == ()


def test_an_image_that_the_stack_lacks_is_refused() -> None:
    with pytest.raises(ConfigError, match="no image 'serve-sglang'"):
        lock_image("serve-sglang", "cpu", NEITHER, offline=True, engine=FakeEngine())
