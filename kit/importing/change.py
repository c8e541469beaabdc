"""What an import did with each thing that it was given, and why."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

Action = Literal["taken", "renamed", "changed", "added", "dropped", "fill in"]


@dataclass(frozen=True, slots=True)
class Change:
    """One line of the table."""

    action: Action
    given: str
    """As the user wrote it; empty for what kit adds."""
    becomes: str
    """The key of kit.yaml, with its value where that is new; empty for what is dropped."""
    because: str


def shown(value: Any) -> str:
    """Return a value as the table shows it."""
    if isinstance(value, bool) or value is None:
        return {True: "true", False: "false", None: "null"}[value]
    return value if isinstance(value, str) else repr(value)


@dataclass(slots=True)
class Changes:
    """The table of one job, while it grows."""

    lines: list[Change] = field(default_factory=list)

    def taken(self, given: str, becomes: str) -> None:
        """Note what keeps its name and value."""
        self.lines.append(Change("taken", given, becomes, ""))

    def renamed(self, given: str, becomes: str, because: str = "") -> None:
        """Note what has another name in kit.yaml."""
        self.lines.append(Change("renamed", given, becomes, because))

    def changed(self, given: str, becomes: str, because: str) -> None:
        """Note what has another value in kit.yaml."""
        self.lines.append(Change("changed", given, becomes, because))

    def added(self, becomes: str, because: str) -> None:
        """Note what was not said and must be."""
        self.lines.append(Change("added", "", becomes, because))

    def dropped(self, given: str, because: str) -> None:
        """Note what is left out."""
        self.lines.append(Change("dropped", given, "", because))

    def settled(self, key: str) -> None:
        """Take back that a key is to be filled in: it is known after all."""
        self.lines[:] = [
            line
            for line in self.lines
            if line.action != "fill in" or line.becomes.partition(":")[0] not in (key, f"{key}.path")
        ]

    def fill_in(self, becomes: str, because: str) -> None:
        """Note what only the user knows."""
        self.lines.append(Change("fill in", "", becomes, because))
