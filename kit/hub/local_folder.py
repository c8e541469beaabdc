"""Models and datasets that are files on this machine."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from kit.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_OUTSIDE_FIX = "put a copy of the files there: cp -rL FOLDER COPY, and name COPY in kit.yaml"


def find_files(root: Path, where: str) -> dict[str, Path]:
    """Return the real place of every file in a folder, by its path inside it with `/`.

    Files and folders whose names begin with a dot stay out. Raises ConfigError naming `where`
    (a key of kit.yaml) when there is no such folder, or when a symlink leads out of it or to a
    folder.
    """
    if not root.is_dir():
        raise ConfigError(f"no folder {root}", where=where, fix="make it, or correct path in kit.yaml")
    inside = root.resolve()
    return {path.relative_to(root).as_posix(): _real(path, inside, where) for path in _walk(root, where)}


def _walk(root: Path, where: str) -> Iterator[Path]:
    for folder, folders, names in os.walk(root):
        parent = root / os.path.relpath(folder, root)
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in folders:
            if (parent / name).is_symlink():
                raise ConfigError(f"{parent / name} is a symlink to a folder", where=where, fix=_OUTSIDE_FIX)
        yield from (parent / name for name in sorted(names) if not name.startswith("."))


def _real(path: Path, inside: Path, where: str) -> Path:
    real = path.resolve()
    if not real.is_relative_to(inside):
        raise ConfigError(f"{path} is a symlink that leads out of the folder", where=where, fix=_OUTSIDE_FIX)
    if not real.is_file():
        raise ConfigError(f"{path} is no plain file", where=where, fix="remove it, or use exclude")
    return real


def find_file(path: Path, where: str) -> Path:
    """Return the real place of one file. Raises ConfigError naming `where` when there is none."""
    if not path.is_file():
        raise ConfigError(f"no file {path}", where=where, fix="make it, or correct path in kit.yaml")
    return path.resolve()
