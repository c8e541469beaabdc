"""`kit inspect --evidence`: the page and its text form, written as files."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kit.bundle.blob_store import writing
from kit.data_files import data_folder
from kit.workflow.evidence import packages_text
from kit.workflow.evidence_text import evidence_text

if TYPE_CHECKING:
    from pathlib import Path

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
