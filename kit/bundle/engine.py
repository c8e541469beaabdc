"""What packing asks of a container engine. `docker_engine` asks docker."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass(frozen=True, slots=True)
class EngineImage:
    """An image as an engine describes it."""

    image_id: str
    """`sha256:…`: the config's digest on a classic store, a manifest's on a containerd store."""
    diff_ids: tuple[str, ...]
    size: int
    """About how many bytes; for progress only."""


class ImageSource(Protocol):
    """Where built images are."""

    def inspect(self, reference: str) -> EngineImage:
        """Return the image of that name or ID.

        Raises EngineError when there is none or the engine does not answer.
        """

    def save(self, image_id: str) -> Iterator[bytes]:
        """Yield what `docker save` writes. Raises EngineError, also while reading."""
