"""What a dataset is made of, drawn for a terminal."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from kit.cli.output import table

if TYPE_CHECKING:
    from kit.dataset.lengths import Lengths
    from kit.dataset.stats import FileStats

_BAR = 40
_EIGHTHS = " ▏▎▍▌▋▊▉"


def bar(share: float) -> str:
    """Return a bar of that share (0 to 1) of the full width; what is not nothing is seen."""
    eighths = max(round(share * _BAR * 8), 1) if share else 0
    return "█" * (eighths // 8) + _EIGHTHS[eighths % 8].strip()


def stats_lines(stats: FileStats) -> Iterator[str]:
    """Yield the lines of a file's figures."""
    yield f"{stats.path}: {stats.form}, {stats.records:,} records"
    if stats.broken:
        yield f"{stats.broken:,} of them are not right and not counted below; kit dataset check names them"
    yield f"messages: {', '.join(f'{count:,} {role}' for role, count in stats.roles.items()) or 'none'}"
    if stats.empty_prompts or stats.empty_answers:
        yield f"empty: {stats.empty_prompts:,} questions, {stats.empty_answers:,} answers"
    measured = (("messages", stats.turns), ("characters", stats.characters), ("tokens", stats.tokens))
    rows = [(name, *_figures(lengths)) for name, lengths in measured if lengths]
    yield from table(("A RECORD", "LEAST", "MEAN", "MEDIAN", "P90", "P95", "P99", "MOST"), rows)
    drawn = stats.tokens or stats.characters
    if drawn:
        yield ""
        yield from _histogram(drawn, "tokens" if stats.tokens else "characters")
    if stats.cutoffs:
        yield ""
        yield from table(
            ("CUTOFF_LEN", "KEEPS", "CUTS"),
            [(one.cutoff_len, one.share, f"{one.cut:,} of {_count(stats):,}") for one in stats.cutoffs],
        )
        yield f"suggested: cutoff_len: {stats.cutoffs[1].cutoff_len}"


def _count(stats: FileStats) -> int:
    return stats.tokens.count if stats.tokens else 0


def _figures(lengths: Lengths) -> tuple[int | float, ...]:
    shares = (lengths.median, lengths.p90, lengths.p95, lengths.p99)
    return (lengths.smallest, lengths.mean, *shares, lengths.largest)


def _histogram(lengths: Lengths, unit: str) -> Iterator[str]:
    most = max(count for _, _, count in lengths.histogram)
    wide = len(f"{lengths.histogram[-1][1]}")
    for low, high, count in lengths.histogram:
        yield f"{low:>{wide}}–{high:<{wide}} {unit}  {count:>9,}  {bar(count / most)}".rstrip()
