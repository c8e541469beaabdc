"""Signing a bundle that is there already, on any machine that has it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from kit.bundle.digest import blob_of, read_file
from kit.bundle.sign import open_unjudged, sign_bundle
from kit.bundle.source import SIGNATURE_LIMIT
from kit.signature.keys import proven_key
from kit.signature.read_trust import read_trust
from kit.signature.trust import NOT_SIGNED

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from kit.bundle.source import BundleSource
    from kit.signature.trust import Verdict


@dataclass(frozen=True, slots=True)
class Signed:
    """A bundle that was signed, or would be."""

    name: str
    locked: str
    digest: str
    """sha256 of its kit.json, which is what is signed."""
    path: str
    signature: Verdict


def ready_signature(path: Path) -> Callable[[bytes], bytes]:
    """Return a function that gives a signature made elsewhere. Raises TransferError.

    The function raises VerificationError when it is not one of the bytes it is given.
    """
    signature = b"".join(read_file(path, 0, SIGNATURE_LIMIT))

    def sign(message: bytes) -> bytes:
        proven_key(message, signature)
        return signature

    return sign


def plan_sign(path: Path) -> Signed:
    """Return what would be signed; nothing is. Raises ConfigError, VerificationError, TransferError."""
    return _result(open_unjudged(path), path, NOT_SIGNED)


def sign_bundle_here(path: Path, sign: Callable[[bytes], bytes]) -> Signed:
    """Sign the bundle at `path`; return what was signed and what this machine says of the key.

    Raises ConfigError, VerificationError, UnfitError, TransferError.
    """
    trust = read_trust()
    source = sign_bundle(path, sign)
    return _result(source, path, trust.look(source.manifest_bytes, source.signature_bytes, str(path)))


def _result(source: BundleSource, path: Path, verdict: Verdict) -> Signed:
    manifest = source.manifest
    return Signed(manifest.name, manifest.locked, blob_of(source.manifest_bytes).digest, str(path), verdict)
