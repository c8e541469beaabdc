"""What an image holds, member by member, and what differs between two builds of it. The comparing is pure."""

from __future__ import annotations

import hashlib
import json
import posixpath
import tarfile
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from kit.bundle.manifest import Image

_CHUNK = 1 << 20


@dataclass(frozen=True)
class Member:
    """A member of a layer, without its time."""

    kind: str
    mode: int
    owner: str
    link: str
    size: int
    digest: str


@dataclass(frozen=True)
class LayerContents:
    """One layer."""

    digest: str
    """sha256 of the plain tar, as the engine gives it."""
    size: int
    members: dict[str, Member]


@dataclass(frozen=True)
class Difference:
    """A member that is not the same in both builds."""

    layer: int
    path: str
    what: str
    """contents, attributes, or in one build only"""
    size: int
    """Bytes of it; the larger of the two."""


@dataclass(frozen=True)
class Comparison:
    """Two builds of an image."""

    size: int
    """Bytes of the first one's plain layers."""
    equal_layers: int
    layers: int
    raw_bytes: int
    """Bytes of plain layers that are not the same as the engine gives them, times and all."""
    differences: tuple[Difference, ...]

    @property
    def differing_bytes(self) -> int:
        """Bytes of members that differ when times and order are left aside."""
        return sum(difference.size for difference in self.differences)


def _digest(file: IO[bytes]) -> str:
    hasher = hashlib.sha256()
    while chunk := file.read(_CHUNK):
        hasher.update(chunk)
    return hasher.hexdigest()


def _members(layer: tarfile.TarFile) -> Iterator[tuple[str, Member]]:
    for info in layer:
        content = layer.extractfile(info) if info.isreg() else None
        digest = _digest(content) if content else ""
        kind = info.type.decode("ascii", "replace")
        yield (
            info.name,
            Member(kind, info.mode, f"{info.uid}:{info.gid}", info.linkname, info.size, digest),
        )


def read_image(saved: Path) -> tuple[LayerContents, ...]:
    """Return the layers in what `docker save` of one image wrote, lowest first."""
    with tarfile.open(saved) as archive:
        listed = archive.extractfile("manifest.json")
        assert listed is not None
        (image,) = json.load(listed)
        return tuple(_layer(archive, name) for name in image["Layers"])


def _layer(archive: tarfile.TarFile, name: str) -> LayerContents:
    info = archive.getmember(name)
    if info.issym():  # engines before 25 write a layer that occurs twice once
        info = archive.getmember(posixpath.normpath(f"{posixpath.dirname(name)}/{info.linkname}"))
    plain = archive.extractfile(info)
    assert plain is not None
    digest = _digest(plain)
    plain.seek(0)
    with tarfile.open(fileobj=plain, mode="r:") as layer:
        found = list(_members(layer))
    return LayerContents(digest, info.size, dict(found))


def compare(first: tuple[LayerContents, ...], second: tuple[LayerContents, ...]) -> Comparison:
    """Return what differs between two builds."""
    pairs = list(zip(first, second, strict=True))
    return Comparison(
        size=sum(layer.size for layer in first),
        equal_layers=sum(a.digest == b.digest for a, b in pairs),
        layers=len(pairs),
        raw_bytes=sum(a.size for a, b in pairs if a.digest != b.digest),
        differences=tuple(
            difference for number, (a, b) in enumerate(pairs) for difference in _differences(number, a, b)
        ),
    )


def _differences(number: int, first: LayerContents, second: LayerContents) -> Iterator[Difference]:
    for path in sorted(first.members.keys() | second.members.keys()):
        a, b = first.members.get(path), second.members.get(path)
        if a == b:
            continue
        size = max(member.size for member in (a, b) if member is not None)
        if a is None or b is None:
            yield Difference(number, path, "in one build only", size)
        else:
            what = "contents" if a.digest != b.digest else "attributes"
            yield Difference(number, path, what, size if what == "contents" else 0)


@dataclass(frozen=True)
class Packed:
    """What differs between two builds of an image once they are packed."""

    equal_layers: int
    """Layers with the same plain bytes, the same compressed bytes and the same frames."""
    plain_bytes: int
    """Bytes of the other layers, plain."""
    blob_bytes: int
    """The same as they are stored."""
    config: str
    """`equal`, or the two digests: an image's identity."""


def compare_packed(first: Image, second: Image) -> Packed:
    """Return what differs between two images of bundles, digest by digest."""
    pairs = list(zip(first.layers, second.layers, strict=True))
    others = [a for a, b in pairs if a != b]
    same = first.config == second.config and first.manifest == second.manifest
    return Packed(
        equal_layers=len(pairs) - len(others),
        plain_bytes=sum(layer.plain_size for layer in others),
        blob_bytes=sum(layer.size for layer in others),
        config="equal" if same else f"{first.config.digest} and {second.config.digest}",
    )
