"""Many shipments struck, each host of the lab with shipments of its own, all hosts at once."""

from __future__ import annotations

import math
import queue
import shutil
import subprocess
import threading
import time
import traceback
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.bench.kill_host import KillHost
from tests.bench.kill_moment import Outcome, Range, struck
from tests.bench.kill_noise import Sizes, pack_version
from tests.bench.kill_plan import BARE, DELTA, FIRST, FULL, Moment
from tests.bench.ship_scene import said
from tests.e2e.ship_stage import build_kit_image
from tests.lab import Lab, LabError
from tests.lab.host_shell import HostShell

ENGINES = ("20.10", "28.5", "20.10", "26.1")
"""Of the hosts, in turn; both image stores are among the first two."""
DISK = "5G"
"""Of the last host's own disk, which can be filled."""
SCENARIOS = (BARE, DELTA, FIRST)
"""In the order in which the usual is learnt: each starts from what the one before leaves."""


@dataclass(frozen=True)
class Setup:
    """How large it all is."""

    sizes: Sizes
    send_seconds: float
    hosts: int
    scenarios: tuple[str, ...] = SCENARIOS


@contextmanager
def ranges(setup: Setup, folder: Path, engine: str) -> Iterator[list[Range]]:
    """Raise the hosts and pack both versions; the hosts and the folder go afterwards.

    Raises LabUnavailableError where this machine cannot hold a lab.
    """
    kinds = [(f"kill{number}", ENGINES[number % len(ENGINES)]) for number in range(setup.hosts)]
    lab = Lab.up(tuple(kinds[-1:]), disk=DISK)
    if kinds[:-1]:
        Lab.up(tuple(kinds[:-1]))
    shells: list[HostShell] = []
    try:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        kit_image = build_kit_image(engine)
        first, second = (
            pack_version(engine, kit_image, folder / name, setup.sizes, name) for name in ("one", "two")
        )
        shells += [HostShell(name) for name, _ in kinds]
        made = [KillHost(lab, *kind, shell, folder) for kind, shell in zip(kinds, shells, strict=True)]
        made[-1].has_disk = True
        yield [Range(host, (first, second), setup.sizes, setup.send_seconds) for host in made]
    finally:
        for shell in shells:
            shell.close()
        lab.down(*(name for name, _ in kinds), purge=True)
        if not lab.status():
            lab.down()
        shutil.rmtree(folder, ignore_errors=True)


def learn(all_ranges: list[Range], scenarios: tuple[str, ...]) -> None:
    """Learn on every host what shipments are like that nobody strikes."""

    def one(range_: Range) -> None:
        for scenario in scenarios:
            range_.learn(scenario)
            told = {phase: round(s, 1) for (of, phase), s in range_.usual.seconds.items() if of == scenario}
            said(f"{range_.host.name}, {scenario}: {range_.usual.received[scenario]:,} bytes; seconds {told}")

    with ThreadPoolExecutor(len(all_ranges)) as pool:
        list(pool.map(one, all_ranges))


class Moments:
    """Those yet to come; a host takes the next that it can serve, until the time is over."""

    def __init__(self, moments: Iterable[Moment], until: float) -> None:
        self._left = list(moments)
        self._until = until
        self._lock = threading.Lock()

    def take(self, host: KillHost) -> Moment | None:
        """Return the next moment for a host, or None."""
        with self._lock:
            if time.monotonic() > self._until:
                return None
            for moment in self._left:
                if host.has_disk or moment.kind != FULL:
                    self._left.remove(moment)
                    return moment
        return None


def strike_all(
    all_ranges: list[Range],
    moments: Iterable[Moment],
    heard: Callable[[Outcome], None],
    until: float = math.inf,
) -> None:
    """Carry out all moments that can be begun before `until` (time.monotonic); `heard` is told of each."""
    left, outcomes = Moments(moments, until), queue.SimpleQueue[Outcome | None]()

    def work(range_: Range) -> None:
        try:
            while moment := left.take(range_.host):
                if outcome := _struck(range_, moment):
                    outcomes.put(outcome)
        finally:
            outcomes.put(None)

    with ThreadPoolExecutor(len(all_ranges)) as pool:
        workers = [pool.submit(work, range_) for range_ in all_ranges]
        for _ in all_ranges:
            while outcome := outcomes.get():
                heard(outcome)
        for worker in workers:
            worker.result()


def _struck(range_: Range, moment: Moment) -> Outcome | None:
    """Carry a moment out; None, and a host made to run again, where the lab itself failed."""
    try:
        return struck(range_, moment)
    except (LabError, RuntimeError, OSError, subprocess.SubprocessError):
        said(f"{range_.host.name}: moment {moment.number} could not be carried out")
        traceback.print_exc()
        range_.host.holds = None
        _raise_again(range_.host)
        return None


def _raise_again(host: KillHost) -> None:
    """Start whatever of a host does not run."""
    Lab.up(((host.name, host.engine),), disk=DISK if host.has_disk else "")
    host.lab.restore(host.name)
    if host.has_disk:
        host.lab.empty(host.name)
