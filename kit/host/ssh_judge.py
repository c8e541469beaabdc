"""Judging the key that a machine shows, before anything else is said to it.

fabric would add unknown keys by itself, so every hop gets a policy that compares the shown key with those in
known_hosts (or with `host_key` of kit.yaml) and refuses all others.
"""

from __future__ import annotations

import socket
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import paramiko

from kit.host.fabric_channel import WINDOW
from kit.host.known_hosts import HostKey, Known
from kit.host.trust import Login, changed_key, revoked_key, unknown_key

if TYPE_CHECKING:
    from collections.abc import Iterable

DEAD_AFTER = 30
"""Seconds without an acknowledged packet after which a connection counts as lost."""
_CIPHERS = (
    # Authenticated and fastest with AES instructions first; CBC and 3DES never.
    "aes128-gcm@openssh.com",
    "aes256-gcm@openssh.com",
    "aes128-ctr",
    "aes256-ctr",
)
_RSA = ("rsa-sha2-512", "rsa-sha2-256")


class OtherKeyError(paramiko.SSHException):
    """The host showed a key that a fingerprint does not fit; it may have one of another kind that does."""


@dataclass(frozen=True, slots=True)
class Record:
    """What is on record about a machine's keys, and where."""

    known: Known
    source: str
    """Of the keys: `known_hosts`, or a key of kit.yaml."""


class Judge(paramiko.MissingHostKeyPolicy):
    """Accepts a host's key when it is on record; asked for every key, since paramiko knows none."""

    def __init__(self, login: Login, record: Record) -> None:
        self._login = login
        self._record = record
        self.accepted: HostKey | None = None
        self.unfitting: list[HostKey] = []
        """Shown so far, of which the fingerprint on record is not."""

    def missing_host_key(self, client: paramiko.SSHClient, hostname: str, key: paramiko.PKey) -> None:
        """Accept the key, or raise UnreachableError; OtherKeyError when another kind of key may fit."""
        del client, hostname
        known, shown = self._record.known, HostKey(key.get_name(), key.asbytes())
        if shown in known.revoked:
            raise revoked_key(self._login, shown)
        if not known.keys and not known.fingerprint:
            raise unknown_key(self._login, shown)
        if shown not in known.keys and shown.fingerprint != known.fingerprint:
            if known.fingerprint:
                self.unfitting.append(shown)
                raise OtherKeyError(shown.fingerprint)
            raise self.changed(shown)
        self.accepted = shown

    def changed(self, shown: HostKey) -> Exception:
        """Return the error for a key that is not the one on record."""
        return changed_key(self._login, shown, self._record.known, self._record.source)

    def make_transport(self, sock: Any, **more: Any) -> paramiko.Transport:
        """Return a connection that asks for the kinds of key on record first, as ssh does."""
        if isinstance(sock, socket.socket):
            _tune(sock)
        transport = paramiko.Transport(sock, default_window_size=WINDOW, **more)
        options = transport.get_security_options()
        options.ciphers = [cipher for cipher in _CIPHERS if cipher in options.ciphers]
        first = _names_of(key.kind for key in self._record.known.keys)
        unfit = {*_names_of(key.kind for key in self.unfitting), *(key.kind for key in self.unfitting)}
        kinds = [kind for kind in options.key_types if kind not in unfit]
        options.key_types = sorted(kinds, key=lambda kind: first.index(kind) if kind in first else len(first))
        return transport


def _names_of(kinds: Iterable[str]) -> list[str]:
    """Return the names under which kinds of key are negotiated."""
    return [name for kind in kinds for name in (_RSA if kind == "ssh-rsa" else (kind,))]


def _tune(sock: socket.socket) -> None:
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    if hasattr(socket, "TCP_USER_TIMEOUT"):
        # Without it a cut cable is noticed after some 15 minutes.
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, DEAD_AFTER * 1000)


def known_hosts_files(named: Path | None, settings: dict[str, Any]) -> tuple[Path, ...]:
    """Return the files to look into: the named one alone, or those of the SSH configuration."""
    if named is not None:
        return (named,)
    own = str(settings.get("userknownhostsfile", "~/.ssh/known_hosts ~/.ssh/known_hosts2")).split()
    shared = str(settings.get("globalknownhostsfile", "/etc/ssh/ssh_known_hosts")).split()
    return tuple(Path(name).expanduser() for name in (*own, *shared) if name != "none")


def read_texts(paths: tuple[Path, ...]) -> tuple[str, ...]:
    """Return what stands in those files that are there."""
    texts = []
    for path in paths:
        with suppress(FileNotFoundError):
            texts.append(path.read_text(encoding="utf-8", errors="replace"))
    return tuple(texts)
