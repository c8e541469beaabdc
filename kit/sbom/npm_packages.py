"""Packages of Node: the package.json of each folder in a `node_modules`."""

from __future__ import annotations

import json
from typing import Any

from kit.sbom.licence import distinct, known_licence, shortened
from kit.sbom.package import Package


def npm_package(text: str, place: str) -> Package | None:
    """Return the package that a package.json describes, or None when it names none."""
    try:
        document = json.loads(text)
        # JSON can hold half a character (\ud800), which no document can be written with.
        name, version = (_whole(document[key]) for key in ("name", "version"))
    except (ValueError, TypeError, KeyError, RecursionError):
        return None
    if not name.strip() or not version.strip():
        return None
    return Package("npm", name, version, _licences(document), place=place)


def _whole(value: Any) -> str:
    return value.encode("utf-8", "replace").decode() if isinstance(value, str) else ""


def _licences(document: dict[str, Any]) -> tuple[str, ...]:
    # Old packages have objects {"type": …}, or a list of them under "licenses".
    written = document.get("license") or document.get("licenses") or ()
    names = []
    for item in written if isinstance(written, list | tuple) else (written,):
        name = item.get("type") if isinstance(item, dict) else item
        if isinstance(name, str) and name.strip():
            names.append(known_licence(name) or shortened(name))
    return distinct(names)
