"""What loading asks of an engine. `kit.ship.engine.docker_store` does it through the engine's API."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable

    from kit.ship.engine.identity import SeenImage


@dataclass(frozen=True, slots=True)
class PullStatus:
    """One line of an engine's report on a pull."""

    layer: str
    """The layer's digest, as engines abbreviate it; empty for other lines."""
    text: str
    """e.g. `Downloading`, `Pull complete`, `Already exists`."""


class ImageEngine(Protocol):
    """An engine's image store. Every method raises EngineError."""

    def pull(self, reference: str) -> Iterable[PullStatus]:
        """Pull an image by digest; it is there when the iteration has ended."""

    def load(self, archive: Iterable[bytes]) -> None:
        """Take in an archive, with the tags that it names."""

    def tag(self, reference: str, tag: str) -> None:
        """Give an image a tag; an image that had it loses it."""

    def remove(self, reference: str) -> None:
        """Remove one name of an image, and the image with its last name."""

    def inspect(self, reference: str) -> SeenImage | None:
        """Return an image, or None when there is none of that name."""
