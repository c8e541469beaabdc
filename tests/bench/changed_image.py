"""An image like one in a bundle but for a single package, put into the engine as if it had been built."""

from __future__ import annotations

import json
import os
import subprocess
import tarfile
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

from kit.bundle.compress_layers import plain_layer
from kit.bundle.digest import CHUNK, read_file, sha256_of_file
from kit.bundle.manifest import Image, Layer
from kit.bundle.source import BundleSource
from kit.bundle.tar_form import END, padded, tar_header
from kit.bundle.tar_walk import CHECKSUM, SIZE, Head, TarWalk, checksum
from kit.bundle.watch_layer import member_of
from kit.byte_stream import byte_stream

TAG = "kit-bench:one-package-changed"


def _plain(source: BundleSource, layer: Layer) -> Iterator[bytes]:
    return plain_layer(source.read(layer.digest), layer, source.where)


def _has(source: BundleSource, layer: Layer, package: str) -> bool:
    with tarfile.open(fileobj=byte_stream(_plain(source, layer)), mode="r|", bufsize=CHUNK) as tar:
        return any(f"/{package}/" in member.name for member in tar)


def _changed(source: BundleSource, layer: Layer, package: str, path: Path) -> int:
    """Write a layer whose modules of one package have another line; return how many have.

    Whatever else there is stays as it is, byte for byte, as a builder would write it again.
    """
    count, walk = 0, TarWalk(_plain(source, layer))
    with path.open("wb") as new:
        while isinstance(head := walk.head(), Head):
            member = member_of(head)
            if member.is_file and f"/{package}/" in member.name and member.name.endswith(".py"):
                data = walk.read(head.payload)[: member.size] + b"# changed\n"
                new.write(b"".join(head.blocks[:-1]) + _resized(head.blocks[-1], len(data)))
                new.write(data.ljust(padded(len(data)), b"\0"))
                count += 1
            else:
                new.writelines(chain(head.blocks, walk.pieces(head.payload)))
        new.write(head.data)
        new.writelines(walk.pieces(layer.plain_size))
    return count


def _resized(header: bytes, size: int) -> bytes:
    changed = header[: SIZE.start] + b"%011o\0" % size + header[SIZE.stop :]
    return changed[: CHECKSUM.start] + b"%06o\0 " % checksum(changed) + changed[CHECKSUM.stop :]


def _member(name: str, size: int, chunks: Iterator[bytes]) -> Iterator[bytes]:
    yield tar_header(name, size)
    yield from chunks
    yield bytes(padded(size) - size)


def _archive(
    source: BundleSource, layers: list[tuple[str, int, Layer | Path]], config: bytes
) -> Iterator[bytes]:
    entry = {"Config": "config.json", "RepoTags": [TAG], "Layers": [name for name, _, _ in layers]}
    listing = json.dumps([entry]).encode()
    yield from _member("manifest.json", len(listing), iter((listing,)))
    yield from _member("config.json", len(config), iter((config,)))
    for name, size, place in dict.fromkeys(layers):
        yield from _member(name, size, read_file(place) if isinstance(place, Path) else _plain(source, place))
    yield END


def load_changed(source: BundleSource, image: Image, package: str, scratch: Path) -> str:
    """Load an image with one package changed in its largest layer that has it; return its tag."""
    largest = sorted(image.layers, key=lambda layer: -layer.plain_size)
    chosen = next(layer for layer in largest if _has(source, layer, package))
    path = scratch / "changed-layer.tar"
    assert _changed(source, chosen, package, path), f"no module of {package} in it"
    blob = sha256_of_file(path)
    config = json.loads(b"".join(source.read(image.config.digest)))
    ids = [blob.digest if layer == chosen else layer.diff_id for layer in image.layers]
    config["rootfs"]["diff_ids"] = ids
    layers: list[tuple[str, int, Layer | Path]] = [
        (
            f"{digest}.tar".replace("sha256:", ""),
            *((blob.size, path) if layer == chosen else (layer.plain_size, layer)),
        )
        for digest, layer in zip(ids, image.layers, strict=True)
    ]
    argv = ("docker", "load", "--quiet")
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, env=os.environ) as load:
        assert load.stdin is not None
        for chunk in _archive(source, layers, json.dumps(config).encode()):
            load.stdin.write(chunk)
    assert load.returncode == 0, "docker load failed"
    path.unlink()
    return TAG
