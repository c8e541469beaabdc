"""Evidence for those who decide whether a bundle may enter: all that can be printed of it, as values."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING

import kit
from kit.bundle.digest import blob_of
from kit.signature.trust import UNSIGNED
from kit.workflow.bundle_contents import UNKNOWN, BundleContents, bundle_contents

if TYPE_CHECKING:
    from kit.bundle.source import BundleSource
    from kit.signature.trust import Verdict
    from kit.workflow.bundle_contents import PartContents

_DIGESTS = (
    "sha256sum kit.json kit.lock",
    '(cd blobs/sha256 && for f in *; do echo "$f  $f"; done | sha256sum --check --quiet) && echo OK',
)
"""Run in the bundle's folder: every blob is named by its own sha256."""
_SIGNATURE = "ssh-keygen -Y verify -n kit-bundle -f allowed_signers -I {} -s kit.json.sig < kit.json"
_COMMON = 10
"""Packages under a licence from which on it has a line of its own in the table."""


@dataclass(frozen=True, slots=True)
class LicenceTable:
    """Licences of all images, side by side."""

    images: tuple[str, ...]
    common: tuple[tuple[str, tuple[int, ...]], ...]
    """A licence and the packages under it in each image; most first, unknown last."""
    rare: tuple[tuple[str, int], ...]
    """Licences that few packages have, and the most of them in one image, by name."""

    @property
    def rare_title(self) -> str:
        """What to print before the rare ones."""
        return f"Under fewer than {_COMMON} packages in any image (how many, where more than one)"


@dataclass(frozen=True, slots=True)
class Evidence:
    """What the page says. It depends on the bundle, this machine's view of its signature, and kit."""

    name: str
    stack: str
    digest: str
    locked: str
    lock_digest: str
    made_by: str
    """Version of kit that packed the bundle."""
    written_by: str
    """Version of kit that wrote this."""
    size: int
    """Stored bytes, each blob once."""
    blobs: int
    signature: str
    """Who signed, in words."""
    is_signed: bool
    """By somebody whom this machine knows."""
    contents: BundleContents
    checks: tuple[str, ...]
    """Commands that need no kit, to be run in the bundle's folder."""

    @property
    def licences(self) -> LicenceTable:
        """The licences of its images."""
        return licence_table(self.contents)

    @property
    def doubt(self) -> str:
        """What to print where it is not signed by somebody known."""
        return f"Who made this bundle is not proven here: {self.signature}. 未能确认制作者身份。"


def gather_evidence(source: BundleSource, signature: str, *, is_signed: bool) -> Evidence:
    """Return the evidence about a bundle. Raises VerificationError and TransferError."""
    manifest = source.manifest
    return Evidence(
        name=manifest.name,
        stack=manifest.stack,
        digest=blob_of(source.manifest_bytes).digest,
        locked=manifest.locked,
        lock_digest=manifest.lock_digest,
        made_by=manifest.kit_version,
        written_by=kit.__version__,
        size=sum(blob.size for blob in manifest.blobs),
        blobs=len(manifest.blobs),
        signature=signature,
        is_signed=is_signed,
        contents=bundle_contents(source),
        checks=_checks(source.signature),
    )


def _checks(signature: Verdict) -> tuple[str, ...]:
    if signature.status == UNSIGNED:
        return _DIGESTS
    # Whose key it is must be known from elsewhere than the bundle; so must a name for one unknown here.
    return (_SIGNATURE.format(shlex.quote(signature.signer or "NAME")), *_DIGESTS)


def licence_table(contents: BundleContents) -> LicenceTable:
    """Return the licences of all images that have a bill of materials."""
    images = [part for part in contents.parts if part.kind == "image" and part.described]
    counts = [dict(part.licences) for part in images]
    rows = {name: tuple(of.get(name, 0) for of in counts) for of in counts for name in of}
    common = {name: row for name, row in rows.items() if max(row) >= _COMMON or name == UNKNOWN}
    order = sorted(common.items(), key=lambda row: (row[0] == UNKNOWN, -max(row[1]), row[0].lower()))
    rare = sorted((name, max(row)) for name, row in rows.items() if name not in common)
    return LicenceTable(tuple(part.name for part in images), tuple(order), tuple(rare))


def packages_text(part: PartContents) -> str:
    """Return how many packages an image has, by kind."""
    if not part.described:
        return "no bill of materials"
    return ", ".join(f"{count} {kind}" for kind, count in part.packages) or "none"
