"""A hub in memory that records what it is asked."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from kit.bundle.digest import blob_of
from kit.errors import TransferError, UnreachableError
from kit.hub.patience import Patience
from kit.hub.port import Delivery, HubFile, HubListing, Passing, Place
from tests.hub_server.repository import git_sha1

if TYPE_CHECKING:
    from collections.abc import Iterator

COMMIT = "c0ffee" * 6 + "c0ff"
HURRIED = Patience(attempts=3, sleep=lambda _: None)
"""Tries again at once."""


@dataclass
class Part:
    """What the hub delivers in place of a file, once."""

    data: bytes
    offset: int | None = None
    """None: what was asked for."""
    total: int | None = None
    breaks: bool = False
    """The connection breaks after `data`."""


@dataclass
class FakeHub:
    """A HubClient with one repository."""

    files: dict[str, bytes]
    secret: tuple[str, ...] = ()
    """Paths whose sha256 it does not tell."""
    silent: tuple[str, ...] = ()
    """Paths of which it tells no checksum at all."""
    parts: dict[str, list[Part | Passing]] = field(default_factory=dict)
    """What it delivers first in place of a file."""
    commit: str = COMMIT
    down: bool = False
    calls: list[tuple[str, ...]] = field(default_factory=list)

    def list_files(self, repo: str, revision: str) -> HubListing:
        self.calls.append(("list", repo, revision))
        self._answer()
        return HubListing(self.commit, tuple(self._listed(path) for path in self.files))

    def _listed(self, path: str) -> HubFile:
        data = self.files[path]
        if path in self.silent:
            return HubFile(path, len(data), None)
        if path in self.secret:
            return HubFile(path, len(data), None, git_sha1(data))
        return HubFile(path, len(data), blob_of(data).digest)

    @contextmanager
    def open(self, place: Place, path: str, offset: int) -> Iterator[Delivery]:
        self.calls.append(("open", place.repo, place.revision, path, str(offset)))
        self._answer()
        waiting = self.parts.get(path)
        part = waiting.pop(0) if waiting else Part(self.files[path][offset:])
        if isinstance(part, Passing):
            raise part
        yield Delivery(offset if part.offset is None else part.offset, part.total, _chunks(part))

    def _answer(self) -> None:
        if self.down:
            raise UnreachableError("the hub does not answer", where="fake")

    @property
    def opened(self) -> list[tuple[str, int]]:
        """Paths and offsets that were asked for."""
        return [(call[3], int(call[4])) for call in self.calls if call[0] == "open"]


def _chunks(part: Part) -> Iterator[bytes]:
    for at in range(0, len(part.data), 3):
        yield part.data[at : at + 3]
    if part.breaks:
        raise Passing(TransferError("the connection broke", where="fake"))
