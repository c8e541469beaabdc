"""What is to be packed. Values only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from kit.bundle.manifest import Blob


@dataclass(frozen=True, slots=True)
class LocalFile:
    """A file of a model or dataset on this machine."""

    path: str
    """Its path inside the model or dataset."""
    place: Path
    """Where its bytes are."""
    blob: Blob
    """What they must be."""


@dataclass(frozen=True, slots=True)
class LocalTree:
    """A model or dataset on this machine."""

    kind: str
    name: str
    source: str
    """Where it came from, revision included."""
    files: tuple[LocalFile, ...]


@dataclass(frozen=True, slots=True)
class LocalDocument:
    """A text about the bundle, to be packed into it."""

    name: str
    """Relative, with `/`, e.g. `sbom/train.cdx.json`."""
    media_type: str
    data: bytes


@dataclass(frozen=True, slots=True)
class PackRequest:
    """The contents of a bundle."""

    name: str
    stack: str
    lock_bytes: bytes
    locked: str
    """UTC time at which kit.lock last changed."""
    images: tuple[tuple[str, str], ...]
    """Name, and the ID or reference in the engine."""
    trees: tuple[LocalTree, ...]
    documents: tuple[LocalDocument, ...] = ()
    upstream: tuple[str, ...] = ()
    """Images that were pulled by digest, as `name@sha256:…`; they and their layers are packed as they are."""
