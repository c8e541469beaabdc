"""Which shipments are struck, how, and when: drawn from a seed. Pure."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator
from dataclasses import dataclass

from tests.bench.kill_phase import PHASES
from tests.bench.kill_victims import EVERYTHING, KILLS

CUT, LONG_CUT = "the link, for 5 s", "the link, for 70 s"
FROZEN = "the agent, frozen"
FULL, FLIPPED = "the disk is full", "a byte flipped while it is down"
MISHAPS = (CUT, FLIPPED, EVERYTHING, LONG_CUT, FULL)
"""What else befalls shipments, mostly while they send."""
FIRST, BARE, DELTA = "first", "first, kit's image too", "to a host that has an older version"


@dataclass(frozen=True)
class Moment:
    """One shipment, and what befalls it."""

    number: int
    scenario: str
    phase: str
    """In which it is to be struck; how it turned out is told afterwards."""
    kind: str
    fraction: float
    """Of the time that the phase took when nobody struck."""


def _scenario(phase: str, chance: random.Random) -> str:
    if phase == "assemble":
        return DELTA
    return chance.choice((FIRST, FIRST, FIRST, BARE, DELTA, DELTA))


def _evenly(phases: tuple[str, ...], chance: random.Random) -> Iterator[tuple[str, str]]:
    """Yield pairs of phase and victim, each phase in turn, each with all victims before one comes again."""
    orders = {phase: itertools.cycle(chance.sample(KILLS, len(KILLS))) for phase in phases}
    for phase in itertools.cycle(phases):
        yield phase, next(orders[phase])


def plan_moments(count: int, seed: int, phases: tuple[str, ...] = PHASES) -> tuple[Moment, ...]:
    """Return `count` kills, spread evenly over phases and victims, and a mishap for every ten of them.

    They are in random order, so that those done are a fair sample whenever it is cut short.
    """
    chance = random.Random(seed)
    drawn = list(itertools.islice(_evenly(phases, chance), count))
    drawn += [("send", MISHAPS[number % len(MISHAPS)]) for number in range(count // 10)]
    chance.shuffle(drawn)
    return tuple(
        Moment(number, _scenario(phase, chance), phase, kind, chance.random())
        for number, (phase, kind) in enumerate(drawn)
    )
