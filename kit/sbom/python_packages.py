"""Python packages: the METADATA or PKG-INFO that an installer leaves (core metadata 2.4); Python itself."""

from __future__ import annotations

import re

from kit.sbom.licence import classifier_licence, distinct, known_licence, licence_of_text, shortened
from kit.sbom.package import Package
from kit.sbom.paragraphs import Fields, first, paragraphs

_CLASSIFIER = "License :: "


def python_package(text: str, place: str) -> Package | None:
    """Return the package that a METADATA file describes, or None when it names none."""
    fields = next(paragraphs(text), {})
    name, version = first(fields, "name"), first(fields, "version")
    if not name or not version or name == "UNKNOWN":
        return None
    return Package("pypi", name, version, _licences(fields), place=place)


def _licences(fields: Fields) -> tuple[str, ...]:
    """Return the most exact of what the fields say: expression, a known name, classifiers, any name."""
    written = first(fields, "license-expression")
    if written:
        return distinct((known_licence(written) or shortened(written),))
    free = first(fields, "license")
    if free == "UNKNOWN":
        free = ""
    recognised = known_licence(free) or licence_of_text(free)
    if recognised:
        return (recognised,)
    classified = [item for item in fields.get("classifier", ()) if item.startswith(_CLASSIFIER)]
    named = distinct(classifier_licence(item) for item in classified)
    if named:
        return named
    return distinct((shortened(free),))


_PYTHON_VERSION = re.compile(r'^#define PY_VERSION\s+"([^"]+)"', re.MULTILINE)


def python_runtime(text: str, place: str) -> Package | None:
    """Return the Python that a header patchlevel.h belongs to: one that was compiled, in no database."""
    found = _PYTHON_VERSION.search(text)
    return Package("generic", "python", found[1], ("PSF-2.0",), place=place) if found else None


def licence_file(text: str) -> tuple[str, ...]:
    """Return the licence that a package's licence file holds, if its text is one that kit knows."""
    known = licence_of_text(text)
    return (known,) if known else ()
