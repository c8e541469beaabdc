"""Where a shipment stands, by what `kit ship --json` tells on its standard error."""

from __future__ import annotations

import json
import threading
import time
from dataclasses import dataclass, field

PHASES = ("have", "send", "assemble", "load")
"""The phases in which shipments are killed, in their order."""
DONE, ENDED = "done", "ended"
"""After them: it ended well, or in whatever way."""
_SHOWN_AS = {"plan": "have", "place": "load", DONE: DONE, "failed": ENDED}

_AFTER = {"have": ("send", "assemble", "load"), "send": ("load",), "assemble": ("send", "load"), "load": ()}
"""What begins only when a phase is over; kit's own image is sent before anything is assembled."""


def phase_told(line: bytes) -> str:
    """Return the phase that a line tells of, or "" for any other line. Pure."""
    try:
        event = json.loads(line)
    except ValueError:
        return ""
    if not isinstance(event, dict) or event.get("event") != "phase":
        return ""
    said = str(event.get("phase"))
    return _SHOWN_AS.get(said, said if said in PHASES else "")


@dataclass
class PhaseLog:
    """The phases of one host's shipment as they begin; thread-safe."""

    began: list[tuple[float, str]] = field(default_factory=lambda: [(time.monotonic(), "have")])
    _changed: threading.Condition = field(default_factory=threading.Condition)

    def hear(self, line: bytes) -> None:
        """Take in a line of standard error."""
        phase = phase_told(line)
        if phase:
            self.enter(phase)

    def enter(self, phase: str) -> None:
        """Note that a phase begins now."""
        with self._changed:
            if phase != self.phase:
                self.began.append((time.monotonic(), phase))
                self._changed.notify_all()

    @property
    def phase(self) -> str:
        """The phase that goes on now."""
        return self.began[-1][1]

    @property
    def is_done(self) -> bool:
        """Whether it told that it ended well."""
        return any(phase == DONE for _, phase in self.began)

    def wait_into(self, phase: str, seconds: float, limit: float) -> None:
        """Wait until a phase has lasted so long, all its times together; or until it cannot last longer.

        That is when a phase that follows it has begun, or the shipment ended, or `limit` seconds are over.
        """
        until = time.monotonic() + limit
        with self._changed:
            while (now := time.monotonic()) < until and not self._is_past(phase):
                goes_on = self.phase == phase
                left = seconds - self.seconds_in(phase)
                if goes_on and left <= 0:
                    return
                self._changed.wait(min(left, until - now) if goes_on else until - now)

    def _is_past(self, phase: str) -> bool:
        has_begun = phase in {name for _, name in self.began}
        return self.phase in {DONE, ENDED} or (has_begun and self.phase in _AFTER[phase])

    def seconds_in(self, phase: str) -> float:
        """Return how long a phase took, all its times together."""
        ends = [*(began for began, _ in self.began[1:]), time.monotonic()]
        return sum(end - began for (began, name), end in zip(self.began, ends, strict=True) if name == phase)
