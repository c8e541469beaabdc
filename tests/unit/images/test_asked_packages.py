from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kit.errors import ConfigError, TransferError
from kit.images.asked_packages import lines_of, merged, named_packages, stack_requirements
from kit.images.completed_packages import locked_packages, own_packages
from kit.images.image_inputs import read_packages
from kit.images.lock_image import ImageResolver
from kit.images.needed import needed_by
from kit.images.packages import PackageLock, Pin, parse_packages
from kit.images.stacks import find_stack
from kit.images.uv_subprocess import UnsolvableError
from kit.project.lock import ImageLock, Lock, dump_lock, parse_lock
from kit.project.model import Mirrors
from tests.unit.images.fakes import FakeArchives, FakeInstaller, FakeRegistry

CPU, CU126 = find_stack("cpu"), find_stack("cu126")
TRAIN = CPU.built_image("train")
ASKED = ("tensorboard==2.19.0",)
FOUND = f"tensorboard==2.19.0 --hash=sha256:{'a' * 64}\ntorch==2.13.0+cpu --hash=sha256:{'b' * 64}\n"


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KIT_CACHE", str(tmp_path / "cache"))


def lock(
    asked: tuple[str, ...] = ASKED, before: ImageLock | None = None, **overrides: Any
) -> tuple[ImageLock, FakeInstaller]:
    installer = overrides.pop("installer", None) or FakeInstaller(printed=FOUND)
    stack, name = overrides.pop("stack", "cpu"), overrides.pop("name", "train")
    given: dict[str, Any] = {
        "offline": False,
        "registry": FakeRegistry(),
        "installer": installer,
        "archives": FakeArchives(),
    }
    resolver = ImageResolver(stack, Mirrors(), **(given | overrides), asked={name: asked})
    return resolver.lock(name, before), installer


def test_an_asked_package_takes_the_place_of_the_stacks_and_keeps_its_extras() -> None:
    stack = ("numpy<2", "sglang[srt]==0.4.6.post1", "torch==2.6.0")
    asked = ("NumPy==1.26.4", "sglang==0.4.6.post2", "six==1.17.0")
    assert merged(stack, asked) == (
        "NumPy==1.26.4",
        "sglang[srt]==0.4.6.post2",
        "six==1.17.0",
        "torch==2.6.0",
    )
    assert merged(stack, ("sglang[all]==0.4.6",))[1] == "sglang[all]==0.4.6"


def test_only_releases_that_are_certain_are_looked_at_before_resolving() -> None:
    brought = PackageLock((Pin("numpy", "1.26.4", ()), Pin("xgrammar", "0.1.17", ())))
    found = named_packages(("numpy<2", "torch==2.6.0+cu126", "unknown>=1"), brought)
    assert [(pin.name, pin.version) for pin in found.pins] == [("numpy", "1.26.4"), ("torch", "2.6.0+cu126")]


def test_they_are_resolved_with_the_stacks_own_whose_releases_are_preferred() -> None:
    found, installer = lock()
    assert installer.requirements == [
        "".join(f"{line}\n" for line in merged(stack_requirements(TRAIN, CPU), ASKED))
    ]
    assert installer.preferred == [read_packages(TRAIN, CPU).text]
    assert "--upgrade" not in installer.commands[0].argv
    assert (found.asked, found.pending) == (ASKED, ())
    assert found.packages_digest == parse_packages(FOUND, "").digest
    assert found.inputs_digest != ImageResolver("cpu", Mirrors(), offline=True).lock("train").inputs_digest


def test_the_day_that_the_stack_was_resolved_as_of_does_not_bind_them() -> None:
    _, installer = lock(name="serve", stack="cu126")
    assert "--exclude-newer" not in installer.commands[0].argv


