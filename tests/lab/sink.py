"""A way out of the intranet that ends in counters, to prove that nothing takes it.

Hosts get a default route and a resolver; both lead to the switch's network namespace, where every packet to
an address outside the intranet is counted and ends (connections are refused), and every name query is counted
and answered with an address outside. The kernel counts, so nothing depends on the name server's honesty.
Containers have copies of resolv.conf from when they were started: raise the sink first.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from tests.lab.errors import LabError
from tests.lab.names import SWITCH, netns_of
from tests.lab.namespaces import NAMED, file_system_of, init_of, kill_process, processes_in
from tests.lab.shell import run, start_detached, try_run, wait_until

if TYPE_CHECKING:
    from tests.lab.state import Folders, Intranet, LabHost

SERVER = Path(__file__).with_name("sink_names.py")
INSIDE = ("nsenter", f"--net={NAMED / SWITCH}")
TABLE = ("table", "inet", "kitlab_sink")
SAID_AS = {"routed_out": "packets", "asked": "queries"}
NO_RESOLVER = "# an air gap: no resolver\n"


def sink_address(intranet: Intranet) -> str:
    """Return the address of the way out and of the resolver."""
    return f"{intranet.prefix}.254"


def _rules(prefix: str) -> str:
    # 224.0.0.0/3 is multicast and broadcast, which no router passes on.
    return f"""
table inet kitlab_sink {{
    counter routed_out {{}}
    counter asked {{}}
    chain arriving {{
        type filter hook prerouting priority -300; policy accept;
        iifname "switch" udp dport 53 counter name asked
        iifname "switch" tcp dport 53 tcp flags & (syn | ack) == syn counter name asked
        iifname "switch" ip daddr != {{ {prefix}.0/24, 224.0.0.0/3 }} counter name routed_out
    }}
}}
"""


def sink_up(folders: Folders, intranet: Intranet, hosts: tuple[LabHost, ...]) -> None:
    """Raise the sink with its counters at 0 and lead these hosts to it."""
    address = sink_address(intranet)
    try_run(*INSIDE, "nft", "delete", *TABLE)
    run("ip", "-n", SWITCH, "address", "replace", f"{address}/24", "dev", "switch")
    # Every address that is not the intranet's is this namespace's own: packets end here, and are refused.
    run("ip", "-n", SWITCH, "route", "replace", "local", "default", "dev", "lo", "table", "main")
    _start_server(folders, address)
    run(*INSIDE, "nft", "-f", "-", stdin=_rules(intranet.prefix).encode())
    for host in hosts:
        way = ("default", "via", address, "dev", "eth0", "src", intranet.address(host.name))
        run("ip", "-n", netns_of(host.name), "route", "replace", *way)
        _resolver(host.name, f"nameserver {address}\n")


def _start_server(folders: Folders, address: str) -> None:
    if _servers():
        return
    folders.sink.mkdir(parents=True, exist_ok=True)
    log = folders.sink / "names.log"
    with log.open("wb") as file:
        start_detached((*INSIDE, sys.executable, str(SERVER), address), file)
    listening = (*INSIDE, "sh", "-c", f"ss -Hlun src {address}:53 | grep -q .")
    if not wait_until(lambda: try_run(*listening), 5):
        raise LabError(f"the sink's name server did not start: {log.read_text(encoding='utf-8')}")


def _servers() -> tuple[int, ...]:
    mark = str(SERVER).encode()
    pids = processes_in(SWITCH)
    return tuple(pid for pid in pids if mark in Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0"))


def _resolver(name: str, text: str) -> None:
    (file_system_of(name) / "etc/resolv.conf").write_text(text, encoding="utf-8")


def sink_down(intranet: Intranet) -> None:
    """Close the way out of every host again and take the sink away."""
    for host in intranet.hosts:
        if init_of(host.name) is not None:
            try_run("ip", "-n", netns_of(host.name), "route", "delete", "default")
            _resolver(host.name, NO_RESOLVER)
    for pid in _servers():
        kill_process(pid)
    try_run(*INSIDE, "nft", "delete", *TABLE)
    try_run("ip", "-n", SWITCH, "route", "delete", "local", "default", "dev", "lo", "table", "main")
    try_run("ip", "-n", SWITCH, "address", "delete", f"{sink_address(intranet)}/24", "dev", "switch")


def sink_counts() -> dict[str, int]:
    """Return packets and queries counted since the sink was raised; raises LabError when there is none."""
    if not try_run(*INSIDE, "nft", "list", *TABLE):
        raise LabError("the sink is not up: python3 -m tests.lab sink up")
    said = json.loads(run(*INSIDE, "nft", "-j", "list", "counters", *TABLE))
    found = [entry["counter"] for entry in said["nftables"] if "counter" in entry]
    return {SAID_AS[counter["name"]]: int(counter["packets"]) for counter in found}
