"""How many lanes, and how much a lane takes at a time: decided from what they were measured to carry. Pure.

On a lossy, long line a connection carries what its losses let it (MSS / (RTT * sqrt(loss)); Mathis, 1997), so
that more of them carry more, in proportion. On a short, fast line one connection fills a processor with
encryption, and more of them than there are processors get in each other's way. A narrow line is filled by
one; each further lane would only have another frame wait in it. So lanes are added while that pays, and
taken back where it did not.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt

MIB = 1 << 20
FIRST = 2
"""Lanes to start with."""
MOST = 8
"""Lanes at most: with each, a frame of 4 MiB and the 2 MiB that SSH lets be on their way may be lost."""
FAST = 48 * MIB
"""Bytes a second of one lane beyond which processors decide."""
SMALL = 8 * MIB
"""Bytes that one lane takes as quickly as two."""
WORTH = 2.0
"""Seconds of work that must be left for another lane to pay for its login."""
SETTLE = 1.0
"""Seconds until new lanes are up to their speed, and what lies in buffers no longer counts."""
MEASURE = 1.5
"""Seconds of measuring afterwards."""
LONG = 0.04
"""Seconds there and back from which on a line is long. How long a login takes says less: it may wait for a
busy machine."""
LOSSIEST = 0.05
"""Part of its packets that the worst line loses that anybody ships over."""
SEGMENT = 1448
"""Bytes of data in a packet on Ethernet (MSS)."""
NOISE = 0.001
"""Seconds of a round trip that say no more than that a host is near."""
PAYS = 0.5
"""Part of the gain in proportion that more lanes must bring to be followed by still more."""
USELESS = 0.15
"""Part of it below which they are taken back."""
FELL = 0.5
"""Part of an earlier rate below which the same lanes are judged anew."""
SMALLEST_RECORD = 4 * MIB
LARGEST_RECORD = 32 * MIB
RECORD_SECONDS = 0.5
"""What a lane takes at a time lasts about so long, so that what is left can still be shared out."""
SHARES = 2
"""Records a lane that what is left is cut into, at least."""


@dataclass(frozen=True, slots=True)
class LaneRate:
    """What so many lanes carried."""

    lanes: int
    rate: float
    """Bytes a second, all of them together."""


def first_lanes(left: int, round_trip: float) -> int:
    """Return how many lanes to have at first, for so many bytes and seconds there and back.

    On a long line all at once. There a connection is slow to show what its losses cost it: it may carry ten
    times as much in its first seconds. And SSH lets 2 MiB be on their way, whatever the line would take.
    """
    if left <= SMALL:
        return 1
    return min(MOST, left // (SHARES * SMALLEST_RECORD)) if round_trip >= LONG else FIRST


def lanes_wanted(rates: tuple[LaneRate, ...], cores: int, left: int, round_trip: float) -> int:
    """Return how many lanes to have now.

    `rates` is what was measured, in order, once at least; `cores` the processors of the weaker side; `left`
    the bytes to send; `round_trip` the seconds there and back.
    """
    now, before = rates[-1], rates[-2] if len(rates) > 1 else None
    for_processors = max(FIRST, min(cores, MOST))
    if before is not None and before.lanes >= now.lanes:
        return now.lanes
    gain = _gain(before, now)
    if before is not None and gain < USELESS:
        return before.lanes
    if gain < PAYS or left < now.rate * WORTH or is_narrow(now, round_trip):
        return now.lanes
    most = for_processors if now.rate / now.lanes >= FAST else MOST
    return max(now.lanes, min(2 * now.lanes, most))


def _gain(before: LaneRate | None, now: LaneRate) -> float:
    """Return the gain of going from one to the other, as a part of the gain in proportion."""
    if before is None or before.rate <= 0:
        return 1.0
    return (now.rate / before.rate - 1) / (now.lanes / before.lanes - 1)


def is_narrow(found: LaneRate, round_trip: float) -> bool:
    """Say whether a line carries less than losses would leave to each lane: then they share all it has."""
    left_by_losses = SEGMENT / (max(round_trip, NOISE) * sqrt(LOSSIEST))
    return found.rate / found.lanes < left_by_losses


def fell(before: LaneRate, now: LaneRate) -> bool:
    """Say whether as many lanes carry so much less than they did that they must be judged anew."""
    return now.rate < before.rate * FELL


def record_size(rate: float, lanes: int, left: int) -> int:
    """Return how many bytes a lane should take next.

    `rate` is what it carried, in bytes a second, 0 when that is not known; `left` what nobody has taken yet.
    """
    lasting = rate * RECORD_SECONDS
    share = left / (SHARES * max(lanes, 1))
    return int(max(SMALLEST_RECORD, min(lasting, share, LARGEST_RECORD)))
