"""SSH certificates: an authority's word about whose a key is. Pure.

Format: PROTOCOL.certkeys of OpenSSH. What `ssh-keygen -Y verify` looks at is looked at here too; more
strictly, a certificate with critical options, which bind logins, does not count for a bundle.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from kit.signature.algorithms import prove
from kit.signature.wire import Reader, refused, string

_ENDING = b"-cert-v01@openssh.com"
_USER = 1
_FIELDS = {
    b"ssh-ed25519": 1,
    b"ssh-rsa": 2,
    b"ecdsa-sha2-nistp256": 2,
    b"ecdsa-sha2-nistp384": 2,
    b"ecdsa-sha2-nistp521": 2,
    b"sk-ssh-ed25519": 2,
    b"sk-ecdsa-sha2-nistp256": 3,
}
"""Number of fields in each type of key."""


@dataclass(frozen=True, slots=True)
class Certificate:
    """What an authority said about a key."""

    key: bytes = field(repr=False)
    """The plain key, in SSH's binary form."""
    authority: bytes = field(repr=False)
    """The key that signed the certificate."""
    principals: tuple[str, ...]
    valid_after: int
    """Seconds since 1970."""
    valid_before: int
    """Seconds since 1970; it ends before this one."""
    is_for_users: bool
    has_options: bool

    def objection(self, at: float) -> str:
        """Return why it does not count for a bundle at a time, or nothing when it does."""
        if not self.is_for_users:
            return "its certificate is one of a host"
        if self.has_options:
            return "its certificate is bound by critical options"
        if at < self.valid_after:
            return f"its certificate counts from {_utc(self.valid_after)} on only"
        if at >= self.valid_before:
            return f"its certificate ended at {_utc(self.valid_before)}"
        return ""


def _utc(seconds: int) -> str:
    try:
        return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))
    except (OverflowError, ValueError, OSError):
        return f"second {seconds}"


def is_certificate(blob: bytes) -> bool:
    """Tell whether a key in SSH's binary form calls itself a certificate."""
    return blob[4:].startswith(tuple(name + _ENDING for name in _FIELDS))


def _number(reader: Reader) -> int:
    return int.from_bytes(reader.take(8), "big")


def _principals(data: bytes) -> tuple[str, ...]:
    reader, found = Reader(data, "the certificate"), []
    while not reader.is_empty:
        name = reader.string().decode("utf-8", "replace")
        # Names end up on terminals.
        if not name.isprintable():
            raise refused("the certificate has a name that cannot be shown")
        found.append(name)
    return tuple(found)


def parse_certificate(blob: bytes) -> Certificate:
    """Return what a certificate says, once its authority's signature is proven.

    Raises VerificationError when it is malformed, or when the authority did not sign it.
    """
    reader = Reader(blob, "the certificate")
    name = reader.string().removesuffix(_ENDING)
    count = _FIELDS.get(name)
    if count is None:
        raise refused("its certificate is of a kind that is not known")
    reader.string()  # a nonce
    plain = name + b"@openssh.com" if name.startswith(b"sk-") else name
    key = string(plain) + b"".join(string(reader.string()) for _ in range(count))
    _number(reader)  # its serial number
    kind = reader.number()
    reader.string()  # its name in logs
    principals = _principals(reader.string())
    after, before = _number(reader), _number(reader)
    options = reader.string()
    reader.string()  # extensions, which may be ignored
    reader.string()  # reserved
    authority = reader.string()
    signed = reader.taken
    signature = reader.string()
    reader.end()
    prove(authority, signature, signed, "its certificate was not signed by the authority that it names")
    return Certificate(key, authority, principals, after, before, kind == _USER, bool(options))
