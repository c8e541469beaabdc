"""Which keys a host may show, by the lines of known_hosts files. Pure.

Format: sshd(8), "SSH_KNOWN_HOSTS FILE FORMAT": plain, hashed (`|1|salt|hash`), wildcard and negated
names, `[host]:port`, `@revoked`. Lines marked `@cert-authority` are left out: kit compares plain keys.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

DEFAULT_PORT = 22
_SHA256_BYTES = 32


@dataclass(frozen=True, slots=True)
class HostKey:
    """A host's public key."""

    kind: str
    """e.g. `ssh-ed25519`."""
    data: bytes
    """The key in SSH's own wire form."""

    @property
    def fingerprint(self) -> str:
        """The fingerprint as ssh prints it: `SHA256:` and base64 without padding."""
        return "SHA256:" + base64.b64encode(hashlib.sha256(self.data).digest()).decode().rstrip("=")

    @property
    def line(self) -> str:
        """`kind base64`, as it stands in known_hosts and in `host_key` of kit.yaml."""
        return f"{self.kind} {base64.b64encode(self.data).decode()}"


@dataclass(frozen=True, slots=True)
class Known:
    """What known_hosts files say about one host."""

    keys: tuple[HostKey, ...]
    revoked: tuple[HostKey, ...] = ()
    fingerprint: str = ""
    """Of a key, where that alone is known."""


def lookup_name(address: str, port: int) -> str:
    """Return the name that a host has in known_hosts."""
    return address.lower() if port == DEFAULT_PORT else f"[{address.lower()}]:{port}"


def parse_key(text: str) -> HostKey | None:
    """Return the key in `kind base64 [comment]`, or None when that is no key."""
    words = text.split()
    if len(words) < 2:  # noqa: PLR2004
        return None
    try:
        data = base64.b64decode(words[1], validate=True)
    except ValueError:  # binascii.Error among them
        return None
    # The wire form begins with the length and name of its kind.
    kind = words[0].encode()
    if data[:4] != len(kind).to_bytes(4, "big") or data[4 : 4 + len(kind)] != kind:
        return None
    return HostKey(words[0], data)


def parse_fingerprint(text: str) -> str | None:
    """Return a fingerprint as `HostKey.fingerprint` gives it, or None when the text is none."""
    kind, _, digest = text.strip().partition(":")
    try:
        data = base64.b64decode(digest.rstrip("=") + "=", validate=True)
    except ValueError:
        return None
    return f"{kind}:{digest.rstrip('=')}" if kind == "SHA256" and len(data) == _SHA256_BYTES else None


def find_known(texts: tuple[str, ...], name: str) -> Known:
    """Return the keys that known_hosts files give for a name made by `lookup_name`."""
    keys: list[HostKey] = []
    revoked: list[HostKey] = []
    for marker, key in (found for text in texts for found in _matching(text, name)):
        into = revoked if marker == "@revoked" else keys
        if marker != "@cert-authority" and key not in into:
            into.append(key)
    return Known(tuple(key for key in keys if key not in revoked), tuple(revoked))


def _matching(text: str, name: str) -> Iterator[tuple[str, HostKey]]:
    for line in text.splitlines():
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        marker = words.pop(0) if words[0].startswith("@") else ""
        key = parse_key(" ".join(words[1:3]))
        if key is not None and _names(words[0], name):
            yield marker, key


def _names(patterns: str, name: str) -> bool:
    if patterns.startswith("|1|"):
        return _hashed(patterns, name)
    found = False
    for pattern in patterns.lower().split(","):
        if pattern.startswith("!") and _like(name, pattern[1:]):
            return False
        found = found or _like(name, pattern)
    return found


def _like(name: str, pattern: str) -> bool:
    # Only * and ? are special there; brackets are part of `[host]:port`.
    return fnmatchcase(name, pattern.replace("[", "[[]"))


def _hashed(pattern: str, name: str) -> bool:
    try:
        salt, digest = (base64.b64decode(part, validate=True) for part in pattern[3:].split("|"))
    except ValueError:
        return False
    return hmac.compare_digest(hmac.new(salt, name.encode(), hashlib.sha1).digest(), digest)
