"""How a host is to be reached over SSH, and how it was. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from kit.host.secrets import Secrets

if TYPE_CHECKING:
    from pathlib import Path

    from kit.host.known_hosts import HostKey


@dataclass(frozen=True, slots=True)
class Way:
    """How to reach a host, from kit.yaml and the environment."""

    name: str
    address: str
    user: str | None = None
    port: int | None = None
    """None lets ~/.ssh/config decide."""
    identity: Path | None = None
    host_key: HostKey | None = None
    fingerprint: str = ""
    """Of the host's key, in place of the key."""
    ssh_config: Path | None = None
    """Read in place of ~/.ssh/config and /etc/ssh/ssh_config."""
    known_hosts: Path | None = None
    """Read in place of every other known_hosts file."""
    secrets: Secrets = field(default_factory=Secrets)
    """Where passwords and passphrases come from."""


@dataclass(frozen=True, slots=True)
class Hop:
    """A machine that a connection goes through or ends at, as it was found and proven."""

    name: str
    """What it is called by whoever names it: in kit.yaml (address), or in ProxyJump."""
    address: str
    """Where it is, after ~/.ssh/config."""
    port: int
    user: str
    key: HostKey
    """That it showed and that was on record."""
    typed: bool = False
    """Somebody typed a secret for this login, so that nothing but kit can repeat it."""
    one_time: bool = False
    """Not even kit can: the next login wants another answer, such as a code."""
