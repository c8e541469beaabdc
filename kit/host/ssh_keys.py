"""Private keys that a login may offer: the agent's, those named, the usual ones; locked ones last."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import paramiko

from kit.host.known_hosts import parse_key

if TYPE_CHECKING:
    from collections.abc import Iterable

USUAL = ("id_ed25519", "id_ecdsa", "id_rsa")
"""In ~/.ssh, where no key is named."""
_KINDS: tuple[type[paramiko.PKey], ...] = (paramiko.Ed25519Key, paramiko.ECDSAKey, paramiko.RSAKey)


@dataclass(frozen=True, slots=True)
class Offer:
    """A key that can sign."""

    name: str
    """Where it is, for messages."""
    key: paramiko.PKey


@dataclass(frozen=True, slots=True)
class Offers:
    """What a login may offer, best first."""

    ready: tuple[Offer, ...]
    locked: tuple[Path, ...]
    """Files that need a passphrase."""
    unreadable: tuple[str, ...]
    """Named files that are no keys, or not there, and why."""


def public_blob(path: Path) -> bytes | None:
    """Return the public key beside a private one, or in the file itself, in SSH's wire form."""
    for place in (path, path.with_name(path.name + ".pub")):
        with suppress(OSError, UnicodeDecodeError):
            key = parse_key(place.read_text(encoding="utf-8").strip().split("\n")[0])
            if key is not None:
                return key.data
    return None


def load_key(path: Path, passphrase: str | None = None) -> paramiko.PKey:
    """Return a private key, with the certificate beside it if there is one.

    Raises paramiko's PasswordRequiredException when it is locked; SSHException when it is none or the
    passphrase is wrong; OSError.
    """
    outcomes = [_load_as(kind, path, passphrase) for kind in _KINDS]
    key = next((found for found in outcomes if isinstance(found, paramiko.PKey)), None)
    if key is None:
        locked = (found for found in outcomes if isinstance(found, paramiko.PasswordRequiredException))
        raise next(locked, paramiko.SSHException("no private key, or not its passphrase"))
    certificate = path.with_name(path.name + "-cert.pub")
    if certificate.exists():
        key.load_certificate(str(certificate))
    return key


def _load_as(kind: type[paramiko.PKey], path: Path, passphrase: str | None) -> paramiko.PKey | Exception:
    # A file does not say which kind it has without being unlocked.
    try:
        return kind.from_private_key_file(str(path), passphrase)
    except (paramiko.SSHException, ValueError) as error:
        return error


def find_offers(named: tuple[Path, ...], agent: Iterable[paramiko.PKey], *, named_only: bool) -> Offers:
    """Return the keys to offer: named ones, those of the agent first, then the agent's others.

    A file is not read when the agent has its key. Without named ones, the usual files follow.
    """
    wanted = {path: public_blob(path) for path in named}
    held = {key.asbytes(): key for key in agent}
    ready = [Offer(f"{path} of the agent", held[blob]) for path, blob in wanted.items() if blob in held]
    locked: list[Path] = []
    unreadable: list[str] = []
    for path in (path for path, blob in wanted.items() if blob not in held):
        _take(path, ready, locked, unreadable)
    others = [key for blob, key in held.items() if blob not in wanted.values() and not named_only]
    ready += [Offer(f"{key.get_name()} {key.fingerprint} of the agent", key) for key in others]
    if not named:
        folder = Path("~/.ssh").expanduser()
        there = [folder / name for name in USUAL if (folder / name).is_file()]
        for path in (path for path in there if public_blob(path) not in held):
            _take(path, ready, locked, [])
    return Offers(tuple(ready), tuple(locked), tuple(unreadable))


def _take(path: Path, ready: list[Offer], locked: list[Path], unreadable: list[str]) -> None:
    try:
        ready.append(Offer(str(path), load_key(path)))
    except paramiko.PasswordRequiredException:
        locked.append(path)
    except (paramiko.SSHException, OSError) as error:
        unreadable.append(f"{path}: {getattr(error, 'strerror', None) or error}")
