"""Taking to each host what it lacks: have, plan, send, verify, load, receipt; hosts in parallel.

Every host is asked and planned for before the first byte goes to any of them, so a host that is
not fit stops the ship while nothing has changed. One that does not answer is passed by, as is one
that fails on the way: the others get what they need, and its error is told at the end.
"""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, TypeVar

from kit.errors import KitError, UnreachableError
from kit.progress import NoProgress
from kit.ship.chain.addresses import addresses_of
from kit.ship.chain.chain import Chain
from kit.ship.chain.place import InChain
from kit.ship.pace import WORTH_TRYING, pace_key, try_pace
from kit.ship.reuse import FrameReader
from kit.ship.shipment import PlannedHost, Shipment, plan_one

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from kit.bundle.source import BundleSource
    from kit.host.port import Host
    from kit.progress import HostProgress
    from kit.project.model import HostSpec
    from kit.ship.receipt import Receipt
    from kit.ship.wanted import Wanted

__all__ = ["Outcome", "Planned", "PlannedHost", "first_failure", "plan_hosts", "ship_bundle", "ship_planned"]

_T = TypeVar("_T")
SILENT = NoProgress()
NO_PACES: Mapping[str, float] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Planned:
    """What a ship would do, on those hosts that answer."""

    hosts: Mapping[str, PlannedHost]
    failures: Mapping[str, KitError]
    """Why the others do not."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a ship ended on each host."""

    receipts: tuple[Receipt, ...]
    failures: Mapping[str, KitError]


def _in_parallel(hosts: Mapping[str, Host], work: Callable[[str], _T]) -> dict[str, _T | KitError]:
    """Return what `work` gave, or the KitError that it raised, for each host."""

    def guarded(name: str) -> _T | KitError:
        try:
            return work(name)
        except KitError as error:
            return error

    pool = ThreadPoolExecutor(max(len(hosts), 1))
    try:
        return dict(zip(hosts, pool.map(guarded, hosts), strict=True))
    except BaseException:
        # Ctrl-C: ending the connections lets the threads end too.
        for host in hosts.values():
            host.close()
        raise
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def first_failure(failures: Mapping[str, KitError]) -> KitError:
    """Return the failure to tell of, with a word on what happened to the other hosts."""
    # Reaching a host comes before its fitness.
    first = min(failures.values(), key=lambda error: not isinstance(error, UnreachableError))
    others = "; ".join(f"{name}: {error.what}" for name, error in failures.items() if error is not first)
    if not others:
        return first
    why = f"{first.why}; also {others}" if first.why else f"also {others}"
    return type(first)(first.what, where=first.where, why=why, fix=first.fix)


def _parted(results: Mapping[str, _T | KitError]) -> tuple[dict[str, _T], dict[str, KitError]]:
    good = {name: result for name, result in results.items() if not isinstance(result, KitError)}
    return good, {name: result for name, result in results.items() if isinstance(result, KitError)}


def plan_hosts(
    source: BundleSource,
    hosts: Mapping[str, Host],
    specs: Mapping[str, HostSpec],
    wanted: Mapping[str, Wanted],
    progress: HostProgress = SILENT,
    paces: Mapping[str, float] = NO_PACES,
) -> Planned:
    """Return what a ship would do on each host; nothing is changed there.

    `paces` are the rates that are known, bytes a second by `pace_key`.

    Raises UnfitError when a host cannot take it, ConfigError when the bundle lacks something,
    UnreachableError when none answers.
    """
    frames_of = FrameReader(source.read)

    def one(name: str) -> PlannedHost:
        progress.phase(name, "have")
        found = plan_one(source.manifest, hosts[name], specs[name], wanted[name], frames_of)
        rate = paces.get(pace_key(specs[name]))
        if rate is None and found.plan.send_bytes >= WORTH_TRYING:
            rate = try_pace(hosts[name])
        found = replace(found, rate=rate)
        progress.phase(name, "plan", send_bytes=found.plan.send_bytes)
        return found

    planned, failures = _parted(_in_parallel(hosts, one))
    if not planned or not all(isinstance(error, UnreachableError) for error in failures.values()):
        unfit = {n: error for n, error in failures.items() if not isinstance(error, UnreachableError)}
        raise first_failure(unfit or failures)
    return Planned(planned, failures)


def ship_planned(
    source: BundleSource,
    hosts: Mapping[str, Host],
    specs: Mapping[str, HostSpec],
    wanted: Mapping[str, Wanted],
    planned: Planned,
    progress: HostProgress,
) -> Outcome:
    """Take to each host what it wants out of the bundle; return how that ended, on each.

    Hosts pass on to each other what several of them lack. One that fails does not stop the others.
    """
    going = {name: hosts[name] for name in planned.hosts}
    # This machine's, too: that of a host may be set right while the ship is under way.
    clocks = [time.time() + ahead for ahead in (0.0, *(h.facts.clock_offset for h in planned.hosts.values()))]
    with Chain(going, clocks, progress.note) if len(going) > 1 else nullcontext() as chain:

        def one(name: str) -> Receipt:
            shipment = Shipment(source, hosts[name], specs[name], wanted[name], progress)
            if chain is not None:
                shipment.place = InChain(chain, name, addresses_of(specs[name], planned.hosts[name].facts))
            try:
                return shipment.carry_out(planned.hosts[name])
            except KitError as error:
                progress.phase(name, "failed", text=error.what)
                raise
            finally:
                if chain is not None:
                    chain.leave(name)

        receipts, failures = _parted(_in_parallel(going, one))
    return Outcome(tuple(receipts.values()), {**planned.failures, **failures})


def ship_bundle(
    source: BundleSource,
    hosts: Mapping[str, Host],
    specs: Mapping[str, HostSpec],
    wanted: Mapping[str, Wanted],
    progress: HostProgress,
) -> tuple[Receipt, ...]:
    """Plan for all hosts and ship to all; return a receipt for each.

    Raises UnfitError before anything changed; what failed on any host when all have ended.
    """
    planned = plan_hosts(source, hosts, specs, wanted, progress)
    outcome = ship_planned(source, hosts, specs, wanted, planned, progress)
    if outcome.failures:
        raise first_failure(outcome.failures)
    return outcome.receipts
