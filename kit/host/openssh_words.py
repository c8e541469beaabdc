"""The words of an `ssh` command for one lane: what carries data is told everything, and asks nobody.

The control connection has judged every hop's key and knows every hop's address, port and user. ssh is given
just these: each hop has one known key, under a name of its own in a file of kit's, and whatever the user's
configuration says of known hosts, forwarding or sharing connections does not count. Gateways are told the
same way: `-J` would start an ssh that knows none of these options and might ask at the terminal. Pure.

Options: ssh_config(5) and ssh(1) of OpenSSH 7.6 and later.
"""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from kit.host.port import Argv
    from kit.host.ssh_way import Hop

OLDEST = (7, 6)
"""Version of OpenSSH that knows all of _ALWAYS."""
_ALWAYS = (
    "BatchMode=yes",
    "StrictHostKeyChecking=yes",
    "GlobalKnownHostsFile=/dev/null",
    "UpdateHostKeys=no",
    "CheckHostIP=no",
    "VerifyHostKeyDNS=no",
    "CanonicalizeHostname=no",
    "ControlMaster=no",
    "ControlPath=none",
    "ControlPersist=no",
    "ClearAllForwardings=yes",
    "ForwardAgent=no",
    "ForwardX11=no",
    "Tunnel=no",
    "PermitLocalCommand=no",
    "RemoteCommand=none",
    "AddKeysToAgent=no",
    "Compression=no",
    "ConnectionAttempts=1",
    "LogLevel=ERROR",
)
_SINCE = (
    ((8, 5), ("KnownHostsCommand=none",)),
    ((8, 7), ("SessionType=default", "StdinNull=no", "ForkAfterAuthentication=no")),
)
_SIGNATURES = {"ssh-rsa": "rsa-sha2-512,rsa-sha2-256"}
"""Kind of key → what may be signed with it, where that has another name."""
_VERSION = re.compile(r"OpenSSH_(?:for_Windows_)?(\d+)\.(\d+)")


@dataclass(frozen=True, slots=True)
class LaneRoute:
    """The way of a lane."""

    hops: tuple[Hop, ...]
    """Gateways, the nearest first, and the host, as the control connection reached them."""
    known_hosts: Path
    """Where the text of `known_text` lies."""
    ssh_config: Path | None
    """Read in place of the usual ones."""
    identity: Path | None
    """The private key for the host itself, from kit.yaml."""
    own_proxy: bool
    """The first hop is reached by a ProxyCommand of the user's configuration."""
    version: tuple[int, int]
    ciphers: tuple[str, ...]
    """The best first; empty leaves them to the user's configuration."""
    connect_timeout: int
    """Seconds."""
    keepalive: int
    """Seconds between questions whether the host still answers; three without an answer end the lane."""


def parse_version(text: str) -> tuple[int, int] | None:
    """Return the version in what `ssh -V` says, or None when it is not OpenSSH."""
    found = _VERSION.search(text)
    return (int(found[1]), int(found[2])) if found else None


def known_text(hops: tuple[Hop, ...]) -> str:
    """Return a known_hosts file that has each hop's key and no other."""
    return "".join(f"{_alias(place)} {hop.key.line}\n" for place, hop in enumerate(hops))


def ssh_words(route: LaneRoute, argv: Argv) -> Argv:
    """Return the command that runs `argv` on the route's last hop."""
    last = len(route.hops) - 1
    # ssh hands the words to the login shell as one line.
    return (*_reach(route, last), "--", route.hops[last].name, shlex.join(argv))


def _identity(route: LaneRoute, place: int) -> bool:
    return route.identity is not None and place == len(route.hops) - 1


def _alias(place: int) -> str:
    return f"kit-hop-{place}"


def _reach(route: LaneRoute, place: int) -> Argv:
    """Return ssh with all it must know of one hop."""
    hop = route.hops[place]
    words = ["ssh", "-T", "-p", str(hop.port), "-l", hop.user]
    if route.ssh_config is not None:
        words += ["-F", str(route.ssh_config)]
    if _identity(route, place):
        words += ["-i", str(route.identity)]
    for option in (*_options(route, place), *_always(route.version)):
        words += ["-o", option]
    return tuple(words)


def _always(version: tuple[int, int]) -> tuple[str, ...]:
    return (*_ALWAYS, *(option for since, more in _SINCE if version >= since for option in more))


def _options(route: LaneRoute, place: int) -> list[str]:
    hop = route.hops[place]
    options = [
        f"HostName={_escaped(hop.address)}",
        f"HostKeyAlias={_alias(place)}",
        f"HostKeyAlgorithms={_SIGNATURES.get(hop.key.kind, hop.key.kind)}",
        f'UserKnownHostsFile="{_escaped(str(route.known_hosts))}"',
        f"ConnectTimeout={route.connect_timeout}",
        f"ServerAliveInterval={route.keepalive}",
        "ServerAliveCountMax=3",
    ]
    if route.ciphers:
        options.append(f"Ciphers={','.join(route.ciphers)}")
    if _identity(route, place):
        # An agent with many keys would use up what the host lets one try.
        options.append("IdentitiesOnly=yes")
    if place > 0:
        options.append(f"ProxyCommand={_through(route, place)}")
    elif not route.own_proxy:
        options.append("ProxyCommand=none")
    return options


def _through(route: LaneRoute, place: int) -> str:
    """Return the command, for a shell, that joins its input and output to a hop by the gateway before it."""
    hop, gateway = route.hops[place], route.hops[place - 1]
    address = f"[{hop.address}]" if ":" in hop.address else hop.address
    words = (*_reach(route, place - 1), "-W", f"{address}:{hop.port}", "--", gateway.name)
    return _escaped(shlex.join(words))


def _escaped(text: str) -> str:
    """Return text that ssh's own expansion of %h and the like gives back as it was."""
    return text.replace("%", "%%")
