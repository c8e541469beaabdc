"""Which lines of which log say why a run failed. Pure, but for reading the logs.

torchrun ends with a long summary of its own that hides the cause; the cause is in the log of the
rank that failed first (`logs/*/attempt_*/RANK/stderr.log` in the run's folder).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

COUNT = 20
_TRACEBACK = "Traceback (most recent call last)"
_READ = 1 << 16
"""Bytes at the end of a log that are looked at."""


def choose_lines(rank_logs: Iterable[str], container_log: str) -> tuple[str, ...]:
    """Return the last lines of the first rank log with a traceback, or of the container's log.

    `rank_logs` come in the order in which they were last written to.
    """
    for text in rank_logs:
        if _TRACEBACK in text:
            return _last(text)
    return _last(container_log)


def _last(text: str) -> tuple[str, ...]:
    return tuple(line.rstrip() for line in text.splitlines() if line.strip())[-COUNT:]


def read_last_lines(folder: Path, container_log: Path) -> tuple[str, ...]:
    """Return the lines for a run's folder `logs` and its container's saved log."""
    logs = sorted(folder.glob("*/attempt_*/*/stderr.log"), key=lambda path: path.stat().st_mtime)
    return choose_lines(map(_end_of, logs), _end_of(container_log))


def _end_of(path: Path) -> str:
    if path.is_symlink() or not path.is_file():
        return ""
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - _READ))
        return file.read().decode("utf-8", "replace")
