"""Changing the files that describe a bundle in one step, so that a kill leaves the old or the new.

The new files are written into `partial/next`, and one rename to `partial/chosen` makes them the
bundle's: readers look there first. Then each is put under its own name, kit.json last, and the
folder is removed. What was interrupted after the rename is finished by the next pack. An old
signature that the new files have no successor for goes with the old ones.
"""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

from kit.bundle.blob_store import sync_folder, writing
from kit.bundle.tar_form import MANIFEST_NAME, SIGNATURE_NAME

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


def _chosen(folder: Path) -> Path:
    return folder / "partial" / "chosen"


def current_file(folder: Path, name: str) -> Path:
    """Return where the valid copy of one of the describing files stands, or would stand."""
    chosen = _chosen(folder) / name
    if name == SIGNATURE_NAME:
        # Chosen files without one: the old signature no longer counts.
        return chosen if (_chosen(folder) / MANIFEST_NAME).exists() else folder / name
    return chosen if chosen.exists() else folder / name


def _write_synced(path: Path, content: bytes) -> None:
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def stage(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write the new files where no reader looks yet. Raises UnfitError, TransferError."""
    following = folder / "partial" / "next"
    with writing(folder):
        shutil.rmtree(following, ignore_errors=True)
        following.mkdir(parents=True)
        for name, content in files.items():
            _write_synced(following / name, content)
        sync_folder(following)


def choose(folder: Path) -> None:
    """Make the staged files the bundle's, in one rename. Raises TransferError."""
    with writing(folder):
        (folder / "partial" / "next").rename(_chosen(folder))
        sync_folder(folder / "partial")


def settle(folder: Path) -> None:
    """Put chosen files under their own names, kit.json last. Without chosen files, do nothing.

    Raises UnfitError, TransferError.
    """
    chosen = _chosen(folder)
    if not chosen.is_dir():
        return
    with writing(folder):
        if not (chosen / SIGNATURE_NAME).exists():
            (folder / SIGNATURE_NAME).unlink(missing_ok=True)
        for path in sorted(chosen.iterdir(), key=lambda path: path.name == MANIFEST_NAME):
            copy = folder / "partial" / f"new-{path.name}"
            _write_synced(copy, path.read_bytes())
            copy.replace(folder / path.name)
        sync_folder(folder)
        # Renamed first: a half-removed folder must not be taken for chosen files.
        done = folder / "partial" / "done"
        shutil.rmtree(done, ignore_errors=True)
        chosen.rename(done)
        shutil.rmtree(done)
