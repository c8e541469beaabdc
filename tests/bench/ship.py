"""`make bench-ship`: shipping against docker load and scp, in the lab, all in one run.

python -m tests.bench.ship [--page FILE] [CASE …] runs all cases unless some are named, there or in
KIT_BENCH_CASES="A B"; the table keeps what earlier runs found of the others. KIT_BENCH_ROUNDS (2) goes every
way so often and takes the best; KIT_BENCH_ENGINE (20.10) is the hosts' engine as the lab names it,
KIT_BENCH_MODEL_BYTES (4 GB) the large model's size, KIT_BENCH_PACKAGE (yaml) the package that changes,
KIT_BENCH_FOLDER where everything is written. The table goes to standard output and, as Markdown, to the page.
Root, and about 20 GB of disk, 15 GB more for each further round of the images.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Mapping
from functools import cached_property
from pathlib import Path

from rich.console import Console

from tests.bench.pack_rows import Row
from tests.bench.ship_files import HOSTS, fan_rows, files_rows, line_rows
from tests.bench.ship_images import ImageBench, disk_rows, first_rows, package_rows, unchanged_rows
from tests.bench.ship_rows import Measured, page, read_measured, table, write_measured
from tests.bench.ship_scene import ROUNDS, Scene, WayFailedError, bench_scene, said
from tests.lab import LabError, LabUnavailableError

BENCH = Path(
    os.environ.get("KIT_BENCH_FOLDER") or Path(__file__).resolve().parents[2] / "build" / "bench-ship"
)
ENGINE = os.environ.get("KIT_BENCH_ENGINE", "20.10")


class Cases:
    """Every case, by the name that chooses it, in the order in which one leaves what the next can use."""

    def __init__(self, scene: Scene) -> None:
        self.scene = scene

    @cached_property
    def images(self) -> ImageBench:
        return ImageBench(self.scene)

    def by_name(self) -> dict[str, Callable[[], list[Row]]]:
        """Return each case's name and how it is measured."""
        return {
            "image": lambda: first_rows(self.images),
            "disk": lambda: disk_rows(self.images),
            "unchanged": lambda: unchanged_rows(self.images),
            "package": lambda: package_rows(self.images),
            "files": lambda: files_rows(self.scene),
            "fan": lambda: fan_rows(self.scene),
            "line": lambda: line_rows(self.scene),
        }


NAMES = ("image", "disk", "unchanged", "package", "files", "fan", "line")


def measure(cases: Cases, name: str) -> Measured:
    """Measure one case; its failure is what there is to tell of it."""
    said(f"{name}:")
    load = os.getloadavg()[0]
    try:
        return Measured(name, tuple(cases.by_name()[name]()), load)
    except (WayFailedError, LabError) as error:
        said(f"  failed: {error}")
        return Measured(name, (Row(name, "failed", str(error)[-200:]),), load, failed=True)


def in_order(found: Mapping[str, Measured]) -> list[Measured]:
    """Return the cases in the order of the table."""
    return [found[name] for name in NAMES if name in found]


def keep(found: Mapping[str, Measured], results: Path, place: Path | None) -> None:
    """Write down what was found so far, so that a run that is cut short leaves it."""
    write_measured(results, found)
    if place:
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(page(in_order(found), ENGINE, ROUNDS), encoding="utf-8")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="tests.bench.ship")
    parser.add_argument("--page", type=Path)
    parser.add_argument("--results", type=Path, default=BENCH.with_name("bench-ship.json"))
    parser.add_argument("cases", nargs="*", choices=[*NAMES, []])
    return parser.parse_args()


def main() -> int:
    """Measure, print, write the page; 1 when a case failed, 77 where there can be no lab."""
    arguments = _arguments()
    names = arguments.cases or os.environ.get("KIT_BENCH_CASES", "").split() or list(NAMES)
    found = read_measured(arguments.results) if set(names) != set(NAMES) else {}
    try:
        with bench_scene(BENCH, tuple((host, ENGINE) for host in HOSTS)) as scene:
            cases = Cases(scene)
            for name in names:
                found[name] = measure(cases, name)
                keep(found, arguments.results, arguments.page)
    except LabUnavailableError as error:
        print(f"make bench-ship: skipped: {error}", file=sys.stderr)
        return 77
    Console(width=170).print(table(row for case in in_order(found) for row in case.rows))
    return 1 if any(found[name].failed for name in names) else 0


if __name__ == "__main__":
    sys.exit(main())
