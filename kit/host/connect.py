"""From a host of kit.yaml to a connection."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from kit.errors import ConfigError
from kit.host.known_hosts import DEFAULT_PORT, HostKey, parse_key

if TYPE_CHECKING:
    from kit.host.port import Host
    from kit.project.model import HostSpec

LOCAL = "local"
"""The address that means this machine."""


def _host_key(name: str, spec: HostSpec) -> HostKey | None:
    if spec.host_key is None:
        return None
    key = parse_key(spec.host_key)
    if key is None:
        raise ConfigError(
            "not a host key",
            where=f"hosts.{name}.host_key",
            fix="give the kind and the base64 text, as in a known_hosts line: ssh-ed25519 AAAA…",
        )
    return key


def _identity(name: str, spec: HostSpec, folder: Path) -> Path | None:
    if spec.identity is None:
        return None
    path = folder / Path(spec.identity).expanduser()
    if not path.is_file():
        raise ConfigError(
            "no such private key", where=f"hosts.{name}.identity: {path}", fix="correct the path"
        )
    return path


def _named_file(variable: str) -> Path | None:
    value = os.environ.get(variable)
    return Path(value).expanduser() if value else None


def connect(name: str, spec: HostSpec, project_folder: Path) -> Host:
    """Return a connection to a host, or this machine when its address is `local`.

    The environment's KIT_SSH_CONFIG and KIT_KNOWN_HOSTS name files that are read in place of the
    usual ones. Raises UnreachableError when the host does not answer, refuses the login, or shows
    a key that is unknown or changed; ConfigError when kit.yaml names a file that is not there.
    """
    if spec.address == LOCAL:
        from kit.host.local_machine import LocalMachine

        return LocalMachine(name)
    from kit.host.fabric_remote import FabricRemote, Way

    way = Way(
        name=name,
        address=spec.address,
        user=spec.user,
        port=None if spec.port == DEFAULT_PORT else spec.port,
        identity=_identity(name, spec, project_folder),
        host_key=_host_key(name, spec),
        ssh_config=_named_file("KIT_SSH_CONFIG"),
        known_hosts=_named_file("KIT_KNOWN_HOSTS"),
    )
    return FabricRemote(way)
