"""What kit, at work on a host, asks of the engine there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kit.run.container import ContainerState


class Engine(Protocol):
    """The host's engine. `kit.run.engine_socket` speaks to it; every method raises EngineError."""

    def state(self, container: str) -> ContainerState | None:
        """Return how the container of that name stands, or None when there is none."""

    def logs(self, container: str, tail: int) -> Iterator[bytes]:
        """Yield the last `tail` lines that the container wrote, in chunks."""
