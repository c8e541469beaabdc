"""Part of `make bench-ship`: shipments struck at random moments, each shipped again until it is there.

python -m tests.bench.ship_kills [--count 200] [--seed N] [--hosts 4] [--bytes 1000000000] [--minutes M]
[--page FILE] [--results FILE]. Each outcome is added to the results as it comes, a line of JSON, and the page
is written anew, so a run that is cut short leaves all that it found; --fresh forgets what earlier runs found.
Ends with 1 when any shipment did not end as it must. Root, and about 5 GB of disk for each host.
"""

from __future__ import annotations

import argparse
import math
import os
import sys
import time
from pathlib import Path

from tests.bench.kill_moment import ALLOWED, Outcome
from tests.bench.kill_noise import Sizes
from tests.bench.kill_phase import PHASES
from tests.bench.kill_plan import plan_moments
from tests.bench.kill_rows import from_line, kills_by_phase, page, to_line, verdict
from tests.bench.kill_run import Setup, learn, ranges, strike_all
from tests.bench.ship_scene import said
from tests.lab import LabUnavailableError, online_engine

BUILD = Path(__file__).resolve().parents[2] / "build"
FOLDER = Path(os.environ.get("KIT_BENCH_FOLDER") or BUILD / "bench-ship") / "kills"
SEND_SECONDS = 20.0
MORE_ROUNDS = 4
"""How often moments are added while some phase was struck too rarely: a short one is easily missed."""


def sizes_of(total: int) -> Sizes:
    """Return how so many bytes are spread: half an image, half a model."""
    return Sizes((total // 5, total * 3 // 10), total // 2)


class Results:
    """Outcomes on the disk: lines of JSON, and the page made of all of them."""

    def __init__(self, arguments: argparse.Namespace) -> None:
        self.path: Path = arguments.results
        self.page: Path | None = arguments.page
        self.size: int = arguments.bytes
        self.seed: int = arguments.seed
        self.path.parent.mkdir(parents=True, exist_ok=True)
        if arguments.fresh:
            self.path.unlink(missing_ok=True)
        lines = self.path.read_text(encoding="utf-8").splitlines() if self.path.exists() else []
        self.outcomes = [from_line(line) for line in lines]

    def add(self, outcome: Outcome) -> None:
        """Keep an outcome."""
        self.outcomes.append(outcome)
        with self.path.open("a", encoding="utf-8") as file:
            file.write(to_line(outcome))
        told = "well" if outcome.is_well else f"NOT WELL {outcome.wrong} {outcome.half}"
        said(
            f"{len(self.outcomes)} {outcome.host} {outcome.scenario}, {outcome.phase}: {outcome.kind}: "
            f"{outcome.first_status}, {outcome.tries} tries, {outcome.sent_again / 1e6:.1f} MB again, "
            f"{outcome.seconds} s: {told}"
        )
        if self.page:
            self.page.parent.mkdir(parents=True, exist_ok=True)
            text = page(self.outcomes, self.size, SEND_SECONDS, self.seed)
            self.page.write_text(text, encoding="utf-8")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="tests.bench.ship_kills")
    parser.add_argument("--count", type=int, default=int(os.environ.get("KIT_BENCH_KILLS", "200")))
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--hosts", type=int, default=4)
    parser.add_argument("--bytes", type=int, default=1_000_000_000)
    parser.add_argument("--minutes", type=float, default=math.inf, help="begin nothing after so long")
    parser.add_argument("--page", type=Path)
    parser.add_argument("--results", type=Path, default=BUILD / "ship-kills.jsonl")
    parser.add_argument("--fresh", action="store_true")
    return parser.parse_args()


def main() -> int:
    """Strike so many shipments and more where a phase was missed; print what became of them."""
    arguments = _arguments()
    results = Results(arguments)
    least, until = arguments.count // 10, time.monotonic() + arguments.minutes * 60
    said(f"seed {arguments.seed}; {ALLOWED:,} bytes may be sent again")
    setup = Setup(sizes_of(arguments.bytes), SEND_SECONDS, arguments.hosts)
    try:
        with ranges(setup, FOLDER, online_engine()) as found:
            learn(found, setup.scenarios)
            strike_all(found, plan_moments(arguments.count, arguments.seed), results.add, until)
            for number in range(1, MORE_ROUNDS):
                rare = tuple(p for p in PHASES if kills_by_phase(results.outcomes)[p] < least)
                if rare:
                    moments = plan_moments(least // 2 * len(rare), arguments.seed + number, rare)
                    strike_all(found, moments, results.add, until)
    except LabUnavailableError as error:
        print(f"make bench-ship: skipped: {error}", file=sys.stderr)
        return 77
    print(verdict(results.outcomes))
    return 0 if all(outcome.is_well for outcome in results.outcomes) else 1


if __name__ == "__main__":
    sys.exit(main())
