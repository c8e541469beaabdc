"""A layer's records as JSON, for the cache of layers that need not be read again."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

from kit.sbom.layer_records import LayerRecords
from kit.sbom.package import Distribution, Package

FORM = 1
"""Counts up when observing a layer gives other records than before."""


def dump_records(records: LayerRecords) -> bytes:
    """Return the bytes that `parse_records` reads."""
    return json.dumps({"form": FORM, **asdict(records)}, ensure_ascii=False).encode()


def parse_records(data: bytes) -> LayerRecords | None:
    """Return the records, or None when these bytes are not of this form."""
    try:
        document = json.loads(data)
        if document.pop("form") != FORM:
            return None
        return LayerRecords(
            packages=tuple(
                (path, tuple(_package(item) for item in found)) for path, found in document["packages"]
            ),
            licences=tuple((path, tuple(found)) for path, found in document["licences"]),
            links=tuple((path, target) for path, target in document["links"]),
            distribution=tuple(
                (path, Distribution(**item) if item else None) for path, item in document["distribution"]
            ),
            gone=tuple(document["gone"]),
            emptied=tuple(document["emptied"]),
            unread=tuple(document["unread"]),
        )
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None


def _package(item: dict[str, Any]) -> Package:
    return Package(**{**item, "licences": tuple(item["licences"])})
