"""kit.lock: every resolved input, beside kit.yaml. `kit bundle` acts on it alone.

JSON, sorted and indented, so that a change reads well in a diff. What could not be resolved
without a network is listed as pending; nothing is bundled while anything is.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields, replace
from typing import TYPE_CHECKING, Any

from kit.errors import ConfigError
from kit.project.tree_changes import tree_changes

if TYPE_CHECKING:
    from pathlib import Path

    from kit.project.model import Project

FORMAT = 2


@dataclass(frozen=True, slots=True)
class ImageLock:
    """What an image is built from, or pulled as."""

    name: str
    base: str
    """Image reference without digest, or `debootstrap:SUITE`."""
    base_digest: str | None
    """`sha256:…` of the image's manifest, or of the Release file behind a root; None while pending."""
    inputs_digest: str
    """sha256 over everything the build reads: Dockerfile, package lock, smoke test, pins."""
    packages_digest: str | None
    """sha256 of the hash-locked package list; None for an image that is pulled."""
    pending: tuple[str, ...] = ()
    platform: str = ""
    """`linux/amd64` where `base_digest` names a pulled image; empty for a root made on the spot."""
    asked: tuple[str, ...] = ()
    """The packages that kit.yaml asks for in it."""
    pins: tuple[str, ...] = ()
    """Everything that these and the stack's own resolve to, with hashes; empty when it asks for none."""

    @property
    def pulled(self) -> bool:
        """Whether `base` is an image that an engine pulls by `base_digest`."""
        return self.base_digest is not None and not self.base.startswith("debootstrap:")


@dataclass(frozen=True, slots=True)
class PinnedFile:
    """A file of a model or dataset, as it must be when it is packed."""

    path: str
    size: int
    digest: str
    """`sha256:…`; empty while pending."""


@dataclass(frozen=True, slots=True)
class TreePin:
    """A model or dataset, pinned file by file."""

    kind: str
    """`model` or `dataset`."""
    name: str
    source: str
    """`folder:PATH`, `modelscope:REPO` or `huggingface:REPO`."""
    revision: str
    """The hub's commit where it tells it, otherwise the tag or branch; empty for a folder."""
    files: tuple[PinnedFile, ...]
    pending: tuple[str, ...] = ()
    asked: str = ""
    """The revision that kit.yaml names: a branch or tag may move, and then `revision` differs."""

    @property
    def custom_code(self) -> tuple[str, ...]:
        """Files that are programs of the model's own, which an engine may be told to trust."""
        return tuple(file.path for file in self.files if self.kind == "model" and file.path.endswith(".py"))


@dataclass(frozen=True, slots=True)
class Lock:
    """kit.lock as a whole."""

    kit_version: str
    stack: str
    project_digest: str
    """sha256 of what kit.yaml asks to be bundled; tells when kit.yaml changed after the lock."""
    locked: str
    """UTC time at which the rest last changed, as in `2026-05-01T12:30:00Z`."""
    images: tuple[ImageLock, ...]
    trees: tuple[TreePin, ...]

    @property
    def pending(self) -> tuple[str, ...]:
        """Everything that only a machine with a network can resolve."""
        parts: tuple[ImageLock | TreePin, ...] = (*self.images, *self.trees)
        return tuple(f"{part.name}: {text}" for part in parts for text in part.pending)

    def image(self, name: str) -> ImageLock | None:
        """Return the lock of an image, if there is one."""
        return next((image for image in self.images if image.name == name), None)


def project_digest(project: Project) -> str:
    """Return the sha256 of the part of kit.yaml that decides what a bundle holds."""
    wanted = project.model_dump(mode="json", include={"stack", "images", "models", "datasets"})
    if project.packages:
        wanted["packages"] = project.model_dump(mode="json", include={"packages"})["packages"]
    return "sha256:" + hashlib.sha256(json.dumps(wanted, sort_keys=True).encode()).hexdigest()


def kept_time(old: Lock | None, new: Lock) -> Lock:
    """Return the new lock, with the old one's time when it says nothing else than that one."""
    return old if old is not None and replace(new, locked=old.locked) == old else new


def dump_lock(lock: Lock) -> bytes:
    """Return the bytes of kit.lock."""
    document = {"kit_lock": FORMAT, **asdict(lock)}
    return json.dumps(document, sort_keys=True, indent=1, ensure_ascii=False).encode() + b"\n"


