"""The packages of an image: what its layers say, one laid over the other."""

from __future__ import annotations

import posixpath
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeVar

from kit.sbom.licence import distinct

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from kit.sbom.layer_records import LayerRecords
    from kit.sbom.package import Distribution, Package

T = TypeVar("T")
_RELEASES = ("usr/lib/os-release", "etc/os-release")
_MOST_LINKS = 4


@dataclass(frozen=True, slots=True)
class ImageContents:
    """What is installed in an image."""

    packages: tuple[Package, ...]
    """Sorted; the same package in two places is there twice."""
    distribution: Distribution | None
    unread: tuple[str, ...] = ()
    """Databases of packages in forms that kit does not read."""


def _left(found: Mapping[str, T], layer: LayerRecords) -> dict[str, T]:
    """Return what a layer leaves of the layers below it."""
    gone = set(layer.gone)
    emptied = set(layer.emptied)
    return {
        path: value
        for path, value in found.items()
        if path not in gone and not any(folder in gone or folder in emptied for folder in _above(path))
    }


def _above(path: str) -> Iterable[str]:
    """Yield the folders that a path lies in, the root (empty) last."""
    while path:
        path = posixpath.dirname(path)
        yield path


def _laid_over(layers: Iterable[tuple[LayerRecords, Iterable[tuple[str, T]]]]) -> dict[str, T]:
    found: dict[str, T] = {}
    for layer, items in layers:
        found = _left(found, layer) | dict(items)
    return found


def image_contents(layers: tuple[LayerRecords, ...]) -> ImageContents:
    """Return what an image of these layers holds, the lowest first. Whiteouts are respected."""
    packages = _laid_over((layer, layer.packages) for layer in layers)
    licences = _laid_over((layer, layer.licences) for layer in layers)
    links = _laid_over((layer, layer.links) for layer in layers)
    releases = _laid_over((layer, layer.distribution) for layer in layers)
    unread = _laid_over((layer, ((path, True) for path in layer.unread)) for layer in layers)
    listed = (package for found in packages.values() for package in found)
    named = (_with_licences(package, licences, links) for package in listed)
    return ImageContents(
        packages=tuple(sorted(named, key=lambda item: (item.kind, item.name, item.version, item.place))),
        distribution=next((releases[path] for path in _RELEASES if releases.get(path)), None),
        unread=tuple(sorted(unread)),
    )


def _with_licences(
    package: Package, licences: Mapping[str, tuple[str, ...]], links: Mapping[str, str]
) -> Package:
    """Return the package with the licences of its own files, where its record names none."""
    if package.licences:
        return package
    if package.kind == "deb":
        return replace(package, licences=licences.get(_copyright(package.name, links), ()))
    if package.kind == "pypi":
        folder = posixpath.dirname(package.place) + "/"
        texts = (found for path, found in sorted(licences.items()) if path.startswith(folder))
        return replace(package, licences=distinct(licence for found in texts for licence in found))
    return package


def _copyright(name: str, links: Mapping[str, str]) -> str:
    """Return where a package's copyright file is; its folder may be a link to another package's."""
    path = f"usr/share/doc/{name}/copyright"
    for _ in range(_MOST_LINKS):
        if path in links:
            path = links[path]
        elif posixpath.dirname(path) in links:
            path = links[posixpath.dirname(path)] + "/copyright"
        else:
            break
    return path
