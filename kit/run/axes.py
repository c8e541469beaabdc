"""Where values stand on a drawing: ranges and round numbers along an axis. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

_STEPS = (1, 2, 2.5, 5, 10)


@dataclass(frozen=True, slots=True)
class Axis:
    """A range of values, never of no width."""

    low: float
    high: float

    def share(self, value: float) -> float:
        """Return where a value stands, from 0 (low) to 1 (high)."""
        return (value - self.low) / (self.high - self.low)

    def marks(self, most: int) -> tuple[float, ...]:
        """Return at most so many round numbers within the range."""
        rough = (self.high - self.low) / most
        unit = 10 ** math.floor(math.log10(rough))
        step = unit * next(step for step in _STEPS if step * unit >= rough * (1 - 1e-9))
        first, last = math.ceil(self.low / step - 1e-9), math.floor(self.high / step + 1e-9)
        return tuple(round(index * step, 12) for index in range(first, last + 1))


def axis_of(values: Iterable[float]) -> Axis:
    """Return the axis that holds all of these values; one value alone gets room on both sides."""
    found = list(values) or [0.0]
    low, high = min(found), max(found)
    if high - low <= 1e-9 * max(abs(high), abs(low)):
        room = abs(high) / 2 or 1.0
        return Axis(low - room, high + room)
    return Axis(low, high)


def number_text(value: float) -> str:
    """Return a number for people, four digits of it, and all that stand before the point."""
    text = f"{value:.4g}"
    return f"{value:.0f}" if "e+" in text else text
