from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from kit.errors import TransferError
from kit.images.lock_packages import Resolver
from kit.images.packages import PackageLock, Pin
from kit.images.stacks import BuiltImage, find_stack
from kit.images.uv_command import UvCommand
from tests.unit.images.fakes import FakeInstaller

A = "a" * 64
CU126 = find_stack("cu126")


def _rule() -> BuiltImage:
    rule = CU126.image("train")
    assert isinstance(rule, BuiltImage)
    return rule


class ReadsStandIn(FakeInstaller):
    """Reads the metadata that it is given in place of an index."""

    def run(self, command: UvCommand) -> str:
        folder = Path(command.argv[command.argv.index("--find-links") + 1])
        (wheel,) = folder.iterdir()
        with zipfile.ZipFile(wheel) as file:
            self.metadata = file.read("torch-2.6.0+cu126.dist-info/METADATA").decode()
        return super().run(command)


def test_without_its_index_a_package_is_pending_and_what_it_requires_is_pinned(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("UV_FIND_LINKS", "/own/wheels")
    printed = f"torch==2.6.0+cu126 --hash=sha256:{A}\ntriton==3.2.0 --hash=sha256:{A}\n"
    installer = ReadsStandIn(printed=printed)
    lock = Resolver(_rule(), CU126, installer).resolve_without_index("torch==2.6.0+cu126\n")
    assert lock == PackageLock((Pin("triton", "3.2.0", (A,)),), ("torch==2.6.0+cu126",))
    assert "Requires-Dist: nvidia-cublas-cu12==12.6.4.1\n" in installer.metadata
    assert "--torch-backend" not in installer.commands[0].argv
    assert "/own/wheels" in installer.commands[0].argv


def test_completing_asks_the_index_for_the_pending_package_alone() -> None:
    installer = FakeInstaller(printed=f"torch==2.6.0+cu126 --hash=sha256:{A}\n")
    lock = PackageLock((Pin("triton", "3.2.0", (A,)),), ("torch==2.6.0+cu126",))
    done = Resolver(_rule(), CU126, installer).complete(lock)
    assert [pin.name for pin in done.pins] == ["torch", "triton"]
    assert done.pending == ()
    argv = installer.commands[0].argv
    assert argv[argv.index("--torch-backend") + 1] == "cu126"
    assert "--no-deps" in argv
    assert installer.requirements == ["torch==2.6.0+cu126"]


def test_a_lock_without_pending_packages_asks_nobody() -> None:
    installer = FakeInstaller(out_of_reach=True)
    lock = PackageLock((Pin("triton", "3.2.0", (A,)),))
    assert Resolver(_rule(), CU126, installer).complete(lock) == lock


def test_an_index_out_of_reach_is_a_transfer_error() -> None:
    with pytest.raises(TransferError):
        Resolver(_rule(), CU126, FakeInstaller(out_of_reach=True)).resolve("rich\n")
