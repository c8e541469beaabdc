"""What one layer says about packages, told by its tar members as they go by.

Only the few files that describe packages are looked into; of all others the name is enough. The
result is small, so that it can be kept for each diffID and an unchanged layer is never read again.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable
from dataclasses import dataclass, field

from kit.sbom.distribution_packages import (
    apk_packages,
    copyright_licences,
    dpkg_packages,
    read_distribution,
)
from kit.sbom.npm_packages import npm_package
from kit.sbom.package import Distribution, Package
from kit.sbom.python_packages import licence_file, python_package, python_runtime

LARGEST = 32 << 20
"""Bytes of the largest file that is looked into; dpkg's database of a full desktop has 8 MB."""
_WHITEOUT = ".wh."
_OPAQUE = ".wh..wh..opq"
_DOC_LINK = re.compile(r"usr/share/doc/[^/]+(/copyright)?\Z")


@dataclass(frozen=True, slots=True)
class LayerRecords:
    """What a layer adds and what it takes away."""

    packages: tuple[tuple[str, tuple[Package, ...]], ...] = ()
    """The file that describes them, and packages."""
    licences: tuple[tuple[str, tuple[str, ...]], ...] = ()
    """A file about licences alone, and the licences in it."""
    links: tuple[tuple[str, str], ...] = ()
    """Folders of documentation that are links, and where they lead."""
    distribution: tuple[tuple[str, Distribution | None], ...] = ()
    """An os-release file and what it says."""
    gone: tuple[str, ...] = ()
    """Paths that hide what lower layers have there and below."""
    emptied: tuple[str, ...] = ()
    """Folders that hide everything that lower layers have in them."""
    unread: tuple[str, ...] = ()
    """Databases of packages in forms that kit does not read."""


def _plain(name: str) -> str:
    path = posixpath.normpath("/" + name).lstrip("/")
    return "" if path == "." else path


def _text(data: bytes) -> str:
    return data.decode("utf-8", "replace")


def _one(found: Package | None) -> tuple[Package, ...]:
    return (found,) if found else ()


_STATUS_FILE = re.compile(r"var/lib/dpkg/status\.d/(?!.*\.md5sums\Z)[^/]+\Z")
_Read = Callable[[str, str], tuple[Package, ...]]
_PACKAGES: tuple[tuple[re.Pattern[str], _Read], ...] = (
    (re.compile(r"var/lib/dpkg/status\Z"), lambda text, _: dpkg_packages(text)),
    # Images without a package manager keep one file a package, and its md5 sums beside it.
    (_STATUS_FILE, lambda text, _: dpkg_packages(text)),
    (re.compile(r"(usr/)?lib/apk/db/installed\Z"), lambda text, _: apk_packages(text)),
    # What lies in Debian's own folder of Python modules is in dpkg's database already.
    (
        re.compile(r"(?!usr/lib/python3/dist-packages/).*(\.dist-info/METADATA|\.egg-info(/PKG-INFO)?)\Z"),
        lambda text, place: _one(python_package(text, place)),
    ),
    (
        re.compile(r"(.*/)?node_modules/(@[^/]+/)?[^/@.][^/]*/package\.json\Z"),
        lambda text, place: _one(npm_package(text, place)),
    ),
    (
        re.compile(r"(usr/local|opt/[^/]+)/include/python3\.[0-9]+/patchlevel\.h\Z"),
        lambda text, place: _one(python_runtime(text, place)),
    ),
)
_COPYRIGHT = re.compile(r"usr/share/doc/[^/]+/copyright\Z")
_LICENCE_FILE = re.compile(r".*\.dist-info/(licenses/)?(LICEN[CS]E|COPYING)[^/]*\Z", re.IGNORECASE)
_RELEASE = re.compile(r"(etc|usr/lib)/os-release\Z")
_UNREAD = re.compile(r"(var|usr)/(lib|lib/sysimage)/rpm/(Packages|Packages\.db|rpmdb\.sqlite)\Z")
_MAY_HOLD_RECORDS = re.compile(
    r"(.*/)?([^/]+\.(dist|egg)-info|site-packages|node_modules|dpkg|status\.d)\Z|usr/share/doc/[^/]+\Z"
)


