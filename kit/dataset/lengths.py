"""How long things are: counted by length, so that memory does not grow with a file. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections import Counter

_STEPS = 128
"""A cutoff_len is a multiple of so many tokens."""
BINS = 12


@dataclass(frozen=True, slots=True)
class Lengths:
    """What can be said of many lengths."""

    count: int
    smallest: int
    mean: float
    median: int
    p90: int
    p95: int
    p99: int
    largest: int
    histogram: tuple[tuple[int, int, int], ...]
    """From, to (both included) and how many; the ranges are equally wide."""


def describe(counts: Counter[int]) -> Lengths | None:
    """Return what can be said of lengths, given as length → how many; None when there are none."""
    total = counts.total()
    if not total:
        return None
    lengths = sorted(counts)
    mean = sum(length * count for length, count in counts.items()) / total
    median, p90, p95, p99 = (_at(counts, lengths, total * share) for share in (0.5, 0.9, 0.95, 0.99))
    bins = _bins(counts, lengths[0], lengths[-1])
    return Lengths(total, lengths[0], round(mean, 1), median, p90, p95, p99, lengths[-1], bins)


def _at(counts: Counter[int], lengths: list[int], wanted: float) -> int:
    """Return the smallest length that so many do not exceed (nearest rank)."""
    seen = 0
    for length in lengths:
        seen += counts[length]
        if seen >= wanted:
            return length
    return lengths[-1]


def _bins(counts: Counter[int], smallest: int, largest: int) -> tuple[tuple[int, int, int], ...]:
    width = -(-(largest - smallest + 1) // BINS)
    number = -(-(largest - smallest + 1) // width)
    found = [0] * number
    for length, count in counts.items():
        found[(length - smallest) // width] += count
    return tuple(
        (smallest + index * width, smallest + (index + 1) * width - 1, count)
        for index, count in enumerate(found)
    )


def cutoff_for(length: int) -> int:
    """Return the smallest cutoff_len that keeps a record of so many tokens whole: a multiple of 128."""
    return max(1, -(-length // _STEPS)) * _STEPS


def longer_than(counts: Counter[int], length: int) -> int:
    """Return how many are longer."""
    return sum(count for one, count in counts.items() if one > length)
