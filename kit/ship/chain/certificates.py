"""Who is who among the hosts of one ship: an authority in the sender's memory, and its certificates.

Neither the authority's key nor a host's is ever written down; both are gone with the processes that
hold them. A host's certificate names the host as kit.yaml does, and nothing else.
"""

from __future__ import annotations

import datetime as dt
import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from kit.errors import TransferError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_DAY = 86400.0
LIFETIME = 7 * _DAY
"""Seconds that certificates are good for: longer than a ship takes, of which a key never outlives its own."""
_TEXT_LIMIT = 1 << 16


def host_label(name: str) -> str:
    """Return the DNS name that stands for a host in its certificate, whatever letters its own name has."""
    return f"h{hashlib.sha256(name.encode()).hexdigest()[:32]}.kit.invalid"


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a host proves itself with, as PEM texts."""

    authority: str
    """The certificate of the authority that all hosts of this ship believe."""
    certificate: str
    key: str = field(repr=False)

    def document(self) -> dict[str, str]:
        """Return it as JSON can say it."""
        return {"authority": self.authority, "certificate": self.certificate, "key": self.key}


def parse_credentials(document: Mapping[str, Any]) -> Credentials:
    """Return the credentials in what a sender says. Raises TransferError, which never quotes the key."""
    values = tuple(document.get(name) for name in ("authority", "certificate", "key"))
    if not all(isinstance(value, str) and 0 < len(value) < _TEXT_LIMIT for value in values):
        raise TransferError("the sender gave no credentials", fix="ship with the version of kit it carries")
    return Credentials(*map(str, values))


class Authority:
    """Makes a key and a certificate for each host of one ship."""

    def __init__(self, clocks: Iterable[float]) -> None:
        """`clocks` are what the hosts take for now, in seconds since the epoch: they may be years apart."""
        from cryptography.hazmat.primitives.asymmetric import ec

        times = tuple(clocks)
        self._start, self._end = min(times) - _DAY, max(times) + LIFETIME
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._certificate = self._signed("kit ship", self._key.public_key(), authority=True)

    def issue(self, name: str) -> Credentials:
        """Return a new key and its certificate for a host."""
        from cryptography.hazmat.primitives import serialization
        from cryptography.hazmat.primitives.asymmetric import ec

        pem = serialization.Encoding.PEM
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = self._signed(host_label(name), key.public_key(), authority=False)
        private = key.private_bytes(
            pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ).decode()
        public = certificate.public_bytes(pem).decode()
        return Credentials(self._certificate.public_bytes(pem).decode(), public, private)

    def _signed(self, name: str, public_key: Any, *, authority: bool) -> Any:
        from cryptography import x509
        from cryptography.hazmat.primitives import hashes
        from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

        issuer = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "kit ship")])
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        both = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH])
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(issuer)
            .public_key(public_key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(_moment(self._start))
            .not_valid_after(_moment(self._end))
            .add_extension(
                x509.BasicConstraints(ca=authority, path_length=0 if authority else None), critical=True
            )
            .add_extension(_usage(authority=authority), critical=True)
        )
        if not authority:
            names = x509.SubjectAlternativeName([x509.DNSName(name)])
            builder = builder.add_extension(names, critical=False).add_extension(both, critical=False)
        return builder.sign(self._key, hashes.SHA256())


def _usage(*, authority: bool) -> Any:
    from cryptography import x509

    unused = dict.fromkeys(
        (
            "content_commitment",
            "key_encipherment",
            "data_encipherment",
            "key_agreement",
            "encipher_only",
            "decipher_only",
        ),
        False,
    )
    return x509.KeyUsage(
        digital_signature=not authority, key_cert_sign=authority, crl_sign=authority, **unused
    )


def _moment(seconds: float) -> dt.datetime:
    """Return a time for a certificate; a clock that is out of all bounds counts as the nearest that fits."""
    least, most = _DAY, 4102444800.0  # 1970-01-02 and 2100-01-01
    return dt.datetime.fromtimestamp(min(max(seconds, least), most), dt.timezone.utc)
