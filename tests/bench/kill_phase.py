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

    def wait_for(self, phase: str, seconds: float) -> bool:
        """Wait until a phase has begun; False when the shipment ended, or the time is over, before."""
        with self._changed:
            begun = lambda: {phase, DONE, ENDED} & {name for _, name in self.began}  # noqa: E731 - used once
            return phase in (self._changed.wait_for(begun, seconds) or ())

    def wait_while(self, phase: str, seconds: float) -> None:
        """Wait for some time, but not beyond the end of a phase."""
        with self._changed:
            self._changed.wait_for(lambda: self.phase != phase, seconds)

    def seconds_in(self, phase: str) -> float:
        """Return how long a phase took, all its times together."""
        ends = [*(began for began, _ in self.began[1:]), time.monotonic()]
        return sum(end - began for (began, name), end in zip(self.began, ends, strict=True) if name == phase)
