"""A pack of 2.2 GB that are made as they are read: `python -m tests.contract.synthetic_pack FOLDER`.

Prints the peak memory in bytes.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from kit.bundle.digest import hash_chunks, sha256_of_file
from kit.bundle.engine import EngineImage
from kit.bundle.folder_target import FolderTarget
from kit.bundle.pack import pack_bundle
from kit.bundle.pack_request import LocalFile, LocalTree, PackRequest
from kit.bundle.tar_form import END, padded, tar_header
from kit.progress import NoProgress

PIECE = 1 << 22
SMALL = 1 << 16
LAYER_PIECES = 400
FILE_PIECES = 128


def piece(noise: bytes, number: int) -> bytes:
    """Return 4 MiB that compress well and are like no other."""
    return (b"%08d" % number + noise).ljust(PIECE, b"%d" % (number % 10))


def layer(noise: bytes) -> Iterator[bytes]:
    """Yield a layer of 1.7 GB: one large file, and 64 times as many small ones as pieces."""
    half = LAYER_PIECES // 2
    yield tar_header("large", half * PIECE)
    for number in range(half):
        yield piece(noise, number)
    for number in range(half, LAYER_PIECES):
        whole = piece(noise, number)
        for place in range(0, PIECE, SMALL):
            yield tar_header(f"small/{number}-{place}", SMALL) + whole[place : place + SMALL]
    yield END


@dataclass
class SyntheticEngine:
    """An ImageSource of one image."""

    noise: bytes = field(default_factory=lambda: os.urandom(1 << 18))

    def __post_init__(self) -> None:
        self.layer = hash_chunks(layer(self.noise))
        self.config = json.dumps({"rootfs": {"diff_ids": [self.layer.digest]}}).encode()
        self.image_id = "sha256:" + hashlib.sha256(self.config).hexdigest()

    def inspect(self, reference: str) -> EngineImage:
        assert reference == self.image_id
        return EngineImage(self.image_id, (self.layer.digest,), self.layer.size)

    def save(self, image_id: str) -> Iterator[bytes]:
        assert image_id == self.image_id
        listing = json.dumps([{"Config": "config.json", "Layers": ["a/layer.tar"]}]).encode()
        yield tar_header("a/layer.tar", self.layer.size)
        yield from layer(self.noise)
        yield bytes(padded(self.layer.size) - self.layer.size)
        for name, data in (("config.json", self.config), ("manifest.json", listing)):
            yield tar_header(name, len(data)) + data.ljust(padded(len(data)), b"\0")
        yield END


def main(folder: Path) -> None:
    engine = SyntheticEngine()
    model = folder / "w.safetensors"
    with model.open("wb") as file:
        for number in range(FILE_PIECES):
            file.write(piece(engine.noise, number))
    tree = LocalTree("model", "m", "folder:m", (LocalFile("w", model, sha256_of_file(model)),))
    images = (("train", engine.image_id),)
    request = PackRequest("big", "cpu", b"{}\n", "2026-05-01T12:30:00Z", images, (tree,))
    pack_bundle(request, engine, FolderTarget(folder / "bundle"), NoProgress())
    print(peak_memory())


def peak_memory() -> int:
    """Return the most bytes of memory that this process held.

    Not `ru_maxrss`: that begins with what the process held that started this one (exec keeps it).
    """
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return next(int(line.split()[1]) << 10 for line in status.splitlines() if line.startswith("VmHWM:"))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
