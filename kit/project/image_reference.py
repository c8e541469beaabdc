"""Names of container images: `[REGISTRY/]REPOSITORY[:TAG][@sha256:…]`. Pure.

The grammar is the OCI distribution specification's; that a name without a registry is Docker Hub's,
and one without a namespace there `library/`'s, is Docker's own habit (distribution/reference).
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass

from kit.errors import ConfigError

DOCKER_HUB = "docker.io"
_HUB_NAMES = (DOCKER_HUB, "index.docker.io", "registry-1.docker.io")
_HOST = re.compile(r"(\[[0-9a-fA-F:]+\]|[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?)(:\d{1,5})?")
_PART = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_PATH = re.compile(rf"{_PART}(/{_PART})*")
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_LONGEST = 255


@dataclass(frozen=True, slots=True)
class ImageReference:
    """An image's name, taken apart."""

    name: str
    """As written, without tag and digest."""
    registry: str
    """Host and port; `docker.io` where none is written."""
    repository: str
    tag: str | None
    digest: str | None
    """`sha256:…`"""

    @property
    def tagged(self) -> str:
        """As written, without the digest."""
        return f"{self.name}:{self.tag}" if self.tag else self.name


def parse_reference(text: str, where: str = "") -> ImageReference:
    """Return the parts of an image's name. Raises ConfigError naming `where`."""
    rest, at, digest = text.partition("@")
    if at and not _DIGEST.fullmatch(digest):
        _refuse(text, where, "a digest is sha256: and 64 hexadecimal digits")
    head, slash, last = rest.rpartition("/")
    last, colon, tag = last.partition(":")
    if colon and not _TAG.fullmatch(tag):
        _refuse(text, where, "what follows the last ':' is no tag")
    name = f"{head}{slash}{last}"
    registry, repository = _split(name)
    if "://" in text:
        _refuse(text, where, "leave out http:// and https://")
    if not _HOST.fullmatch(registry):
        _refuse(text, where, f"{registry!r} is no registry")
    if not _PATH.fullmatch(repository) or len(name) > _LONGEST:
        _refuse(text, where, "a repository has lower-case letters, digits, '.', '_', '-' and '/'")
    return ImageReference(name, registry, repository, tag or None, digest or None)


def _split(name: str) -> tuple[str, str]:
    first, slash, rest = name.partition("/")
    if slash and ("." in first or ":" in first or first == "localhost"):
        if first in _HUB_NAMES:
            return DOCKER_HUB, rest if "/" in rest else f"library/{rest}"
        return first, rest
    return DOCKER_HUB, name if slash else f"library/{name}"


def _refuse(text: str, where: str, why: str) -> None:
    fix = "write REGISTRY/REPOSITORY:TAG, e.g. registry.example/team/tool:1.2"
    raise ConfigError(f"{text!r} is no image's name", where=where, why=why, fix=fix)


def check_mirror(place: str) -> str:
    """Return a registry, or a path on one, as images' names begin with it. Raises ConfigError."""
    host, _, path = place.partition("/")
    if not _HOST.fullmatch(host) or (path and not _PATH.fullmatch(path)):
        raise ConfigError(
            f"{place!r} is no registry",
            where="mirrors.registry",
            fix="HOST, HOST:PORT or HOST/PATH, without https://",
        )
    return place


def mirrored(reference: str, registry: str | Mapping[str, str] | None) -> str:
    """Return where a mirror keeps an image: its path below the mirror's name.

    `registry` is one mirror that stands for every registry, or a mirror for each of some.
    """
    if not registry:
        return reference
    parts = parse_reference(reference)
    mirror = registry if isinstance(registry, str) else registry.get(parts.registry)
    if not mirror:
        return reference
    tag = f":{parts.tag}" if parts.tag else ""
    digest = f"@{parts.digest}" if parts.digest else ""
    return f"{mirror}/{parts.repository}{tag}{digest}"


def is_loopback(host: str) -> bool:
    """Tell whether `HOST` or `HOST:PORT` is this machine itself."""
    name = host.rpartition(":")[0] if re.search(r":\d+$", host) else host
    if name.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(name.strip("[]")).is_loopback
    except ValueError:
        return False
