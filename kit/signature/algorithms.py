"""Which kinds of SSH keys sign, and how each signature is checked. Pure.

Formats: RFC 4253 and 8332 (RSA), 5656 (ECDSA), 8709 (Ed25519); PROTOCOL.u2f of OpenSSH for keys on
security keys, which sign the application, their flags and their counter as well.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from kit.signature.wire import Reader, refused, shown

if TYPE_CHECKING:
    from collections.abc import Callable

LEAST_RSA_BITS = 2048
_MOST_RSA_BITS = 16384
_ED25519_SIZES = (32, 64)
"""Bytes of a key and of a signature."""


def prove(key_blob: bytes, signature_blob: bytes, data: bytes, broken: str) -> str:
    """Return the key's type, once its signature of the data is proven. All of it in SSH's binary form.

    Raises VerificationError, with `broken` as its reason, when it is not; also when the key or the
    signature is malformed or of a kind that is not accepted.
    """
    key, signature = Reader(key_blob, "the key"), Reader(signature_blob, "the signature")
    key_type, algorithm = key.string(), signature.string()
    check = _CHECKS.get(algorithm)
    if check is None or key_type != _KEY_TYPES.get(algorithm, algorithm):
        raise refused(_unknown(key_type, algorithm))
    from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm

    try:
        check(key, signature, data)
    except InvalidSignature as error:
        raise refused(broken) from error
    except (ValueError, UnsupportedAlgorithm) as error:
        raise refused(f"its key is none: {error}") from error
    return key_type.decode()


def _unknown(key_type: bytes, algorithm: bytes) -> str:
    if algorithm in (b"ssh-rsa", b"ssh-dss"):
        return f"{shown(algorithm)} signs with SHA-1, which is broken"
    return f"a key {shown(key_type)} with a signature {shown(algorithm)} is not accepted"


def _ed25519_point(key: Reader) -> bytes:
    point = key.string()
    if len(point) != _ED25519_SIZES[0]:
        raise refused("its Ed25519 key has a wrong size")
    return point


def _verify_ed25519(point: bytes, signature: bytes, data: bytes) -> None:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    if len(signature) != _ED25519_SIZES[1]:
        raise refused("its Ed25519 signature has a wrong size")
    Ed25519PublicKey.from_public_bytes(point).verify(signature, data)


def _ed25519(key: Reader, signature: Reader, data: bytes) -> None:
    point, value = _ed25519_point(key), signature.string()
    key.end()
    signature.end()
    _verify_ed25519(point, value, data)


def _ecdsa_point(key: Reader, curve: str) -> bytes:
    if key.string() != curve.encode():
        raise refused("its key names another curve than its type")
    point = key.string()
    if point[:1] != b"\x04":
        raise refused("its key is a point in a form that is not allowed")
    return point


def _verify_ecdsa(curve: str, point: bytes, value: bytes, data: bytes) -> None:
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

    kinds: dict[str, tuple[ec.EllipticCurve, hashes.HashAlgorithm]] = {
        "nistp256": (ec.SECP256R1(), hashes.SHA256()),
        "nistp384": (ec.SECP384R1(), hashes.SHA384()),
        "nistp521": (ec.SECP521R1(), hashes.SHA512()),
    }
    group, digest = kinds[curve]
    pair = Reader(value, "the ECDSA signature")
    r, s = pair.positive(), pair.positive()
    pair.end()
    public = ec.EllipticCurvePublicKey.from_encoded_point(group, point)
    public.verify(encode_dss_signature(r, s), data, ec.ECDSA(digest))


def _ecdsa(curve: str) -> Callable[[Reader, Reader, bytes], None]:
    def check(key: Reader, signature: Reader, data: bytes) -> None:
        point, value = _ecdsa_point(key, curve), signature.string()
        key.end()
        signature.end()
        _verify_ecdsa(curve, point, value, data)

    return check


def _rsa(hash_name: str) -> Callable[[Reader, Reader, bytes], None]:
    def check(key: Reader, signature: Reader, data: bytes) -> None:
        exponent, modulus = key.positive(), key.positive()
        value = signature.string()
        key.end()
        signature.end()
        if not LEAST_RSA_BITS <= modulus.bit_length() <= _MOST_RSA_BITS:
            raise refused(f"an RSA key of {modulus.bit_length()} bits; at least {LEAST_RSA_BITS} are wanted")
        if modulus % 2 == 0 or exponent % 2 == 0:
            raise refused("its RSA key is none")
        _verify_rsa(exponent, modulus, value, data, hash_name)

    return check


def _verify_rsa(exponent: int, modulus: int, value: bytes, data: bytes, hash_name: str) -> None:
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import padding, rsa

    size = -(-modulus.bit_length() // 8)
    if len(value) > size:
        raise refused("its RSA signature is longer than its key")
    digest = hashes.SHA512() if hash_name == "sha512" else hashes.SHA256()
    public = rsa.RSAPublicNumbers(exponent, modulus).public_key()
    # OpenSSH drops leading zeros in some versions.
    public.verify(value.rjust(size, b"\0"), data, padding.PKCS1v15(), digest)


def _on_security_key(
    point_of: Callable[[Reader], bytes], verify: Callable[[bytes, bytes, bytes], None]
) -> Callable[[Reader, Reader, bytes], None]:
    """Return the check of a security key: what it signs holds more than the data."""

    def check(key: Reader, signature: Reader, data: bytes) -> None:
        point, application = point_of(key), key.string()
        value, flags, counter = signature.string(), signature.take(1), signature.take(4)
        key.end()
        signature.end()
        digests = (hashlib.sha256(part).digest() for part in (application, data))
        verify(point, value, (flags + counter).join(digests))

    return check


_CHECKS: dict[bytes, Callable[[Reader, Reader, bytes], None]] = {
    b"ssh-ed25519": _ed25519,
    b"rsa-sha2-256": _rsa("sha256"),
    b"rsa-sha2-512": _rsa("sha512"),
    **{f"ecdsa-sha2-nistp{bits}".encode(): _ecdsa(f"nistp{bits}") for bits in (256, 384, 521)},
    b"sk-ssh-ed25519@openssh.com": _on_security_key(_ed25519_point, _verify_ed25519),
    b"sk-ecdsa-sha2-nistp256@openssh.com": _on_security_key(
        lambda key: _ecdsa_point(key, "nistp256"),
        lambda point, value, data: _verify_ecdsa("nistp256", point, value, data),
    ),
}
"""How each algorithm is checked: key and signature behind their names, and the bytes signed."""

_KEY_TYPES = {b"rsa-sha2-256": b"ssh-rsa", b"rsa-sha2-512": b"ssh-rsa"}
"""Algorithms whose key has another name."""
