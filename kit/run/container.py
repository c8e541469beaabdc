"""A container's state, as the engine tells it. Pure."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

from kit.errors import EngineError

_TIME = re.compile(r"^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(\.\d+)?(Z|[+-]\d\d:\d\d)$")
_NEVER = "0001-01-01"


@dataclass(frozen=True, slots=True)
class ContainerState:
    """How a container stands."""

    status: str
    """The engine's word: `running`, `exited`, `created` …"""
    running: bool
    exit_code: int | None
    """None while it runs."""
    out_of_memory: bool
    finished: float | None
    """Seconds since the epoch by the host's clock; None while it runs or when it never ran."""
    error: str
    """What the engine says about a failed start; usually empty."""

    @property
    def succeeded(self) -> bool:
        """It ended by itself, with status 0."""
        return not self.running and self.exit_code == 0 and not self.error


def parse_time(text: str) -> float | None:
    """Return seconds since the epoch of an engine's time (RFC 3339 with nanoseconds), or None."""
    found = _TIME.match(text)
    if not found or text.startswith(_NEVER):
        return None
    zone = "+00:00" if found[3] == "Z" else found[3]
    seconds = datetime.fromisoformat(found[1] + zone).astimezone(timezone.utc).timestamp()
    return seconds + float(found[2] or 0)


def parse_state(state: dict[str, Any]) -> ContainerState:
    """Return the state in the `State` object of an inspected container. Raises EngineError."""
    try:
        # A container that restarts by itself is not over, whatever its last exit code was.
        running = bool(state["Running"] or state.get("Restarting"))
        return ContainerState(
            status=str(state["Status"]),
            running=running,
            exit_code=None if running else int(state["ExitCode"]),
            out_of_memory=bool(state.get("OOMKilled")),
            finished=None if running else parse_time(str(state.get("FinishedAt", ""))),
            error=str(state.get("Error", "")),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise EngineError("the engine described a container in an unknown form", why=str(error)) from error


def parse_inspected(text: str) -> ContainerState:
    """Return the state in what `docker inspect --format '{{json .State}}'` printed. Raises EngineError."""
    try:
        return parse_state(json.loads(text))
    except ValueError as error:
        raise EngineError("docker inspect printed no JSON", why=text[:200]) from error
