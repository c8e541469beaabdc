"""A live row for each host, on a terminal."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.live import Live
from rich.text import Text

from kit.cli.harmless import one_line
from kit.cli.host_rows import Rows, screen

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import ConsoleOptions, RenderResult

_STYLES = {"done": "green", "failed": "red", "send": "cyan", "load": "magenta", "assemble": "magenta"}
_HEIGHT = 25


class HostBars:
    """Draws on standard error, from any thread. Colour follows NO_COLOR."""

    def __init__(self, console: Console | None = None, rows: Rows | None = None) -> None:
        self._console = console or Console(stderr=True)
        self._rows = rows or Rows()
        self._live = Live(self, console=self._console, refresh_per_second=4, transient=True)
        self._live.start()

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Yield the rows, as wide as the terminal is now."""
        with self._rows.lock:
            rows = list(self._rows.rows.values())
            lines = screen(
                rows, self._rows.clock(), options.max_width, options.height or console.height or _HEIGHT
            )
        for phase, words in lines:
            yield Text(words, style=_STYLES.get(phase, ""), no_wrap=True, overflow="crop")

    def phase(self, host: str, phase: str, *, send_bytes: int | None = None, text: str = "") -> None:
        """Change a host's row; what failed stays as a line."""
        with self._rows.lock:
            row = self._rows.phase(host, phase, send_bytes, text)
        if phase == "failed":
            self.note(f"{host}: failed: {row.text}")

    def sent(self, host: str, amount: int) -> None:
        """Lengthen a host's bar."""
        with self._rows.lock:
            self._rows.sent(host, amount)

    def plan(self, document: dict[str, Any], lines: tuple[str, ...]) -> None:
        """Show what is going to be done."""
        del document
        for line in lines:
            self.note(line)

    def note(self, text: str) -> None:
        """Print the line above the rows."""
        self._console.print(one_line(text), highlight=False, markup=False, soft_wrap=True)

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Leave the terminal to somebody who asks a question there."""
        self._live.stop()
        try:
            yield
        finally:
            self._live.start(refresh=True)

    def close(self) -> None:
        """Take the rows away."""
        self._live.stop()
