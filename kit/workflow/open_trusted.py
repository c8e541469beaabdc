"""Opening a bundle as this machine's policies have it: signature, then manifest, then age, then blobs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from kit.bundle.digest import blob_of
from kit.bundle.source import open_bundle
from kit.errors import TransferError, VerificationError
from kit.signature.read_trust import read_trust
from kit.signature.seen import SeenBundle, load_seen, now_text, save_seen, seen_path
from kit.signature.trust import SIGNED

if TYPE_CHECKING:
    from pathlib import Path

    from kit.bundle.source import BundleSource
    from kit.signature.seen import Older
    from kit.signature.trust import Trust, Verdict


@dataclass(frozen=True, slots=True)
class Provenance:
    """Who made a bundle and how old it is, as far as this machine can tell."""

    signature: Verdict
    older: Older | None = None
    """Set when a newer bundle of the same name was accepted here."""

    @property
    def text(self) -> str:
        """Return it in words that fit behind a bundle's name."""
        return f"{self.signature.text}; {self.older.text}" if self.older else self.signature.text


@dataclass(frozen=True, slots=True)
class TrustedBundle:
    """A bundle that this machine's policies let in."""

    source: BundleSource
    trust: Trust
    older: Older | None

    @property
    def provenance(self) -> Provenance:
        """Who made it and how old it is."""
        return Provenance(self.source.signature, self.older)

    def accept(self) -> None:
        """Remember it, so that an older one of its name is called older here.

        Call this when it was found whole, or was used. A record that cannot be written is passed
        over, unless a policy needs it: then TransferError.
        """
        path, manifest = seen_path(), self.source.manifest
        seen = SeenBundle(manifest.locked, blob_of(self.source.manifest_bytes).digest, now_text())
        known = load_seen(path)
        grown = known.adding(manifest.name, seen, signed=self.source.signature.status == SIGNED)
        if grown == known:
            return
        try:
            save_seen(path, grown)
        except TransferError:
            if self.trust.refuses_older:
                raise


def open_trusted(path: Path, allowed_signers: Path | None = None) -> TrustedBundle:
    """Return the bundle at `path`, if this machine's policies let it in.

    `allowed_signers` adds the demand that one of these signed it. Raises VerificationError when the
    signature is wrong or not what is demanded, or when a newer one was accepted and that counts;
    ConfigError (no bundle, or a policy that cannot be used) and TransferError.
    """
    trust = read_trust(allowed_signers=allowed_signers)
    source = open_bundle(path, trust.judge)
    manifest, signed = source.manifest, source.signature.status == SIGNED
    older = load_seen(seen_path()).older(manifest.name, manifest.locked, signed=signed)
    if older is not None and trust.refuses_older:
        raise VerificationError(
            f"the bundle is {older.text}, and this machine refuses older ones",
            where=str(path),
            why=f"it was locked at {older.locked}; {older.newer.digest} was accepted at {older.newer.at}",
            fix="use the newer bundle; to go back on purpose: kit lock and kit bundle anew from the old "
            "kit.yaml, or lift refuse_older in trust.yaml",
        )
    return TrustedBundle(source, trust, older)
