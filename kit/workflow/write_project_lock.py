"""`kit lock`: resolving a project and writing kit.lock beside its kit.yaml."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from kit.errors import ConfigError
from kit.images.known_locks import remember_lock
from kit.project.lock import Lock, differences, kept_time, load_lock, write_lock

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from kit.progress import Progress
    from kit.project.load import LoadedProject

    MakeLock = Callable[..., Lock]

LOCK = "kit.lock"


@dataclass(frozen=True, slots=True)
class Locked:
    """What was resolved."""

    path: str
    images: int
    trees: int
    changes: tuple[str, ...]
    """What differs from the lock before, a line each."""
    pending: tuple[str, ...]
    """What only a machine with a network can resolve."""
    first: bool
    """There was no lock before."""
    custom_code: tuple[str, ...] = ()
    """Programs that models bring along, as `NAME: PATH`."""
    dry_run: bool = False


def lock_project(
    loaded: LoadedProject, make_lock: MakeLock, progress: Progress, *, offline: bool, dry_run: bool
) -> Locked:
    """Resolve and write the lock; return what changed. Raises what `make_lock` raises."""
    path = loaded.folder / LOCK
    before = _earlier(path)
    lock = kept_time(before, make_lock(loaded, offline=offline, progress=progress))
    if not dry_run:
        write_lock(path, lock)
        remember_lock(path)
    return Locked(
        path=str(path),
        images=len(lock.images),
        trees=len(lock.trees),
        changes=differences(before, lock) if before else (),
        pending=lock.pending,
        first=before is None,
        custom_code=tuple(f"{tree.name}: {path}" for tree in lock.trees for path in tree.custom_code),
        dry_run=dry_run,
    )


def _earlier(path: Path) -> Lock | None:
    """Return the lock before; one that this kit cannot read is as good as none."""
    try:
        return load_lock(path)
    except ConfigError:
        return None
