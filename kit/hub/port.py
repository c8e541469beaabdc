"""What kit asks of a model hub. `modelscope_hub_client` and `huggingface_hub_client` ask real ones."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager

    from kit.errors import KitError


@dataclass(frozen=True, slots=True)
class HubFile:
    """A file as a hub lists it, or as kit.lock pins it."""

    path: str
    size: int
    digest: str | None
    """`sha256:…`; None where the hub does not tell."""
    git_sha1: str | None = None
    """The git object name of its bytes (40 hex digits), where that is the hub's only checksum."""


@dataclass(frozen=True, slots=True)
class HubListing:
    """The files of a repository at one revision."""

    revision: str
    """The commit where the hub tells it, otherwise the revision that was asked for."""
    files: tuple[HubFile, ...]


@dataclass(frozen=True, slots=True)
class Place:
    """A repository at one revision, on one hub."""

    origin: str
    """`modelscope` or `huggingface`."""
    repo: str
    revision: str

    def __str__(self) -> str:
        return f"{self.origin}:{self.repo}@{self.revision}"


@dataclass(frozen=True, slots=True)
class Delivery:
    """A file's bytes on their way."""

    offset: int
    """Place of the first byte in the file. 0 in place of what was asked: the server cannot go on."""
    total: int | None
    """Size of the whole file in the server's words, where it says so."""
    chunks: Iterator[bytes]
    """Raises Passing when the connection fails."""


class HubClient(Protocol):
    """A hub. What may pass is raised as Passing, what will not as ConfigError or UnreachableError."""

    def list_files(self, repo: str, revision: str) -> HubListing:
        """Return what the repository holds at that revision."""

    def open(self, place: Place, path: str, offset: int) -> AbstractContextManager[Delivery]:
        """Return a file's bytes from `offset` on, and the connection's end when the block ends."""


class Passing(Exception):  # noqa: N818  - it is an error only when it does not pass
    """A failure that may pass: a busy server, a dead connection. `persist` tries again."""

    def __init__(self, error: KitError, wait: float | None = None) -> None:
        super().__init__(str(error))
        self.error = error
        """What is reported when it does not pass."""
        self.wait = wait
        """Seconds that the server asks to wait."""
