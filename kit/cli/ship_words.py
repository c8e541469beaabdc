"""The words for what a ship is going to do. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kit.cli.host_rows import time_text
from kit.cli.output import bytes_text, table

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kit.workflow.ship_plan import Reused, ShipPlan, ShipStep

HEAD = ("HOST", "SENDS", "ABOUT", "THERE", "CUT OFF", "OLDER FRAMES", "IN ENGINE", "DISK", "ENGINE")


def planned(plan: ShipPlan) -> Iterator[str]:
    """Yield the lines of `kit ship --dry-run`: a table, and what is loaded and placed where."""
    yield from table(HEAD, map(_row, plan.hosts))
    for step in plan.hosts:
        if step.sends_kit:
            yield f"{step.host}: kit's own image first"
        yield from (f"{step.host}: load {tag}" for tag in step.loads)
        yield from (f"{step.host}: place {tree}" for tree in step.trees)
    yield from _uplink(plan)


def planned_briefly(plan: ShipPlan) -> Iterator[str]:
    """Yield a line for each host that something is sent to, for the moment before it is."""
    for step in plan.hosts:
        if step.send_bytes:
            reused = "".join(f"; {text}" for text in _reused(step.reused))
            yield f"{step.host}: sends {bytes_text(step.send_bytes)}{_about(step)}{reused}"
    yield from _uplink(plan)


def _uplink(plan: ShipPlan) -> Iterator[str]:
    if plan.uplink_bytes < plan.bytes:
        yield f"{bytes_text(plan.uplink_bytes)} leave this machine; hosts pass them on"


def _about(step: ShipStep) -> str:
    return "" if step.seconds is None else f", about {time_text(step.seconds)}"


def _row(step: ShipStep) -> tuple[str, ...]:
    reused = step.reused
    return (
        step.host,
        bytes_text(step.send_bytes),
        "-" if step.seconds is None else time_text(step.seconds),
        *map(bytes_text, (reused.blobs, reused.partial, reused.frames, reused.engine)),
        _of(step.disk_bytes, step.disk_free),
        _of(step.engine_bytes, step.engine_free),
    )


def _of(need: int, free: int | None) -> str:
    """Return the room that is needed, of that which is free."""
    return bytes_text(need) if free is None else f"{bytes_text(need)} of {bytes_text(free)}"


def _reused(reused: Reused) -> Iterator[str]:
    if reused.blobs:
        yield f"{bytes_text(reused.blobs)} are there"
    if reused.partial:
        yield f"{bytes_text(reused.partial)} came before"
    if reused.frames:
        yield f"{bytes_text(reused.frames)} in frames of older blobs"
