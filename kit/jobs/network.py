"""Which interface and addresses the ranks of a training use. Pure.

Left alone, NCCL and Gloo take the first interface they like, often Docker's bridge, and torchrun
believes the host's own name, often 127.0.1.1; both end in a silent hang.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from kit.errors import UnfitError

if TYPE_CHECKING:
    from kit.host.facts import HostFacts
    from kit.jobs.launch import LaunchContext
    from kit.project.model import HostSpec, Project

_VIRTUAL = re.compile(r"^(lo|docker\d|br-|veth|virbr|cni|flannel|cali|tailscale)")


@dataclass(frozen=True, slots=True)
class Route:
    """A host's way into the training network."""

    interface: str
    address: str
    """IPv4 address of the host on that interface."""


LOOPBACK = Route("lo", "127.0.0.1")
"""The way for a job on one host: nothing leaves it."""


def route_argv(address: str) -> tuple[str, ...]:
    """Return the command that asks a host for its route to an address."""
    return ("ip", "-4", "-o", "route", "get", address)


def parse_route(text: str) -> Route | None:
    """Return the route in the answer to `route_argv`, or None when there is none."""
    found = re.search(r"\bdev (\S+).*?\bsrc (\d+(?:\.\d+){3})\b", text)
    return Route(found[1], found[2]) if found and found[1] != "lo" else None


def find_route(host: str, spec: HostSpec, facts: HostFacts, asked: Route | None = None) -> Route:
    """Return the route that a host's training traffic takes.

    In this order: `nic` in kit.yaml, the route that the host itself named, the interface that bears
    the host's address in kit.yaml, the only real interface. Raises UnfitError when none is certain.
    """
    if spec.nic is not None:
        return _by_name(host, spec.nic, facts)
    if asked is not None:
        return asked
    for interface, address in facts.interfaces:
        if address == spec.address:
            return Route(interface, address)
    real = [pair for pair in facts.interfaces if not _VIRTUAL.match(pair[0])]
    if len(real) == 1:
        return Route(*real[0])
    raise UnfitError(
        f"which network interface carries the training traffic is not certain; found: {_listed(facts)}",
        where=f"hosts.{host}.nic",
        fix=f"name one in hosts.{host}.nic",
    )


def _by_name(host: str, nic: str, facts: HostFacts) -> Route:
    for interface, address in facts.interfaces:
        if interface == nic:
            return Route(interface, address)
    raise UnfitError(
        f"no network interface {nic!r} with an IPv4 address on the host; found: {_listed(facts)}",
        where=f"hosts.{host}.nic",
        fix=f"correct hosts.{host}.nic",
    )


def _listed(facts: HostFacts) -> str:
    return ", ".join(f"{name} ({address})" for name, address in facts.interfaces) or "none"


def training_routes(project: Project, hosts: tuple[str, ...], context: LaunchContext) -> dict[str, Route]:
    """Return each host's route; a training on one host stays on its loopback. Raises UnfitError."""
    if len(hosts) == 1:
        return {hosts[0]: LOOPBACK}
    return {
        host: find_route(host, project.hosts[host], context.facts[host], context.routes.get(host))
        for host in hosts
    }


def socket_environment(route: Route) -> dict[str, str]:
    """Return the variables that tie NCCL and Gloo to an interface."""
    # NCCL matches prefixes (eth1 would match eth10) unless the name begins with "=".
    return {"NCCL_SOCKET_IFNAME": f"={route.interface}", "GLOO_SOCKET_IFNAME": route.interface}
