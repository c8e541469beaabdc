"""Reading what `docker save` writes, as a stream, in every form that engines write it.

Up to engine 24 layers are `<id>/layer.tar`, and a layer that occurs twice is a symlink; from 25
on the archive is an OCI layout with blobs; a containerd store may leave blobs compressed. All
have a `manifest.json` that tells config and layers, and it may come last: so every layer is taken
as it passes, and what it was is settled at the end.
"""

from __future__ import annotations

import json
import posixpath
import tarfile
import zlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from kit.bundle.digest import CHUNK, blob_of
from kit.bundle.oci_layout import config_diff_ids
from kit.byte_stream import byte_stream
from kit.errors import EngineError, VerificationError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from kit.bundle.engine import EngineImage
    from kit.bundle.manifest import Layer

_KEPT_SIZE = 8 << 20
"""A member up to this size that looks like JSON is kept in memory."""
_KEPT_TOTAL = 128 << 20
_MOST_LINKS = 8
_GZIP = b"\x1f\x8b"
_ZSTD = b"\x28\xb5\x2f\xfd"


@dataclass(frozen=True, slots=True)
class TakenLayer:
    """A layer out of an archive, and what became of it."""

    diff_id: str
    """As the engine knows it."""
    layer: Layer
    """As it was packed; its diffID is another one when it was normalised."""


class LayerSink(Protocol):
    """Takes the layers out of an archive."""

    def find(self, name: str, size: int) -> TakenLayer | None:
        """Return the layer known under a member's name and size, so that it need not be read."""

    def take(self, name: str, size: int, plain: Iterable[bytes]) -> TakenLayer:
        """Store a layer, read to its end, that stands in the archive under that name and size."""


@dataclass(frozen=True, slots=True)
class SavedImage:
    """An image taken out of an archive. Its config names exactly these layers, in order."""

    config: bytes
    layers: tuple[TakenLayer, ...]


@dataclass(slots=True)
class _Contents:
    """What passed by, under the members' normalised names."""

    kept: dict[str, bytes] = field(default_factory=dict)
    layers: dict[str, TakenLayer] = field(default_factory=dict)
    links: dict[str, str] = field(default_factory=dict)

    def target(self, name: str) -> str:
        """Return the name of the member that `name` stands for, through links."""
        for _ in range(_MOST_LINKS):
            if name not in self.links:
                break
            name = self.links[name]
        return name


def _broken(why: str) -> EngineError:
    return EngineError(
        "docker save gave an archive that cannot be used",
        where="docker save",
        why=why,
        fix="try again; then docker image rm the image and kit bundle",
    )


def _gunzipped(chunks: Iterable[bytes]) -> Iterator[bytes]:
    inflate = zlib.decompressobj(wbits=31)
    for chunk in chunks:
        rest = chunk
        while rest:
            if inflate.eof:  # a further gzip member follows
                inflate = zlib.decompressobj(wbits=31)
            # A few bytes can stand for a gigabyte: never more than a chunk of it at once.
            yield inflate.decompress(rest, CHUNK)
            rest = inflate.unconsumed_tail or inflate.unused_data
    yield inflate.flush()
    if not inflate.eof:
        raise _broken("a gzip layer ends early")


def _unzstd(chunks: Iterable[bytes]) -> Iterator[bytes]:
    import zstandard

    stream = byte_stream(chunks)
    try:
        reader = zstandard.ZstdDecompressor().stream_reader(stream, read_across_frames=True)
        while piece := reader.read(CHUNK):
            yield piece
    except zstandard.ZstdError as error:
        raise _broken(f"a zstd layer: {error}") from error


def _plain(first: bytes, chunks: Iterator[bytes]) -> Iterator[bytes]:
    if first.startswith(_GZIP):
        return _gunzipped(chunks)
    return _unzstd(chunks) if first.startswith(_ZSTD) else chunks


def _pieces(first: bytes, file: Any) -> Iterator[bytes]:
    piece = first
    while piece:
        yield piece
        piece = file.read(CHUNK)


def _may_be_layer(name: str) -> bool:
    return name.startswith("blobs/sha256/") or name.endswith("layer.tar")


