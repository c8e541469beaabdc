"""Shipping a bundle to the hosts of kit.yaml, each what its jobs need."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from kit.errors import UnreachableError
from kit.run.fleet import open_some_hosts
from kit.ship.ship import first_failure, plan_hosts, ship_planned
from kit.ship.wanted import wanted_by_host

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from kit.bundle.source import BundleSource
    from kit.errors import KitError
    from kit.host.port import Host
    from kit.progress import HostProgress
    from kit.project.load import LoadedProject
    from kit.run.fleet import Reached
    from kit.ship.receipt import Receipt
    from kit.ship.ship import Planned, PlannedHost


@dataclass(frozen=True, slots=True)
class Shipped:
    """What was taken where."""

    bytes: int
    """That crossed the network, to all hosts together."""
    hosts: tuple[Receipt, ...]
    failures: Mapping[str, KitError] = field(default_factory=dict)
    """By host: why it was passed by."""


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
    failures: Mapping[str, KitError] = field(default_factory=dict)
    """By host: why it does not answer."""


@contextmanager
def _answering(
    loaded: LoadedProject, names: tuple[str, ...], connect: Callable[..., Host]
) -> Iterator[Reached]:
    """Connect to those hosts that answer. Raises UnreachableError when none does, ConfigError."""
    with open_some_hosts(loaded, names, connect) as reached:
        wrong = {n: e for n, e in reached.failures.items() if not isinstance(e, UnreachableError)}
        if wrong or not reached.hosts:
            raise first_failure(wrong or reached.failures)
        yield reached


def ship_project(
    loaded: LoadedProject,
    source: BundleSource,
    names: tuple[str, ...],
    connect: Callable[..., Host],
    progress: HostProgress,
    on_plan: Callable[[ShipPlan], None] = lambda _: None,
) -> Shipped:
    """Take to each host what it lacks; one that does not answer, or fails on the way, is passed by.

    `on_plan` hears what is going to be done, before it is.

    Raises UnfitError before anything changed, UnreachableError when no host answers, ConfigError.
    """
    specs, wanted = loaded.project.hosts, wanted_by_host(loaded.project)
    with _answering(loaded, names, connect) as reached:
        for name, error in reached.failures.items():
            progress.phase(name, "failed", text=error.what)
        planned = plan_hosts(source.manifest, reached.hosts, specs, wanted, progress)
        on_plan(_ship_plan(reached, planned))
        outcome = ship_planned(source, reached.hosts, specs, wanted, planned, progress)
    sent = sum(receipt.sent_bytes for receipt in outcome.receipts)
    return Shipped(sent, outcome.receipts, {**reached.failures, **outcome.failures})


def plan_project_ship(
    loaded: LoadedProject, source: BundleSource, names: tuple[str, ...], connect: Callable[..., Host]
) -> ShipPlan:
    """Return what `ship_project` would do; nothing changes on the hosts."""
    wanted = wanted_by_host(loaded.project)
    with _answering(loaded, names, connect) as reached:
        planned = plan_hosts(source.manifest, reached.hosts, loaded.project.hosts, wanted)
    return _ship_plan(reached, planned)


def _ship_plan(reached: Reached, planned: Planned) -> ShipPlan:
    steps = tuple(_step(host) for host in planned.hosts.values())
    return ShipPlan(sum(step.send_bytes for step in steps), steps, {**reached.failures, **planned.failures})


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
