"""Progress as bars on a terminal."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    ProgressColumn,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
    TransferSpeedColumn,
)
from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.progress import Task, TaskID

PARTS = 1000
"""Resolution of a bar that shows a fraction."""


class _AmountColumn(ProgressColumn):
    """Bytes and speed for a transfer, words for everything else."""

    def __init__(self) -> None:
        super().__init__()
        self._bytes = DownloadColumn()
        self._speed = TransferSpeedColumn()

    def render(self, task: Task) -> Text:
        """Return what stands behind a task's bar."""
        if task.fields.get("words") is not None:
            return Text(task.fields["words"])
        if not task.completed:
            return Text("")
        return Text.assemble(self._bytes.render(task), "  ", self._speed.render(task))


class BarProgress:
    """Draws one bar a task on standard error, from any thread. Colour follows NO_COLOR."""

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console(stderr=True)
        self._lock = threading.Lock()
        self._ids: dict[str, TaskID] = {}
        self._bars = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            _AmountColumn(),
            TimeElapsedColumn(),
            console=self._console,
            transient=True,
        )
        self._bars.start()

    def _id(self, task: str) -> TaskID:
        if task not in self._ids:
            self._ids[task] = self._bars.add_task(task, total=None, words=None)
        return self._ids[task]

    def start(self, task: str, total: int | None = None) -> None:
        """Add a bar."""
        with self._lock:
            self._bars.update(self._id(task), total=total)

    def advance(self, task: str, amount: int) -> None:
        """Lengthen the bar."""
        with self._lock:
            self._bars.advance(self._id(task), amount)

    def report(self, task: str, text: str, fraction: float | None = None) -> None:
        """Put words behind the bar, and set its length when that is known."""
        with self._lock:
            identity = self._id(task)
            if fraction is None:
                self._bars.update(identity, words=text)
            else:
                self._bars.update(identity, words=text, total=PARTS, completed=int(fraction * PARTS))

    def finish(self, task: str) -> None:
        """Turn the bar into a line that stays."""
        with self._lock:
            identity = self._ids.pop(task, None)
            if identity is None:
                return
            elapsed = next((bar.elapsed for bar in self._bars.tasks if bar.id == identity), None) or 0.0
            self._bars.remove_task(identity)
            self._console.print(f"{task}: done ({elapsed:.1f} s)", highlight=False, markup=False)

    def note(self, text: str) -> None:
        """Print the line above the bars."""
        self._console.print(text, highlight=False, markup=False)

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Leave the terminal to somebody who asks a question there."""
        self._bars.stop()
        try:
            yield
        finally:
            self._bars.start()

    def close(self) -> None:
        """Take the bars away."""
        self._bars.stop()
