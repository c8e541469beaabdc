from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from kit.errors import ConfigError
from kit.hub.local_folder import find_file, find_files

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def model(tmp_path: Path) -> Path:
    root = tmp_path / "model"
    (root / "sub").mkdir(parents=True)
    (root / ".git").mkdir()
    for name in ("config.json", "sub/weights.safetensors", ".hidden", ".git/config"):
        (root / name).write_bytes(b"x")
    return root


def test_files_are_found_in_subfolders_and_dot_files_stay_out(model: Path) -> None:
    assert find_files(model, "k") == {
        "config.json": model / "config.json",
        "sub/weights.safetensors": model / "sub" / "weights.safetensors",
    }


def test_a_link_inside_the_folder_is_the_file_it_names(model: Path) -> None:
    (model / "again.json").symlink_to("config.json")
    assert find_files(model, "k")["again.json"] == model / "config.json"


@pytest.mark.parametrize("target", ["/etc/passwd", "../outside"])
def test_a_link_out_of_the_folder_is_refused(model: Path, tmp_path: Path, target: str) -> None:
    (tmp_path / "outside").write_bytes(b"secret")
    (model / "link").symlink_to(target)
    with pytest.raises(ConfigError, match="cp -rL"):
        find_files(model, "models.tiny.path")


def test_a_link_to_a_folder_is_refused(model: Path) -> None:
    (model / "loop").symlink_to(model)
    with pytest.raises(ConfigError, match="loop"):
        find_files(model, "k")


def test_a_link_to_nothing_and_a_pipe_are_refused(model: Path) -> None:
    (model / "dangling").symlink_to("nothing")
    with pytest.raises(ConfigError, match="dangling"):
        find_files(model, "k")
    (model / "dangling").unlink()
    os.mkfifo(model / "pipe")
    with pytest.raises(ConfigError, match="pipe"):
        find_files(model, "k")


def test_a_folder_or_file_that_is_not_there_names_the_key(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"models\.tiny\.path"):
        find_files(tmp_path / "missing", "models.tiny.path")
    with pytest.raises(ConfigError, match=r"datasets\.notes\.path"):
        find_file(tmp_path / "missing", "datasets.notes.path")
