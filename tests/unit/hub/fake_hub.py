"""A hub in memory that records what it is asked."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from kit.bundle.digest import blob_of
from kit.errors import UnreachableError
from kit.hub.port import HubFile, HubListing

if TYPE_CHECKING:
    from pathlib import Path

COMMIT = "c0ffee"


@dataclass
class FakeHub:
    """A HubClient with one repository."""

    files: dict[str, bytes]
    secret: tuple[str, ...] = ()
    """Paths whose sha256 it does not tell."""
    spoiled: dict[str, list[bytes]] = field(default_factory=dict)
    """What it delivers first in place of a file."""
    down: bool = False
    calls: list[tuple[str, ...]] = field(default_factory=list)

    def list_files(self, repo: str, revision: str) -> HubListing:
        self.calls.append(("list", repo, revision))
        self._answer()
        listed = (
            HubFile(path, len(data), None if path in self.secret else blob_of(data).digest)
            for path, data in self.files.items()
        )
        return HubListing(COMMIT, tuple(listed))

    def download(self, repo: str, revision: str, path: str, folder: Path) -> None:
        self.calls.append(("download", repo, revision, path))
        self._answer()
        wrong = self.spoiled.get(path)
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(wrong.pop(0) if wrong else self.files[path])

    def _answer(self) -> None:
        if self.down:
            raise UnreachableError("the hub does not answer", where="fake")
