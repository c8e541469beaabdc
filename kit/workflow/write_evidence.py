"""`kit inspect --evidence`: the page and its text form, written as files."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kit.bundle.blob_store import writing
from kit.data_files import data_folder
from kit.workflow.evidence import packages_text
from kit.workflow.evidence_text import evidence_text

if TYPE_CHECKING:
    from pathlib import Path

    from kit.bundle.manifest import Document
    from kit.bundle.source import BundleSource
    from kit.workflow.evidence import Evidence

_PAGE = ".html"


def evidence_page(evidence: Evidence) -> str:
    """Return the page: HTML in one file, without scripts, everything from the bundle escaped."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(data_folder("templates")),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["packages"] = packages_text
    return environment.get_template("evidence/bundle.html.j2").render(evidence=evidence)


def evidence_places(target: Path, name: str) -> tuple[Path, Path]:
    """Return where page and text go: `FILE.html` and `FILE.txt`, or named after the bundle in a folder."""
    page = target if target.suffix == _PAGE else target / f"{name}-evidence{_PAGE}"
    return page, page.with_suffix(".txt")


def write_evidence(evidence: Evidence, target: Path) -> tuple[Path, Path]:
    """Write page and text; return where they are. Raises UnfitError or TransferError (disk)."""
    page, text = evidence_places(target, evidence.name)
    with writing(page):
        page.parent.mkdir(parents=True, exist_ok=True)
        page.write_text(evidence_page(evidence), encoding="utf-8")
        text.write_text("".join(f"{line}\n" for line in evidence_text(evidence)), encoding="utf-8")
    return page, text


def write_documents(source: BundleSource, target: Path) -> tuple[Path, ...]:
    """Write a bundle's documents into a folder, under their names; return where they are.

    With `FILE.html` as the target nothing but page and text was asked for. Raises VerificationError
    when one is damaged, UnfitError or TransferError (disk).
    """
    if target.suffix == _PAGE:
        return ()
    return tuple(_write_document(source, document, target) for document in source.manifest.documents)


def _write_document(source: BundleSource, document: Document, folder: Path) -> Path:
    path = folder / document.name
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("wb") as file:
            file.writelines(source.read(document.blob.digest))
    return path
