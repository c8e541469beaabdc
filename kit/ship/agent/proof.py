"""Comparing what stands on a host with the bundle, once all is in its place."""

from __future__ import annotations

import stat
from dataclasses import dataclass
from typing import TYPE_CHECKING

from kit.bundle.blob_store import writing
from kit.errors import VerificationError
from kit.ship.agent.place import tree_folder

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from kit.bundle.blob_store import BlobStore
    from kit.bundle.manifest import File, FileTree

_READ_ONLY = 0o444


@dataclass(frozen=True, slots=True)
class Proof:
    """Files that were compared."""

    files: int
    bytes: int


def prove_trees(store: BlobStore, trees: Iterable[FileTree]) -> Proof:
    """Return how much was compared, once every file is the bundle's: name, size, sha256, link, mode 0444.

    A sha256 is taken from the record of those that were hashed, unless the file was written since. A
    file that somebody made writable is closed again. Raises VerificationError, UnfitError, TransferError.
    """
    found = [file for tree in trees for file in _proven(store, tree)]
    return Proof(len(found), sum(file.size for file in found))


def _proven(store: BlobStore, tree: FileTree) -> Iterable[File]:
    folder = tree_folder(store.folder, tree)
    for file in tree.files:
        path = folder / file.path
        why = _fault(path, store.path(file.digest), file.size)
        if not why and not store.has(file.blob):
            why = "other bytes than the bundle's"
        if why:
            raise VerificationError(
                "a file is not the bundle's", where=str(path), why=why, fix="run kit ship again"
            )
        if stat.S_IMODE(path.stat().st_mode) != _READ_ONLY:
            with writing(path):
                path.chmod(_READ_ONLY)
        yield file


def _fault(path: Path, blob: Path, size: int) -> str:
    """Return what is wrong with a file as far as its name tells; nothing when all is right."""
    try:
        status, kept = path.lstat(), blob.lstat()
    except OSError as error:
        return error.strerror or str(error)
    if not stat.S_ISREG(status.st_mode):
        return "no plain file"
    if (status.st_dev, status.st_ino) != (kept.st_dev, kept.st_ino):
        return "another file than the one that was proven"
    return "" if status.st_size == size else f"{status.st_size} bytes in place of {size}"
