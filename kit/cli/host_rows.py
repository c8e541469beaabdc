"""How each host of a ship stands, and the words of its row. Pure but for a clock."""

from __future__ import annotations

import threading
import time
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from kit.cli.harmless import one_line
from kit.cli.output import bytes_text

if TYPE_CHECKING:
    from collections.abc import Callable

RATE_SECONDS = 8.0
"""A rate is that of so many last seconds."""
_MOST_BYTES = 1 << 60
"""More than anybody sends; a host may have said it."""
_SAMPLE_SECONDS = 0.25
_LEAST_SPAN = 0.5
ENDED = ("done", "failed")
AT_WORK = {
    "have": "asking",
    "plan": "planned",
    "send": "sending",
    "assemble": "assembling",
    "load": "loading",
    "place": "placing",
    "done": "done",
    "failed": "failed",
}
"""A phase, as people read it."""
_MINUTE, _HOUR = 60, 3600
_NAME_WIDTH = 20
_REST = 64
"""Columns of all but name and bar."""
_LEAST_BAR, _MOST_BAR = 8, 24
_AMOUNTS = 54
"""Columns, beside the name, from which on a row has amounts."""


@dataclass(slots=True)
class Row:
    """A host."""

    host: str
    phase: str = "have"
    send_bytes: int | None = None
    sent: int = 0
    text: str = ""
    since: float = 0.0
    """When its phase began."""
    samples: deque[tuple[float, int]] = field(default_factory=deque)

    def count(self, now: float, amount: int) -> None:
        """Add bytes."""
        self.sent += min(max(amount, 0), _MOST_BYTES)
        if not self.samples or now - self.samples[-1][0] >= _SAMPLE_SECONDS:
            self.samples.append((now, self.sent))
        while self.samples and now - self.samples[0][0] > RATE_SECONDS:
            self.samples.popleft()

    def rate(self, now: float) -> float | None:
        """Return bytes a second of the last seconds; None before there is one."""
        past = [sample for sample in self.samples if now - sample[0] <= RATE_SECONDS]
        if not past or now - past[0][0] < _LEAST_SPAN:
            return None
        return (self.sent - past[0][1]) / (now - past[0][0])

    def remaining(self, now: float) -> float | None:
        """Return the seconds that sending will still take, as it goes now."""
        rate = self.rate(now)
        if not rate or self.send_bytes is None or self.phase != "send":
            return None
        return max(self.send_bytes - self.sent, 0) / rate

    @property
    def fraction(self) -> float | None:
        """The part that is sent, 0 to 1."""
        return min(self.sent / self.send_bytes, 1.0) if self.send_bytes else None


class Rows:
    """The rows of all hosts, in the order in which they were first heard of. Thread-safe."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.clock = clock
        self.lock = threading.RLock()
        self.rows: dict[str, Row] = {}

    def row(self, host: str) -> Row:
        """Return a host's row."""
        return self.rows.setdefault(host, Row(host, since=self.clock()))

    def phase(self, host: str, phase: str, send_bytes: int | None, text: str) -> Row:
        """Take note of a phase; return the row."""
        row = self.row(host)
        if phase != row.phase:
            row.since = self.clock()
        row.phase, row.text = phase, one_line(text)
        row.send_bytes = row.send_bytes if send_bytes is None else send_bytes
        if phase == "send" and not row.samples:
            row.count(self.clock(), 0)
        return row

    def sent(self, host: str, amount: int) -> Row:
        """Take note of bytes; return the row."""
        row = self.row(host)
        row.count(self.clock(), amount)
        return row


def time_text(seconds: float) -> str:
    """Return a time to wait, e.g. `0:07`, `12:40`, `3:05 h`."""
    whole = int(seconds + 0.5)
    if whole < _HOUR:
        return f"{whole // _MINUTE}:{whole % _MINUTE:02d}"
    return f"{whole // _HOUR}:{whole % _HOUR // _MINUTE:02d} h"


def amount_text(row: Row) -> str:
    """Return the bytes that went, of how many."""
    if not row.send_bytes:
        return bytes_text(row.sent) if row.sent else ""
    return f"{bytes_text(row.sent)} of {bytes_text(row.send_bytes)}"


def row_text(row: Row, now: float, width: int, name_width: int) -> str:
    """Return the words of a row, at most `width` characters; what matters less is left out first."""
    name = row.host if len(row.host) <= name_width else row.host[: name_width - 1] + "…"
    rate, remaining = row.rate(now), row.remaining(now)
    speed = f"{bytes_text(rate)}/s" if rate and row.phase == "send" else ""
    left = f"{time_text(remaining)} left" if remaining is not None else ""
    parts = [name.ljust(name_width), AT_WORK.get(row.phase, row.phase).ljust(10)]
    bar = width - name_width - _REST
    if bar >= _LEAST_BAR:
        parts += [_bar(row.fraction, min(bar, _MOST_BAR)), amount_text(row).ljust(22), speed.rjust(12), left]
    elif width >= name_width + _AMOUNTS:
        parts += [_percent(row), amount_text(row).ljust(22), left]
    else:
        parts += [_percent(row), left]
    text = row.text or (f"{bytes_text(row.sent)} sent" if row.phase in ENDED else "")
    if text and row.phase != "send":
        parts = [*parts[:2], text]
    return "  ".join(parts)[:width].rstrip()


def _percent(row: Row) -> str:
    return f"{row.fraction:4.0%}" if row.fraction is not None else "    "


def _bar(fraction: float | None, width: int) -> str:
    done = int((fraction or 0.0) * width)
    return "#" * done + ("." if fraction is not None else " ") * (width - done)


def screen(rows: list[Row], now: float, width: int, height: int) -> list[tuple[str, str]]:
    """Return (phase, words) of each line: the rows that fit, those at work first, and how many others."""
    name_width = min(max((len(row.host) for row in rows), default=0), _NAME_WIDTH, max(width // 4, 8))
    room = max(height - 1, 1)
    if len(rows) <= room:
        return [(row.phase, row_text(row, now, width, name_width)) for row in rows]
    ordered = sorted(rows, key=lambda row: row.phase in ENDED)
    shown, others = ordered[: room - 1], ordered[room - 1 :]
    ended = sum(row.phase == "done" for row in others)
    more = f"and {len(others)} more hosts, {ended} of them done"[:width]
    return [*((row.phase, row_text(row, now, width, name_width)) for row in shown), ("", more)]
