"""Hearing about a layer's members while it is packed, for its inventory: one pass serves both.

`cut_tar` tells a watch about each head and, where the watch wants it, shows it the payload.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

from kit.bundle.layer_law import LayerLaw
from kit.bundle.tar_form import BLOCK
from kit.bundle.tar_walk import SIZE, TYPE, number, pax_records
from kit.sbom.layer_records import LayerObserver

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from kit.bundle.tar_walk import Head
    from kit.sbom.layer_records import LayerRecords

Piece = TypeVar("Piece", bytes, memoryview)

_NAME = slice(0, 100)
_LINK = slice(157, 257)
_PREFIX = slice(345, 500)
_MAGIC = slice(257, 263)
_USTAR = b"ustar\0"
_REGULAR = frozenset(b"0\x007")
_SYMLINK = ord("2")
_LONG_NAME, _LONG_LINK, _PAX = ord("L"), ord("K"), ord("x")


@dataclass(frozen=True, slots=True)
class Member:
    """What a head says about its member."""

    name: str
    link: str
    """Where a symbolic link leads; empty for anything else."""
    is_file: bool
    size: int
    """Bytes of its payload without padding."""


def _field(data: bytes) -> bytes:
    return data.partition(b"\0")[0]


def member_of(head: Head) -> Member:
    """Return what a head says, extensions included (POSIX ustar and PAX, GNU long names)."""
    said: dict[bytes, bytes] = {}
    *extensions, header = head.blocks
    for block in extensions:
        said |= _extension(block)
    name, kind = _field(header[_NAME]), header[TYPE]
    if header[_PREFIX.start] and header[_MAGIC] == _USTAR:
        name = _field(header[_PREFIX]) + b"/" + name
    size = int(said[b"size"]) if said.get(b"size", b"").isdigit() else number(header[SIZE]) or 0
    link = said.get(b"linkpath", _field(header[_LINK])) if kind == _SYMLINK else b""
    path = said.get(b"path", name).decode("utf-8", "replace")
    # Before POSIX a folder was a file whose name ends so.
    is_file = kind in _REGULAR and not path.endswith("/")
    return Member(path, link.decode("utf-8", "replace"), is_file, size)


def _extension(block: bytes) -> dict[bytes, bytes]:
    payload = block[BLOCK:]
    if block[TYPE] == _LONG_NAME:
        return {b"path": _field(payload)}
    if block[TYPE] == _LONG_LINK:
        return {b"linkpath": _field(payload)}
    if block[TYPE] == _PAX:
        return {key: value for _, key, value in pax_records(payload) or ()}
    return {}


@dataclass(slots=True)
class LayerWatch:
    """Makes the inventory of one layer out of what it is told."""

    law: LayerLaw = field(default_factory=lambda: LayerLaw("layer"))
    _observer: LayerObserver = field(default_factory=LayerObserver)
    _wanted: Member | None = None
    _parts: list[bytes] = field(default_factory=list)
    _left: int = 0

    def head(self, head: Head) -> bool:
        """Hear of a member; return whether its payload is to go through `shown`.

        Raises VerificationError when no layer should hold it.
        """
        if self._wanted is not None:
            self._finish()
        self.law.head(head)
        member = member_of(head)
        if member.link:
            self._observer.link(member.name, member.link)
        elif member.is_file and self._observer.wants(member.name, member.size):
            self._wanted, self._left = member, member.size
        return self._wanted is not None

    def shown(self, pieces: Iterable[Piece]) -> Iterator[Piece]:
        """Yield the payload of the member just heard of, padding included, while it is taken in."""
        for piece in pieces:
            self._parts.append(bytes(piece[: self._left]))
            self._left -= len(self._parts[-1])
            yield piece

    def _finish(self) -> None:
        if self._wanted is not None and not self._left:
            self._observer.take(self._wanted.name, b"".join(self._parts))
        self._wanted, self._parts, self._left = None, [], 0

    def records(self) -> LayerRecords:
        """Return what the layer says, once all of it has gone by."""
        self._finish()
        return self._observer.records
