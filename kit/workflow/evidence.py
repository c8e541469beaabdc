"""Evidence for those who decide whether a bundle may enter: all that can be printed of it, as values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import kit
from kit.bundle.digest import blob_of
from kit.workflow.bundle_contents import BundleContents, bundle_contents

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from kit.bundle.source import BundleSource
    from kit.workflow.bundle_contents import PartContents, StoredFile

CHECKS = (
    "sha256sum kit.json",
    'cd blobs/sha256 && for f in *; do echo "$f  $f"; done | sha256sum --check --quiet && echo OK',
)
"""Run in the bundle's folder: every blob is named by its own sha256."""
_WIDTH = 100


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
    checks: tuple[str, ...] = CHECKS

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
    )


def packages_text(part: PartContents) -> str:
    """Return how many packages an image has, by kind."""
    if not part.described:
        return "no bill of materials"
    return ", ".join(f"{count} {kind}" for kind, count in part.packages) or "none"


def evidence_text(evidence: Evidence) -> Iterator[str]:
    """Yield the lines of the text form."""
    yield f"{evidence.name}: what this bundle holds"
    yield "=" * _WIDTH
    yield from _facts(
        (
            ("bundle digest", f"{evidence.digest} (sha256 of kit.json)"),
            ("stack", evidence.stack),
            ("signature", evidence.signature),
            ("inputs last changed", f"{evidence.locked} (UTC)"),
            ("kit.lock", evidence.lock_digest),
            ("made by", f"kit {evidence.made_by}; this text by kit {evidence.written_by}"),
            ("size", f"{evidence.size:,} bytes in {evidence.blobs:,} blobs"),
        )
    )
    if not evidence.is_signed:
        yield f"! {evidence.doubt}"
    for part in evidence.contents.parts:
        yield from _part(part)
    if evidence.contents.documents:
        yield from _heading("documents inside")
        yield from _files(evidence.contents.documents)
    yield from _heading("how to check it, in the bundle's folder")
    yield from (f"  {line}" for line in evidence.checks)


def _heading(text: str) -> Iterator[str]:
    yield ""
    yield text
    yield "-" * _WIDTH


def _facts(facts: Iterable[tuple[str, str]]) -> Iterator[str]:
    yield from (f"  {name:<22} {value}" for name, value in facts)


def _part(part: PartContents) -> Iterator[str]:
    yield from _heading(f"{part.kind} {part.name}")
    facts = [("identity", part.identity), ("reference", part.reference), ("stored bytes", f"{part.size:,}")]
    if part.kind == "image":
        facts.append(("packages", packages_text(part)))
    if part.system:
        facts.append(("distribution", part.system))
    if part.unread:
        facts.append(("not read", part.unread))
    facts += [(f"pin: {name}", value) for name, value in part.pins]
    if part.kind == "image":
        facts += [("licence", f"{name}: {count} packages") for name, count in part.licences]
    else:
        facts += [("licence", name) for name, _ in part.licences]
    yield from _facts(facts)
    yield "  layers (diffID, stored bytes, sha256 as stored):" if part.kind == "image" else "  files:"
    yield from _files(part.files)


def _files(files: Iterable[StoredFile]) -> Iterator[str]:
    for file in files:
        yield f"    {file.name}"
        yield f"      {file.size:>19,}  {file.digest}"
