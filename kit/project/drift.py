"""What differs between a lock and the world as it is now, thing by thing. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kit.project.lock import ImageLock, Lock, TreePin

NONE = "none"


@dataclass(frozen=True, slots=True)
class Drift:
    """One thing that is not as it was locked."""

    part: str
    """`kit.yaml`, `kit`, `image train`, `model qwen3` …"""
    kind: str
    """Stable: project, kit, part, pending, tag, packages, inputs, revision, file or refused."""
    what: str
    """What was compared, e.g. `python:3.11-bookworm` or a file's path."""
    locked: str
    now: str


def part_name(part: ImageLock | TreePin) -> str:
    """Return how a part of a lock is called, e.g. `image train`."""
    return f"{getattr(part, 'kind', 'image')} {part.name}"


def lock_drifts(lock: Lock, stack: str, project_digest: str, kit_version: str) -> Iterator[Drift]:
    """Yield what a lock itself shows: made for another kit.yaml, by another kit, or never completed."""
    if lock.project_digest != project_digest:
        yield Drift("kit.yaml", "project", "what it asks to be bundled", lock.project_digest, project_digest)
    if lock.stack != stack:
        yield Drift("kit.yaml", "project", "stack", lock.stack, stack)
    if lock.kit_version != kit_version:
        yield Drift("kit", "kit", "version", lock.kit_version, kit_version)
    parts: tuple[ImageLock | TreePin, ...] = (*lock.images, *lock.trees)
    for part in parts:
        for text in part.pending:
            yield Drift(part_name(part), "pending", text, "not resolved", "")


def image_drifts(locked: ImageLock, now: ImageLock) -> Iterator[Drift]:
    """Yield what differs between an image's lock and its inputs now."""
    part = part_name(locked)
    if locked.asked != now.asked:
        yield Drift(part, "project", "packages", " ".join(locked.asked) or NONE, " ".join(now.asked) or NONE)
        return
    found = False
    if locked.base != now.base:
        found = True
        yield Drift(part, "inputs", "base", locked.base, now.base)
    elif locked.base_digest != now.base_digest:
        found = True
        yield Drift(part, "tag", locked.base, locked.base_digest or NONE, now.base_digest or NONE)
    if locked.packages_digest != now.packages_digest:
        found = True
        before, after = locked.packages_digest or NONE, now.packages_digest or NONE
        yield Drift(part, "packages", "locked packages", before, after)
    if not found and locked.inputs_digest != now.inputs_digest:
        what = "Dockerfile, smoke test or rules that kit brings"
        yield Drift(part, "inputs", what, locked.inputs_digest, now.inputs_digest)


def tree_drifts(locked: TreePin, now: TreePin) -> Iterator[Drift]:
    """Yield what differs between a pin and the model or dataset as it is now."""
    part = part_name(locked)
    if locked.source != now.source:
        yield Drift(part, "project", "source", locked.source, now.source)
        return
    if locked.revision != now.revision:
        yield Drift(part, "revision", now.source, locked.revision, now.revision)
    before = {file.path: f"{file.digest} {file.size}" for file in locked.files}
    after = {file.path: f"{file.digest} {file.size}" for file in now.files}
    for path in sorted(before.keys() | after.keys()):
        if before.get(path) != after.get(path):
            yield Drift(part, "file", path, before.get(path, NONE), after.get(path, NONE))
