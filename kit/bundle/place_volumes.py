"""Giving finished volumes their names, so that a kill in between is made good by the next pack.

They lie in a folder as `1`, `2`, …, their parity as `p1`, … Once their list lies there too, they
are the bundle, and what is left to do is renaming, the list last.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kit.bundle.blob_store import sync_folder, writing
from kit.bundle.measure_volumes import measure_volumes
from kit.bundle.space import sync_file
from kit.bundle.volume_set import VolumeSet
from kit.bundle.volumes import dump_volumes, parse_volumes

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from kit.bundle.volumes import VolumeForm, VolumeList
    from kit.progress import Progress

_LIST = "volumes.json"
_OLD_LIST = "old-volumes.json"


def _parity(state: Path, number: int) -> Path:
    return state / f"p{number + 1}"


def list_volumes(
    paths: Sequence[Path], form: VolumeForm, bundle: str, state: Path, progress: Progress
) -> VolumeList:
    """Return the list of finished volumes, whose parity is written beside them.

    Raises ConfigError when parity needs a library that is missing, UnfitError and TransferError (disk).
    """
    listing = measure_volumes(paths, form, bundle, lambda number: _parity(state, number), progress)
    for number in range(len(listing.parity_volumes)):
        sync_file(_parity(state, number))
    return listing


def stage_list(listing: VolumeList, state: Path, list_path: Path) -> None:
    """Make finished volumes the bundle that `list_path` is to describe. Raises UnfitError, TransferError."""
    with writing(state):
        if list_path.is_file():
            (state / _OLD_LIST).write_bytes(list_path.read_bytes())
        new = state / (_LIST + ".new")
        new.write_bytes(dump_volumes(listing))
        sync_file(new)
        new.replace(state / _LIST)
        sync_folder(state)


def settle_volumes(state: Path, list_path: Path) -> None:
    """Give staged volumes their names and remove those of the old set. Nothing staged: do nothing.

    Raises VerificationError when the staged list is damaged, TransferError.
    """
    staged, old = state / _LIST, state / _OLD_LIST
    if not staged.is_file():
        return
    found = VolumeSet(parse_volumes(staged.read_bytes(), str(staged)), list_path)
    with writing(state):
        for path in _paths(old, list_path) - _paths(staged, list_path):
            path.unlink(missing_ok=True)
        count = len(found.listing.volumes)
        for share in range(len(found.listing.shares)):
            made = state / str(share + 1) if share < count else _parity(state, share - count)
            if made.exists():
                made.replace(found.path(share))
        old.unlink(missing_ok=True)
        staged.replace(list_path)
        sync_folder(list_path.parent)


def _paths(listing: Path, list_path: Path) -> set[Path]:
    """Return where the volumes of a list stand that is kept elsewhere."""
    if not listing.is_file():
        return set()
    found = VolumeSet(parse_volumes(listing.read_bytes(), str(listing)), list_path)
    return {found.path(share) for share in range(len(found.listing.shares))}
