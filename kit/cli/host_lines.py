"""Plain lines about each host, for logs, pipes and dumb terminals."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TextIO

from kit.cli.harmless import one_line
from kit.cli.host_rows import AT_WORK, ENDED, Rows, amount_text, time_text
from kit.cli.output import bytes_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from kit.cli.host_rows import Row

SECONDS_BETWEEN_LINES = 5.0
"""A host has no more than one line in this time, beside its first of sending and its last."""
_QUIET = ("have", "plan")


class HostLines:
    """Writes throttled lines to a stream, from any thread."""

    def __init__(self, stream: TextIO, clock: Callable[[], float] = time.monotonic) -> None:
        self._stream = stream
        self._rows = Rows(clock)
        self._last: dict[str, float] = {}
        self._begun: dict[str, float] = {}

    def phase(self, host: str, phase: str, *, send_bytes: int | None = None, text: str = "") -> None:
        """Say it, if it is worth a line."""
        with self._rows.lock:
            before = self._rows.row(host).phase
            row = self._rows.phase(host, phase, send_bytes, text)
            self._begun.setdefault(host, self._rows.clock())
            if phase in ENDED:
                self._write(f"{host}: {self._ended(row)}")
            elif self._tells(row) and (phase != before or text) and self._due(host):
                self._write(f"{host}: {' '.join(filter(None, (AT_WORK.get(phase, phase), self._more(row))))}")

    def sent(self, host: str, amount: int) -> None:
        """Count, and say so now and then."""
        with self._rows.lock:
            row = self._rows.sent(host, amount)
            if row.phase == "send" and self._due(host):
                self._write(f"{host}: {amount_text(row)}{self._speed(row)}")

    def plan(self, document: dict[str, Any], lines: tuple[str, ...]) -> None:
        """Show what is going to be done."""
        del document
        for line in lines:
            self.note(line)

    def note(self, text: str) -> None:
        """Write the line."""
        with self._rows.lock:
            self._write(text)

    def _tells(self, row: Row) -> bool:
        """Tell whether a phase is worth a line: not where nothing is sent, and all is done in a second."""
        return row.phase not in _QUIET and row.send_bytes != 0

    def _more(self, row: Row) -> str:
        return row.text or (bytes_text(row.send_bytes) if row.phase == "send" and row.send_bytes else "")

    def _speed(self, row: Row) -> str:
        now = self._rows.clock()
        rate, remaining = row.rate(now), row.remaining(now)
        return (
            f", {bytes_text(rate)}/s, {time_text(remaining)} left" if rate and remaining is not None else ""
        )

    def _ended(self, row: Row) -> str:
        if row.phase == "failed":
            return f"failed: {row.text}"
        took = self._rows.clock() - self._begun[row.host]
        return f"done ({bytes_text(row.sent)} sent, {took:.1f} s)"

    def _due(self, host: str) -> bool:
        now = self._rows.clock()
        if now - self._last.get(host, float("-inf")) < SECONDS_BETWEEN_LINES:
            return False
        self._last[host] = now
        return True

    def _write(self, text: str) -> None:
        self._stream.write(one_line(text) + "\n")
        self._stream.flush()

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Leave the terminal to somebody who asks a question there: lines are in nobody's way."""
        yield

    def close(self) -> None:
        """Nothing is left open."""
