"""The evidence about a bundle as plain text, 80 columns wide but for what must not be broken."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

from kit.workflow.evidence import packages_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from kit.workflow.bundle_contents import PartContents, StoredFile
    from kit.workflow.evidence import Evidence, LicenceTable

_WIDTH = 80
_NAMES = 20
"""Columns of a fact's name."""
_SIZES = 13
"""Columns of a size: with them a line with a whole sha256 is 80 wide."""
_COUNTS = 6


def evidence_text(evidence: Evidence) -> Iterator[str]:
    """Yield the lines of the text form."""
    yield f"{evidence.name}: what this bundle holds"
    yield "=" * _WIDTH
    yield from _facts(
        (
            ("digest of kit.json", evidence.digest),
            ("stack", evidence.stack),
            ("signature", evidence.signature),
            ("inputs last changed", f"{evidence.locked} (UTC)"),
            ("kit.lock", evidence.lock_digest),
            ("made by", f"kit {evidence.made_by}; this text by kit {evidence.written_by}"),
            ("size", f"{evidence.size:,} bytes in {evidence.blobs:,} blobs"),
        )
    )
    if not evidence.is_signed:
        yield from _wrapped(f"! {evidence.doubt}")
    for part in evidence.contents.parts:
        yield from _part(part)
    if evidence.licences.images:
        yield from _licences(evidence.licences)
    if evidence.contents.documents:
        yield from _heading("documents inside (bytes, name, sha256)")
        yield from _files(evidence.contents.documents)
    yield from _heading("how to check it, in the bundle's folder")
    yield from (f"  {line}" for line in evidence.checks)


def _heading(text: str) -> Iterator[str]:
    yield ""
    yield text
    yield "-" * _WIDTH


def _wrapped(text: str, indent: str = "  ") -> list[str]:
    return textwrap.wrap(
        text,
        _WIDTH,
        initial_indent=indent,
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
    )


def _facts(facts: Iterable[tuple[str, str]]) -> Iterator[str]:
    for name, value in facts:
        line = f"  {name:<{_NAMES}} {value}"
        if len(line) <= _WIDTH:
            yield line
        else:
            yield f"  {name}"
            yield from _wrapped(value, "    ")


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
    if part.kind != "image":
        facts += [("licence", name) for name, _ in part.licences]
    yield from _facts(facts)
    kinds = "layers (stored bytes, diffID, sha256 as stored)"
    yield f"  {kinds if part.kind == 'image' else 'files (bytes, name, sha256)'}:"
    yield from _files(part.files)


def _files(files: Iterable[StoredFile]) -> Iterator[str]:
    for file in files:
        yield f"  {file.size:>{_SIZES},} {file.name.removeprefix('sha256:')}"
        yield f"{'':{_SIZES + 3}}{file.digest.removeprefix('sha256:')}"


def _licences(table: LicenceTable) -> Iterator[str]:
    yield from _heading("licences (packages in each image)")
    widths = [max(_COUNTS, len(name)) for name in table.images]
    named = zip(table.images, widths, strict=True)
    yield "  " + "  ".join(f"{name:>{width}}" for name, width in named)
    for licence, counts in table.common:
        cells = (f"{count or '':>{width}}" for count, width in zip(counts, widths, strict=True))
        yield "  " + "  ".join((*cells, licence))
    if table.rare:
        yield from _wrapped(f"{table.rare_title}:")
        several = (f"{name} ({count})" if count > 1 else name for name, count in table.rare)
        yield from _wrapped("; ".join(several) + ".", "    ")
