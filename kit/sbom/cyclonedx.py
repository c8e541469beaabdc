"""Writing CycloneDX 1.6 JSON: the same contents give the same bytes.

Format: ECMA-424, CycloneDX 1.6. There is no time of writing in it, and the serial number is made
of the contents (UUID version 5), so that packing twice gives equal documents.
"""

from __future__ import annotations

import json
import uuid
from typing import Any

from kit.sbom.licence import is_expression, is_identifier

MEDIA_TYPE = "application/vnd.cyclonedx+json"
_SPACE = uuid.UUID("0d6d2ab6-8b2f-5d6e-9a54-0c3f0e6a6f0d")
"""Namespace of kit's serial numbers; any fixed one would do."""


def licence_choice(licences: tuple[str, ...]) -> list[dict[str, Any]]:
    """Return licences that all apply as a `licenses` array: identifiers and names, or one expression."""
    expressions = [licence for licence in licences if is_expression(licence)]
    if expressions and all(is_expression(licence) or is_identifier(licence) for licence in licences):
        # The format takes an expression only when it is alone.
        parts = [f"({licence})" if is_expression(licence) else licence for licence in licences]
        return [{"expression": " AND ".join(parts) if len(parts) > 1 else licences[0]}]
    return [{"license": {"id" if is_identifier(licence) else "name": licence}} for licence in licences]


def sha256_hash(digest: str) -> list[dict[str, str]]:
    """Return a digest `sha256:…` as a `hashes` array."""
    return [{"alg": "SHA-256", "content": digest.removeprefix("sha256:")}]


def properties(**values: str | int) -> list[dict[str, str]]:
    """Return values as a `properties` array under the name `kit:…`."""
    return [{"name": f"kit:{name}", "value": str(value)} for name, value in sorted(values.items())]


def dump_document(
    subject: dict[str, Any], components: list[dict[str, Any]], *, complete: bool, kit_version: str
) -> bytes:
    """Return the document about `subject`, a component, made of `components`.

    `complete` says that nothing is in the subject but what is listed.
    """
    reference = subject["bom-ref"]
    content = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {
            "tools": {"components": [{"type": "application", "name": "airgap-kit", "version": kit_version}]},
            "component": subject,
        },
        "components": components,
        "dependencies": [{"ref": reference, "dependsOn": [item["bom-ref"] for item in components]}],
        "compositions": [{"aggregate": "complete" if complete else "incomplete", "assemblies": [reference]}],
    }
    serial = uuid.uuid5(_SPACE, json.dumps(content, sort_keys=True, ensure_ascii=False))
    document = {**content, "serialNumber": f"urn:uuid:{serial}"}
    return json.dumps(document, sort_keys=True, indent=1, ensure_ascii=False).encode() + b"\n"
