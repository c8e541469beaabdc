"""Shipping a bundle to the hosts of kit.yaml, each what its jobs need."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from kit.errors import UnreachableError
from kit.run.fleet import open_some_hosts
from kit.ship.pace import keep_paces, load_paces, pace_key, pace_path
from kit.ship.ship import first_failure, plan_hosts, ship_planned
from kit.ship.shipment import who
from kit.ship.wanted import wanted_by_host
from kit.workflow.keep_receipts import Milestones, keep_receipts, receipt_documents
from kit.workflow.ship_plan import ship_plan

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from kit.bundle.source import BundleSource
    from kit.errors import KitError
    from kit.host.port import Host
    from kit.progress import HostProgress
    from kit.project.load import LoadedProject
    from kit.run.fleet import Reached
    from kit.ship.receipt import Receipt
    from kit.workflow.ship_plan import ShipPlan


@dataclass(frozen=True, slots=True)
class Shipped:
    """What was taken where."""

    bytes: int
    """That crossed the network, to all hosts together."""
    hosts: tuple[Receipt, ...]
    failures: Mapping[str, KitError] = field(default_factory=dict)
    """By host: why it was passed by."""
    receipts: str = ""
    """Folder of the receipts that stay on this machine; empty when they could not be written."""


@contextmanager
def answering_hosts(
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

    `on_plan` hears what is going to be done, before it is. Raises UnfitError before anything changed,
    UnreachableError when no host answers, ConfigError.
    """
    specs, wanted = loaded.project.hosts, wanted_by_host(loaded.project)
    for name in names:
        progress.phase(name, "have")
    progress = milestones = Milestones(progress)
    with answering_hosts(loaded, names, connect) as answering:
        for name, error in answering.failures.items():
            progress.phase(name, "failed", text=error.what)
        paces = load_paces(pace_path())
        planned = plan_hosts(source, answering.hosts, specs, wanted, progress, paces)
        on_plan(ship_plan(planned, answering.failures))
        outcome = ship_planned(source, answering.hosts, specs, wanted, planned, progress)
    rates = {pace_key(specs[receipt.host]): receipt.rate for receipt in outcome.receipts if receipt.rate}
    keep_paces(pace_path(), rates)
    sent = sum(receipt.sent_bytes for receipt in outcome.receipts)
    failures = {**answering.failures, **outcome.failures}
    told = receipt_documents(source, outcome.receipts, failures, milestones, who())
    return Shipped(sent, outcome.receipts, failures, _kept(loaded, told, progress))


def _kept(loaded: LoadedProject, told: Iterator[tuple[str, dict[str, Any]]], progress: HostProgress) -> str:
    """Keep receipts beside kit.yaml; return where. What was shipped is shipped without them, too."""
    try:
        return str(keep_receipts(loaded.folder, told) or "")
    except OSError as error:
        progress.note(f"no receipt could be kept in {loaded.folder / '.kit'}: {error.strerror or error}")
        return ""


def plan_project_ship(
    loaded: LoadedProject, source: BundleSource, names: tuple[str, ...], connect: Callable[..., Host]
) -> ShipPlan:
    """Return what `ship_project` would do; nothing changes on the hosts."""
    specs, wanted, paces = loaded.project.hosts, wanted_by_host(loaded.project), load_paces(pace_path())
    with answering_hosts(loaded, names, connect) as reached:
        planned = plan_hosts(source, reached.hosts, specs, wanted, paces=paces)
    return ship_plan(planned, reached.failures)
