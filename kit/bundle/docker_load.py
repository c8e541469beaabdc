"""Writing what `docker load` reads: one image out of a bundle, as a stream.

The form is the old one, config and plain layers named in manifest.json; engines from 20.10 on,
and both image stores, take it. Sizes are known beforehand, so nothing is buffered.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from kit.bundle.compress_layers import plain_layer
from kit.bundle.layer_law import lawful_tar
from kit.bundle.tar_form import END, padded, tar_header

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from kit.bundle.manifest import Image, Layer
    from kit.bundle.source import VerifiedBlobs


def _hex(digest: str) -> str:
    return digest.removeprefix("sha256:")


def _member(name: str, size: int, chunks: Iterable[bytes]) -> Iterator[bytes]:
    yield tar_header(name, size)
    yield from chunks
    yield b"\0" * (padded(size) - size)


def _layer_name(layer: Layer) -> str:
    return f"{_hex(layer.diff_id)}.tar"


def _distinct(image: Image) -> tuple[Layer, ...]:
    return tuple({layer.diff_id: layer for layer in image.layers}.values())


def _manifest_json(image: Image, tags: tuple[str, ...]) -> bytes:
    entry = {
        "Config": f"{_hex(image.config.digest)}.json",
        "RepoTags": list(tags) or None,
        "Layers": [_layer_name(layer) for layer in image.layers],
    }
    return json.dumps([entry]).encode()


def docker_load_size(image: Image, *, packed: bool = False) -> int:
    """Return the bytes that `docker_load_chunks` yields."""
    listing = _manifest_json(image, (image.identity_tag,))
    layers = (layer.size if packed else layer.plain_size for layer in _distinct(image))
    sizes = [len(listing), image.config.size, *layers]
    return sum(len(tar_header("", 0)) + padded(size) for size in sizes) + len(END)


def docker_load_chunks(source: VerifiedBlobs, image: Image, *, packed: bool = False) -> Iterator[bytes]:
    """Yield an archive that gives the engine the image under its identity tag.

    With `packed`, layers stay zstd: engines from 25 on take them so, and nothing looks into them here.
    Raises VerificationError when a blob is damaged or a layer holds what no layer should; an engine has
    loaded nothing by then, because the archive is not ended.
    """

    def member(layer: Layer) -> tuple[Layer, int, Iterable[bytes]]:
        stored = source.read(layer.digest)
        if packed:
            return layer, layer.size, stored
        plain = plain_layer(stored, layer, source.where)
        return layer, layer.plain_size, lawful_tar(plain, f"{source.where}: image {image.name}")

    layers = map(member, _distinct(image))
    return load_archive(image, (image.identity_tag,), source.read(image.config.digest), layers)


def load_archive(
    image: Image,
    tags: tuple[str, ...],
    config: Iterable[bytes],
    layers: Iterable[tuple[Layer, int, Iterable[bytes]]],
) -> Iterator[bytes]:
    """Yield an archive of an image under these tags; each layer comes with its size there and its bytes.

    A classic store needs no bytes of the lowest layers when it has them in the same order.
    """
    listing = _manifest_json(image, tags)
    yield from _member("manifest.json", len(listing), (listing,))
    yield from _member(f"{_hex(image.config.digest)}.json", image.config.size, config)
    for layer, size, chunks in layers:
        yield from _member(_layer_name(layer), size, chunks)
    yield END
