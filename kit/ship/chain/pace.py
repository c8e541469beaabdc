"""How fast hosts take what they are given, and which of them holds up those behind it. Pure.

A rate counts only while the giver had more to give all the time: then it is the taker's, or the line's
between the two, and not that of what came to the giver.
"""

from __future__ import annotations

from collections import defaultdict, deque
from dataclasses import dataclass

from kit.ship.chain.links import SENDER

WINDOW = 5.0
"""Seconds over which a rate is measured."""
_SLACK = 2.0
LEAST_BEHIND = 1 << 20
"""Bytes that a giver has ready at least, all the time, when its taker is what is slow."""
FACTOR = 3.0
"""A host is slow when it takes less than this part of what its giver could give."""


@dataclass(frozen=True, slots=True)
class _Sample:
    at: float
    total: int
    behind: int


Link = tuple[str, str]
"""(giver, taker)"""


class Paces:
    """Rates of links, from samples of what went over them."""

    def __init__(self) -> None:
        self._samples: dict[Link, deque[_Sample]] = defaultdict(deque)
        self._arrivals: dict[str, deque[_Sample]] = defaultdict(deque)
        self.best: dict[Link, float] = {}
        """Bytes a second of the best window of each link in which its taker was behind."""
        self.best_arrival: dict[str, float] = {}
        """Bytes a second that came to a host over the network, in its best window."""

    def note(self, giver: str, taker: str, at: float, total: int, behind: int) -> None:
        """Take note that `total` bytes went from one to the other so far, and `behind` could have."""
        samples = self._samples[giver, taker]
        _add(samples, _Sample(at, total, behind))
        rate = self.rate(giver, taker)
        if rate is not None:
            self.best[giver, taker] = max(rate, self.best.get((giver, taker), 0.0))

    def note_arrival(self, name: str, at: float, total: int) -> None:
        """Take note that `total` bytes came to a host so far."""
        samples = self._arrivals[name]
        _add(samples, _Sample(at, total, 0))
        rate = _rate(samples, WINDOW)
        if rate is not None:
            self.best_arrival[name] = max(rate, self.best_arrival.get(name, 0.0))

    def forget(self, giver: str, taker: str) -> None:
        """Begin anew with a link, whose two hosts were not linked in between."""
        self._samples.pop((giver, taker), None)

    def rate(self, giver: str, taker: str, window: float = WINDOW) -> float | None:
        """Return the bytes a second that a taker takes; None while that cannot be told."""
        samples = self._samples.get((giver, taker))
        if not samples or any(sample.behind < LEAST_BEHIND for sample in samples):
            return None
        return _rate(samples, window)

    def could_give(self, giver: str, taker: str) -> float:
        """Return the bytes a second that a giver is known to be able to give to a host other than `taker`."""
        others = [rate for (at, to), rate in self.best.items() if at == giver and to != taker]
        arrival = 0.0 if giver == SENDER else self.best_arrival.get(giver, 0.0)
        return max((*others, arrival))

    def is_slow(self, giver: str, taker: str) -> bool:
        """Tell whether a host takes far less than its giver could give."""
        rate = self.rate(giver, taker)
        return rate is not None and rate * FACTOR < self.could_give(giver, taker)


def _add(samples: deque[_Sample], sample: _Sample) -> None:
    if samples and sample.total < samples[-1].total:
        samples.clear()  # A new connection between the two counts from 0.
    samples.append(sample)
    while sample.at - samples[0].at > WINDOW + _SLACK:
        samples.popleft()


def _rate(samples: deque[_Sample], window: float) -> float | None:
    """Return the rate over the last `window` seconds, up to the next sample before them."""
    last = samples[-1]
    first = next((sample for sample in reversed(samples) if last.at - sample.at >= window), None)
    return None if first is None else (last.total - first.total) / (last.at - first.at)
