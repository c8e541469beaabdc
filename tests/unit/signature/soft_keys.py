"""Keys held in memory that sign as ssh-keygen and security keys do."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from kit.signature.sshsig import armour
from kit.signature.wire import string

HASHES = {"256": hashes.SHA256(), "384": hashes.SHA384(), "512": hashes.SHA512()}
CURVES = {
    "nistp256": (ec.SECP256R1(), hashes.SHA256()),
    "nistp384": (ec.SECP384R1(), hashes.SHA384()),
    "nistp521": (ec.SECP521R1(), hashes.SHA512()),
}


def positive(number: int) -> bytes:
    return string(number.to_bytes(number.bit_length() // 8 + 1, "big"))


@dataclass(frozen=True)
class SoftKey:
    type: str
    blob: bytes
    sign: Callable[[bytes], bytes]
    """Returns the signature in SSH's binary form."""

    @property
    def line(self) -> str:
        """As in a .pub file."""
        return f"{self.type} {base64.b64encode(self.blob).decode()}"


def _strings(*parts: bytes) -> bytes:
    return b"".join(string(part) for part in parts)


def ed25519_key(seed: bytes | None = None) -> SoftKey:
    """Make a key: the one of a seed of 32 bytes, or a new one."""
    make = ed25519.Ed25519PrivateKey
    private = make.from_private_bytes(seed) if seed else make.generate()
    point = private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    name = b"ssh-ed25519"
    return SoftKey(name.decode(), _strings(name, point), lambda data: _strings(name, private.sign(data)))


def _ecdsa_pair(private: ec.EllipticCurvePrivateKey, digest: hashes.HashAlgorithm, data: bytes) -> bytes:
    return b"".join(map(positive, decode_dss_signature(private.sign(data, ec.ECDSA(digest)))))


def _point(private: ec.EllipticCurvePrivateKey) -> bytes:
    return private.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)


def ecdsa_key(curve: str) -> SoftKey:
    group, digest = CURVES[curve]
    private = ec.generate_private_key(group)
    name = f"ecdsa-sha2-{curve}".encode()
    blob = _strings(name, curve.encode(), _point(private))
    return SoftKey(name.decode(), blob, lambda data: _strings(name, _ecdsa_pair(private, digest, data)))


@cache
def _rsa_private(bits: int, _for: str) -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, bits)


def rsa_key(bits: int = 2048, algorithm: str = "rsa-sha2-512") -> SoftKey:
    private = _rsa_private(bits, algorithm)
    numbers = private.public_key().public_numbers()
    blob = string(b"ssh-rsa") + positive(numbers.e) + positive(numbers.n)
    digest = hashes.SHA1() if algorithm == "ssh-rsa" else HASHES[algorithm[-3:]]

    def sign(data: bytes) -> bytes:
        return _strings(algorithm.encode(), private.sign(data, padding.PKCS1v15(), digest))

    return SoftKey("ssh-rsa", blob, sign)


def _as_security_key(sign: Callable[[bytes], bytes], application: bytes) -> Callable[[bytes], bytes]:
    """Return how PROTOCOL.u2f signs: application, flags (touched) and counter are covered too."""
    behind = b"\x01" + (7).to_bytes(4, "big")

    def signature(data: bytes) -> bytes:
        digests = (hashlib.sha256(application).digest(), hashlib.sha256(data).digest())
        return string(sign(behind.join(digests))) + behind

    return signature


def sk_ed25519_key(application: bytes = b"ssh:") -> SoftKey:
    private = ed25519.Ed25519PrivateKey.generate()
    point = private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    name = b"sk-ssh-ed25519@openssh.com"
    signature = _as_security_key(private.sign, application)
    return SoftKey(
        name.decode(), _strings(name, point, application), lambda data: string(name) + signature(data)
    )


def sk_ecdsa_key(application: bytes = b"ssh:") -> SoftKey:
    private = ec.generate_private_key(ec.SECP256R1())
    name = b"sk-ecdsa-sha2-nistp256@openssh.com"
    signature = _as_security_key(lambda data: _ecdsa_pair(private, hashes.SHA256(), data), application)
    blob = _strings(name, b"nistp256", _point(private), application)
    return SoftKey(name.decode(), blob, lambda data: string(name) + signature(data))


KEYS: dict[str, Callable[[], SoftKey]] = {
    "ed25519": ed25519_key,
    "ecdsa-256": lambda: ecdsa_key("nistp256"),
    "ecdsa-384": lambda: ecdsa_key("nistp384"),
    "ecdsa-521": lambda: ecdsa_key("nistp521"),
    "rsa-512": rsa_key,
    "rsa-256": lambda: rsa_key(algorithm="rsa-sha2-256"),
    "sk-ed25519": sk_ed25519_key,
    "sk-ecdsa": sk_ecdsa_key,
}


def certified(
    key: SoftKey,
    authority: SoftKey,
    principals: tuple[str, ...] = ("alice",),
    *,
    kind: int = 1,
    valid: tuple[int, int] = (0, 2**64 - 1),
    options: bytes = b"",
) -> SoftKey:
    """Return the key with a certificate in its place, as `ssh-keygen -s` makes one."""
    name = key.type.encode()
    title = name.removesuffix(b"@openssh.com") + b"-cert-v01@openssh.com"
    body = (
        _strings(title, b"nonce" * 4)
        + key.blob[4 + len(name) :]
        + (7).to_bytes(8, "big")
        + kind.to_bytes(4, "big")
        + _strings(b"id", _strings(*(principal.encode() for principal in principals)))
        + b"".join(moment.to_bytes(8, "big") for moment in valid)
        + _strings(options, b"", b"", authority.blob)
    )
    return SoftKey(key.type, body + string(authority.sign(body)), key.sign)


def sshsig(
    key: SoftKey,
    message: bytes,
    *,
    namespace: bytes = b"kit-bundle",
    hash_name: str = "sha512",
    reserved: bytes = b"",
    version: int = 1,
) -> bytes:
    """Return a signature file."""
    digest = hashlib.new(hash_name, message).digest()
    names = _strings(namespace, reserved, hash_name.encode())
    signature = key.sign(b"SSHSIG" + names + string(digest))
    return armour(b"SSHSIG" + version.to_bytes(4, "big") + string(key.blob) + names + string(signature))
