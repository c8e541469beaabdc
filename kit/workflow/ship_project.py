"""Shipping a bundle to the hosts of kit.yaml, each what its jobs need."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from kit.run.fleet import open_hosts
from kit.ship.ship import plan_ship, ship_bundle
from kit.ship.wanted import wanted_by_host

if TYPE_CHECKING:
    from collections.abc import Callable

    from kit.bundle.source import BundleSource
    from kit.host.port import Host
    from kit.progress import Progress
    from kit.project.load import LoadedProject
    from kit.ship.receipt import Receipt
    from kit.ship.ship import PlannedHost


@dataclass(frozen=True, slots=True)
class Shipped:
    """What was taken where."""

    bytes: int
    """That crossed the network, to all hosts together."""
    hosts: tuple[Receipt, ...]


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


@dataclass(frozen=True, slots=True)
class ShipPlan:
    """What a ship would do."""

    bytes: int
    hosts: tuple[ShipStep, ...]


def ship_project(
    loaded: LoadedProject,
    source: BundleSource,
    names: tuple[str, ...],
    connect: Callable[..., Host],
    progress: Progress,
) -> Shipped:
    """Take to each host what it lacks. Raises what `ship_bundle` raises, or UnreachableError."""
    wanted = wanted_by_host(loaded.project)
    with open_hosts(loaded, names, connect) as hosts:
        receipts = ship_bundle(source, hosts, loaded.project.hosts, wanted, progress)
    return Shipped(sum(receipt.sent_bytes for receipt in receipts), receipts)


def plan_project_ship(
    loaded: LoadedProject, source: BundleSource, names: tuple[str, ...], connect: Callable[..., Host]
) -> ShipPlan:
    """Return what `ship_project` would do; nothing changes on the hosts."""
    wanted = wanted_by_host(loaded.project)
    with open_hosts(loaded, names, connect) as hosts:
        planned = plan_ship(source.manifest, hosts, loaded.project.hosts, wanted)
    steps = tuple(_step(host) for host in planned.values())
    return ShipPlan(sum(step.send_bytes for step in steps), steps)


def _step(planned: PlannedHost) -> ShipStep:
    plan = planned.plan
    return ShipStep(
        host=plan.host,
        send_bytes=plan.send_bytes,
        there_bytes=plan.there_bytes,
        sends_kit=plan.sends_kit,
        blobs=len(plan.sends),
        loads=tuple(image.identity_tag for image in plan.loads),
        trees=tuple(f"{tree.kind} {tree.name}" for tree in plan.trees),
    )
