"""`make bench`: what kit takes against what one would type instead, both in one run. Ratios, no verdicts.

Packing and shipping have benches of their own: `tests/bench/pack.py`, `tests/bench/ship.py`.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from dataclasses import dataclass

from rich.console import Console
from rich.table import Table

from tests.e2e.journey import REPOSITORY, Journey, demo_journey
from tests.lab import LabUnavailableError

BENCH = REPOSITORY / "build" / "bench"


@dataclass(frozen=True)
class Measured:
    """Two ways to the same end, one after the other."""

    case: str
    kit: float
    other: float
    against: str


def _timed(argv: list[str], environment: dict[str, str]) -> float:
    started = time.monotonic()
    subprocess.run(argv, check=True, env=environment, stdout=subprocess.DEVNULL)
    return time.monotonic() - started


def _kit(journey: Journey, *words: str) -> float:
    argv = [sys.executable, "-m", "kit", *words, "-f", str(journey.folder / "kit.yaml")]
    return _timed(argv, journey.environment)


def serve_case(journey: Journey) -> list[Measured]:
    """Measure a served model's start, until it truly answers, against the same compose file by hand."""
    for _ in range(2):  # the first start reads the image from the disk, for whoever comes next too
        kit = _kit(journey, "up", "serve-base")
        _kit(journey, "down", "serve-base")
    by_hand = """
        cd /aisys/kit/runs/serve-base/latest && docker-compose -p by-hand up -d >/dev/null 2>&1
        body='{"model": "tiny", "prompt": "a", "max_tokens": 1}'
        until curl -sf -m 30 -H 'Content-Type: application/json' -d "$body" \\
            http://127.0.0.1:8000/v1/completions >/dev/null; do sleep 0.2; done"""
    started = time.monotonic()
    journey.lab.exec("gpu1", ("sh", "-c", by_hand), user="ops")
    other = time.monotonic() - started
    down = "cd /aisys/kit/runs/serve-base/latest && docker-compose -p by-hand down"
    journey.lab.exec("gpu1", ("sh", "-c", down), user="ops")
    return [Measured("serve until it answers", kit, other, "docker-compose up, curl in a loop")]


def table(rows: list[Measured]) -> Table:
    """Return the ratios as a table."""
    result = Table(title="kit against what one would type")
    for name in ("case", "kit, s", "against", "s", "ratio"):
        result.add_column(name, justify="left" if name in ("case", "against") else "right")
    for row in rows:
        result.add_row(
            row.case, f"{row.kit:.1f}", row.against, f"{row.other:.1f}", f"{row.kit / row.other:.2f}"
        )
    return result


def main() -> int:
    """Build and carry the demo across once, then measure."""
    try:
        with demo_journey(BENCH / "demo") as journey:
            shutil.rmtree(BENCH, ignore_errors=True)
            journey.prepare()
            for command in ("lock", "bundle", "ship"):
                journey.kit(command)
            rows = serve_case(journey)
            shutil.rmtree(BENCH)
    except LabUnavailableError as error:
        print(f"make bench: skipped: {error}", file=sys.stderr)
        return 77
    Console().print(table(rows))
    return 0


if __name__ == "__main__":
    sys.exit(main())
