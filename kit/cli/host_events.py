"""JSON lines about each host, for programs: docs/reference/ship.md."""

from __future__ import annotations

import json
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TextIO

from kit.cli.harmless import one_line
from kit.cli.host_rows import ENDED, Rows

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SECONDS_BETWEEN_EVENTS = 1.0
"""A host has no more than one event `progress` in this time."""
TEXT_LIMIT = 2000


class HostEvents:
    """Writes events to a stream, a line each, from any thread."""

    def __init__(self, stream: TextIO, clock: Callable[[], float] = time.monotonic) -> None:
        self._stream = stream
        self._rows = Rows(clock)
        self._last: dict[str, tuple[float, int]] = {}
        self._phases: dict[str, tuple[str, int | None, str]] = {}

    def phase(self, host: str, phase: str, *, send_bytes: int | None = None, text: str = "") -> None:
        """Write event `phase`, once; before it `progress`, when bytes were sent that none told of."""
        with self._rows.lock:
            row = self._rows.phase(host, phase, send_bytes, text)
            told = (phase, row.send_bytes, row.text)
            if self._phases.get(host) == told:
                return
            self._phases[host] = told
            if phase != "send":
                self._progress(host, wait=0.0)
            document: dict[str, Any] = {"event": "phase", "host": host, "phase": phase}
            if row.send_bytes is not None:
                document["send_bytes"] = row.send_bytes
            if phase in ENDED:
                document["sent_bytes"] = row.sent
            self._write(document | ({"text": one_line(text, TEXT_LIMIT)} if text else {}))

    def sent(self, host: str, amount: int) -> None:
        """Count, and write event `progress` now and then."""
        with self._rows.lock:
            self._rows.sent(host, amount)
            self._progress(host, wait=SECONDS_BETWEEN_EVENTS)

    def plan(self, document: dict[str, Any], lines: tuple[str, ...]) -> None:
        """Write event `plan`: what `--dry-run --json` tells."""
        del lines
        with self._rows.lock:
            self._write({"event": "plan", "plan": document})

    def note(self, text: str) -> None:
        """Write event `note`."""
        with self._rows.lock:
            self._write({"event": "note", "text": one_line(text, TEXT_LIMIT)})

    def _progress(self, host: str, *, wait: float) -> None:
        now, row = self._rows.clock(), self._rows.row(host)
        at, told = self._last.setdefault(host, (now, 0))
        if row.sent == told or now - at < wait:
            return
        self._last[host] = (now, row.sent)
        self._write(
            {
                "event": "progress",
                "host": host,
                "sent_bytes": row.sent,
                "send_bytes": row.send_bytes,
                "rate": int(row.rate(now) or 0),
            }
        )

    def _write(self, document: dict[str, Any]) -> None:
        self._stream.write(json.dumps(document) + "\n")
        self._stream.flush()

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Leave the terminal to somebody who asks a question there: lines are in nobody's way."""
        yield

    def close(self) -> None:
        """Nothing is left open."""
