"""The words for a host key that cannot be trusted, and the way to accept it on purpose. Pure."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING

from kit.errors import UnreachableError

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
    known_as: str
    """The name for known_hosts: the address, with a port that is not the usual one, or HostKeyAlias."""
    in_project: bool = True
    """It is a host of kit.yaml, and no gateway."""

    @property
    def where(self) -> str:
        """The machine, for messages."""
        gateway = "" if self.in_project else "the gateway "
        return f"{gateway}{self.host} ({self.address}:{self.port})"


_KEY_FILES = {"ssh-ed25519": "ed25519", "ssh-rsa": "rsa"}


def _short(kind: str) -> str:
    return _KEY_FILES.get(kind, "ecdsa")


def _compare(key: HostKey) -> str:
    return (
        f"on its own console, ssh-keygen -lf /etc/ssh/ssh_host_{_short(key.kind)}_key.pub must show the same "
        "fingerprint; only then: "
    )


def _in_project(login: Login, key: HostKey) -> str:
    return f"hosts.{login.host}.host_key: {key.fingerprint} in kit.yaml"


def _acceptance(login: Login, key: HostKey) -> str:
    # The key itself, not ssh-keyscan: that would add whatever answers by then.
    add = f"echo '{login.known_as} {key.line}' >> {shlex.quote(login.known_hosts)}"
    return f"{add}, or {_in_project(login, key)}" if login.in_project else add


def unknown_key(login: Login, key: HostKey) -> UnreachableError:
    """Return the error for a host that was never met."""
    return UnreachableError(
        f"its host key is unknown: {key.kind} {key.fingerprint}",
        where=login.where,
        why="kit never accepts a key by itself",
        fix=_compare(key) + _acceptance(login, key),
    )


def changed_key(login: Login, key: HostKey, known: Known, source: str) -> UnreachableError:
    """Return the error for a host that shows another key than the one on record."""
    keys = [f"{old.kind} {old.fingerprint}" for old in known.keys]
    expected = ", ".join([*keys, known.fingerprint] if known.fingerprint else keys)
    if source == "known_hosts":
        # Without -f, ssh-keygen looks in the user's own file only.
        forget = f"ssh-keygen -f {shlex.quote(login.known_hosts)} -R '{login.known_as}' && "
        accept = forget + _acceptance(login, key)
    else:
        accept = _in_project(login, key)
    return UnreachableError(
        f"its host key has CHANGED: it shows {key.kind} {key.fingerprint}, {source} says {expected}",
        where=login.where,
        why="it was installed anew, or something else answers in its place",
        fix=f"find out why before anything else. If the change is meant: {_compare(key)}{accept}",
    )


def revoked_key(login: Login, key: HostKey) -> UnreachableError:
    """Return the error for a key that known_hosts calls revoked."""
    return UnreachableError(
        f"its host key is revoked: {key.kind} {key.fingerprint}",
        where=login.where,
        why="known_hosts marks it @revoked",
        fix="give the host a new key (ssh-keygen -A after removing the old ones)",
    )
