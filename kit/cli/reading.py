"""Reading a bundle: inspect, verify."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kit.cli.opening import open_bundle_here
from kit.cli.options import DEFAULT_FILE, Bundle, File, Json
from kit.cli.output import bytes_text, plain, show, shown_progress, table

if TYPE_CHECKING:
    from kit.bundle.inspect import BundleSummary
    from kit.bundle.verify import VerifyReport
    from kit.workflow.open_trusted import Provenance


def inspect(file: File = DEFAULT_FILE, bundle: Bundle = None, as_json: Json = False) -> None:
    """Show what a bundle holds."""
    from kit.bundle.inspect import summarize

    found = open_bundle_here(file, bundle)
    summary, provenance = summarize(found.source.manifest), found.provenance
    document = {**plain(summary), **plain(provenance)}
    show(document, lambda _: _summary(summary, provenance), as_json=as_json)


def _summary(summary: BundleSummary, provenance: Provenance) -> Iterator[str]:
    yield f"{summary.name}, stack {summary.stack}, made by kit {summary.kit_version}, {provenance.text}"
    yield f"{summary.digest}, {summary.blobs} blobs, {bytes_text(summary.size)}"
    rows = [
        (part.kind, part.name, part.pieces, bytes_text(part.size), part.reference) for part in summary.parts
    ]
    yield from table(("KIND", "NAME", "PIECES", "SIZE", "REFERENCE"), rows)


def verify(
    file: File = DEFAULT_FILE,
    bundle: Bundle = None,
    allowed_signers: Annotated[
        Path | None,
        typer.Option("--allowed-signers", help="Demand a signature by somebody whom this file names."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Hold a bundle's signature, and then its every byte, against what they must be."""
    from kit.bundle.verify import verify_bundle

    found = open_bundle_here(file, bundle, allowed_signers)
    with shown_progress() as progress:
        report = verify_bundle(found.source, progress)
    found.accept()
    document = {**plain(report), **plain(found.provenance)}
    show(document, lambda _: _verified(report, found.provenance), as_json=as_json)


def _verified(report: VerifyReport, provenance: Provenance) -> Iterator[str]:
    yield f"whole: {report.blobs} blobs, {bytes_text(report.size)}; {provenance.text}"
    if provenance.signature.status != "signed":
        yield "who made it is not proven"
