from __future__ import annotations

import stat
import tempfile
from pathlib import Path

import pytest

from kit.host.held_folder import HeldFolder


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def test_it_is_its_makers_alone_until_it_is_removed(temporary: Path) -> None:
    folder = HeldFolder("kit-x-")
    assert stat.S_IMODE(folder.path.stat().st_mode) == 0o700
    assert folder.path.parent == temporary
    folder.remove()
    folder.remove()
    assert list(temporary.iterdir()) == []


def test_what_a_killed_process_left_is_removed_and_what_is_held_stays(temporary: Path) -> None:
    left = temporary / "kit-x-left"
    left.mkdir()
    (left / "known_hosts").write_text("gpu1 ssh-ed25519 AAAA\n")
    held = HeldFolder("kit-x-")
    assert not left.exists()
    HeldFolder("kit-x-").remove()
    assert held.path.exists()
    held.remove()


def test_what_has_another_name_or_is_no_folder_is_left_alone(temporary: Path) -> None:
    other, file, target = temporary / "kit-y-1", temporary / "kit-x-file", temporary / "target"
    other.mkdir()
    target.mkdir()
    file.write_text("x")
    (temporary / "kit-x-link").symlink_to(target)
    HeldFolder("kit-x-").remove()
    assert {path.name for path in temporary.iterdir()} == {"kit-y-1", "kit-x-file", "kit-x-link", "target"}
