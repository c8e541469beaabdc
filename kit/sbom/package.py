"""A package as an image's own records describe it, and its package URL."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import quote

_RUN_OF_MARKS = re.compile(r"[-_.]+")


@dataclass(frozen=True, slots=True)
class Package:
    """A package that is installed in an image."""

    kind: str
    """Its package URL type: `deb`, `apk`, `pypi` or `npm`."""
    name: str
    version: str
    licences: tuple[str, ...] = ()
    """SPDX identifiers or expressions where they are known, otherwise names as the package writes them."""
    architecture: str = ""
    """Of a distribution's package, in the distribution's words."""
    place: str = ""
    """The file in the image that describes it; empty when the distribution's database does."""


@dataclass(frozen=True, slots=True)
class Distribution:
    """What `/etc/os-release` says."""

    identifier: str
    """`debian`, `ubuntu`, `alpine` …"""
    version: str
    """`12`, `22.04` …; empty for a rolling one."""
    title: str


def same_name(name: str) -> str:
    """Return a Python package's name as indexes compare it (PEP 503)."""
    return _RUN_OF_MARKS.sub("-", name).lower()


def _quoted(text: str) -> str:
    # Everything but letters, digits and -._~ is escaped; a colon may stand for itself.
    return quote(text, safe=":")


def package_url(package: Package, distribution: Distribution | None) -> str:
    """Return the package URL, e.g. `pkg:deb/debian/bash@5.2.15-2+b7?arch=amd64&distro=debian-12`.

    Format: the purl specification (ECMA-427). Names of PyPI are lowercase with `-` for `_`.
    """
    if package.kind in ("deb", "apk"):
        return _distribution_url(package, distribution)
    name = package.name
    if package.kind == "pypi":
        name = name.lower().replace("_", "-")
    path = "/".join(_quoted(part).replace(":", "%3A") for part in name.split("/"))
    return f"pkg:{package.kind}/{path}@{_quoted(package.version)}"


def _distribution_url(package: Package, distribution: Distribution | None) -> str:
    default = {"deb": "debian", "apk": "alpine"}[package.kind]
    vendor = distribution.identifier if distribution else default
    qualifiers = {"arch": package.architecture}
    if distribution and distribution.version:
        qualifiers["distro"] = f"{vendor}-{distribution.version}"
    text = "&".join(f"{key}={_quoted(value)}" for key, value in sorted(qualifiers.items()) if value)
    url = f"pkg:{package.kind}/{_quoted(vendor)}/{_quoted(package.name.lower())}@{_quoted(package.version)}"
    return f"{url}?{text}" if text else url
