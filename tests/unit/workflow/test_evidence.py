from __future__ import annotations

from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from kit.bundle.digest import blob_of
from kit.bundle.documents import bill_of_materials, image_document_name
from kit.bundle.pack_request import LocalDocument
from kit.bundle.source import BundleSource
from kit.errors import VerificationError
from kit.sbom.package import Package
from kit.signature.trust import SIGNED, Verdict
from kit.signature.trust import UNKNOWN as UNKNOWN_KEY
from kit.workflow.bundle_contents import UNKNOWN, bundle_contents, licence_counts
from kit.workflow.evidence import Evidence, LicenceTable, gather_evidence, licence_table
from kit.workflow.evidence_text import evidence_text
from kit.workflow.write_evidence import evidence_page, write_evidence
from tests.unit.bundle.factories import local_tree
from tests.unit.workflow.described_bundle import DIGEST, described_bundle, documents, undescribed


class Words(HTMLParser):
    """The text of a page, and the elements in it."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: set[str] = set()
        self.words: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.add(tag)
        assert not {name for name, _ in attrs} & {"src", "href", "onload", "onclick"}

    def handle_data(self, data: str) -> None:
        self.words.append(data)


def gather(source: BundleSource, signature: str = "unsigned") -> Evidence:
    return gather_evidence(source, signature, is_signed=False)


def test_contents_tell_pins_packages_and_licences(tmp_path: Path) -> None:
    image, model = bundle_contents(described_bundle(tmp_path)).parts
    assert ("base", "debootstrap:bookworm") in image.pins
    assert image.packages == (("deb", 1), ("pypi", 2))
    assert image.licences == (("BSD-3-Clause", 1), ("GPL-3.0-or-later", 1), (UNKNOWN, 1))
    assert image.system == "debian 12"
    assert model.licences == (("MIT", 1),)
    assert [file.name for file in model.files] == ["config.json", "weights/model.safetensors"]


def test_a_bundle_without_documents_says_so(tmp_path: Path) -> None:
    contents = bundle_contents(undescribed(described_bundle(tmp_path, lock_bytes=b"{}")))
    assert not any(part.described or part.pins or part.licences for part in contents.parts)
    assert contents.documents == ()


def test_the_commonest_licence_comes_first_and_unknown_last() -> None:
    counts = licence_counts([("MIT",), (), ("ISC", "MIT"), (), ()])
    assert counts == (("MIT", 2), ("ISC", 1), (UNKNOWN, 3))


def test_a_damaged_document_is_refused(tmp_path: Path) -> None:
    source = described_bundle(tmp_path)
    blob = source.manifest.documents[0].blob
    path = tmp_path / "bundle" / "blobs" / blob.digest.replace(":", "/")
    path.chmod(0o644)
    path.write_bytes(b"x" * blob.size)
    with pytest.raises(VerificationError):
        bundle_contents(source)


def test_a_document_that_is_no_bill_of_materials_is_refused(tmp_path: Path) -> None:
    wrong = LocalDocument(image_document_name("train"), "text/plain", b"{}")
    source = described_bundle(tmp_path, documents=(wrong,))
    with pytest.raises(VerificationError, match=r"sbom/train\.cdx\.json.*not a CycloneDX"):
        bill_of_materials(source, image_document_name("train"))


def test_page_and_text_hold_every_digest(tmp_path: Path) -> None:
    source = described_bundle(tmp_path)
    evidence = gather_evidence(source, "signed by ops@example.org", is_signed=True)
    page, text = evidence_page(evidence), "\n".join(evidence_text(evidence))
    manifest = source.manifest
    digests = {blob_of(source.manifest_bytes).digest, manifest.lock_digest}
    digests |= {image.config.digest for image in manifest.images}
    digests |= {layer.digest for image in manifest.images for layer in image.layers}
    digests |= {file.digest for tree in manifest.trees for file in tree.files}
    digests |= {document.blob.digest for document in manifest.documents}
    for form in (page, text):
        assert all(digest[7:] in form for digest in digests)
        assert "signed by ops@example.org" in form
        assert "not proven" not in form
        assert "debootstrap:bookworm" in form
        assert "BSD-3-Clause" in form
        assert manifest.locked in form


def test_an_unsigned_bundle_is_called_so_in_both_forms(tmp_path: Path) -> None:
    evidence = gather_evidence(described_bundle(tmp_path), "unsigned", is_signed=False)
    assert "not proven here: unsigned" in evidence_page(evidence)
    assert "not proven here: unsigned" in "\n".join(evidence_text(evidence))


def test_licences_of_images_stand_side_by_side(tmp_path: Path) -> None:
    many = tuple(Package("pypi", f"p{i}", "1", ("MIT",)) for i in range(12))
    few = (Package("pypi", "a", "1", ("ISC",)), Package("pypi", "b", "1", ()))
    source = described_bundle(tmp_path, documents=documents((*many, *few)))
    table = licence_table(bundle_contents(source))
    assert table.images == ("train",)
    assert table.common == (("MIT", (12,)), (UNKNOWN, (1,)))
    assert table.rare == (("ISC", 1),)
    assert licence_table(bundle_contents(undescribed(source))) == LicenceTable((), (), ())


def test_a_signed_bundle_comes_with_the_command_that_checks_it(tmp_path: Path) -> None:
    source: Any = described_bundle(tmp_path)
    assert not any("ssh-keygen" in check for check in gather(source).checks)
    signed = replace(source, signature=Verdict(SIGNED, "J. Doe <ops@example.org>"))
    assert gather(signed).checks[0].startswith("ssh-keygen -Y verify -n kit-bundle ")
    assert "-I 'J. Doe <ops@example.org>' " in gather(signed).checks[0]
    unknown = gather(replace(source, signature=Verdict(UNKNOWN_KEY)))
    assert " -I NAME " in unknown.checks[0]
    for evidence in (gather(signed), unknown):
        assert evidence.checks[0] in "".join(Words(evidence_page(evidence)).words)
        assert f"  {evidence.checks[0]}" in evidence_text(evidence)


def test_the_text_fits_a_terminal_but_for_what_must_not_be_broken(tmp_path: Path) -> None:
    many = tuple(Package("pypi", f"p{i}", "1", ("MIT", f"Licence of many words {i}")) for i in range(40))
    source = described_bundle(tmp_path, documents=documents(many))
    evidence = gather(source, "signed by an unknown key (ssh-ed25519 SHA256:x: nobody is named here at all)")
    lines = [*evidence_text(evidence)]
    long = [line for line in lines if len(line) > 80]
    assert set(long) <= {f"  {check}" for check in evidence.checks}
    assert "      40  MIT" in lines


def test_nothing_from_a_bundle_becomes_markup(tmp_path: Path) -> None:
    hostile = "<script>alert(1)</script>&lt;"
    tree = local_tree(tmp_path / "m", {f"{hostile[:8]}.json": b"{}"}, source=f"folder:{hostile}")
    source = described_bundle(tmp_path, trees=(tree,), documents=documents(licence=hostile))
    evidence = gather_evidence(source, hostile, is_signed=False)
    found = Words(evidence_page(evidence))
    assert "script" not in found.elements
    assert hostile in "".join(found.words)


def test_a_page_needs_nothing_from_elsewhere(tmp_path: Path) -> None:
    page = evidence_page(gather_evidence(described_bundle(tmp_path), "unsigned", is_signed=False))
    assert "default-src 'none'" in page
    assert not Words(page).elements & {"script", "link", "img", "iframe", "form"}
    assert "http" not in page.replace("http-equiv", "")


@pytest.mark.parametrize("target", ["out", "out/page.html"])
def test_page_and_text_are_written_side_by_side(tmp_path: Path, target: str) -> None:
    evidence = gather_evidence(described_bundle(tmp_path), "unsigned", is_signed=False)
    page, text = write_evidence(evidence, tmp_path / target)
    assert page.suffix == ".html"
    assert text == page.with_suffix(".txt")
    assert DIGEST in text.read_text(encoding="utf-8")
    before = page.read_bytes()
    write_evidence(evidence, tmp_path / target)
    assert page.read_bytes() == before
