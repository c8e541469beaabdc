"""One shipment that is struck, shipped again until it is there, and looked at to the last byte."""

from __future__ import annotations

import random
import time
from dataclasses import dataclass, field

from tests.bench.kill_harm import Harm
from tests.bench.kill_host import KillHost
from tests.bench.kill_noise import Sizes, Version
from tests.bench.kill_phase import PHASES
from tests.bench.kill_plan import BARE, DELTA, Moment
from tests.bench.kill_sight import Whole, watched
from tests.bench.running_ship import RunningShip
from tests.lab import environment

ATTEMPT_SECONDS = 240
RETRY_SECONDS = 300
"""A shipment that has not ended well after so long is stuck."""
PAUSE = 1.0
PART = 0.8
"""Of the time that a phase usually takes: in that much it can be hit; its length varies."""
MISSED = "nothing: it had ended"
ALLOWED = 64 << 20
"""Bytes that may cross again."""


@dataclass(frozen=True)
class Outcome:
    """What became of a shipment that was struck."""

    number: int
    host: str
    engine: str
    scenario: str
    phase: str
    """In which it truly was struck."""
    kind: str
    """What truly was done."""
    first_status: int | None
    """Of the attempt that was struck: None when it was killed, 0 when it went on by itself."""
    tries: int
    """Attempts after it, until one ended well."""
    seconds: float
    sent_again: int
    """Bytes that the host's interface took in beyond those of a shipment that nobody struck."""
    wrong: tuple[str, ...]
    """What was not right at the end; a shipment that did not end well is named here, too."""
    half: tuple[str, ...]
    """Images and trees that were visible in part at any look."""
    looks: int
    words: str = ""
    """What the attempt that was struck said."""

    @property
    def is_well(self) -> bool:
        return not self.wrong and not self.half and self.sent_again <= ALLOWED


@dataclass
class Usual:
    """What a shipment is like that nobody strikes, by scenario."""

    received: dict[str, int] = field(default_factory=dict)
    seconds: dict[tuple[str, str], float] = field(default_factory=dict)


@dataclass
class Range:
    """A host, the two versions that are shipped to it, and what that is usually like."""

    host: KillHost
    versions: tuple[Version, Version]
    sizes: Sizes
    send_seconds: float
    """That the slowed link needs at least."""
    usual: Usual = field(default_factory=Usual)

    def rate(self, scenario: str) -> str:
        """Return the rate of the host's link, as the lab reads it."""
        missing = self.sizes.changed if scenario == DELTA else self.sizes.total
        return f"{missing * 8 / self.send_seconds / 1e6:.0f}mbit"

    def begin(self, version: Version) -> RunningShip:
        """Start an attempt."""
        return RunningShip(self.host.definition, version.bundle, environment(self.host.lab))

    def prepare(self, scenario: str) -> Version:
        """Bring the host into the state that a scenario starts from; return the version to ship."""
        first, second = self.versions
        self.host.lab.restore(self.host.name)
        if scenario != DELTA:
            if scenario != BARE and not self.host.has_kit:
                self.settle(first)
            self.host.make_bare(keep_kit=scenario != BARE)
            version = first
        else:
            if self.host.holds is None:
                self.settle(first)
            version = second if self.host.holds is first else first
            self.host.keep_only(first if version is second else second, version)
        self.host.lab.slow(self.host.name, rate=self.rate(scenario))
        return version

    def settle(self, version: Version) -> None:
        """Ship a version at full speed, nothing in its way."""
        ship = self.begin(version)
        if ship.end(ATTEMPT_SECONDS) != 0:
            raise RuntimeError(f"{self.host.name}: a shipment that nobody struck failed: {ship.words}")
        self.host.took(version)

    def learn(self, scenario: str) -> None:
        """Ship once at the slowed rate without a strike, to know what that takes."""
        version = self.prepare(scenario)
        before = self.host.received()
        ship = self.begin(version)
        if ship.end(ATTEMPT_SECONDS) != 0:
            raise RuntimeError(f"{self.host.name}: a shipment that nobody struck failed: {ship.words}")
        self.host.took(version)
        self.usual.received[scenario] = self.host.received() - before
        for phase in PHASES:
            self.usual.seconds[scenario, phase] = ship.log.seconds_in(phase)


def struck(range_: Range, moment: Moment) -> Outcome:
    """Carry a moment out on a host."""
    host, chance = range_.host, random.Random(moment.fraction)
    version = range_.prepare(moment.scenario)
    harm = Harm(moment.kind, host, chance, range_.rate(moment.scenario))
    started, before = time.monotonic(), host.received()
    with watched(host.name, Whole.of(*(each.manifest for each in range_.versions))) as sight:
        ship = range_.begin(version)
        phase, done = _strike(range_, moment, ship, harm)
        is_missed = ship.is_over
        harm.mend(done, ship)
        status = ship.end(ATTEMPT_SECONDS)
        tries, stuck = (0, "") if status == 0 else _again(range_, version)
    received = host.received() - before
    wrong = (stuck,) if stuck else tuple(host.wrongs(version))
    if wrong:
        host.make_bare(keep_kit=False)
    else:
        host.took(version)
    return Outcome(
        number=moment.number,
        host=host.name,
        engine=host.engine,
        scenario=moment.scenario,
        phase=phase,
        kind=MISSED if is_missed else done,
        first_status=status,
        tries=tries,
        seconds=round(time.monotonic() - started, 1),
        sent_again=received - range_.usual.received[moment.scenario],
        wrong=wrong,
        half=tuple(dict.fromkeys(sight.half)),
        looks=sight.looks,
        words=ship.words if status else "",
    )


def _strike(range_: Range, moment: Moment, ship: RunningShip, harm: Harm) -> tuple[str, str]:
    """Wait for the moment and strike; return the phase in which that was, and what was done."""
    usually = range_.usual.seconds.get((moment.scenario, moment.phase), 0.0)
    ship.log.wait_into(moment.phase, moment.fraction * usually * PART, ATTEMPT_SECONDS)
    phase = ship.log.phase
    return phase, harm.strike(ship) if phase in PHASES else MISSED


def _again(range_: Range, version: Version) -> tuple[int, str]:
    """Ship until that ends well; return the attempts, and why not when it never did."""
    deadline, tries, words = time.monotonic() + RETRY_SECONDS, 0, ""
    while time.monotonic() < deadline:
        tries += 1
        ship = range_.begin(version)
        if ship.end(ATTEMPT_SECONDS) == 0:
            return tries, ""
        words = ship.words
        time.sleep(PAUSE)
    return tries, f"stuck: {words}"