def test_kit_lock_alone_says_what_is_installed() -> None:
    found, _ = lock()
    whole = Lock("0.1.0", "cpu", "sha256:x", "2026-05-01T12:30:00Z", (found,), ())
    (read,) = parse_lock(dump_lock(whole)).images
    silent = FakeInstaller(out_of_reach=True)
    assert locked_packages(TRAIN, CPU, read, silent, None) == parse_packages(FOUND, "")
    assert silent.commands == []
    assert len(needed_by(whole).package_sets) == 2


def test_packages_that_were_changed_by_hand_are_not_the_ones_that_were_locked() -> None:
    found, _ = lock()
    changed = replace(found, pins=(found.pins[0].replace("a" * 64, "c" * 64), found.pins[1]))
    with pytest.raises(ConfigError, match="not the ones that were locked"):
        locked_packages(TRAIN, CPU, changed, FakeInstaller(), None)


def test_without_a_network_they_are_pending_unless_they_were_locked_before() -> None:
    found, _ = lock(offline=True)
    debian = "state of Debian's bookworm"
    assert (found.pending, found.pins) == (("tensorboard==2.19.0 (needs a package index)", debian), ())
    before, _ = lock()
    again, installer = lock(before=before, offline=True)
    assert (replace(again, pending=()), again.pending, installer.commands) == (before, (debian,), [])
    other, _ = lock(("tensorboard==2.18.0",), before=before, offline=True)
    assert other.pending == ("tensorboard==2.18.0 (needs a package index)", debian)


def test_an_index_out_of_reach_leaves_them_pending_with_the_reason() -> None:
    failure = TransferError("packages cannot be had", where="uv", why="no such host")
    found, _ = lock(installer=FakeInstaller(failure=failure))
    assert found.pending == ("tensorboard==2.19.0 (uv: packages cannot be had no such host)",)


def test_packages_that_no_index_can_unite_are_refused_with_uvs_reason() -> None:
    failure = UnsolvableError("packages cannot be had", where="uv", why="a needs b<2")
    with pytest.raises(
        ConfigError, match=r"packages\.train: these packages do not go together \(a needs b<2\)"
    ):
        lock(installer=FakeInstaller(failure=failure))


def test_what_is_known_not_to_work_is_refused_before_anybody_is_asked() -> None:
    installer = FakeInstaller(printed=FOUND)
    with pytest.raises(ConfigError, match=r"packages\.train: DeepSpeed 0\.18\.5 is above"):
        lock(("deepspeed==0.18.5",), installer=installer)
    assert installer.commands == []


def test_what_resolving_brings_is_looked_at_too() -> None:
    found = FOUND + f"trl==0.9.6 --hash=sha256:{'c' * 64}\nunsloth==2025.11.6 --hash=sha256:{'d' * 64}\n"
    with pytest.raises(ConfigError, match="beside trl 0"):
        lock(installer=FakeInstaller(printed=found))


def test_pytorchs_own_build_is_asked_for_when_the_index_is_within_reach() -> None:
    torch = f"torch==2.6.0+cu126 --hash=sha256:{'a' * 64}\n"
    found, installer = lock(stack="cu126", installer=FakeInstaller(printed=torch))
    first, second = (command.argv for command in installer.commands)
    assert "--find-links" in first
    assert "--torch-backend" in second
    assert found.pins == (f"torch==2.6.0+cu126 --hash=sha256:{'a' * 64}",)


names = st.sampled_from(["torch", "flash-attn", "a", "ruamel.yaml", "b2", "zope.interface"])
hashes = st.sets(st.sampled_from([letter * 64 for letter in "0af"]), min_size=1)
pins = st.builds(lambda name, found: Pin(name, "1.0+cu126", tuple(sorted(found))), names, hashes)


@settings(max_examples=25)
@given(st.lists(pins, unique_by=lambda pin: pin.name, min_size=1, max_size=5))
def test_what_kit_lock_lists_is_read_again(found: list[Pin]) -> None:
    packages = PackageLock(tuple(sorted(found, key=lambda pin: pin.name)))
    assert own_packages(ImageLock("train", "x", None, "", "", pins=lines_of(packages))) == packages
