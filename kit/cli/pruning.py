"""Making room on the machine that makes bundles: prune."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kit.cli.contents import table_body
from kit.cli.options import DEFAULT_FILE, DryRun, File, Json
from kit.cli.output import bytes_text, plain, show

if TYPE_CHECKING:
    from kit.workflow.prune import PruneReport


def prune(
    file: File = DEFAULT_FILE,
    bundles: Annotated[
        list[Path] | None,
        typer.Option("--bundle", "-b", help="A bundle's folder; may be given again.  [default: bundle]"),
    ] = None,
    keep: Annotated[
        list[Path] | None,
        typer.Option(
            "--keep", help="A kit.lock or bundle from elsewhere whose needs count; may be given again."
        ),
    ] = None,
    as_json: Json = False,
    dry_run: DryRun = False,
) -> None:
    """Remove blobs, packages, fetched files and build images that nothing needs any more."""
    from kit.images.docker_shelf import DockerShelf
    from kit.workflow.prune_project import PruneRequest, prune_project

    request = PruneRequest(file.parent, tuple(bundles or ()), tuple(keep or ()), dry_run)
    report = prune_project(request, DockerShelf())
    show({**plain(report), "size": report.size}, lambda _: _pruned(report), as_json=as_json)


def _pruned(report: PruneReport) -> Iterator[str]:
    yield from table_body((item.kind, bytes_text(item.size), item.what) for item in report.items)
    yield from (f"kept: {text}" for text in report.kept)
    yield from (f"needs of {path} counted too" for path in report.counted)
    verb = "would go" if report.dry_run else "gone"
    yield f"{len(report.items)} things {verb}, {bytes_text(report.size)}"
