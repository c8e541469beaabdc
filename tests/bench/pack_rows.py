"""What `make bench-pack` says: lines with a ratio and what is wanted of it."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timezone

from rich.table import Table

MB = 1_000_000
INTRODUCTION = """\
# Packing and verifying

{images} and a model of {model} that does not compress, packed by kit and by what one would
type: one joint `docker save | zstd -T0 -3`, and `zstd -T0 -3` of the model. Both find the images in memory;
from nothing, each went {rounds} times, in turn, and the best counts. Measured on {date} with
{processors} processors ({model_name}) and {engine}; the load was {load} when it began, and
whatever else the machine did, it did to both.

Written by `make bench-pack` (`tests/bench/pack.py`).

| case | kit | against | it | ratio | wanted |
| --- | ---: | --- | ---: | ---: | --- |
"""


@dataclass(frozen=True)
class Ran:
    """A command that ended well."""

    seconds: float
    processor: float
    """Seconds of processor time, the engine's aside."""
    peak_memory: int
    """Bytes of the largest process; packing is one."""


@dataclass(frozen=True)
class Row:
    """A line of the table."""

    case: str
    kit: str
    against: str = ""
    other: str = ""
    ratio: float | None = None
    wanted: str = ""

    @property
    def cells(self) -> tuple[str, ...]:
        """The line's words."""
        ratio = "" if self.ratio is None else f"{self.ratio:.3f}"
        return (self.case, self.kit, self.against, self.other, ratio, self.wanted)


def seconds_row(case: str, kit: Ran, against: str, other: Ran, wanted: str = "") -> Row:
    """Return the line of two times."""
    ratio = kit.seconds / other.seconds
    return Row(case, f"{kit.seconds:.2f} s", against, f"{other.seconds:.2f} s", ratio, wanted)


def processor_row(kit: Ran, against: str, other: Ran) -> Row:
    """Return the line of two processor times."""
    ratio = kit.processor / other.processor
    case = "… processor time, the engine's aside"
    return Row(case, f"{kit.processor:.1f} s", against, f"{other.processor:.1f} s", ratio)


def bytes_row(case: str, kit: int, against: str, other: int, wanted: str = "") -> Row:
    """Return the line of two sizes."""
    return Row(case, f"{kit / MB:,.1f} MB", against, f"{other / MB:,.1f} MB", kit / other, wanted)


def table(rows: Iterable[Row]) -> Table:
    """Return the lines for a terminal."""
    result = Table(title=f"kit's packing against what one would type, {os.cpu_count()} processors")
    for name in ("case", "kit", "against", "it", "ratio", "wanted"):
        result.add_column(name, justify="right" if name in ("kit", "it", "ratio") else "left")
    for row in rows:
        result.add_row(*row.cells)
    return result


@dataclass(frozen=True)
class Circumstances:
    """What was measured, and where."""

    images: str
    model: int
    rounds: int
    engine: str
    processor: str
    load: str


def page(rows: Iterable[Row], where: Circumstances) -> str:
    """Return the lines as Markdown."""
    head = INTRODUCTION.format(
        images=where.images,
        model=f"{where.model / MB:,.0f} MB",
        rounds=where.rounds,
        date=f"{datetime.now(timezone.utc):%Y-%m-%d}",
        processors=os.cpu_count(),
        model_name=where.processor,
        engine=where.engine,
        load=where.load,
    )
    return head + "".join(line(row) for row in rows)


def line(row: Row) -> str:
    """Return a row as a line of Markdown."""
    cells = (cell.replace("|", "\\|") for cell in row.cells)
    return f"| {' | '.join(cells)} |\n"
