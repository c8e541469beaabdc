"""What a ship would do, as `kit ship --dry-run` and its event `plan` tell it. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from kit.errors import KitError
    from kit.ship.plan import HostPlan
    from kit.ship.ship import Planned, PlannedHost


@dataclass(frozen=True, slots=True)
class Reused:
    """Bytes that need not be sent, by where they are."""

    blobs: int
    """Whole blobs on the host."""
    partial: int
    """Of blobs that an earlier ship was cut off in."""
    frames: int
    """Frames that other blobs on the host hold."""
    engine: int
    """Layers of images that stand in the engine, as they are stored in the bundle."""


@dataclass(frozen=True, slots=True)
class ShipStep:
    """What would be done to one host."""

    host: str
    send_bytes: int
    there_bytes: int
    sends_kit: bool
    blobs: int
    loads: tuple[str, ...]
    trees: tuple[str, ...]
    reused: Reused
    seconds: float | None
    """About how long sending will take; None when nobody knows the line."""
    disk_bytes: int
    """Room needed under the host's root, at the worst moment."""
    disk_free: int
    engine_bytes: int
    """Room needed in the engine's data folder, at the worst moment."""
    engine_free: int | None
    """None when it cannot be seen."""
    engine: str = ""
    """Version of the engine, and its image store."""


@dataclass(frozen=True, slots=True)
class ShipPlan:
    """What a ship would do."""

    bytes: int
    """That all hosts together get."""
    uplink_bytes: int
    """That leave this machine, when each blob goes out once and the hosts pass it on."""
    hosts: tuple[ShipStep, ...]
    failures: Mapping[str, KitError] = field(default_factory=dict)
    """By host: why it does not answer."""


def uplink_bytes(plans: Iterable[HostPlan]) -> int:
    """Return the bytes that leave this machine for these plans.

    A blob goes out once, however many hosts lack it; kit's image and the indexes go to each host.
    """
    largest: dict[str, int] = {}
    own = 0
    for plan in plans:
        own += plan.send_bytes - sum(send.size for send in plan.sends)
        for send in plan.sends:
            largest[send.blob.digest] = max(send.size, largest.get(send.blob.digest, 0))
    return own + sum(largest.values())


def ship_plan(planned: Planned, failures: Mapping[str, KitError]) -> ShipPlan:
    """Return the plan to show; `failures` are of hosts that were not even reached."""
    steps = tuple(_step(host) for host in planned.hosts.values())
    return ShipPlan(
        sum(step.send_bytes for step in steps),
        uplink_bytes(host.plan for host in planned.hosts.values()),
        steps,
        {**failures, **planned.failures},
    )


def _step(planned: PlannedHost) -> ShipStep:
    plan, facts = planned.plan, planned.facts
    return ShipStep(
        host=plan.host,
        send_bytes=plan.send_bytes,
        there_bytes=plan.there_bytes,
        sends_kit=plan.sends_kit,
        blobs=len(plan.sends),
        loads=tuple(image.identity_tag for image in plan.loads),
        trees=tuple(f"{tree.kind} {tree.name}" for tree in plan.trees),
        reused=Reused(plan.kept_bytes, plan.partial_bytes, plan.older_bytes, plan.engine_has_bytes),
        seconds=None if planned.seconds is None else round(planned.seconds, 1),
        disk_bytes=plan.disk_bytes,
        disk_free=facts.free_bytes,
        engine_bytes=plan.engine_bytes,
        engine_free=facts.free_bytes if facts.engine_on_root_disk else facts.engine_free_bytes,
        engine=f"{facts.engine_version}, {'containerd' if facts.containerd_store else 'classic'} store",
    )
