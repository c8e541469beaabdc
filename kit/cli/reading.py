"""Reading a bundle: inspect, verify."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from kit.cli.opening import open_source
from kit.cli.options import DEFAULT_FILE, Bundle, File, Json
from kit.cli.output import bytes_text, show, shown_progress, table

if TYPE_CHECKING:
    from kit.bundle.inspect import BundleSummary
    from kit.bundle.verify import VerifyReport


def inspect(file: File = DEFAULT_FILE, bundle: Bundle = None, as_json: Json = False) -> None:
    """Show what a bundle holds."""
    from kit.bundle.inspect import summarize

    show(summarize(open_source(file, bundle).manifest), _summary, as_json=as_json)


def _summary(summary: BundleSummary) -> Iterator[str]:
    signed = "signed" if summary.signed else "unsigned"
    yield f"{summary.name}, stack {summary.stack}, made by kit {summary.kit_version}, {signed}"
    yield f"{summary.digest}, {summary.blobs} blobs, {bytes_text(summary.size)}"
    rows = [
        (part.kind, part.name, part.pieces, bytes_text(part.size), part.reference) for part in summary.parts
    ]
    yield from table(("KIND", "NAME", "PIECES", "SIZE", "REFERENCE"), rows)


def verify(file: File = DEFAULT_FILE, bundle: Bundle = None, as_json: Json = False) -> None:
    """Hold every byte of a bundle against its digest."""
    from kit.bundle.verify import verify_bundle

    source = open_source(file, bundle)
    with shown_progress() as progress:
        report = verify_bundle(source, progress)
    show(report, _verified, as_json=as_json)


def _verified(report: VerifyReport) -> Iterator[str]:
    yield f"whole: {report.blobs} blobs, {bytes_text(report.size)}; unsigned: who made it is not proven"
