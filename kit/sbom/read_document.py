"""Reading bills of materials back: packages and licences of one that came in a bundle.

Such a document is data from elsewhere, also when its digest is right: what is not of the expected
type is left out, and characters that could rewrite a terminal are too.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from kit.errors import VerificationError

_MOST_LICENCES = 50


@dataclass(frozen=True, slots=True)
class ListedPackage:
    """A package as a bill of materials lists it."""

    kind: str
    """Type in its package URL: `deb`, `pypi` …"""
    name: str
    version: str
    licences: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class BillOfMaterials:
    """What a document says of its subject."""

    licences: tuple[str, ...]
    """Of the subject itself: a model's."""
    packages: tuple[ListedPackage, ...]
    """Components with a package URL, sorted."""
    system: str
    """The distribution, e.g. `debian 12`; empty when there is none."""
    unread: str
    """Databases of packages that kit could not read."""


def read_document(data: bytes, where: str) -> BillOfMaterials:
    """Return what a CycloneDX document says. Raises VerificationError when it is none."""
    try:
        document = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise VerificationError("not a CycloneDX document", where=where, why=str(error)) from error
    if not isinstance(document, dict) or document.get("bomFormat") != "CycloneDX":
        raise VerificationError("not a CycloneDX document", where=where)
    subject = _object(_object(document.get("metadata")).get("component"))
    components = [_object(item) for item in _list(document.get("components"))]
    listed = (_package(item) for item in components if _text(item.get("purl")).startswith("pkg:"))
    systems = (item for item in components if item.get("type") == "operating-system")
    system = next((f"{_text(item.get('name'))} {_text(item.get('version'))}" for item in systems), "")
    return BillOfMaterials(
        licences=_licences(subject),
        packages=tuple(sorted(listed, key=lambda item: (item.kind, item.name, item.version))),
        system=system.strip(),
        unread=_property(subject, "kit:unread"),
    )


def _object(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _text(value: Any) -> str:
    return "".join(c for c in value if c.isprintable()) if isinstance(value, str) else ""


def _property(component: dict[str, Any], name: str) -> str:
    found = (_object(item) for item in _list(component.get("properties")))
    return next((_text(item.get("value")) for item in found if item.get("name") == name), "")


def _package(component: dict[str, Any]) -> ListedPackage:
    kind = _text(component.get("purl")).removeprefix("pkg:").partition("/")[0]
    return ListedPackage(
        kind, _text(component.get("name")), _text(component.get("version")), _licences(component)
    )


def _licences(component: dict[str, Any]) -> tuple[str, ...]:
    names = []
    for item in _list(component.get("licenses"))[:_MOST_LICENCES]:
        licence = _object(_object(item).get("license"))
        names.append(
            _text(_object(item).get("expression")) or _text(licence.get("id")) or _text(licence.get("name"))
        )
    return tuple(name for name in names if name)
