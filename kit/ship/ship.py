"""Taking to each host what it lacks: have, plan, send, verify, load, receipt; hosts in parallel.

Every host is asked and planned for before the first byte goes to any of them, so a host that is
not fit stops the ship while nothing has changed.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeVar

from kit.errors import KitError, UnreachableError
from kit.ship.shipment import PlannedHost, Shipment, plan_one

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from kit.bundle.manifest import Manifest
    from kit.bundle.source import BundleSource
    from kit.host.port import Host
    from kit.progress import Progress
    from kit.project.model import HostSpec
    from kit.ship.receipt import Receipt
    from kit.ship.wanted import Wanted

__all__ = ["PlannedHost", "plan_ship", "ship_bundle"]

_T = TypeVar("_T")


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


def _successes(results: Mapping[str, _T | KitError]) -> dict[str, _T]:
    """Return the results, or raise the first error; what happened to the others is added to it."""
    errors = {name: result for name, result in results.items() if isinstance(result, KitError)}
    if errors:
        # Reaching a host comes before its fitness.
        first = min(errors.values(), key=lambda error: not isinstance(error, UnreachableError))
        others = "; ".join(f"{name}: {error.what}" for name, error in errors.items() if error is not first)
        if others:
            first.why = f"{first.why}; also {others}" if first.why else f"also {others}"
        raise first
    return {name: result for name, result in results.items() if not isinstance(result, KitError)}


def plan_ship(
    manifest: Manifest,
    hosts: Mapping[str, Host],
    specs: Mapping[str, HostSpec],
    wanted: Mapping[str, Wanted],
) -> dict[str, PlannedHost]:
    """Return what a ship would do on each host; nothing is changed there.

    Raises UnfitError when a host cannot take it, UnreachableError, ConfigError when the bundle lacks
    something.
    """
    return _successes(
        _in_parallel(hosts, lambda name: plan_one(manifest, hosts[name], specs[name], wanted[name]))
    )


def ship_bundle(
    source: BundleSource,
    hosts: Mapping[str, Host],
    specs: Mapping[str, HostSpec],
    wanted: Mapping[str, Wanted],
    progress: Progress,
) -> tuple[Receipt, ...]:
    """Take to each host what it wants out of the bundle; return a receipt for each.

    All hosts are planned for first. Afterwards each goes its own way: one that fails does not stop
    the others, and its error is raised when they have ended. Raises UnfitError before anything
    changed; VerificationError, TransferError, EngineError later.
    """
    planned = plan_ship(source.manifest, hosts, specs, wanted)

    def one(name: str) -> Receipt:
        return Shipment(source, hosts[name], specs[name], wanted[name], progress).carry_out(planned[name])

    return tuple(_successes(_in_parallel(hosts, one)).values())