@dataclass(slots=True)
class LayerObserver:
    """Sees the members of one layer, in any order, and returns what they say."""

    _packages: dict[str, tuple[Package, ...]] = field(default_factory=dict)
    _licences: dict[str, tuple[str, ...]] = field(default_factory=dict)
    _links: dict[str, str] = field(default_factory=dict)
    _distribution: dict[str, Distribution | None] = field(default_factory=dict)
    _gone: set[str] = field(default_factory=set)
    _emptied: set[str] = field(default_factory=set)
    _unread: set[str] = field(default_factory=set)

    def wants(self, name: str, size: int) -> bool:
        """Take note of a regular file, and tell whether `take` should get its bytes."""
        path = _plain(name)
        folder, _, base = path.rpartition("/")
        if base.startswith(_WHITEOUT):
            self._whiteout(folder, base)
        elif base in _UNREAD_NAMES and _UNREAD.match(path):
            self._unread.add(path)
        elif _holds_records(path, folder, base):
            self._gone.add(path)
        return 0 < size <= LARGEST and _is_record(path, base)

    def _whiteout(self, folder: str, base: str) -> None:
        if base == _OPAQUE:
            self._emptied.add(folder)
        else:
            self._gone.add(posixpath.join(folder, base[len(_WHITEOUT) :]))

    def take(self, name: str, data: bytes) -> None:
        """Read a file that is wanted."""
        path, text = _plain(name), _text(data)
        if _COPYRIGHT.match(path):
            self._licences[path] = copyright_licences(text)
        elif _RELEASE.match(path):
            self._distribution[path] = read_distribution(text)
        elif _LICENCE_FILE.match(path):
            self._licences[path] = licence_file(text)
        else:
            read = next(read for pattern, read in _PACKAGES if pattern.match(path))
            self._packages[path] = read(text, path)

    def link(self, name: str, target: str) -> None:
        """Take note of a symbolic link."""
        path = _plain(name)
        if _holds_records(path, *posixpath.split(path)):
            # It is no folder any more: what lower layers have below it is hidden.
            self._gone.add(path)
        if _DOC_LINK.match(path):
            self._links[path] = _plain(posixpath.join("/", posixpath.dirname(path), target))

    @property
    def records(self) -> LayerRecords:
        """What was seen, sorted, so that the order of members does not matter."""
        return LayerRecords(
            packages=tuple(sorted(self._packages.items())),
            licences=tuple(sorted(self._licences.items())),
            links=tuple(sorted(self._links.items())),
            distribution=tuple(sorted(self._distribution.items(), key=lambda item: item[0])),
            gone=tuple(sorted(self._gone)),
            emptied=tuple(sorted(self._emptied)),
            unread=tuple(sorted(self._unread)),
        )


_FOLDERS = {"site-packages", "node_modules", "dpkg", "status.d"}
_UNREAD_NAMES = {"Packages", "Packages.db", "rpmdb.sqlite"}
_FEW = {
    "METADATA",
    "PKG-INFO",
    "status",
    "installed",
    "package.json",
    "patchlevel.h",
    "copyright",
    "os-release",
}


# Nearly every member of a layer is told apart by the end of its name; patterns are tried on the rest.


def _holds_records(path: str, folder: str, base: str) -> bool:
    """Tell whether a path, were it a folder, could hold files that describe packages."""
    if not base.endswith("-info") and base not in _FOLDERS and folder != "usr/share/doc":
        return False
    return _MAY_HOLD_RECORDS.match(path) is not None


def _is_record(path: str, base: str) -> bool:
    if base not in _FEW and base[:4].upper() not in ("LICE", "COPY") and not base.endswith(".egg-info"):
        return _STATUS_FILE.match(path) is not None
    named = (_COPYRIGHT, _RELEASE, _LICENCE_FILE, *(pattern for pattern, _ in _PACKAGES))
    return any(pattern.match(path) for pattern in named)
