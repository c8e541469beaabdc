"""What `make bench-ship` says: lines with a ratio and what is wanted of it."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from pathlib import Path

from rich.table import Table

from tests.bench.pack_rows import MB, Row, line

INTRODUCTION = """\
# Shipping

kit against what one would type, all in one run, in turn, in the lab: hosts are network namespaces of one
machine with sshd and a Docker engine ({engine}), so both ends share its {processors} processors
({model_name}). {counts} Every way finds what it reads in
memory, a host without images, kit's own too unless it is said otherwise, and no files of another way; what
was written before is on the disk. Where images are loaded nothing is deleted in between: for minutes ext4
goes past the inodes of deleted files, one by one, for each that it makes. What former ways left is taken
out of memory, which is full after some of them and then slow to give. The virtual machine's processors,
which take long to wake, are kept from sleeping by processes that give way to any other. ssh and scp use
aes128-gcm. A kit time is that of the whole command, Python's start included; bytes on the wire are what the
network interface counted. Measured on {date}; the load was {load} when the cases began, and whatever else
the machine did, it did to all.

- *from what lies packed*: `kit ship` alone, from the bundle; `FILE` is what `docker save | zstd -T0` wrote.
  *kit's own image there*: any but the first time.
- *over 1 Gbit/s, 88 ms, 0.1 % lost*: TCP cubic on both sides, segmentation offload off, a queue of 50 ms;
  the host has kit's own image already.
- *of model files*, *to 4 hosts*: the hosts have kit's own image already, unless it is said otherwise.
- *extra disk*: the most that the host's folders took at any of many looks, less what they take at the end.

Written by `make bench-ship` (`tests/bench/ship.py`). What becomes of shipments that are killed is in
[ship-kills.md](ship-kills.md).

| case | kit | against | it | ratio | wanted |
| --- | ---: | --- | ---: | ---: | --- |
"""


@dataclass(frozen=True)
class Measured:
    """A case, measured in one run."""

    name: str
    rows: tuple[Row, ...]
    load: float
    """Of the machine when it began."""
    failed: bool = False


def seconds_row(case: str, kit: float, against: str, other: float, wanted: str = "") -> Row:
    """Return the line of two times in seconds."""
    return Row(case, f"{kit:.2f} s", against, f"{other:.2f} s", kit / other, wanted)


def bytes_row(case: str, kit: int, against: str, other: int, wanted: str = "") -> Row:
    """Return the line of two counts of bytes."""
    ratio = kit / other if other else None
    return Row(case, f"{kit / MB:,.1f} MB", against, f"{other / MB:,.1f} MB", ratio, wanted)


def table(rows: Iterable[Row]) -> Table:
    """Return the lines for a terminal."""
    result = Table(title=f"kit's shipping against what one would type, {os.cpu_count()} processors")
    for name in ("case", "kit", "against", "it", "ratio", "wanted"):
        result.add_column(name, justify="right" if name in ("kit", "it", "ratio") else "left")
    for row in rows:
        result.add_row(*row.cells)
    return result


def page(found: Sequence[Measured], engine: str, rounds: int) -> str:
    """Return the lines as Markdown."""
    named = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text(encoding="utf-8"))
    loads = sorted(case.load for case in found)
    head = INTRODUCTION.format(
        engine=engine,
        processors=os.cpu_count(),
        model_name=named[1] if named else "unknown",
        counts="Each way went once."
        if rounds == 1
        else f"The best of {rounds} rounds counts (the bad line: one).",
        date=f"{datetime.now(timezone.utc):%Y-%m-%d}",
        load=f"{loads[0]:.1f} to {loads[-1]:.1f}",
    )
    return head + "".join(line(row) for case in found for row in case.rows)


def read_measured(path: Path) -> dict[str, Measured]:
    """Return the cases that earlier runs measured, by name."""
    listed = json.loads(path.read_text(encoding="utf-8")) if path.exists() else []
    cases = [Measured(**{**case, "rows": tuple(Row(**row) for row in case["rows"])}) for case in listed]
    return {case.name: case for case in cases}


def write_measured(path: Path, found: Mapping[str, Measured]) -> None:
    """Keep the cases for the next run."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps([asdict(case) for case in found.values()], indent=1), encoding="utf-8")
