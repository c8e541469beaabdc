"""Which lines of which log say why a run failed. Pure, but for reading the logs.

torchrun ends with a long summary of its own that hides the cause; the cause is in the log of the
rank that failed first (`logs/*/attempt_*/RANK/stderr.log` in the run's folder): its traceback, or, where a
signal killed it, whatever it said last.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

COUNT = 20
_TRACEBACK = "Traceback (most recent call last)"
_READ = 1 << 16
"""Bytes at the end of a log that are looked at."""
_ROOT_CAUSE = re.compile(
    r"Root Cause .*?rank\s+: (?P<rank>\d+) \(local_rank: (?P<local>\d+)\)\s+exitcode\s+: (?P<code>[^\n]*)",
    re.DOTALL,
)
"""What torchrun's summary (its ChildFailedError) says of the rank that failed first."""


class RankLog(NamedTuple):
    """What a rank wrote to stderr."""

    local_rank: int
    text: str


def choose_lines(rank_logs: Sequence[RankLog], container_log: str) -> tuple[str, ...]:
    """Return the last lines of the first rank log with a traceback, else of the rank that torchrun blames.

    Where torchrun blames none that wrote something, they are those of the container's log. `rank_logs`
    come in the order in which they were last written to.
    """
    for log in rank_logs:
        if _TRACEBACK in log.text:
            return _last(log.text)
    blamed = _ROOT_CAUSE.search(container_log)
    if blamed:
        said = [log.text for log in rank_logs if log.local_rank == int(blamed["local"]) and log.text.strip()]
        if said:
            return _last(f"{said[-1]}\nrank {blamed['rank']} ended: exitcode {blamed['code']}")
    return _last(container_log)


def _last(text: str) -> tuple[str, ...]:
    return tuple(line.rstrip() for line in text.splitlines() if line.strip())[-COUNT:]


def read_last_lines(folder: Path, container_log: Path) -> tuple[str, ...]:
    """Return the lines for a run's folder `logs` and its container's saved log."""
    logs = sorted(folder.glob("*/attempt_*/*/stderr.log"), key=lambda path: path.stat().st_mtime)
    ranks = [RankLog(int(path.parent.name), _end_of(path)) for path in logs if path.parent.name.isdecimal()]
    return choose_lines(ranks, _end_of(container_log))


def _end_of(path: Path) -> str:
    if path.is_symlink() or not path.is_file():
        return ""
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - _READ))
        return file.read().decode("utf-8", "replace")
