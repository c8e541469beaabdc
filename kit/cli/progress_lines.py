"""Progress as plain lines, for logs, pipes and dumb terminals."""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, TextIO

from kit.cli.output import bytes_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SECONDS_BETWEEN_LINES = 5.0
"""A task says no more than one line in this time, beside its first and its last."""


@dataclass(slots=True)
class _Task:
    total: int | None
    started: float
    done: int = 0
    last_line: float = float("-inf")
    last_text: str = ""
    shown: bool = False


class LineProgress:
    """Writes throttled lines to a stream, from any thread."""

    def __init__(self, stream: TextIO, clock: Callable[[], float] = time.monotonic) -> None:
        self._stream = stream
        self._clock = clock
        self._lock = threading.Lock()
        self._tasks: dict[str, _Task] = {}

    def _write(self, text: str) -> None:
        self._stream.write(text + "\n")
        self._stream.flush()

    def _due(self, task: _Task) -> bool:
        now = self._clock()
        if now - task.last_line < SECONDS_BETWEEN_LINES:
            return False
        task.last_line = now
        return True

    def _task(self, name: str) -> _Task:
        return self._tasks.setdefault(name, _Task(None, self._clock()))

    def start(self, task: str, total: int | None = None) -> None:
        """Note when the task began; a task that ends at once is one line, not two."""
        with self._lock:
            self._tasks[task] = _Task(total, self._clock(), last_line=self._clock())

    def advance(self, task: str, amount: int) -> None:
        """Count, and say so now and then."""
        with self._lock:
            state = self._task(task)
            state.done += amount
            if self._due(state):
                of = f" of {bytes_text(state.total)}" if state.total else ""
                self._write(f"{task}: {bytes_text(state.done)}{of}")

    def report(self, task: str, text: str, fraction: float | None = None) -> None:  # noqa: ARG002
        """Say how the task stands, now and then."""
        with self._lock:
            state = self._task(task)
            if text != state.last_text and (not state.shown or self._due(state)):
                state.shown, state.last_text, state.last_line = True, text, self._clock()
                self._write(f"{task}: {text}")

    def finish(self, task: str) -> None:
        """Say that the task is done, how much it was and how long it took."""
        with self._lock:
            state = self._tasks.pop(task, None)
            if state is None:
                return
            amount = f"{bytes_text(state.done)}, " if state.done else ""
            self._write(f"{task}: done ({amount}{self._clock() - state.started:.1f} s)")

    def note(self, text: str) -> None:
        """Write the line."""
        with self._lock:
            self._write(text)

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Leave the terminal to somebody who asks a question there: lines are in nobody's way."""
        yield

    def close(self) -> None:
        """Nothing is left open."""
