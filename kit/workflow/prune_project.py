"""`kit prune` for the project of a kit.yaml: whose needs count, and where to look."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from kit.bundle.source import open_bundle
from kit.errors import ConfigError
from kit.images.known_locks import remembered_locks
from kit.project.lock import load_lock, parse_lock
from kit.workflow.bundle_places import BUNDLE
from kit.workflow.make_bundle import LOCK
from kit.workflow.prune import Pruner, all_needed

if TYPE_CHECKING:
    from pathlib import Path

    from kit.project.lock import Lock
    from kit.workflow.prune import PruneReport, Shelf


@dataclass(frozen=True, slots=True)
class PruneRequest:
    """What to prune."""

    folder: Path
    """Where kit.yaml stands."""
    bundles: tuple[Path, ...] = ()
    """Folders of bundles; none: `bundle` beside kit.yaml."""
    keep: tuple[Path, ...] = ()
    """Further locks, bundles and folders with a kit.lock, whose needs count too."""
    dry_run: bool = False


def prune_project(request: PruneRequest, shelf: Shelf) -> PruneReport:
    """Remove what nothing named here, and no other project of this machine, needs; return what went.

    Raises ConfigError or VerificationError, before anything goes, when a lock or bundle cannot be
    read; TransferError when a disk fails.
    """
    pruner = Pruner(request.dry_run)
    beside = (request.folder / BUNDLE,)
    bundles = request.bundles or tuple(path for path in beside if path.is_dir())
    named = [path for path in (*request.keep, *bundles) if path in request.keep or _is_bundle(path)]
    own = request.folder / LOCK
    kept = {str(path): _lock(path) for path in (*named, *((own,) if own.is_file() else ()))}
    # From here on things go; whatever could not be read has been raised before.
    for folder in bundles:
        pruner.bundle(folder)
    if not kept:
        pruner.kept.append(
            "packages, fetched files and images: there is no kit.lock that says what is needed"
        )
        return pruner.report()
    pruner.fetched_files(request.folder, kept.values())
    others = tuple(path for path in remembered_locks() if path != own.absolute())
    try:
        needed = all_needed({**kept, **{str(path): load_lock(path) for path in others}})
    except ConfigError as error:
        pruner.kept.append(f"packages and images: {error.where}: {error.what} ({error.why})")
        return pruner.report()
    pruner.package_cache(needed)
    pruner.images(shelf, needed)
    return pruner.report(others)


def _is_bundle(path: Path) -> bool:
    return (path / "kit.json").is_file()


def _lock(path: Path) -> Lock:
    """Return the lock at a path: a lock, a project's folder, or a bundle in any form. Raises ConfigError."""
    if path.is_dir() and not _is_bundle(path) and (path / LOCK).is_file():
        return load_lock(path / LOCK)
    if path.name.endswith(".lock") and path.is_file():
        return load_lock(path)
    return parse_lock(open_bundle(path).lock_bytes, f"{path}: {LOCK}")