def _tuples(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


_HALF = re.compile("[\ud800-\udfff]")


def _is_text(value: Any) -> bool:
    # Half a character (\ud800 in JSON) could never be written again.
    return isinstance(value, str) and _HALF.search(value) is None


_FITS: dict[str, Callable[[Any], bool]] = {
    "str": _is_text,
    "str | None": lambda value: value is None or _is_text(value),
    "int": lambda value: type(value) is int and value >= 0,
    "tuple[str, ...]": lambda value: isinstance(value, tuple) and all(map(_is_text, value)),
}
"""Whether a value is of a type, as the fields of the records name it."""


def _checked(record: Any) -> Any:
    for field in fields(record):
        if field.type in _FITS and not _FITS[field.type](getattr(record, field.name)):
            raise TypeError(f"{field.name}: {field.type} is needed")
    return record


def _record(kind: type[Any], value: dict[str, Any]) -> Any:
    return _checked(kind(**{key: _tuples(item) for key, item in value.items()}))


def _tree(value: dict[str, Any]) -> TreePin:
    files = tuple(_record(PinnedFile, item) for item in value["files"])
    tree: TreePin = _record(TreePin, {**value, "files": files})
    return tree


def parse_lock(data: bytes, where: str = "kit.lock") -> Lock:
    """Return the lock that bytes describe. Raises ConfigError."""
    try:
        document = json.loads(data)
        if document.pop("kit_lock") != FORMAT:
            raise ConfigError("written by another version of kit", where=where, fix="kit lock")
        images = tuple(_record(ImageLock, item) for item in document.pop("images"))
        trees = tuple(_tree(item) for item in document.pop("trees"))
        lock: Lock = _checked(Lock(images=images, trees=trees, **document))
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise ConfigError("not a lock", where=where, why=str(error), fix="kit lock") from error
    return lock


def load_lock(path: Path) -> Lock:
    """Read kit.lock. Raises ConfigError when it is missing or malformed."""
    try:
        return parse_lock(path.read_bytes(), str(path))
    except FileNotFoundError as error:
        raise ConfigError("no such file", where=str(path), fix="kit lock") from error
    except OSError as error:
        raise ConfigError("cannot be read", where=str(path), why=str(error)) from error


def write_lock(path: Path, lock: Lock) -> None:
    """Write kit.lock, whole or not at all."""
    temporary = path.with_name(path.name + ".new")
    temporary.write_bytes(dump_lock(lock))
    temporary.replace(path)


def require_complete(lock: Lock, project: Project, where: str = "kit.lock") -> None:
    """Raise ConfigError unless the lock is complete and still says what kit.yaml asks for."""
    if lock.project_digest != project_digest(project):
        raise ConfigError("kit.yaml asks for something else since it was locked", where=where, fix="kit lock")
    if lock.pending:
        raise ConfigError(
            "not resolved yet: " + "; ".join(lock.pending),
            where=where,
            fix="kit lock, on a machine with a network",
        )


def differences(old: Lock, new: Lock) -> tuple[str, ...]:
    """Return one line for each input that differs between two locks."""
    lines = [
        f"{key}: {before} -> {after}"
        for key, before, after in (
            ("stack", old.stack, new.stack),
            ("kit_version", old.kit_version, new.kit_version),
        )
        if before != after
    ]
    return (*lines, *_part_differences(old, new))


def _parts(lock: Lock) -> dict[str, ImageLock | TreePin]:
    found: dict[str, ImageLock | TreePin] = {f"image {image.name}": image for image in lock.images}
    return found | {f"{tree.kind} {tree.name}": tree for tree in lock.trees}


def _part_differences(old: Lock, new: Lock) -> list[str]:
    before, after = _parts(old), _parts(new)
    lines = [f"{name}: gone" for name in before if name not in after]
    lines += [f"{name}: new" for name in after if name not in before]
    return lines + [
        f"{name}: {_changes(before[name], after[name])}"
        for name in before
        if name in after and before[name] != after[name]
    ]


def _changes(before: ImageLock | TreePin, after: ImageLock | TreePin) -> str:
    if isinstance(before, TreePin) and isinstance(after, TreePin):
        return tree_changes(before, after)
    return "changed"
