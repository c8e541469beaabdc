"""What `ship_kills` says: what became of shipments, by when they were struck and by what. Pure."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from dataclasses import asdict
from datetime import datetime, timezone

from tests.bench.kill_moment import ALLOWED, MISSED, Outcome
from tests.bench.kill_phase import PHASES
from tests.bench.kill_plan import DELTA, MISHAPS
from tests.bench.kill_victims import KILLS, PARTY

INTRODUCTION = """\
# Shipments that are killed

{count} shipments of {size} (kit's own image comes on top where the host lacks it), over links slowed so that
sending takes {seconds:.0f} s or more, to hosts of the lab with engines {engines}, several at once on
{processors} processors. Each is struck once, at a random moment of a phase that was drawn beforehand (seed
{seed}), with `kill -9` or what else the row says; then `kit ship` is run again, the same command, until it
ends well. *In assemble* the host holds an older version of which half is to be used again. Afterwards the
host's files are held against the bundle by their sha256, every image by its ID and its diffIDs, the files in
it by running it, and the record of what is current byte for byte. Some times a second, for as long as it
takes, the host is asked what its engine has under the images' identity tags and what stands in `models/` and
`datasets/`.

- *sent again*: what the host's network interface took in, all attempts together, beyond what it took in for
  the same shipment when nobody struck; {allowed} are allowed.
- *tries*: how often `kit ship` had to be run again; 0 where the shipment that was struck went on by itself.
- *half seen*: looks at which an image or a tree was there in part.

Measured on {date}. Written by `make bench-ship` (`tests/bench/ship_kills.py`).

{verdict}

| struck in | struck | shipments | went on by itself | tries, most | seconds, most | sent again, median \
| sent again, most | wrong or stuck | half seen |
| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |
"""


def to_line(outcome: Outcome) -> str:
    """Return an outcome as a line of JSON."""
    return json.dumps(asdict(outcome), ensure_ascii=False) + "\n"


def from_line(line: str) -> Outcome:
    """Return the outcome of a line."""
    fields = json.loads(line)
    return Outcome(**{**fields, "wrong": tuple(fields["wrong"]), "half": tuple(fields["half"])})


def counted(outcomes: Iterable[Outcome]) -> tuple[Outcome, ...]:
    """Return those that were truly struck."""
    return tuple(outcome for outcome in outcomes if outcome.kind != MISSED)


def kills_by_phase(outcomes: Iterable[Outcome]) -> dict[str, int]:
    """Return how many kills there were in each phase; nothing is assembled where no older version is."""
    kills = [outcome for outcome in counted(outcomes) if outcome.kind in KILLS]
    phases = [kill.phase for kill in kills if kill.phase != "assemble" or kill.scenario == DELTA]
    return {phase: phases.count(phase) for phase in PHASES}


def _megabytes(size: float) -> str:
    return f"{size / 1e6:,.1f} MB"


def _row(phase: str, kind: str, found: list[Outcome]) -> str:
    again = sorted(outcome.sent_again for outcome in found)
    cells = (
        phase,
        kind,
        len(found),
        sum(outcome.first_status == 0 for outcome in found),
        max(outcome.tries for outcome in found),
        f"{max(outcome.seconds for outcome in found):.0f}",
        _megabytes(again[len(again) // 2]),
        _megabytes(again[-1]),
        sum(bool(outcome.wrong) for outcome in found),
        sum(bool(outcome.half) for outcome in found),
    )
    return f"| {' | '.join(map(str, cells))} |\n"


def rows(outcomes: Iterable[Outcome]) -> list[str]:
    """Return the table's lines: phases in their order, in each whom `kill -9` hit and what else befell."""
    found = counted(outcomes)
    lines = []
    for phase in PHASES:
        for kind in (*KILLS, *MISHAPS):
            here = [outcome for outcome in found if (outcome.phase, outcome.kind) == (phase, kind)]
            if here:
                name = f"{PARTY[kind]}: {kind}" if kind in PARTY else kind
                lines.append(_row(phase, name, here))
    if found:
        lines.append(_row("all", "", list(found)))
    return lines


def verdict(outcomes: Iterable[Outcome]) -> str:
    """Return in words how many were well, and each that was not."""
    found = counted(outcomes)
    bad = [outcome for outcome in found if not outcome.is_well]
    by_phase = ", ".join(f"{count} in {phase}" for phase, count in kills_by_phase(found).items())
    first = f"Kills: {by_phase}. {len(found) - len(bad)} of {len(found)} shipments ended as they must."
    return "\n".join([first, *(f"\n- {_complaint(outcome)}" for outcome in bad)])


def _complaint(outcome: Outcome) -> str:
    what = [*outcome.wrong, *(f"half seen: {half}" for half in outcome.half)]
    if outcome.sent_again > ALLOWED:
        what.append(f"{_megabytes(outcome.sent_again)} sent again")
    words = " ".join("; ".join(what).split())[:400]
    return (
        f"moment {outcome.number} (engine {outcome.engine}, {outcome.scenario}, {outcome.kind}, "
        f"in {outcome.phase}): {words}"
    )


def page(outcomes: Iterable[Outcome], size: int, seconds: float, seed: int) -> str:
    """Return the table as Markdown."""
    found = counted(outcomes)
    head = INTRODUCTION.format(
        count=len(found),
        size=f"{size / 1e9:.2g} GB",
        seconds=seconds,
        engines=", ".join(sorted({outcome.engine for outcome in found})) or "none",
        processors=os.cpu_count(),
        seed=seed,
        allowed=_megabytes(ALLOWED),
        date=f"{datetime.now(timezone.utc):%Y-%m-%d}",
        verdict=verdict(found),
    )
    return head + "".join(rows(found))
