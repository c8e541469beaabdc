"""What a host itself demands of a shipment: ROOT/etc/trust.yaml, if somebody put one there.

It guards against mistakes of those who ship: kit's own image, which asks these questions, comes in
the same shipment. Whoever must be kept out is kept out on the machine that ships, and by SSH.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from kit.bundle.digest import blob_of
from kit.bundle.parse_manifest import parse_manifest
from kit.errors import VerificationError
from kit.ship.agent.order import Order, parse_order
from kit.ship.have import POLICY
from kit.signature.read_trust import read_rule
from kit.signature.trust import Trust

if TYPE_CHECKING:
    from pathlib import Path

    from kit.bundle.manifest import Manifest

_FIX = "ship the newer bundle, or lift refuse_older in that file"


@dataclass(frozen=True, slots=True)
class _Kept:
    """A bundle that an earlier ship left its manifest of."""

    locked: str
    digest: str


def host_trust(root: Path) -> Trust:
    """Return what the host demands; nothing without a policy. Raises ConfigError."""
    policy = root / POLICY
    there = policy.exists() or policy.is_symlink()
    return Trust((read_rule(policy),) if there else (), time.time())


def trusted_order(request: dict[str, Any], root: Path) -> Order:
    """Return the order in a request, once it meets what the host demands.

    Raises VerificationError when it does not, ConfigError when the policy cannot be used, and what
    `parse_order` raises.
    """
    trust = host_trust(root)
    order = parse_order(request, trust.judge)
    if trust.refuses_older:
        _refuse_older(order, root)
    return order


def _refuse_older(order: Order, root: Path) -> None:
    kept = _newest(order.manifest, root)
    if kept is not None and kept.locked > order.manifest.locked:
        raise VerificationError(
            f"the bundle is older than the one of {kept.locked} that was shipped here",
            where=str(root / POLICY),
            why=f"it was locked at {order.manifest.locked}; {kept.digest} was shipped before",
            fix=_FIX,
        )


def _newest(manifest: Manifest, root: Path) -> _Kept | None:
    found = []
    for path in root.glob("bundles/*.json"):
        data = path.read_bytes()
        try:
            other = parse_manifest(data)
        except VerificationError:
            continue  # Of another format; it has no age.
        if other.name == manifest.name:
            found.append(_Kept(other.locked, blob_of(data).digest))
    return max(found, key=lambda kept: kept.locked, default=None)
