"""Packages of the distribution: dpkg's and apk's databases, Debian's copyright files, os-release.

Formats: deb822 (`/var/lib/dpkg/status`, or one file a package in `status.d`), apk's
`/lib/apk/db/installed`, os-release(5), and Debian's machine-readable copyright format 1.0.
"""

from __future__ import annotations

import re

from kit.sbom.licence import debian_licence, distinct
from kit.sbom.package import Distribution, Package
from kit.sbom.paragraphs import first, paragraphs

_INSTALLED = "installed"
_SHARED_TEXT = re.compile(r"/usr/share/common-licenses/([A-Za-z][A-Za-z0-9.-]*[A-Za-z0-9])")


def dpkg_packages(text: str) -> tuple[Package, ...]:
    """Return what a dpkg database says is installed; removed packages whose settings stay are not."""
    found = []
    for fields in paragraphs(text):
        name, version = first(fields, "package"), first(fields, "version")
        # Files of status.d have no field Status: what is described there is installed.
        state = first(fields, "status").split() or [_INSTALLED]
        if name and version and state[-1] == _INSTALLED:
            found.append(Package("deb", name, version, architecture=first(fields, "architecture")))
    return tuple(found)


def apk_packages(text: str) -> tuple[Package, ...]:
    """Return what an apk database says is installed."""
    found = []
    for paragraph in text.replace("\r", "").split("\n\n"):
        # Names of fields are one letter, and case tells them apart: P is the name, p what it provides.
        fields = {line[0]: line[2:].strip() for line in paragraph.split("\n") if line[1:2] == ":"}
        if fields.get("P") and fields.get("V"):
            licences = (fields["L"],) if fields.get("L") else ()
            found.append(Package("apk", fields["P"], fields["V"], licences, fields.get("A", "")))
    return tuple(found)


def copyright_licences(text: str) -> tuple[str, ...]:
    """Return the licences that a Debian copyright file names, each once, in its order."""
    parts = list(paragraphs(text))
    if parts and "copyright-format" in first(parts[0], "format"):
        # Paragraphs without Files only repeat the text of a licence.
        named = [first(part, "license").split("\n")[0] for part in parts if "files" in part]
        return distinct(debian_licence(name) for name in named if name)
    return distinct(_SHARED_TEXT.findall(text))


def read_distribution(text: str) -> Distribution | None:
    """Return what an os-release file says, or None when it names no distribution."""
    values = {}
    for line in text.splitlines():
        name, mark, value = line.strip().partition("=")
        if mark and not name.startswith("#"):
            values[name] = value.strip("\"'")
    identifier = values.get("ID", "")
    if not identifier:
        return None
    title = values.get("PRETTY_NAME") or values.get("NAME") or identifier
    return Distribution(identifier, values.get("VERSION_ID", ""), title)
