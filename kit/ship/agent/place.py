"""Giving models and datasets their names on a host: hard links into the blob store.

A tree is built beside its place and renamed into it, so that a reader sees the old one or the new.
"""

from __future__ import annotations

import os
import shutil
import stat
from typing import TYPE_CHECKING

from kit.bundle.blob_store import sync_folder, writing
from kit.errors import VerificationError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from kit.bundle.blob_store import BlobStore
    from kit.bundle.manifest import FileTree

FOLDERS = {"model": "models", "dataset": "datasets"}


def tree_folder(root: Path, tree: FileTree) -> Path:
    """Return where a model or dataset stands on a host."""
    return root / FOLDERS[tree.kind] / tree.name


def place_tree(store: BlobStore, tree: FileTree) -> bool:
    """Make the tree stand at its place; tell whether anything had to change.

    Raises VerificationError when a blob is missing, UnfitError or TransferError when the disk fails.
    """
    folder = tree_folder(store.folder, tree)
    if _stands(store, tree, folder):
        return False
    fresh = store.partial / f"tree-{tree.kind}-{tree.name}"
    with writing(folder):
        shutil.rmtree(fresh, ignore_errors=True)
        fresh.mkdir(parents=True)
        for file in tree.files:
            _link(store, tree, file.digest, fresh / file.path)
        folder.parent.mkdir(parents=True, exist_ok=True)
        _swap(fresh, folder, store.partial / f"old-{tree.kind}-{tree.name}")
    return True


def _link(store: BlobStore, tree: FileTree, digest: str, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(store.path(digest), path, follow_symlinks=False)
    except FileNotFoundError as error:
        raise VerificationError(f"{tree.name} needs {digest}, which is not there", where=str(path)) from error


def _stands(store: BlobStore, tree: FileTree, folder: Path) -> bool:
    """Tell whether the folder holds the tree's files, as links into the store, and nothing else."""
    if folder.is_symlink() or not folder.is_dir():
        return False
    found = {str(path.relative_to(folder)): path for path in folder.rglob("*") if not path.is_dir()}
    wanted = {file.path: file.digest for file in tree.files}
    try:
        return found.keys() == wanted.keys() and all(
            found[name].samefile(store.path(digest)) for name, digest in wanted.items()
        )
    except OSError:
        return False


def _swap(fresh: Path, folder: Path, old: Path) -> None:
    shutil.rmtree(old, ignore_errors=True)
    if folder.exists():
        folder.rename(old)
    fresh.rename(folder)
    sync_folder(folder.parent)
    shutil.rmtree(old, ignore_errors=True)


def write_whole(path: Path, content: bytes, mode: int) -> None:
    """Write a small file, whole or not at all; one that is there as it should be is left alone.

    Raises UnfitError, TransferError.
    """
    with writing(path):
        if _is(path, content, mode):
            return
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        fresh = path.with_name(f".{path.name}.new")
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, mode)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(descriptor)
        fresh.chmod(mode)
        fresh.replace(path)
        sync_folder(path.parent)


def _is(path: Path, content: bytes, mode: int) -> bool:
    if path.is_symlink() or not path.is_file():
        return False
    status = path.stat()
    same = (stat.S_IMODE(status.st_mode), status.st_size) == (mode, len(content))
    return same and path.read_bytes() == content


def write_files(root: Path, files: Mapping[str, tuple[bytes, int]]) -> None:
    """Write small files, given as path under root -> (content, mode)."""
    for name, (content, mode) in files.items():
        write_whole(root / name, content, mode)
