"""The words for a host key that cannot be trusted, and the way to accept it on purpose. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from kit.errors import UnreachableError
from kit.host.known_hosts import lookup_name

if TYPE_CHECKING:
    from kit.host.known_hosts import HostKey, Known


@dataclass(frozen=True, slots=True)
class Login:
    """Where a connection goes, in words for messages."""

    host: str
    """Its name in kit.yaml, or the name of the gateway."""
    address: str
    port: int
    known_hosts: str
    """The file that a new key would be added to."""
    known_as: str = ""
    """The name for known_hosts where ssh-keyscan would not give it: behind a gateway, or by an alias."""


_KEY_FILES = {"ssh-ed25519": "ed25519", "ssh-rsa": "rsa"}


def _short(kind: str) -> str:
    return _KEY_FILES.get(kind, "ecdsa")


def _acceptance(login: Login, key: HostKey) -> str:
    kind = _short(key.kind)
    compare = (
        f"on the host's own console, ssh-keygen -lf /etc/ssh/ssh_host_{kind}_key.pub must show the same "
        "fingerprint; only then: "
    )
    if login.known_as:
        add = f"echo '{login.known_as} {key.line}' >> {login.known_hosts}"
    else:
        add = f"ssh-keyscan -p {login.port} -t {kind} {login.address} >> {login.known_hosts}"
    return f"{compare}{add}, or hosts.{login.host}.host_key: {key.line} in kit.yaml"


def unknown_key(login: Login, key: HostKey) -> UnreachableError:
    """Return the error for a host that was never met."""
    return UnreachableError(
        f"its host key is unknown: {key.kind} {key.fingerprint}",
        where=f"{login.host} ({login.address}:{login.port})",
        why="kit never accepts a key by itself",
        fix=_acceptance(login, key),
    )


def changed_key(login: Login, key: HostKey, known: Known, source: str) -> UnreachableError:
    """Return the error for a host that shows another key than the one on record."""
    expected = ", ".join(f"{old.kind} {old.fingerprint}" for old in known.keys)
    # Without -f, ssh-keygen looks in the user's own file only.
    name = login.known_as or lookup_name(login.address, login.port)
    if source == "known_hosts":
        forget = f"ssh-keygen -f {login.known_hosts} -R '{name}', then "
    else:
        forget = f"replace {source}: "
    return UnreachableError(
        f"its host key has CHANGED: it shows {key.kind} {key.fingerprint}, {source} says {expected}",
        where=f"{login.host} ({login.address}:{login.port})",
        why="it was installed anew, or something else answers in its place",
        fix=f"find out why before anything else. If the change is meant: {forget}{_acceptance(login, key)}",
    )


def revoked_key(login: Login, key: HostKey) -> UnreachableError:
    """Return the error for a key that known_hosts calls revoked."""
    return UnreachableError(
        f"its host key is revoked: {key.kind} {key.fingerprint}",
        where=f"{login.host} ({login.address}:{login.port})",
        why="known_hosts marks it @revoked",
        fix="give the host a new key (ssh-keygen -A after removing the old ones)",
    )
