"""Asking a host which way it reaches another one."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from kit.jobs.network import Route, parse_route, route_argv

if TYPE_CHECKING:
    from kit.host.port import Host

_NOT_FOUND = 127
"""A shell's status for a program that is not there."""


@dataclass(frozen=True, slots=True)
class Way:
    """What a host said about its way to an address."""

    known: bool
    """False when it could not be asked: no program `ip`, or an address that is a name."""
    route: Route | None
    """None when there is none, or it leads to the host itself."""


def ask_way(host: Host, address: str) -> Way:
    """Return a host's way to an IPv4 address. Raises UnreachableError."""
    try:
        ipaddress.IPv4Address(address)
    except ValueError:
        return Way(known=False, route=None)
    found = host.run(route_argv(address))
    if found.status == _NOT_FOUND:
        return Way(known=False, route=None)
    return Way(known=True, route=parse_route(found.text) if found.status == 0 else None)
