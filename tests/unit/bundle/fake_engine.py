"""An engine in memory: images made of small layers, saved in each form that real engines write."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import zstandard

from kit.bundle.engine import EngineImage
from kit.bundle.normalise_tar import MTIME
from kit.errors import EngineError

if TYPE_CHECKING:
    from collections.abc import Iterator

FORMS = ("20.10", "25", "containerd-gzip", "containerd-zstd", "containerd-index")
BIG = 9 << 20
"""More than the reader keeps in memory."""


def hexdigest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def tar_of(files: dict[str, bytes], mtime: int = MTIME) -> bytes:
    """A layer; one that is normalised already, unless its files have another time."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size, info.mtime = len(data), mtime
            tar.addfile(info, io.BytesIO(data))
    return out.getvalue()


def config_of(layers: tuple[bytes, ...], **more: object) -> bytes:
    diff_ids = ["sha256:" + hexdigest(layer) for layer in layers]
    return json.dumps({"os": "linux", "rootfs": {"type": "layers", "diff_ids": diff_ids}, **more}).encode()


@dataclass
class Archive:
    """The members of what `docker save` writes."""

    files: dict[str, bytes] = field(default_factory=dict)
    symlinks: dict[str, str] = field(default_factory=dict)

    def blob(self, data: bytes) -> str:
        name = f"blobs/sha256/{hexdigest(data)}"
        self.files[name] = data
        return name

    def dump(self) -> bytes:
        out = io.BytesIO()
        with tarfile.open(fileobj=out, mode="w") as tar:
            for name in sorted(self.files | self.symlinks):
                info = tarfile.TarInfo(name)
                if name in self.symlinks:
                    info.type, info.linkname = tarfile.SYMTYPE, self.symlinks[name]
                    tar.addfile(info)
                else:
                    info.size = len(self.files[name])
                    tar.addfile(info, io.BytesIO(self.files[name]))
        return out.getvalue()


def _old_archive(config: bytes, layers: tuple[bytes, ...]) -> Archive:
    archive = Archive({"repositories": b"{}", f"{hexdigest(config)}.json": config})
    names: list[str] = []
    seen: dict[bytes, str] = {}
    for place, layer in enumerate(layers):
        folder = hexdigest(b"%d" % place + layer)
        names.append(f"{folder}/layer.tar")
        archive.files |= {f"{folder}/VERSION": b"1.0", f"{folder}/json": b'{"id":"x"}'}
        if layer in seen:
            archive.symlinks[names[-1]] = f"../{seen[layer]}/layer.tar"
        else:
            archive.files[names[-1]] = layer
            seen[layer] = folder
    entry = {"Config": f"{hexdigest(config)}.json", "RepoTags": None, "Layers": names}
    archive.files["manifest.json"] = json.dumps([entry]).encode()
    return archive


def _compress(form: str, layer: bytes) -> bytes:
    if form == "containerd-gzip":
        return gzip.compress(layer, mtime=0)
    return zstandard.ZstdCompressor().compress(layer) if form == "containerd-zstd" else layer


def _blob_archive(form: str, config: bytes, layers: tuple[bytes, ...]) -> tuple[Archive, str]:
    archive = Archive({"oci-layout": b'{"imageLayoutVersion":"1.0.0"}'})
    names = [archive.blob(_compress(form, layer)) for layer in layers]
    config_name = archive.blob(config)
    manifest = json.dumps(
        {"config": {"digest": "sha256:" + hexdigest(config)}, "layers": [{"digest": name} for name in names]}
    ).encode()
    archive.blob(manifest)
    image_id = hexdigest(manifest)
    if form == "containerd-index":
        index = json.dumps({"manifests": [{"digest": "sha256:" + image_id}]}).encode()
        archive.blob(index)
        image_id = hexdigest(index)
    entry = {"Config": config_name, "RepoTags": None, "Layers": names}
    archive.files["manifest.json"] = json.dumps([entry]).encode()
    return archive, hexdigest(config) if form == "25" else image_id


@dataclass
class FakeEngine:
    """An ImageSource that records what it is asked."""

    form: str = "25"
    images: dict[str, tuple[EngineImage, bytes]] = field(default_factory=dict)
    calls: list[tuple[str, str]] = field(default_factory=list)
    cut_after: int | None = None
    """Bytes of an archive after which the engine dies."""

    def add(self, *layers: bytes, tag: str = "", **more: object) -> str:
        """Build an image and return its ID."""
        config = config_of(layers, **more)
        if self.form == "20.10":
            archive, image_id = _old_archive(config, layers), hexdigest(config)
        else:
            archive, image_id = _blob_archive(self.form, config, layers)
        diff_ids = tuple("sha256:" + hexdigest(layer) for layer in layers)
        image = EngineImage("sha256:" + image_id, diff_ids, sum(map(len, layers)))
        for name in (image.image_id, tag):
            self.images[name] = (image, archive.dump())
        return image.image_id

    def inspect(self, reference: str) -> EngineImage:
        self.calls.append(("inspect", reference))
        if reference not in self.images:
            raise EngineError("the engine has no such image", where=reference)
        return self.images[reference][0]

    def save(self, image_id: str) -> Iterator[bytes]:
        self.calls.append(("save", image_id))
        data = self.images[image_id][1]
        for start in range(0, len(data), 70_001):
            if self.cut_after is not None and start >= self.cut_after:
                raise EngineError("docker save failed", where=image_id)
            yield data[start : start + 70_001]
