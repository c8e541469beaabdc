"""What a registry says, read strictly: manifests, lists of them, configs, challenges, tokens. Pure.

Sources: OCI image specification 1.1 (index, manifest, config), Docker's schema 2, OCI distribution
specification 1.1, Docker's token authentication, RFC 9110 section 11 (challenges).
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from typing import Any

from kit.errors import TransferError, VerificationError

PLATFORM = ("linux", "amd64")
LISTS = (
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
)
MANIFESTS = (
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
)
MANIFEST_LIMIT = 4 << 20
"""Bytes; the size that the distribution specification tells registries to accept at least."""
CONFIG_LIMIT = 8 << 20
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_PARAMETER = re.compile(r'\s*([A-Za-z0-9_-]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]+))\s*(?:,|$)')
_SCHEME = re.compile(r"\s*(Bearer|Basic)(?:\s+|$)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Descriptor:
    """How one document names another."""

    digest: str
    size: int
    """Bytes."""


@dataclass(frozen=True, slots=True)
class Challenge:
    """How a registry wants to be asked."""

    scheme: str
    """`bearer` or `basic`."""
    realm: str
    service: str
    scope: str


def digest_of(data: bytes) -> str:
    """Return `sha256:…` of bytes."""
    return "sha256:" + hashlib.sha256(data).hexdigest()


def check_bytes(data: bytes, wanted: Descriptor, where: str) -> None:
    """Raise VerificationError unless these are the bytes that a descriptor names."""
    if len(data) != wanted.size or digest_of(data) != wanted.digest:
        raise VerificationError(
            "the registry sent other bytes than it named",
            where=where,
            why=f"asked for {wanted.digest}, {wanted.size} bytes; {digest_of(data)}, {len(data)} came",
            fix="ask the registry itself in place of a mirror or proxy that changes what it passes on",
        )


def parse_document(data: bytes, where: str) -> dict[str, Any]:
    """Return a JSON object. Raises VerificationError."""
    try:
        document = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise VerificationError(
            "the registry did not send JSON", where=where, why=str(error)[:200]
        ) from error
    if not isinstance(document, dict):
        raise VerificationError("the registry did not send a JSON object", where=where)
    return document


def media_type(document: dict[str, Any], content_type: str) -> str:
    """Return what a manifest says it is; older ones leave that to the HTTP header."""
    written = document.get("mediaType")
    return written if isinstance(written, str) and written else content_type.partition(";")[0].strip().lower()


def descriptor(value: Any, where: str) -> Descriptor:
    """Return a descriptor. Raises VerificationError."""
    if isinstance(value, dict):
        digest: Any = value.get("digest")
        size: Any = value.get("size")
        plain = isinstance(digest, str) and isinstance(size, int) and not isinstance(size, bool)
        if plain and _DIGEST.fullmatch(digest) and size >= 0:
            return Descriptor(digest, size)
    raise VerificationError("a descriptor without a sha256 digest and a size", where=where)


def choose_platform(document: dict[str, Any], where: str) -> Descriptor:
    """Return the manifest for linux/amd64 out of a list.

    Any x86-64 processor runs the variant without a name; it wins over v2, v3 …. Raises TransferError
    when there is none, VerificationError for what is no list.
    """
    listed = document.get("manifests")
    if not isinstance(listed, list):
        raise VerificationError("a list of manifests without manifests", where=where)
    fitting = [entry for entry in listed if isinstance(entry, dict) and _platform(entry) == PLATFORM]
    if not fitting:
        found = sorted({"/".join(_platform(entry)) for entry in listed if isinstance(entry, dict)})
        raise TransferError(
            "there is no such image for linux/amd64", where=where, why=f"there is {', '.join(found)[:200]}"
        )
    return descriptor(min(fitting, key=_variant), where)


def _platform(entry: dict[str, Any]) -> tuple[str, str]:
    platform = entry.get("platform")
    platform = platform if isinstance(platform, dict) else {}
    return str(platform.get("os", "")), str(platform.get("architecture", ""))


def _variant(entry: dict[str, Any]) -> str:
    found = str(entry["platform"].get("variant", ""))
    return "" if found == "v1" else found


def check_config(document: dict[str, Any], where: str) -> None:
    """Raise TransferError when a config is not for linux/amd64."""
    found = (str(document.get("os", "")), str(document.get("architecture", "")))
    if found != PLATFORM:
        raise TransferError(
            "there is no such image for linux/amd64", where=where, why=f"it is for {'/'.join(found)}"
        )


def parse_challenges(headers: tuple[str, ...]) -> tuple[Challenge, ...]:
    """Return the challenges in `WWW-Authenticate` headers that kit can answer, Bearer first."""
    found = [challenge for header in headers for challenge in _challenges(header)]
    return tuple(sorted(found, key=lambda challenge: challenge.scheme != "bearer"))


def _challenges(header: str) -> list[Challenge]:
    found = []
    rest = header
    while scheme := _SCHEME.match(rest):
        rest = rest[scheme.end() :]
        values: dict[str, str] = {}
        while (parameter := _PARAMETER.match(rest)) is not None:
            name, quoted, bare = parameter.groups()
            values[name.lower()] = re.sub(r"\\(.)", r"\1", quoted) if quoted is not None else bare
            rest = rest[parameter.end() :]
        kind = scheme[1].lower()
        found.append(
            Challenge(kind, values.get("realm", ""), values.get("service", ""), values.get("scope", ""))
        )
    return found


def parse_token(data: bytes, where: str) -> str:
    """Return the token that an authorisation server issued. Raises VerificationError."""
    document = parse_document(data, where)
    token = document.get("token") or document.get("access_token")
    if not isinstance(token, str) or not re.fullmatch(r"[\x21-\x7e]+", token):
        raise VerificationError("the registry's authorisation server sent no token", where=where)
    return token