def _take(tar: tarfile.TarFile, member: tarfile.TarInfo, contents: _Contents, sink: LayerSink) -> None:
    name = posixpath.normpath(member.name)
    if member.issym():
        contents.links[name] = posixpath.normpath(posixpath.join(posixpath.dirname(name), member.linkname))
    elif member.islnk():
        contents.links[name] = posixpath.normpath(member.linkname)
    if not member.isreg():
        return
    known = sink.find(name, member.size) if _may_be_layer(name) else None
    if known is not None:
        contents.layers[name] = known
        return
    file = tar.extractfile(member)
    first = file.read(CHUNK) if file else b""
    looks_like_json = first.lstrip()[:1] in (b"{", b"[")
    if member.size <= _KEPT_SIZE and (looks_like_json or not _may_be_layer(name)):
        contents.kept[name] = b"".join(_pieces(first, file))
        if sum(map(len, contents.kept.values())) > _KEPT_TOTAL:
            raise _broken("too many small members")
    elif _may_be_layer(name):
        contents.layers[name] = sink.take(name, member.size, _plain(first, _pieces(first, file)))


def _json(contents: _Contents, name: str) -> Any:
    try:
        return json.loads(contents.kept[contents.target(name)])
    except (KeyError, ValueError, RecursionError) as error:
        raise _broken(f"no JSON in its {name}") from error


def _entry(contents: _Contents, image: EngineImage) -> tuple[bytes, tuple[str, ...]]:
    """Return the config, and the members' names of the layers, of the image that was asked for."""
    entries = _json(contents, "manifest.json")
    try:
        found = [
            (contents.kept[contents.target(entry["Config"])], tuple(map(posixpath.normpath, entry["Layers"])))
            for entry in entries
        ]
    except (KeyError, TypeError) as error:
        raise _broken(f"manifest.json lacks {error}") from error
    for config, names in found:
        if config_diff_ids(config) == image.diff_ids:
            return config, names
    raise _broken(f"no image with the layers of {image.image_id}")


def _references(document: Any) -> Iterator[str]:
    if isinstance(document, dict):
        for item in (document.get("config"), *(document.get("manifests") or ())):
            if isinstance(item, dict) and isinstance(item.get("digest"), str):
                yield item["digest"]


def _leads_to(image_id: str, config: bytes, contents: _Contents) -> bool:
    """Tell whether the ID names this config, itself or by manifests that are in the archive."""
    by_digest = {blob_of(data).digest: data for data in contents.kept.values()}
    wanted, seen = blob_of(config).digest, set[str]()
    waiting = [image_id]
    while waiting:
        digest = waiting.pop()
        if digest == wanted or digest not in by_digest:
            # An engine may leave out the manifest that its ID names; then the diffIDs decide.
            if digest in (wanted, image_id):
                return True
            continue
        if digest not in seen:
            seen.add(digest)
            waiting.extend(_references(json.loads(by_digest[digest])))
    return False


def _resolve(contents: _Contents, image: EngineImage, sink: LayerSink) -> SavedImage:
    config, names = _entry(contents, image)
    if not _leads_to(image.image_id, config, contents):
        raise _broken(f"its config is not that of {image.image_id}")
    layers = []
    for name in names:
        target = contents.target(name)
        if target not in contents.layers and target in contents.kept:
            data = contents.kept[target]
            contents.layers[target] = sink.take(target, len(data), _plain(data, iter((data,))))
        if target not in contents.layers:
            raise _broken(f"layer {name} is missing")
        layers.append(contents.layers[target])
    if tuple(layer.diff_id for layer in layers) != image.diff_ids:
        raise VerificationError(
            "docker save gave other layers than the image's config names",
            where=image.image_id,
            fix="docker image rm the image, then kit bundle",
        )
    return SavedImage(config, tuple(layers))


def read_saved_image(chunks: Iterable[bytes], image: EngineImage, sink: LayerSink) -> SavedImage:
    """Hand the layers of an archive to `sink`, and return the image that they make.

    Raises EngineError when the archive is cut off or lacks the image, VerificationError when its
    layers are not those that its config names, and whatever stream and sink raise.
    """
    contents = _Contents()
    try:
        with tarfile.open(fileobj=byte_stream(chunks), mode="r|", bufsize=CHUNK) as tar:
            for member in tar:
                _take(tar, member, contents, sink)
    except (tarfile.TarError, zlib.error) as error:
        raise _broken(str(error)) from error
    return _resolve(contents, image, sink)
