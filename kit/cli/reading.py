"""Reading bundles: inspect, verify, diff."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kit.cli.contents import difference_lines, tree_lines
from kit.cli.opening import bundle_path, open_bundle_here
from kit.cli.options import DEFAULT_FILE, Bundle, DryRun, File, Json
from kit.cli.output import bytes_text, plain, show, shown_progress, table, volumes_text

if TYPE_CHECKING:
    from kit.bundle.inspect import BundleSummary
    from kit.bundle.recover import Recovered
    from kit.bundle.verify import VerifyReport
    from kit.workflow.open_trusted import Provenance, TrustedBundle


def inspect(
    file: File = DEFAULT_FILE,
    bundle: Bundle = None,
    tree: Annotated[
        bool, typer.Option("--tree", help="Every part with its pins, packages, licences and files.")
    ] = False,
    evidence: Annotated[
        Path | None,
        typer.Option(
            "--evidence",
            help="Write a page to print, and its text: a folder, with the bills of materials, or FILE.html.",
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Show what a bundle holds, or write it down for those who decide whether it may enter."""
    from kit.bundle.inspect import summarize
    from kit.workflow.bundle_contents import bundle_contents

    found = open_bundle_here(file, bundle)
    summary, provenance = summarize(found.source.manifest), found.provenance
    contents = bundle_contents(found.source) if tree else None
    written = _write_evidence(found, evidence) if evidence else ()

    def lines(_: Any) -> Iterator[str]:
        yield from _summary(summary, provenance)
        if contents:
            yield from tree_lines(contents)
        yield from (f"wrote {path}" for path in written)

    more = {key: value for key, value in (("contents", contents), ("evidence", written)) if value}
    show({**plain(summary), **plain(provenance), **more}, lines, as_json=as_json)


def _write_evidence(found: TrustedBundle, target: Path) -> tuple[Path, ...]:
    from kit.signature.trust import SIGNED
    from kit.workflow.evidence import gather_evidence
    from kit.workflow.write_evidence import write_documents, write_evidence

    is_signed = found.provenance.signature.status == SIGNED
    evidence = gather_evidence(found.source, found.provenance.text, is_signed=is_signed)
    return (*write_evidence(evidence, target), *write_documents(found.source, target))


def diff(
    first: Annotated[Path, typer.Argument(metavar="A", help="A bundle, or a kit.lock.")],
    second: Annotated[Path, typer.Argument(metavar="B", help="Another one.")],
    as_json: Json = False,
) -> None:
    """Show what changes from one bundle or lock to another, and what a host that has A needs for B."""
    from kit.workflow.compare_places import compare_places

    show(compare_places(first, second), difference_lines, as_json=as_json)


def _summary(summary: BundleSummary, provenance: Provenance) -> Iterator[str]:
    yield (
        f"{summary.name}, stack {summary.stack}, made by kit {summary.kit_version}; "
        f"{summary.blobs} blobs, {bytes_text(summary.size)}"
    )
    yield summary.digest
    yield provenance.text
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
    deep: Annotated[
        bool, typer.Option("--deep", help="Decompress every layer too, and hash what comes out.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Hold a bundle's signature, and then its every byte, against what they must be."""
    from kit.bundle.verify import verify_bundle
    from kit.bundle.verify_volumes import naming_volumes, verify_parity

    path = bundle_path(file, bundle)
    with shown_progress() as progress, naming_volumes(path, progress):
        found = open_bundle_here(file, bundle, allowed_signers)
        report = verify_bundle(found.source, progress, deep=deep)
        report = replace(report, volumes=verify_parity(path, progress))
    found.accept()
    document = {**plain(report), **plain(found.provenance)}
    show(document, lambda _: _verified(report, found.provenance), as_json=as_json)


def _verified(report: VerifyReport, provenance: Provenance) -> Iterator[str]:
    if report.deep_size is not None:
        yield f"deep: {report.deep_layers} layers hold the {bytes_text(report.deep_size)} of their diffIDs"
    yield f"whole: {report.blobs} blobs, {bytes_text(report.size)}; {provenance.text}"
    if report.volumes is not None:
        yield f"{volumes_text(report.volumes.volumes, report.volumes.parity_volumes)}, all whole"
    if provenance.signature.status != "signed":
        yield "who made it is not proven"


def recover(
    file: File = DEFAULT_FILE, bundle: Bundle = None, as_json: Json = False, dry_run: DryRun = False
) -> None:
    """Bring lost volumes back from parity, and renamed ones under their names."""
    from kit.bundle.recover import recover_volumes

    with shown_progress() as progress:
        result = recover_volumes(bundle_path(file, bundle), progress, dry_run=dry_run)
    show(result, _recovered, as_json=as_json)


def _recovered(result: Recovered) -> Iterator[str]:
    would = "would be " if result.dry_run else ""
    yield from (f"  {name}: {would}rebuilt from parity" for name in result.rebuilt)
    yield from (f"  {name}: {would}renamed" for name in result.renamed)
    yield from (f"  {name}: {would}set aside, as {name}.aside" for name in result.set_aside)
    yield f"{result.volumes} volumes; next: kit verify -b {result.path}"
