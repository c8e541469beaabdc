"""What changes from one bundle or lock to another. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from kit.project.lock import ImageLock, Lock, TreePin
    from kit.sbom.read_document import ListedPackage

NEW, GONE, CHANGED, SAME = "new", "gone", "changed", "same"
_NOT_PINS = {"name", "kind", "files", "pending"}


@dataclass(frozen=True, slots=True)
class Part:
    """An image, model or data set, as far as a bundle or lock tells."""

    kind: str
    """`image`, `model` or `dataset`."""
    name: str
    identity: str = ""
    """Digest; empty in a lock, which knows inputs only."""
    pins: tuple[tuple[str, str], ...] = ()
    files: tuple[tuple[str, str, int], ...] = ()
    """(path, digest, size) of a model or data set."""
    packages: tuple[ListedPackage, ...] | None = None
    """None when there is no bill of materials."""


@dataclass(frozen=True, slots=True)
class Side:
    """One of the two that are compared."""

    where: str
    facts: tuple[tuple[str, str], ...]
    """Of the whole: name and value."""
    parts: tuple[Part, ...]


@dataclass(frozen=True, slots=True)
class ValueChange:
    """A value that differs; empty where there is none."""

    name: str
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class PackageChange:
    """A package that differs; several versions are joined by commas."""

    kind: str
    name: str
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class FileChange:
    """A file that differs; its size in bytes, None where there is none."""

    path: str
    before: int | None
    after: int | None


@dataclass(frozen=True, slots=True)
class PartChange:
    """What changes in an image, model or data set."""

    kind: str
    name: str
    change: str
    """`new`, `gone`, `changed` or `same`."""
    values: tuple[ValueChange, ...] = ()
    """Identity and pins."""
    packages: tuple[PackageChange, ...] = ()
    packages_known: bool = False
    """Both sides have a bill of materials."""
    files: tuple[FileChange, ...] = ()


@dataclass(frozen=True, slots=True)
class Transfer:
    """What a host that has A needs for B."""

    blobs: int
    size: int
    """Bytes of those blobs."""
    frames_size: int
    """Bytes of these in frames that no blob of A holds: what is left to send where frames are used again."""
    whole: int
    """Bytes that a host with nothing needs."""


@dataclass(frozen=True, slots=True)
class Difference:
    """What changes from A to B."""

    a: str
    b: str
    same: bool
    """Nothing differs that either of them tells."""
    facts: tuple[ValueChange, ...]
    parts: tuple[PartChange, ...]
    transfer: Transfer | None = field(default=None)
    """None when one of them is a lock."""


def lock_facts(lock: Lock) -> tuple[tuple[str, str], ...]:
    """Return what a lock says of the whole."""
    return (("stack", lock.stack), ("kit_version", lock.kit_version))


def pins_of(pin: ImageLock | TreePin | None) -> tuple[tuple[str, str], ...]:
    """Return the values of a pin that are words or numbers, by their keys in kit.lock."""
    if pin is None:
        return ()
    values = ((field.name, getattr(pin, field.name)) for field in fields(pin) if field.name not in _NOT_PINS)
    return tuple((name, str(value)) for name, value in values if isinstance(value, str | int) and value != "")


def lock_parts(lock: Lock) -> tuple[Part, ...]:
    """Return the parts that a lock pins."""
    images = (Part("image", image.name, pins=pins_of(image)) for image in lock.images)
    trees = (
        Part(
            tree.kind,
            tree.name,
            pins=pins_of(tree),
            files=tuple((file.path, file.digest, file.size) for file in tree.files),
        )
        for tree in lock.trees
    )
    return (*images, *trees)


def compare(a: Side, b: Side, transfer: Transfer | None = None) -> Difference:
    """Return what changes from `a` to `b`, part by part: those of `a` in their order, then new ones."""
    before = {(part.kind, part.name): part for part in a.parts}
    after = {(part.kind, part.name): part for part in b.parts}
    facts = _values(a.facts, b.facts)
    parts = tuple(_part(before.get(key), after.get(key)) for key in dict.fromkeys((*before, *after)))
    same = not facts and all(part.change == SAME for part in parts)
    return Difference(a.where, b.where, same, facts, parts, transfer)


def _values(
    before: tuple[tuple[str, str], ...], after: tuple[tuple[str, str], ...]
) -> tuple[ValueChange, ...]:
    old, new = dict(before), dict(after)
    names = dict.fromkeys((*old, *new))
    found = (ValueChange(name, old.get(name, ""), new.get(name, "")) for name in names)
    return tuple(change for change in found if change.before != change.after)


def _part(before: Part | None, after: Part | None) -> PartChange:
    if before is None or after is None:
        only = before or after
        assert only is not None  # noqa: S101 - the key came from one of them
        return PartChange(only.kind, only.name, NEW if before is None else GONE)
    identities = ("identity", before.identity), ("identity", after.identity)
    told = bool(before.identity and after.identity)
    values = _values((identities[0],), (identities[1],)) if told else ()
    values += _values(before.pins, after.pins) if before.pins and after.pins else ()
    files = _files(before, after)
    known = before.packages is not None and after.packages is not None
    packages = _packages(before.packages or (), after.packages or ()) if known else ()
    change = CHANGED if values or files or packages else SAME
    return PartChange(after.kind, after.name, change, values, packages, known, files)


def _files(before: Part, after: Part) -> tuple[FileChange, ...]:
    old = {path: (digest, size) for path, digest, size in before.files}
    new = {path: (digest, size) for path, digest, size in after.files}
    return tuple(
        FileChange(path, old[path][1] if path in old else None, new[path][1] if path in new else None)
        for path in sorted({*old, *new})
        if old.get(path) != new.get(path)
    )


def _versions(packages: tuple[ListedPackage, ...]) -> Mapping[tuple[str, str], str]:
    found: dict[tuple[str, str], list[str]] = {}
    for package in packages:
        found.setdefault((package.kind, package.name), []).append(package.version)
    return {key: ", ".join(sorted(set(versions))) for key, versions in found.items()}


def _packages(
    before: tuple[ListedPackage, ...], after: tuple[ListedPackage, ...]
) -> tuple[PackageChange, ...]:
    old, new = _versions(before), _versions(after)
    return tuple(
        PackageChange(*key, old.get(key, ""), new.get(key, ""))
        for key in sorted({*old, *new})
        if old.get(key) != new.get(key)
    )
