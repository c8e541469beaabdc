"""The intranet's wires: a switch in a network namespace of its own, linked to each host and to the machine.

The switch is not in the machine's network namespace: the machine's firewall (Docker's rules included) does
not see the hosts' traffic, and the hosts' engines do not touch the machine's firewall. It routes to nowhere.
"""

from __future__ import annotations

import ipaddress
import json
from typing import TYPE_CHECKING

from tests.lab.errors import LabError
from tests.lab.names import MACHINE_LINK, SWITCH, netns_of
from tests.lab.namespaces import NAMED
from tests.lab.shell import run, try_run

if TYPE_CHECKING:
    from tests.lab.state import Intranet, LabHost

PREFIXES = (
    "10.77.0",
    "10.177.77",
    "172.29.77",
    "192.168.177",
    *(f"10.177.{number}" for number in range(78, 90)),
)
"""Tried in this order; several labs at once take one each."""


def free_prefix() -> str:
    """Return the first of PREFIXES that overlaps no network of this machine; raises LabError."""
    said = json.loads(run("ip", "-json", "-4", "address"))
    own = [
        ipaddress.ip_network(f"{address['local']}/{address['prefixlen']}", strict=False)
        for link in said
        if link.get("ifname") != MACHINE_LINK
        for address in link.get("addr_info", ())
    ]
    routes = json.loads(run("ip", "-json", "-4", "route"))
    others = [
        route["dst"] for route in routes if route.get("dev") != MACHINE_LINK and route["dst"] != "default"
    ]
    own += [ipaddress.ip_network(route) for route in others]
    for prefix in PREFIXES:
        if not any(ipaddress.ip_network(f"{prefix}.0/24").overlaps(other) for other in own):
            return prefix
    raise LabError(f"every network the lab could use is taken: {', '.join(PREFIXES)}")


def _in(netns: str, *argv: str) -> None:
    run("nsenter", f"--net={NAMED / netns}", *argv)


def _set(netns: str, *settings: tuple[str, str]) -> None:
    """Set keys below /proc/sys/net; what this kernel does not have is left out."""
    for key, value in settings:
        path = f"/proc/sys/net/{key}"
        _in(netns, "/bin/sh", "-ec", f"test ! -e {path} || echo {value} > {path}")


def ensure_switch(intranet: Intranet) -> None:
    """Make the switch and the machine's link to it, where they are not there yet."""
    if not (NAMED / SWITCH).exists():
        run("ip", "netns", "add", SWITCH)
    if not try_run("ip", "-n", SWITCH, "link", "show", "switch"):
        run("ip", "-n", SWITCH, "link", "add", "switch", "type", "bridge", "forward_delay", "0")
        run("ip", "-n", SWITCH, "link", "set", "switch", "up")
        run("ip", "-n", SWITCH, "link", "set", "lo", "up")
    # Frames between hosts pass the switch whatever firewall rules there are.
    _set(SWITCH, ("ipv6/conf/all/disable_ipv6", "1"), ("bridge/bridge-nf-call-iptables", "0"))
    if not try_run("ip", "link", "show", MACHINE_LINK):
        run("ip", "link", "add", MACHINE_LINK, "type", "veth", "peer", "name", "machine", "netns", SWITCH)
        run("ip", "-n", SWITCH, "link", "set", "machine", "master", "switch", "up")
        run("ip", "address", "add", f"{intranet.prefix}.1/24", "dev", MACHINE_LINK, "noprefixroute")
        run("ip", "link", "set", MACHINE_LINK, "up")
    _pin_cubic(intranet, f"{intranet.prefix}.1")


def _pin_cubic(intranet: Intranet, address: str, *netns: str) -> None:
    """Route to the intranet with TCP cubic: a machine's default may be bbr, which shrugs off loss."""
    device = "eth0" if netns else MACHINE_LINK
    route = (f"{intranet.prefix}.0/24", "dev", device, "src", address, "congctl", "cubic")
    run("ip", *netns, "route", "replace", *route)


def ensure_link(intranet: Intranet, host: LabHost) -> bool:
    """Make a host's network namespace and its link to the switch; return whether the link is new."""
    netns = netns_of(host.name)
    if not (NAMED / netns).exists():
        run("ip", "netns", "add", netns)
    is_new = not try_run("ip", "-n", netns, "link", "show", "eth0")
    if is_new:
        port = port_of(host)
        # Always the same for an address: others remember who answered to it before.
        own = ("name", "eth0", "address", f"02:6b:69:74:00:{host.number:02x}", "netns", netns)
        run("ip", "-n", SWITCH, "link", "add", port, "type", "veth", "peer", *own)
        run(*switch_words(host))
    run("ip", "-n", netns, "link", "set", "lo", "up")
    _set(netns, ("ipv6/conf/eth0/disable_ipv6", "1"))
    address = intranet.address(host.name)
    run("ip", "-n", netns, "address", "replace", f"{address}/24", "dev", "eth0", "noprefixroute")
    run("ip", "-n", netns, "link", "set", "eth0", "up")
    _pin_cubic(intranet, address, "-n", netns)
    return is_new


def port_of(host: LabHost) -> str:
    """Return the name of the switch's interface that leads to a host."""
    return f"port{host.number}"


def switch_words(host: LabHost) -> tuple[str, ...]:
    """Return the command that plugs a host's link straight into the switch."""
    return ("ip", "-n", SWITCH, "link", "set", port_of(host), "master", "switch", "up")


def cut(host: LabHost) -> None:
    """Pull a host's plug: no packet passes until `full_speed` (shaping) plugs it in."""
    run("ip", "-n", SWITCH, "link", "set", port_of(host), "down")


def is_cut(host: LabHost) -> bool:
    """Tell whether a host's plug is pulled."""
    said = json.loads(run("ip", "-json", "-n", SWITCH, "link", "show", port_of(host)))
    return "UP" not in said[0]["flags"]


def remove_links(names: tuple[str, ...]) -> None:
    """Remove the switch, the machine's link and the hosts' network namespaces, whatever is there of them."""
    for netns in (*(netns_of(name) for name in names), SWITCH):
        remove_netns(netns)
    if try_run("ip", "link", "show", MACHINE_LINK):
        run("ip", "link", "delete", MACHINE_LINK)


def remove_netns(netns: str) -> None:
    """Remove a named network namespace, and its end of every link with it; one that is not there is fine."""
    if (NAMED / netns).exists() and not try_run("ip", "netns", "delete", netns):
        try_run("umount", "--lazy", str(NAMED / netns))
        (NAMED / netns).unlink(missing_ok=True)
