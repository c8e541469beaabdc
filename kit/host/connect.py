"""From a host of kit.yaml to a connection."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from kit.errors import ConfigError
from kit.host.known_hosts import HostKey, parse_fingerprint, parse_key
from kit.host.secrets import Secrets

if TYPE_CHECKING:
    from kit.host.port import Host
    from kit.project.model import HostSpec

LOCAL = "local"
"""The address that means this machine."""


def _host_key(name: str, spec: HostSpec) -> tuple[HostKey | None, str]:
    """Return the key, or the fingerprint, that kit.yaml gives."""
    if spec.host_key is None:
        return None, ""
    key, fingerprint = parse_key(spec.host_key), parse_fingerprint(spec.host_key)
    if key is None and fingerprint is None:
        raise ConfigError(
            "neither a host key nor a fingerprint",
            where=f"hosts.{name}.host_key",
            fix="give what ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub shows on the host, SHA256:… (43 "
            "characters follow), or the key as in a known_hosts line: ssh-ed25519 AAAA…",
        )
    return key, fingerprint or ""


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


def connect(name: str, spec: HostSpec, project_folder: Path, secrets: Secrets | None = None) -> Host:
    """Return a connection to a host, or this machine when its address is `local`.

    `secrets` asks for passwords and passphrases; without it, logins that need one are refused.
    The environment's KIT_SSH_CONFIG and KIT_KNOWN_HOSTS name files that are read in place of the
    usual ones. Raises UnreachableError when the host does not answer, refuses the login, or shows
    a key that is unknown or changed; ConfigError when kit.yaml names a file that is not there.
    """
    if spec.address == LOCAL:
        from kit.host.local_machine import LocalMachine

        return LocalMachine(name)
    from kit.host.fabric_remote import FabricRemote
    from kit.host.ssh_way import Way

    key, fingerprint = _host_key(name, spec)
    way = Way(
        name=name,
        address=spec.address,
        user=spec.user,
        port=spec.port,
        identity=_identity(name, spec, project_folder),
        host_key=key,
        fingerprint=fingerprint,
        ssh_config=_named_file("KIT_SSH_CONFIG"),
        known_hosts=_named_file("KIT_KNOWN_HOSTS"),
        secrets=secrets or Secrets(),
    )
    return FabricRemote(way)
