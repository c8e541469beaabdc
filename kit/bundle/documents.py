"""The documents that travel in a bundle: their names, and reading them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kit.errors import VerificationError
from kit.sbom.read_document import BillOfMaterials, read_document

if TYPE_CHECKING:
    from kit.bundle.source import BundleSource

SUFFIX = ".cdx.json"
LARGEST = 256 << 20
"""Bytes of the largest document that is read into memory."""


def image_document_name(name: str) -> str:
    """Return where an image's bill of materials stands in the bundle."""
    return f"sbom/{name}{SUFFIX}"


def tree_document_name(kind: str, name: str) -> str:
    """Return where a model's or data set's bill of materials stands in the bundle."""
    return f"sbom/{kind}s/{name}{SUFFIX}"


def bill_of_materials(source: BundleSource, name: str) -> BillOfMaterials | None:
    """Return what the document of that name says, or None when the bundle has none.

    Raises VerificationError when it is damaged or no CycloneDX document, TransferError when
    reading fails.
    """
    found = next((item for item in source.manifest.documents if item.name == name), None)
    if found is None:
        return None
    where = f"{source.where}: {name}"
    if found.blob.size > LARGEST:
        raise VerificationError(f"a document of more than {LARGEST} bytes", where=where)
    return read_document(b"".join(source.read(found.blob.digest)), where)
