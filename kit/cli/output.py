"""The one place that writes results: text for people, or one JSON document for programs."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, is_dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from kit.cli.harmless import harmless

if TYPE_CHECKING:
    from kit.cli.host_bars import HostBars
    from kit.cli.host_events import HostEvents
    from kit.cli.host_lines import HostLines
    from kit.cli.progress_bars import BarProgress
    from kit.cli.progress_lines import LineProgress

T = TypeVar("T")
_STEP = 1000
"""Between decimal units."""


def bytes_text(count: float) -> str:
    """Return a count of bytes for people, in decimal units."""
    if count < _STEP:
        return f"{count:.0f} B"
    for unit in ("kB", "MB", "GB"):
        count /= _STEP
        if count < _STEP:
            return f"{count:.1f} {unit}"
    return f"{count / _STEP:.1f} TB"


def volumes_text(volumes: int, parity: int) -> str:
    """Return how many volumes there are, e.g. `12 volumes and 1 of parity`."""
    count = f"{volumes} volume{'' if volumes == 1 else 's'}"
    return f"{count} and {parity} of parity" if parity else count


def plain(value: Any) -> Any:
    """Return a result as JSON's own types."""
    if is_dataclass(value) and not isinstance(value, type):
        return {key: plain(item) for key, item in asdict(value).items()}
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(item) for item in value]
    return str(value) if isinstance(value, Path) else value


def show(result: T, text: Callable[[T], Iterable[str]], *, as_json: bool) -> None:
    """Write a result to standard output: one JSON document, or the lines that `text` makes of it."""
    if as_json:
        sys.stdout.write(harmless(json.dumps(plain(result), ensure_ascii=False, indent=1)) + "\n")
    else:
        sys.stdout.writelines(f"{harmless(line)}\n" for line in text(result))
    sys.stdout.flush()


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> Iterator[str]:
    """Yield the lines of a table in aligned columns."""
    cells = [list(head), *([str(cell) for cell in row] for row in rows)]
    widths = [max(len(row[i]) for row in cells) for i in range(len(head))]
    for row in cells:
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()


def _is_terminal() -> bool:
    return sys.stderr.isatty() and os.environ.get("TERM") != "dumb"


@contextmanager
def shown_hosts(*, as_json: bool) -> Iterator[HostBars | HostLines | HostEvents]:
    """Yield progress of several hosts on standard error: a live row each, plain lines, or JSON events."""
    shown: HostBars | HostLines | HostEvents
    if as_json:
        from kit.cli.host_events import HostEvents

        shown = HostEvents(sys.stderr)
    elif _is_terminal():
        from kit.cli.host_bars import HostBars

        shown = HostBars()
    else:
        from kit.cli.host_lines import HostLines

        shown = HostLines(sys.stderr)
    try:
        yield shown
    finally:
        shown.close()


@contextmanager
def shown_progress() -> Iterator[BarProgress | LineProgress]:
    """Yield progress on standard error: bars on a terminal, plain lines otherwise."""
    progress: BarProgress | LineProgress
    if _is_terminal():
        from kit.cli.progress_bars import BarProgress

        progress = BarProgress()
    else:
        from kit.cli.progress_lines import LineProgress

        progress = LineProgress(sys.stderr)
    try:
        yield progress
    finally:
        progress.close()
