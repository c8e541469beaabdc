"""The signature file: an armoured SSHSIG, as `ssh-keygen -Y sign` writes it. Pure.

Format: PROTOCOL.sshsig of OpenSSH. Its signature covers the namespace, the name of the hash and
the hash of the signed file. Read strictly: one armour for given contents, no reserved bytes.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from dataclasses import dataclass, field

from kit.signature.wire import Reader, refused, shown, string

NAMESPACE = "kit-bundle"
"""What a bundle's signature is made for; one made for e-mail or git does not count."""
HASHES = ("sha256", "sha512")
_MAGIC = b"SSHSIG"
_VERSION = 1
_BEGIN = b"-----BEGIN SSH SIGNATURE-----\n"
_END = b"-----END SSH SIGNATURE-----\n"
_WIDTH = 70
"""Characters that ssh-keygen puts on a line."""
_WIDEST = 76
"""Most characters on a line; other programs write up to this many."""


@dataclass(frozen=True, slots=True)
class SshSignature:
    """What a signature file says; nothing of it is proven yet."""

    key: bytes = field(repr=False)
    """The public key, in SSH's binary form."""
    hash_name: str
    """`sha256` or `sha512`."""
    signature: bytes = field(repr=False)
    """The signature itself, in SSH's binary form."""


def armour(data: bytes, width: int = _WIDTH) -> bytes:
    """Return the text form of a signature."""
    text = base64.b64encode(data)
    lines = b"".join(text[i : i + width] + b"\n" for i in range(0, len(text), width))
    return _BEGIN + lines + _END


def _dearmour(text: bytes) -> bytes:
    if not (text.startswith(_BEGIN) and text.endswith(_END)):
        raise refused("it does not begin and end as an SSH signature does")
    lines = text[len(_BEGIN) : -len(_END)].split(b"\n")
    try:
        data = base64.b64decode(b"".join(lines), validate=True)
    except binascii.Error as error:
        raise refused("it is not base64") from error
    # Bits that decoding ignores, spaces, an odd line: all of it would be a byte that can change.
    if not 0 < len(lines[0]) <= _WIDEST or armour(data, len(lines[0])) != text:
        raise refused("its lines are not as they are written")
    return data


def parse_signature(text: bytes) -> SshSignature:
    """Return what a signature file says.

    Raises VerificationError when it is malformed, or made for something else than a bundle.
    """
    reader = Reader(_dearmour(text), "the signature file")
    if reader.take(len(_MAGIC)) != _MAGIC or reader.number() != _VERSION:
        raise refused("it is no SSHSIG of version 1")
    key, namespace, reserved, hash_name = (reader.string() for _ in range(4))
    signature = reader.string()
    reader.end()
    if namespace != NAMESPACE.encode():
        raise refused(f"it was made for namespace {shown(namespace)}, not for {NAMESPACE!r}")
    if reserved:
        raise refused("its reserved field is not empty")
    names = {name.encode(): name for name in HASHES}
    if hash_name not in names:
        raise refused(f"its hash is {shown(hash_name)}; {' and '.join(HASHES)} are accepted")
    return SshSignature(key, names[hash_name], signature)


def signed_bytes(message: bytes, hash_name: str) -> bytes:
    """Return what the key signs when a file is signed."""
    digest = hashlib.new(hash_name, message).digest()
    return _MAGIC + b"".join(string(part) for part in (NAMESPACE.encode(), b"", hash_name.encode(), digest))
