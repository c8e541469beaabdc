"""`kit lock --check`: what has drifted since kit.lock was written. Writes nothing beside kit.yaml."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import kit
from kit.errors import KitError, TransferError, UnreachableError, VerificationError
from kit.project.drift import Drift, image_drifts, lock_drifts, part_name, tree_drifts
from kit.project.lock import ImageLock, load_lock, project_digest
from kit.workflow.write_project_lock import LOCK

if TYPE_CHECKING:
    from collections.abc import Callable

    from kit.progress import Progress
    from kit.project.load import LoadedProject
    from kit.project.lock import TreePin
    from kit.workflow.lock_project import Part

    PartsOf = Callable[..., tuple[Part, ...]]


@dataclass(frozen=True, slots=True)
class LockCheck:
    """What was found."""

    path: str
    checked: int
    """Parts that were looked at."""
    drifts: tuple[Drift, ...]
    unasked: tuple[str, ...]
    """What could not be looked at: a registry or hub that does not answer, or none was to be asked."""
    offline: bool

    @property
    def exit_code(self) -> int:
        """0; 3 when something drifted; 6 when nothing is known to have, but somebody did not answer."""
        if self.drifts:
            return VerificationError.exit_code
        return TransferError.exit_code if self.unasked and not self.offline else 0


def check_lock(loaded: LoadedProject, parts_of: PartsOf, progress: Progress, *, offline: bool) -> LockCheck:
    """Return what differs between kit.lock and the world. Raises ConfigError when there is no lock."""
    path = loaded.folder / LOCK
    lock = load_lock(path)
    project = loaded.project
    drifts = list(lock_drifts(lock, project.stack, project_digest(project), kit.__version__))
    unasked: list[str] = []
    known: tuple[ImageLock | TreePin, ...] = (*lock.images, *lock.trees)
    locked = {part_name(part): part for part in known}
    parts = parts_of(loaded, offline=offline, before=lock)
    wanted = {part.name for part in parts}
    gone = "kit.yaml no longer asks for it"
    drifts += [Drift(name, "part", gone, "there", "gone") for name in locked if name not in wanted]
    for part in parts:
        before = locked.get(part.name)
        if before is None:
            drifts.append(Drift(part.name, "part", "kit.yaml asks for it", "missing", "there"))
            continue
        progress.start(f"check {part.name}")
        found, open_ends = _compare(before, part)
        drifts += found
        unasked += open_ends
        progress.finish(f"check {part.name}")
    return LockCheck(str(path), len(parts), tuple(drifts), tuple(unasked), offline)


def _compare(locked: ImageLock | TreePin, part: Part) -> tuple[list[Drift], list[str]]:
    """Return how a part drifted, and what of it nobody told."""
    try:
        now = part.resolve()
    except (TransferError, UnreachableError) as error:
        return [], [f"{part.name}: {_brief(error)}"]
    except KitError as error:
        return [Drift(part.name, "refused", error.where, "accepted", _brief(error))], []
    waits = {text.partition(" (")[0] for text in locked.pending}
    unasked = [f"{part.name}: {text}" for text in now.pending if text.partition(" (")[0] not in waits]
    if isinstance(now, ImageLock):
        assert isinstance(locked, ImageLock)  # noqa: S101 - both have the name `image …`
        return list(image_drifts(locked, now)) if not locked.pending else [], unasked
    assert not isinstance(locked, ImageLock)  # noqa: S101
    whole = not (locked.pending or now.pending)
    return list(tree_drifts(locked, now)) if whole else [], unasked


def _brief(error: KitError) -> str:
    return " ".join(f"{error.what} {f'({error.why})' if error.why else ''}".split())[:300]
