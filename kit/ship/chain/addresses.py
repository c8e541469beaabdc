"""Under which addresses other hosts may reach one. Pure."""

from __future__ import annotations

import ipaddress
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kit.host.facts import HostFacts
    from kit.project.model import HostSpec

_OF_CONTAINERS = re.compile(r"(docker|br-|veth|virbr|cni|flannel|cali|podman|vxlan|tun|tap|lo$)")
"""Interfaces that end on the host itself, under addresses that every host has."""


def addresses_of(spec: HostSpec, facts: HostFacts) -> tuple[str, ...]:
    """Return where a host may be reached from another, the likeliest first.

    A name in kit.yaml is no address: hosts of an intranet often cannot look it up, or find another.
    """
    found = [address for name, address in facts.interfaces if not _OF_CONTAINERS.match(name)]
    own = [address for address in found if _is_address(address)]
    return tuple(dict.fromkeys([spec.address, *own] if _is_address(spec.address) else own))


def _is_address(text: str) -> bool:
    try:
        return not ipaddress.ip_address(text).is_loopback
    except ValueError:
        return False
