"""`kit prune`: removing what no lock and no bundle at hand needs any more, in kit's own places alone.

These are: blobs in a bundle's folder that its kit.json does not name, unfinished files, installed
package sets and package locks in the cache, fetched model files beside kit.yaml, and images that
building left in the engine. What cannot be told is kept, and said to be kept.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from kit.bundle.leftovers import Leftover, leftovers, size_of
from kit.errors import ConfigError, EngineError, KitError
from kit.hub.hub_cache import default_cache
from kit.images.completed_packages import locks_folder
from kit.images.install_packages import PARTIAL, packages_folder
from kit.images.needed import Needed, needed_by, old_images

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from pathlib import Path

    from kit.images.needed import ImageHere
    from kit.project.lock import Lock

_SETTLED = 86_400
"""Seconds. An unfinished file that nobody touched for so long belongs to no running command."""


class Shelf(Protocol):
    """An engine's images."""

    def images(self) -> tuple[ImageHere, ...]:
        """Return every image. Raises EngineError."""

    def remove(self, reference: str) -> None:
        """Remove a tag, and the image with its last one. Raises EngineError, also when it is in use."""


@dataclass(frozen=True, slots=True)
class Pruned:
    """Something that went, or would go."""

    kind: str
    """`blob`, `packages`, `package lock`, `fetched file`, `unfinished` or `image`."""
    what: str
    size: int
    """Bytes; of an image those that it shares with no other, where the engine tells."""


@dataclass(frozen=True, slots=True)
class PruneReport:
    """What was pruned, and what was not looked at or could not go."""

    items: tuple[Pruned, ...]
    kept: tuple[str, ...]
    dry_run: bool
    counted: tuple[str, ...] = ()
    """Locks of other projects on this machine whose needs counted."""

    @property
    def size(self) -> int:
        """Bytes of all that went."""
        return sum(item.size for item in self.items)


@dataclass(slots=True)
class Pruner:
    """Collects what goes; with `dry_run` nothing does."""

    dry_run: bool
    now: Callable[[], float] = time.time
    items: list[Pruned] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)

    def report(self, counted: Iterable[Path] = ()) -> PruneReport:
        """Return what was done."""
        return PruneReport(tuple(self.items), tuple(self.kept), self.dry_run, tuple(map(str, counted)))

    def _drop(self, kind: str, leftover: Leftover) -> None:
        if not self.dry_run:
            leftover.remove()
        self.items.append(Pruned(kind, str(leftover.path), leftover.size))

    def _drop_all(self, kind: str, paths: Iterable[Path]) -> None:
        for path in sorted(paths):
            self._drop(kind, Leftover(path, size_of(path)))

    def _settled(self, paths: Iterable[Path]) -> Iterator[Path]:
        return (path for path in paths if self.now() - path.lstat().st_mtime > _SETTLED)

    def bundle(self, folder: Path) -> None:
        """Prune a bundle's folder. Where there is no whole bundle, nothing goes."""
        try:
            with leftovers(folder) as found:
                for leftover in found:
                    in_store = leftover.path.parent.name == "sha256"
                    self._drop("blob" if in_store else "unfinished", leftover)
        except KitError as error:
            self.kept.append(f"{folder}: {error.what}" + (f" ({error.why})" if error.why else ""))

    def package_cache(self, needed: Needed) -> None:
        """Prune the installed package sets and the completed package locks."""
        sets, locks = packages_folder(), locks_folder()
        unfinished = set(sets.glob(f"{PARTIAL}*"))
        self._drop_all("unfinished", self._settled(unfinished))
        others = set(sets.glob("*")) - unfinished
        self._drop_all("packages", (path for path in others if path.name not in needed.package_sets))
        known = {f"{digest.removeprefix('sha256:')}.lock" for digest in needed.package_locks}
        self._drop_all("package lock", (path for path in locks.glob("*.lock") if path.name not in known))

    def fetched_files(self, folder: Path, locks: Iterable[Lock]) -> None:
        """Prune the files fetched from hubs for the project in `folder`."""
        cache = default_cache(folder)
        files = (file for lock in locks for tree in lock.trees for file in tree.files)
        named = {file.digest.removeprefix("sha256:") for file in files}
        here = (cache / "sha256").glob("*")
        self._drop_all("fetched file", (path for path in here if path.name not in named))
        self._drop_all("unfinished", self._settled((cache / "partial").glob("*")))

    def images(self, shelf: Shelf, needed: Needed) -> None:
        """Prune what building left in an engine. An engine that does not answer keeps what it has."""
        try:
            found = old_images(shelf.images(), needed)
        except EngineError as error:
            self.kept.append(f"images of the docker engine: {error.what}")
            return
        for image in found:
            self._image(image, shelf)

    def _image(self, image: ImageHere, shelf: Shelf) -> None:
        references = image.tags or (image.image_id,)
        try:
            for reference in () if self.dry_run else references:
                shelf.remove(reference)
        except EngineError as error:
            self.kept.append(f"image {references[0]}: {error.why or error.what}")
            return
        self.items.append(Pruned("image", ", ".join(references), image.size))


def all_needed(locks: Mapping[str, Lock]) -> Needed:
    """Return what any of the locks, by its place, needs. Raises ConfigError when kit cannot tell."""
    found = Needed()
    for where, lock in locks.items():
        found |= _needed_at(where, lock)
    return found


def _needed_at(where: str, lock: Lock) -> Needed:
    try:
        return needed_by(lock)
    except ConfigError as error:
        raise ConfigError(error.what, where=where, why=error.why, fix=error.fix) from error
