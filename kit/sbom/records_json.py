"""A layer's records as JSON, for the cache of layers that need not be read again."""

from __future__ import annotations

import json
from dataclasses import asdict, astuple
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
        records = LayerRecords(
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
        _require_texts((records.packages, records.licences, records.links, records.gone, records.emptied))
        _require_texts((records.unread, tuple((path, found or "") for path, found in records.distribution)))
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None
    return records


def _require_texts(value: Any) -> None:
    """Raise TypeError or ValueError unless there is nothing but texts in tuples and records."""
    if isinstance(value, tuple):
        for item in value:
            _require_texts(item)
    elif isinstance(value, Package | Distribution):
        _require_texts(astuple(value))
    elif isinstance(value, str):
        value.encode()
    else:
        raise TypeError("a text is needed")


def _package(item: dict[str, Any]) -> Package:
    return Package(**{**item, "licences": tuple(item["licences"])})
