"""Takes files that nothing in an image reads out of an installed folder: tests, templates of other programs.

An engine makes every file of an image, one by one, on every host: what is not there costs no one anything.
"""

from __future__ import annotations

import csv
import shutil
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path


def leave_out(folder: Path, patterns: Iterable[str]) -> tuple[str, ...]:
    """Remove what patterns match (`pathlib`'s, against the folder), and folders with all that is in them.

    Packages' own lists of files (RECORD) name nothing of it any more. Returns the files removed, sorted.
    """
    gone: set[str] = set()
    for pattern in patterns:
        for path in list(folder.glob(pattern)):
            if path.is_symlink() or path.is_file():
                gone.add(path.relative_to(folder).as_posix())
                path.unlink()
            elif path.is_dir():
                gone.update(file.relative_to(folder).as_posix() for file in path.rglob("*") if _is_leaf(file))
                shutil.rmtree(path)
            _remove_empty(path.parent, folder)
    if gone:
        for record in folder.glob("*.dist-info/RECORD"):
            _forget(record, gone)
    return tuple(sorted(gone))


def _is_leaf(path: Path) -> bool:
    return path.is_symlink() or not path.is_dir()


def _remove_empty(path: Path, root: Path) -> None:
    while path != root and path.is_dir() and not any(path.iterdir()):
        path.rmdir()
        path = path.parent


def _forget(record: Path, gone: set[str]) -> None:
    lines = record.read_text(encoding="utf-8").splitlines()
    kept = [line for line in lines if next(csv.reader([line]), [""])[0] not in gone]
    if kept != lines:
        record.unlink()  # Never in place: it may be a hard link into uv's cache.
        record.write_text("".join(f"{line}\n" for line in kept), encoding="utf-8")
