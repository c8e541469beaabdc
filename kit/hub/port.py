"""What kit asks of a model hub. `modelscope_hub_client` and `huggingface_hub_client` ask real ones."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class HubFile:
    """A file as a hub lists it."""

    path: str
    size: int
    digest: str | None
    """`sha256:…`; None where the hub does not tell."""


@dataclass(frozen=True, slots=True)
class HubListing:
    """The files of a repository at one revision."""

    revision: str
    """The commit where the hub tells it, otherwise the revision that was asked for."""
    files: tuple[HubFile, ...]


class HubClient(Protocol):
    """A hub. Every method raises UnreachableError when it does not answer, ConfigError when it refuses."""

    def list_files(self, repo: str, revision: str) -> HubListing:
        """Return what the repository holds at that revision."""

    def download(self, repo: str, revision: str, path: str, folder: Path) -> None:
        """Put one file at `folder/path`. A download that was cut off goes on where it can."""
