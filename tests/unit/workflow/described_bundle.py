"""A small bundle with a lock and bills of materials."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from kit.bundle.documents import image_document_name, tree_document_name
from kit.bundle.pack_request import LocalDocument
from kit.bundle.source import BundleSource
from kit.project.lock import ImageLock, Lock, PinnedFile, TreePin, dump_lock
from kit.sbom.cyclonedx import MEDIA_TYPE
from kit.sbom.image_contents import ImageContents
from kit.sbom.image_document import image_document
from kit.sbom.package import Distribution, Package
from kit.sbom.tree_document import TreeContents, tree_document
from tests.unit.bundle.factories import packed_bundle

DIGEST = "sha256:" + "ab" * 32
LOCKED = "2026-05-01T12:30:00Z"
PACKAGES = (
    Package("deb", "bash", "5.2", ("GPL-3.0-or-later",), "amd64"),
    Package("pypi", "torch", "2.6.0", ("BSD-3-Clause",)),
    Package("pypi", "secret", "1", ()),
)


def a_lock(**overrides: Any) -> Lock:
    fields: dict[str, Any] = {
        "kit_version": "0.1.0",
        "stack": "cpu",
        "project_digest": DIGEST,
        "locked": LOCKED,
        "images": (ImageLock("train", "debootstrap:bookworm", None, DIGEST, DIGEST),),
        "trees": (TreePin("model", "tiny", "folder:model", "", (PinnedFile("config.json", 19, DIGEST),)),),
    }
    return Lock(**{**fields, **overrides})


def documents(packages: tuple[Package, ...] = PACKAGES, licence: str = "MIT") -> tuple[LocalDocument, ...]:
    contents = ImageContents(packages, Distribution("debian", "12", "Debian"))
    model = TreeContents("model", "tiny", "folder:model", DIGEST, (), (licence,))
    image = image_document("train", DIGEST, contents, "0.1.0")
    return (
        LocalDocument(image_document_name("train"), MEDIA_TYPE, image),
        LocalDocument(tree_document_name("model", "tiny"), MEDIA_TYPE, tree_document(model, "0.1.0")),
    )


def undescribed(source: Any) -> BundleSource:
    """The same bundle as one without documents, as an earlier kit made them."""
    bare: BundleSource = replace(source, manifest=replace(source.manifest, documents=()))
    return bare


def described_bundle(folder: Path, **overrides: Any) -> BundleSource:
    fields = {"lock_bytes": dump_lock(a_lock()), "locked": LOCKED, "documents": documents(), **overrides}
    return packed_bundle(folder, **fields)
