"""Who made an SSH signature: the key that proves to have made it, and what certifies that key. Pure.

Whether the key belongs to anyone is another question: `allowed_signers` and `trust`.
"""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from kit.signature.algorithms import prove
from kit.signature.certificate import is_certificate, parse_certificate
from kit.signature.sshsig import parse_signature, signed_bytes

if TYPE_CHECKING:
    from kit.signature.certificate import Certificate

_BROKEN = "kit.json is not what was signed, or it was signed with another key"


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A key that proved to have made a signature."""

    type: str
    """As ssh names it, e.g. `ssh-ed25519`."""
    blob: bytes = field(repr=False)
    """SSH's binary form, without a certificate around it."""
    certificate: Certificate | None = None
    """What came in the key's place, and says whose it is; its own signature is proven too."""

    @property
    def fingerprint(self) -> str:
        """`SHA256:…`, as `ssh-keygen -l` shows it."""
        return fingerprint(self.blob)


def fingerprint(blob: bytes) -> str:
    """Return `SHA256:…` of a public key in SSH's binary form."""
    return "SHA256:" + base64.b64encode(hashlib.sha256(blob).digest()).decode().rstrip("=")


def proven_key(message: bytes, signature_file: bytes) -> PublicKey:
    """Return the key that signed `message`, once its signature is proven.

    Raises VerificationError when the file is malformed, made for something else or of a kind that is
    not accepted, or when the signature is not one of these bytes.
    """
    parsed = parse_signature(signature_file)
    certificate = parse_certificate(parsed.key) if is_certificate(parsed.key) else None
    blob = certificate.key if certificate else parsed.key
    key_type = prove(blob, parsed.signature, signed_bytes(message, parsed.hash_name), _BROKEN)
    return PublicKey(key_type, blob, certificate)
