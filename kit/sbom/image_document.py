"""The bill of materials of an image."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kit.sbom.cyclonedx import dump_document, licence_choice, properties, sha256_hash
from kit.sbom.licence import distinct
from kit.sbom.package import package_url

if TYPE_CHECKING:
    from kit.sbom.image_contents import ImageContents
    from kit.sbom.package import Distribution, Package

_LONGEST_VERSION = 1024
"""Characters that the format lets a version have."""


def image_document(name: str, config_digest: str, contents: ImageContents, kit_version: str) -> bytes:
    """Return the CycloneDX document of an image; its hash is that of its config, its identity."""
    notes = {"unread": " ".join(contents.unread)} if contents.unread else {}
    subject = {
        "type": "container",
        "bom-ref": f"image:{name}",
        "name": name,
        "version": config_digest.removeprefix("sha256:")[:12],
        "hashes": sha256_hash(config_digest),
        "properties": properties(identity=config_digest, **notes),
    }
    # Files that belong to no package are not listed.
    components = _components(contents)
    return dump_document(subject, components, complete=False, kit_version=kit_version)


def _components(contents: ImageContents) -> list[dict[str, Any]]:
    found: dict[str, list[Package]] = {}
    for package in contents.packages:
        found.setdefault(package_url(package, contents.distribution), []).append(package)
    components = [_component(url, packages) for url, packages in sorted(found.items())]
    return [*_system(contents.distribution), *components]


def _system(distribution: Distribution | None) -> list[dict[str, Any]]:
    if distribution is None:
        return []
    system = {"type": "operating-system", "bom-ref": "os", "name": distribution.identifier}
    version = {"version": distribution.version[:_LONGEST_VERSION]} if distribution.version else {}
    return [{**system, **version, "description": distribution.title}]


def _component(url: str, packages: list[Package]) -> dict[str, Any]:
    """Return one component for a package, wherever and however often it is installed."""
    first = packages[0]
    component: dict[str, Any] = {
        "type": "library",
        "bom-ref": url,
        "name": first.name,
        "version": first.version[:_LONGEST_VERSION],
        "purl": url,
    }
    licences = distinct(licence for package in packages for licence in package.licences)
    if licences:
        component["licenses"] = licence_choice(licences)
    places = distinct(package.place for package in packages if package.place)
    if places:
        component["evidence"] = {"occurrences": [{"location": place} for place in places]}
    return component
