"""A run as it stands on a host now: its record, and its container. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from kit.run.container import ContainerState
from kit.run.record import LOST, OPEN, RunRecord, record_of

if TYPE_CHECKING:
    from collections.abc import Iterable

RUNNING = "running"
ENDED = "ended"
"""Its container has ended, and nobody has recorded that yet."""


@dataclass(frozen=True, slots=True)
class SeenRun:
    """A run on one host."""

    record: RunRecord
    container: ContainerState | None
    """None once the run is recorded as over, or when its container is gone."""
    artifact_bytes: int | None = None

    @property
    def state(self) -> str:
        """The recorded state, or what the container says while the record is open."""
        if self.record.state != OPEN:
            return self.record.state
        if self.container is None:
            return LOST
        return RUNNING if self.container.running else ENDED

    @property
    def runs(self) -> bool:
        """Its container runs now."""
        return self.state == RUNNING

    @property
    def open(self) -> bool:
        """Its end is not recorded yet."""
        return self.record.state == OPEN


def seen_runs(documents: Iterable[dict[str, Any]], host: str) -> tuple[SeenRun, ...]:
    """Return the runs that the verbs `runs` and `survey` list."""
    found = []
    for document in documents:
        record = dict(document["record"])
        size = record.pop("artifact_bytes")
        container = ContainerState(**document["container"]) if document["container"] else None
        found.append(SeenRun(record_of(record, host), container, size))
    return tuple(found)
